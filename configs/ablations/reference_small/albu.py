# The reference's Albumentations transforms on the crops that the other rows see.
_base_ = ["../dense/reference.py", "../../_base_/recipes/reference_albu.py"]

train_pipeline = [
    *_base_.load_cells,
    dict(
        type="AlbuLabelMaps",
        transforms=[_base_.random_crop, *_base_.albu_transforms],
        min_area=8,
    ),
    dict(type="PackDetInputs"),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
