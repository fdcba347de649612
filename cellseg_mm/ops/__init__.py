"""Operators without a compiler: mmcv's on torchvision's kernels, and ours on planes."""
