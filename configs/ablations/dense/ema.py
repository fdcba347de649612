# The weights' moving average instead of the weights.
_base_ = ["report.py"]

custom_hooks = [
    dict(
        type="EMAHook",
        ema_type="ExpMomentumEMA",
        momentum=0.002,
        gamma=200,
        update_buffers=True,
        priority=49,
    ),
    dict(
        type="ResumableEarlyStoppingHook",
        monitor="coco/segm_mAP",
        rule="greater",
        min_delta=0.0,
        patience=5,
    ),
    dict(type="LearningCurvesHook"),
    dict(type="OverlayHook"),
    dict(type="BackboneSpeedHook", channels_last=False, compile=False),
]
