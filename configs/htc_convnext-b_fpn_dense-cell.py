# The recipe for dense cells with a hybrid task cascade.
_base_ = ["_base_/models/htc_convnext-b_fpn.py", "_base_/recipes/dense.py"]

model = _base_.dense_model
