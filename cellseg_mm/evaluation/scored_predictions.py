"""Which predictions can be scored: those of which the truth says that they are right or wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cellseg_mm.evaluation.annotations import Annotations
from cellseg_mm.structures.mask_runs import MaskRuns


def scored_predictions(
    annotations: Annotations,
    image_id: int,
    category_ids: Sequence[int],
    rles: Iterable[Mapping[str, Any]],
) -> npt.NDArray[np.bool_]:
    """Find the predictions of an image that are to be scored.

    Neither right nor wrong are, first, predictions of a class that the image is not annotated for
    (as in LVIS, Gupta et al., CVPR 2019); second, those with more than half of their pixels on
    ignored cells and off all true ones, so that they match none (as with void in Kirillov et al.,
    *Panoptic Segmentation*, CVPR 2019).

    Args:
        annotations: The truth.
        image_id: The image.
        category_ids: Category of each of the N predictions.
        rles: Their masks, COCO's RLE dicts.

    Returns:
        (N,) whether to score it.

    Raises:
        UserError: A mask is malformed or of another size than the image.
    """
    scored = np.array([annotations.annotates(image_id, c) for c in category_ids], bool)
    ignored = annotations.ignored.get(image_id)
    if not ignored or not scored.any():
        return scored
    image = annotations.images[image_id]
    size = image["height"], image["width"]
    cells = annotations.cells[image_id]
    void = np.zeros(image["height"] * image["width"], bool)
    void[MaskRuns.from_rles([r["segmentation"] for r in ignored], *size).pixels] = True
    void[MaskRuns.from_rles([r["segmentation"] for r in cells], *size).pixels] = False
    before = np.append(0, np.cumsum(void))
    found = MaskRuns.from_rles(rles, *size)
    of_runs = before[found.ends] - before[found.starts]
    on_void = np.bincount(found.owners, weights=of_runs, minlength=len(found))
    return scored & (2 * on_void <= found.areas)
