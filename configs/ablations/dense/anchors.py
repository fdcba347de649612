# Anchors of 12, 18, 24, 36, ... px instead of 32, 64, ... px.
_base_ = ["report.py"]

model = dict(rpn_head=dict(anchor_generator=dict(scales=[3.0, 4.5])))
