# Learns from scratch on a CPU in minutes.
_base_ = ["_base_/models/mask-rcnn_convnext-atto_fpn.py", "_base_/recipes/reference.py"]

# Crops of one size, so that a step takes as long on large images as on the synthetic ones.
crop_size = 256
train_pipeline = [
    *_base_.load_cells,
    dict(
        type="AlbuLabelMaps",
        transforms=[
            dict(type="RandomCrop", height=crop_size, width=crop_size, pad_if_needed=True),
            dict(type="D4"),
        ],
        min_area=10,
    ),
    dict(type="PackDetInputs"),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

optim_wrapper = dict(optimizer=dict(lr=1e-3))
max_epochs = 12
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [dict(_base_.cosine, end=max_epochs, T_max=max_epochs)]
