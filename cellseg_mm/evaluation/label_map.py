"""One label map out of masks that overlap: who keeps a shared pixel.

The metrics of cell segmentation compare label maps, where a pixel names one cell. Detectors predict
masks that overlap, and a few true cells overlap too, so both are flattened by a stated rule:

- the higher score keeps a shared pixel; at equal scores the smaller mask, which the larger one
  would otherwise swallow; at equal sizes the earlier one;
- a prediction that keeps less than ``min_kept`` of its pixels is left out and takes none: what is
  left of a duplicate is a sliver, not a second cell (as in the merging of instances in Kirillov et
  al., *Panoptic Segmentation*, CVPR 2019, section 6).

True cells have no score and are never left out: the smaller one keeps a shared pixel.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cellseg_mm.errors import UserError
from cellseg_mm.structures.mask_runs import MaskRuns

MIN_KEPT = 0.5
"""Least share of its pixels that a prediction must keep to be a cell of the label map."""


def paint_label_map(
    masks: MaskRuns, scores: npt.ArrayLike | None = None, min_kept: float = MIN_KEPT
) -> npt.NDArray[np.int32]:
    """Paint masks that may overlap into one label map; the best score keeps its pixels.

    The cost is linear in the pixels of the image and of the masks; no mask becomes a bitmap.

    Args:
        masks: N masks of one image.
        scores: (N,) float scores of predictions; None for true cells.
        min_kept: A prediction that finds less than this share of its pixels free is left out.

    Returns:
        (H, W) int32; i + 1 where mask i is, 0 for background.

    Raises:
        ValueError: There is not one score for each mask.
    """
    if scores is None:
        scores, min_kept = np.zeros(len(masks)), 0.0
    values = np.asarray(scores, np.float64)
    if values.shape != (len(masks),):
        raise UserError(
            f"{len(masks)} masks need as many scores, but the scores have shape {values.shape}."
        )
    canvas = np.zeros(masks.height * masks.width, np.int32)
    pixels_of = masks.split_pixels()
    for i in np.lexsort((masks.areas, -values)).tolist():
        pixels = pixels_of[i]
        free = canvas[pixels] == 0
        kept = np.count_nonzero(free)
        if kept == len(pixels):
            canvas[pixels] = i + 1
        elif kept >= min_kept * len(pixels):
            canvas[pixels[free]] = i + 1
    return np.ascontiguousarray(canvas.reshape(masks.width, masks.height).T)


def flatten_planes(planes: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """Flatten planes of true cells; the smaller cell keeps the pixels that two share.

    Args:
        planes: (P, H, W) ids, or an (H, W) label map, which is returned as it is.

    Returns:
        (H, W) ids. At equal areas the cell of the earlier plane keeps the pixel.

    Raises:
        ValueError: The array has neither two nor three dimensions, or is not of integers.
    """
    if planes.ndim not in (2, 3) or planes.dtype.kind not in "ui":
        raise UserError(
            f"A label map is an (H, W) or (P, H, W) array of integers, not {planes.dtype} of shape "
            f"{planes.shape}."
        )
    if planes.ndim == 2:
        return planes
    if len(planes) == 1:
        return planes[0]
    flat = planes.max(axis=0)
    shared = np.count_nonzero(planes, axis=0) > 1
    if shared.any():
        claims = planes[:, shared]
        ids, areas = np.unique(planes[np.isin(planes, claims)], return_counts=True)
        claimed_areas = np.where(
            claims != 0, areas[np.searchsorted(ids, claims)], np.iinfo(np.int64).max
        )
        keeper = np.argmin(claimed_areas, axis=0)
        flat[shared] = np.take_along_axis(claims, keeper[None], axis=0)[0]
    return flat
