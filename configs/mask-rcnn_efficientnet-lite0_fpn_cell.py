# The reference recipe at the size of a laptop.
_base_ = ["_base_/models/mask-rcnn_efficientnet-lite0_fpn.py", "_base_/recipes/reference.py"]

optim_wrapper = dict(optimizer=dict(lr=3e-4))
