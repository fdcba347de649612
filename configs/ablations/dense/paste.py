# Copy-paste of cells of rare classes: not a part of the recipe, since it did not pay.
_base_ = ["report.py"]

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
    dict(type="RareCellPaste", max_cells=4),
    dict(type="PackDetInputs"),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
