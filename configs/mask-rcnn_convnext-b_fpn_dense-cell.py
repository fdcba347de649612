# The recipe for dense cells. docs/experiments.md measures its parts on the network of a laptop.
_base_ = ["mask-rcnn_convnext-b_fpn_cell.py"]

# Anchors of 12, 18, 24, 36, ... px; room for a thousand cells and more at every step. Cells that a
# crop shows too little of are neither cell nor background (ignore_iof_thr).
model = dict(
    backbone=dict(drop_path_rate=0.4),
    rpn_head=dict(anchor_generator=dict(scales=[3.0, 4.5])),
    train_cfg=dict(
        rpn=dict(assigner=dict(ignore_iof_thr=0.5), sampler=dict(num=512)),
        rpn_proposal=dict(nms_pre=4000, max_per_img=2000),
        rcnn=dict(assigner=dict(ignore_iof_thr=0.5)),
    ),
    test_cfg=dict(
        rpn=dict(nms_pre=4000, max_per_img=3000),
        rcnn=dict(score_thr=0.01, nms=dict(iou_threshold=0.3), max_per_img=2000),
    ),
)

train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadCellLabels"),
    dict(type="CellCrop", size=512, scale_range=(0.75, 1.33), rare_prob=0.5),
    dict(type="HEDJitter", scale=0.2, shift=0.02, prob=0.5),
    dict(
        type="AlbuLabelMaps",
        transforms=[
            dict(type="D4", p=1.0),
            dict(type="ElasticTransform", alpha=120, sigma=10, fill=(124, 116, 104), p=0.2),
        ],
        min_area=8,
    ),
    dict(type="PackDetInputs"),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

optim_wrapper = dict(
    constructor="LayerDecayConstructor",
    paramwise_cfg=dict(num_layers=12, decay_rate=0.8),
    optimizer=dict(lr=2e-4, weight_decay=0.05),
    clip_grad=dict(max_norm=5.0),
)
max_epochs = 50
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=200),
    dict(
        type="CosineAnnealingLR",
        by_epoch=True,
        begin=0,
        end=max_epochs,
        T_max=max_epochs,
        eta_min=0.0,
        convert_to_iter_based=True,
    ),
]
custom_hooks = [
    dict(
        type="EMAHook",
        ema_type="ExpMomentumEMA",
        momentum=0.002,
        gamma=200,
        update_buffers=True,
        priority=49,
    ),
    dict(
        type="ResumableEarlyStoppingHook",
        monitor="coco/segm_mAP",
        rule="greater",
        min_delta=0.0,
        patience=10,
    ),
    dict(type="LearningCurvesHook"),
    dict(type="OverlayHook"),
    dict(type="BackboneSpeedHook", channels_last=False, compile=False),
]
