# The reference with its Albumentations pipeline.
_base_ = ["mask-rcnn_convnext-b_fpn_cell.py", "_base_/recipes/reference_albu.py"]

train_pipeline = [
    *_base_.load_cells,
    _base_.keep_size,
    dict(type="AlbuLabelMaps", transforms=_base_.albu_transforms),
    dict(type="PackDetInputs"),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
