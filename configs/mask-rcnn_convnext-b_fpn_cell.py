# The reference: ConvNeXt-Base, lr 3e-4, no stochastic depth.
_base_ = ["_base_/models/mask-rcnn_convnext-b_fpn.py", "_base_/recipes/reference.py"]

model = dict(backbone=dict(drop_path_rate=0.0))

optim_wrapper = dict(optimizer=dict(lr=3e-4))
