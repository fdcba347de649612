# The reference's baseline: ResNet-50, lr 1e-4.
_base_ = ["_base_/models/mask-rcnn_r50_fpn.py", "_base_/recipes/reference.py"]
