# The recipe for dense cells with ConvNeXt-Base.
_base_ = ["_base_/models/mask-rcnn_convnext-b_fpn.py", "_base_/recipes/dense.py"]

model = _base_.dense_model
