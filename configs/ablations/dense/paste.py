# Copy-paste of cells of rare classes: not a part of the recipe, since it did not pay.
_base_ = ["report.py"]

train_pipeline = [
    *_base_.train_pipeline[:3],
    dict(type="RareCellPaste", max_cells=4),
    *_base_.train_pipeline[3:],
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
