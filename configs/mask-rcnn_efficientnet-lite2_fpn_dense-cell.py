# The recipe for dense cells with EfficientNet-Lite2.
_base_ = ["_base_/models/mask-rcnn_efficientnet-lite2_fpn.py", "_base_/recipes/dense_small.py"]

model = _base_.dense_model
