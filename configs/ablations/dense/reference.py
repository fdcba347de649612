# The reference recipe, but on crops: whole images take a CPU six to fifteen times as long, and all
# other rows of the ladder see crops of this size, too.
_base_ = [
    "../../_base_/models/mask-rcnn_efficientnet-lite0_fpn.py",
    "../../_base_/recipes/reference.py",
    "../../_base_/recipes/dense_parts.py",
]

crop_size = 256
random_crop = dict(type="RandomCrop", height=crop_size, width=crop_size, pad_if_needed=True)
flip = dict(type="HorizontalFlip", p=0.5)
train_pipeline = [
    *_base_.load_cells,
    dict(type="AlbuLabelMaps", transforms=[random_crop, flip], min_area=8),
    dict(type="PackDetInputs"),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

optim_wrapper = dict(optimizer=dict(lr=3e-4))
