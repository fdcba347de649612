# Jitter of the stains, now and then a mild elastic deformation, and all flips and right-angle
# rotations instead of one flip.
_base_ = ["reference.py"]

train_pipeline = [
    *_base_.load_cells,
    _base_.stain_jitter,
    dict(type="AlbuLabelMaps", transforms=[_base_.random_crop, *_base_.turns], min_area=8),
    dict(type="PackDetInputs"),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
