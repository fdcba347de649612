# Crops of several scales that keep whole cells and rare classes in view.
_base_ = ["reference.py"]

train_pipeline = [
    *_base_.load_cells,
    dict(_base_.cell_crop, size=_base_.crop_size),
    dict(type="AlbuLabelMaps", transforms=[_base_.flip], min_area=8),
    dict(type="PackDetInputs"),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
