"""Which class true cells were taken for, with missed and spurious cells."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from cellseg_mm.analysis.errors.image_matches import MATCH_IOU, SCORE_THRESHOLD, ImageMatches


def confusion_matrix(
    matches: Iterable[ImageMatches],
    num_classes: int,
    score_threshold: float = SCORE_THRESHOLD,
) -> npt.NDArray[np.int64]:
    """Count which class true cells were taken for.

    Sure predictions, by falling score and whatever their class, each take the free true cell of
    greatest IoU ≥ `MATCH_IOU`.

    Returns:
        (C + 1, C + 1) int64: rows are true classes, columns predicted ones. Column C counts missed
        cells, row C spurious ones; entry (C, C) is 0.
    """
    matrix = np.zeros((num_classes + 1, num_classes + 1), np.int64)
    for image in matches:
        free = np.ones(len(image.truth_classes), bool)
        overlaps = image.overlaps(MATCH_IOU)
        for p in range(int(np.count_nonzero(image.scores >= score_threshold))):
            _, truth = max(((i, t) for i, t in overlaps[p] if free[t]), default=(0.0, -1))
            if truth >= 0:
                free[truth] = False
                matrix[image.truth_classes[truth], image.classes[p]] += 1
            else:
                matrix[num_classes, image.classes[p]] += 1
        np.add.at(matrix[:, num_classes], image.truth_classes[free], 1)
    return matrix
