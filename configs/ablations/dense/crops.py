# Crops of several scales that keep whole cells and rare classes in view.
_base_ = ["report.py"]

model = dict(
    train_cfg=dict(
        rpn=dict(assigner=dict(ignore_iof_thr=0.5)),
        rcnn=dict(assigner=dict(ignore_iof_thr=0.5)),
    ),
)
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadCellLabels"),
    dict(type="CellCrop", size=256, scale_range=(0.75, 1.33), rare_prob=0.5),
    dict(type="AlbuLabelMaps", transforms=[dict(type="HorizontalFlip", p=0.5)], min_area=8),
    dict(type="PackDetInputs"),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
