custom_imports = dict(imports=["cellseg_mm.register"], allow_failed_imports=False)
default_scope = "mmdet"

default_hooks = dict(
    timer=dict(type="IterTimerHook"),
    logger=dict(type="LoggerHook", interval=10),
    param_scheduler=dict(type="ParamSchedulerHook"),
    checkpoint=dict(
        type="BestCheckpointHook",
        interval=1,
        max_keep_ckpts=2,
        save_best="coco/segm_mAP",
        rule="greater",
        backend_args=dict(backend="atomic"),
    ),
    sampler_seed=dict(type="DistSamplerSeedHook"),
    # Not MMEngine's own. A leaf changes one by its name, and None removes it.
    exact_resume=dict(type="ExactResumeHook"),
    non_finite=dict(type="NonFiniteHook", max_skipped=0),
    early_stopping=dict(
        type="ResumableEarlyStoppingHook",
        monitor="coco/segm_mAP",
        rule="greater",
        min_delta=0.0,
        patience=5,
    ),
    curves=dict(type="LearningCurvesHook"),
    overlays=dict(type="OverlayHook"),
    backbone_speed=dict(type="BackboneSpeedHook", channels_last=False, compile=False),
)

# What tools/test.py does beyond one look at each image; training and its validation do not.
test_time = dict(
    views="identity",  # or "flips" (4 views), or "dihedral" (8: right-angle rotations, too)
    scales=[1.0],  # factors of the input's size
    tile=0,  # side of the tiles that larger images are cut into; 0 = whole images
    overlap=64,  # pixels that neighbouring tiles share: more than a cell's diameter
    merge_iou=0.5,  # masks of several views, scales or checkpoints with this overlap show one cell
    checkpoints=[],  # further ones of this config, averaged in
)

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method="fork", opencv_num_threads=0),
    dist_cfg=dict(backend="nccl"),
)
randomness = dict(seed=0)

vis_backends = [dict(type="LocalVisBackend"), dict(type="TensorboardVisBackend")]
visualizer = dict(type="DetLocalVisualizer", vis_backends=vis_backends, name="visualizer")
log_processor = dict(type="LogProcessor", window_size=50, by_epoch=True)
log_level = "INFO"
load_from = None
resume = False
