# The recipe for dense cells with ConvNeXt-V2, whose weights are for non-commercial use.
_base_ = ["_base_/models/mask-rcnn_convnext-v2-b_fpn.py", "_base_/recipes/dense.py"]

model = _base_.dense_model
