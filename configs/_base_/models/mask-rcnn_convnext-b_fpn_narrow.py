# The neck and heads of small networks: 96 channels instead of 256. Their backbone is put in by the
# networks that build on this one.
_base_ = ["mask-rcnn_convnext-b_fpn.py"]

model = dict(
    neck=dict(out_channels=96),
    rpn_head=dict(in_channels=96, feat_channels=96),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=96),
        bbox_head=dict(in_channels=96, fc_out_channels=256),
        mask_roi_extractor=dict(out_channels=96),
        mask_head=dict(num_convs=2, in_channels=96, conv_out_channels=64),
    ),
    train_cfg=dict(rcnn=dict(sampler=dict(num=128))),
)
