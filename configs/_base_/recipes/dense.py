# The recipe for dense cells. docs/experiments.md measures its parts on the network of a laptop.
_base_ = ["reference.py", "dense_parts.py"]

# What the recipe changes in a network. Two bases cannot both set `model`, so a leaf takes it over:
# model = _base_.dense_model
dense_model = dict(
    rpn_head=dict(anchor_generator=_base_.fitted_anchors),
    train_cfg=_base_.more_boxes.train_cfg,
    test_cfg=dict(
        rpn=_base_.more_boxes.test_cfg.rpn,
        rcnn=dict(nms=dict(iou_threshold=0.3), **_base_.more_boxes.test_cfg.rcnn),
    ),
)

augment = [
    _base_.stain_jitter,
    dict(type="AlbuLabelMaps", transforms=_base_.turns, min_area=8),
    dict(type="PackDetInputs"),
]
train_pipeline = [*_base_.load_cells, _base_.cell_crop, *augment]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

optim_wrapper = _base_.layer_decay
max_epochs = 50
train_cfg = dict(max_epochs=max_epochs)
cosine = dict(_base_.cosine, end=max_epochs, T_max=max_epochs, convert_to_iter_based=True)
param_scheduler = [_base_.warm_up, cosine]

default_hooks = dict(ema=_base_.ema, early_stopping=dict(patience=10))
