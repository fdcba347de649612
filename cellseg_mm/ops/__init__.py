"""Operators without a compiler: mmcv's three on torchvision's kernels, and ours on planes.

Importing this package installs :mod:`cellseg_mm.ops.mmcv_ext`, so import it before anything that
imports ``mmcv.ops`` or ``mmdet``.
"""

from cellseg_mm.ops.mmcv_ext import install
from cellseg_mm.ops.roi_align_planes import roi_align_planes

install()

__all__ = ["install", "roi_align_planes"]
