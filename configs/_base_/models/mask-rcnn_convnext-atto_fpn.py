# A network that learns from scratch on a CPU in minutes: ConvNeXt-Atto, anchors of cells.
_base_ = ["mask-rcnn_convnext-b_fpn_narrow.py"]

model = dict(
    # Keeps the top feature map above 1×1, where the stock RPN head fails with one anchor a place.
    data_preprocessor=dict(pad_size_divisor=64),
    backbone=dict(arch="atto", init_cfg=None, drop_path_rate=0.0, layer_scale_init_value=1.0),
    neck=dict(in_channels=[40, 80, 160, 320], num_outs=4),
    rpn_head=dict(anchor_generator=dict(scales=[4], ratios=[1.0], strides=[4, 8, 16, 32])),
    train_cfg=dict(rpn=dict(assigner=dict(pos_iou_thr=0.6))),
)
