# The recipe for dense cells with three stages of heads.
_base_ = ["_base_/models/cascade-mask-rcnn_convnext-b_fpn.py", "_base_/recipes/dense.py"]

model = _base_.dense_model
