# Copy-paste of cells of rare classes: not a part of the recipe, since it did not pay.
_base_ = ["reference.py"]

train_pipeline = [
    *_base_.train_pipeline[:-1],
    dict(type="RareCellPaste", max_cells=4),
    dict(type="PackDetInputs"),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
