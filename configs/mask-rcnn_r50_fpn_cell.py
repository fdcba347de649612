# The report's baseline: ResNet-50, lr 1e-4.
_base_ = [
    "_base_/models/mask-rcnn_r50_fpn.py",
    "_base_/datasets/cell_instance.py",
    "_base_/schedules/adamw_cosine_20e.py",
    "_base_/default_runtime.py",
]
