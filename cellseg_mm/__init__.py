"""Cell instance segmentation and classification in H&E images with MMDetection.

Importing the package is quick and loads neither torch nor mmdet. It only sees to it that mmcv's
operators run without having been compiled (:mod:`cellseg_mm.ops.mmcv_ext_finder`). What registers
with MMDetection is imported by :mod:`cellseg_mm.register`.
"""

from cellseg_mm.ops import mmcv_ext_finder

__version__ = "0.1.0"

mmcv_ext_finder.install()
