# The weights' moving average instead of the weights.
_base_ = ["reference.py"]

default_hooks = dict(ema=_base_.ema)
