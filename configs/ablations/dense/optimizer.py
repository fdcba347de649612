# A higher rate with warm-up, less of it in the layers near the image, weight decay 0.05 on weights
# alone, and gradients clipped.
_base_ = ["report.py"]

optim_wrapper = dict(
    constructor="LayerDecayConstructor",
    paramwise_cfg=dict(num_layers=7, decay_rate=0.95),
    optimizer=dict(lr=1e-3, weight_decay=0.05),
    clip_grad=dict(max_norm=5.0),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(
        type="CosineAnnealingLR",
        by_epoch=True,
        begin=0,
        end=20,
        T_max=20,
        eta_min=0.0,
        convert_to_iter_based=True,
    ),
]
