# The recipe for dense cells at the size of a laptop.
_base_ = ["_base_/models/mask-rcnn_efficientnet-lite0_fpn.py", "_base_/recipes/dense_small.py"]

model = _base_.dense_model
