# A higher rate with warm-up, less of it in the layers near the image, weight decay 0.05 on weights
# alone, and gradients clipped.
_base_ = ["reference.py"]

optim_wrapper = dict(
    _base_.layer_decay,
    paramwise_cfg=dict(num_layers=7, decay_rate=0.95),
    optimizer=dict(lr=1e-3, weight_decay=0.05),
)
param_scheduler = [dict(_base_.warm_up, end=50), dict(_base_.cosine, convert_to_iter_based=True)]
