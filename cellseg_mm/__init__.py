"""Cell instance segmentation and classification in H&E images with MMDetection.

    from cellseg_mm import CellSegmenter
    cells = CellSegmenter("he-consep").segment("image.png")

Importing the package is quick and loads neither torch nor mmdet. It only sees to it that mmcv's
operators run without having been compiled (:mod:`cellseg_mm.ops.mmcv_ext_finder`). What registers
with MMDetection is imported by :mod:`cellseg_mm.register`.
"""

from typing import TYPE_CHECKING, Any

from cellseg_mm.ops import mmcv_ext_finder

if TYPE_CHECKING:
    from cellseg_mm.inference.cell_segmenter import CellSegmenter

__all__ = ["CellSegmenter"]
__version__ = "0.1.0"

mmcv_ext_finder.install()


def __getattr__(name: str) -> Any:
    """Import what takes seconds when it is asked for."""
    if name == "CellSegmenter":
        from cellseg_mm.inference.cell_segmenter import CellSegmenter

        return CellSegmenter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
