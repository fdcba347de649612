"""Predicted masks of one image as COCO run-length strings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask
from torch import Tensor

from cellseg_mm.errors import UserError
from cellseg_mm.structures.mask_runs import MaskRuns


class RLEMasks:
    """N masks of one image, each a COCO RLE string: about 100 bytes instead of H × W.

    A sequence of RLE dicts for COCO evaluation and submissions. Stock code that wants bitmaps (the
    visualizer) calls :meth:`astype` and gets them.

    Args:
        counts: N compressed RLE strings, column-major, as pycocotools writes them.
        height, width: Of the image, pixels.
    """

    def __init__(self, counts: Sequence[str], height: int, width: int) -> None:
        self.counts = list(counts)
        self.height = int(height)
        self.width = int(width)

    @classmethod
    def from_runs(cls, runs: MaskRuns) -> RLEMasks:
        """Encode runs of foreground pixels."""
        return cls(runs.encode(), runs.height, runs.width)

    @property
    def runs(self) -> MaskRuns:
        """The foreground runs: areas, boxes, overlaps."""
        return MaskRuns.from_counts(self.counts, self.height, self.width)

    def __len__(self) -> int:
        return len(self.counts)

    def __repr__(self) -> str:
        return f"RLEMasks(num_masks={len(self)}, height={self.height}, width={self.width})"

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, index: Any) -> RLEMasks: ...

    def __getitem__(self, index: Any) -> dict[str, Any] | RLEMasks:
        """An integer gives ``{"size": [H, W], "counts": str}``, anything else a selection.

        Selections: a slice, an integer array or a Boolean array (NumPy or torch).
        """
        if isinstance(index, int | np.integer):
            return {"size": [self.height, self.width], "counts": self.counts[int(index)]}
        if isinstance(index, slice):
            return RLEMasks(self.counts[index], self.height, self.width)
        if isinstance(index, Tensor):
            index = index.cpu().numpy()
        chosen = np.arange(len(self))[index]
        return RLEMasks([self.counts[i] for i in chosen], self.height, self.width)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[i] for i in range(len(self)))

    @staticmethod
    def cat(masks: Sequence[RLEMasks]) -> RLEMasks:
        """Concatenate masks of one image.

        Raises:
            ValueError: There is nothing to concatenate, or the sizes differ.
        """
        sizes = {(m.height, m.width) for m in masks}
        if len(sizes) != 1:
            raise UserError(f"Masks of one image size can be concatenated, but got {sizes}.")
        return RLEMasks([c for m in masks for c in m.counts], masks[0].height, masks[0].width)

    def to_ndarray(self) -> npt.NDArray[np.uint8]:
        """(N, H, W) uint8 bitmaps: N × H × W bytes, so only for few masks."""
        if not self.counts:
            return np.zeros((0, self.height, self.width), np.uint8)
        bitmaps: npt.NDArray[np.uint8] = coco_mask.decode(list(self))
        return np.ascontiguousarray(bitmaps.transpose(2, 0, 1))

    def astype(self, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """:meth:`to_ndarray` in another dtype, as MMDetection's visualizer asks for it."""
        return self.to_ndarray().astype(dtype)
