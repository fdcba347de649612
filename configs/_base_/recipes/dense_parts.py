# The parts of the recipe for dense cells, as variables: recipes/dense.py takes all of them, and the
# rows of configs/ablations/dense.yaml one each.

# Crops of several scales that keep whole cells and rare classes in view.
crop_size = 512
cell_crop = dict(type="CellCrop", size=crop_size, scale_range=(0.75, 1.33), rare_prob=0.5)

# Jitter of the stains; all flips and right-angle rotations, now and then a mild deformation.
stain_jitter = dict(type="HEDJitter", scale=0.2, shift=0.02, prob=0.5)
turns = [
    dict(type="D4", p=1.0),
    dict(type="ElasticTransform", alpha=120, sigma=10, fill=(124, 116, 104), p=0.2),
]

# Anchors of 12, 18, 24, 36, ... px instead of 32, 64, ... px.
fitted_anchors = dict(scales=[3.0, 4.5])

# Room for a thousand cells and more at every step.
more_boxes = dict(
    train_cfg=dict(
        rpn=dict(sampler=dict(num=512)), rpn_proposal=dict(nms_pre=4000, max_per_img=2000)
    ),
    test_cfg=dict(
        rpn=dict(nms_pre=4000, max_per_img=3000), rcnn=dict(score_thr=0.01, max_per_img=2000)
    ),
)

# Less learning in the layers near the image, weight decay on weights alone, gradients clipped, and
# a warm-up.
layer_decay = dict(
    constructor="LayerDecayConstructor",
    paramwise_cfg=dict(num_layers=12, decay_rate=0.8),
    optimizer=dict(lr=2e-4, weight_decay=0.05),
    clip_grad=dict(max_norm=5.0),
)
warm_up = dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=200)

# The weights' moving average instead of the weights.
ema = dict(
    type="EMAHook",
    ema_type="ExpMomentumEMA",
    momentum=0.002,
    gamma=200,
    update_buffers=True,
    priority=49,
)
