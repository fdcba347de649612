# Anchors of 12, 18, 24, 36, ... px instead of 32, 64, ... px.
_base_ = ["reference.py"]

model = dict(rpn_head=dict(anchor_generator=_base_.fitted_anchors))
