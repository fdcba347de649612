# A model that learns from scratch on a CPU in minutes: ConvNeXt-Atto, 96-d heads, anchors of cells.
_base_ = ["mask-rcnn_convnext-b_fpn_cell.py"]

model = dict(
    # Keeps the top feature map above 1×1, where the stock RPN head fails with one anchor a place.
    data_preprocessor=dict(pad_size_divisor=64),
    backbone=dict(arch="atto", init_cfg=None, layer_scale_init_value=1.0),
    neck=dict(in_channels=[40, 80, 160, 320], out_channels=96, num_outs=4),
    rpn_head=dict(
        in_channels=96,
        feat_channels=96,
        anchor_generator=dict(scales=[4], ratios=[1.0], strides=[4, 8, 16, 32]),
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=96),
        bbox_head=dict(in_channels=96, fc_out_channels=256),
        mask_roi_extractor=dict(out_channels=96),
        mask_head=dict(num_convs=2, in_channels=96, conv_out_channels=64),
    ),
    train_cfg=dict(rpn=dict(assigner=dict(pos_iou_thr=0.6)), rcnn=dict(sampler=dict(num=128))),
)

# Crops of one size, so that a step takes as long on large images as on the synthetic ones.
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadCellLabels"),
    dict(
        type="AlbuLabelMaps",
        transforms=[
            dict(type="RandomCrop", height=256, width=256, pad_if_needed=True),
            dict(type="D4"),
        ],
        min_area=10,
    ),
    dict(type="PackDetInputs"),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

optim_wrapper = dict(optimizer=dict(lr=1e-3))

max_epochs = 12
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [
    dict(
        type="CosineAnnealingLR",
        by_epoch=True,
        begin=0,
        end=max_epochs,
        T_max=max_epochs,
        eta_min=0.0,
    )
]
