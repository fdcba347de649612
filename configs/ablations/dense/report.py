# The report's recipe, but on crops: whole images take a CPU six to fifteen times as long, and every
# other row of the ladder sees crops of this size, too.
_base_ = ["../../mask-rcnn_efficientnet-lite0_fpn_cell.py"]

train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadCellLabels"),
    dict(
        type="AlbuLabelMaps",
        transforms=[
            dict(type="RandomCrop", height=256, width=256, pad_if_needed=True),
            dict(type="HorizontalFlip", p=0.5),
        ],
        min_area=8,
    ),
    dict(type="PackDetInputs"),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
