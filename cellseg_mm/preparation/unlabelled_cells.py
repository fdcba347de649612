"""Cells that a model finds where a data set has no label, to be ignored in training.

Few data sets label every cell. A network learns from those that are left out that such cells are
background, at no fault of its own; to ignore them is safer than to believe the model's classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cellseg_mm.errors import UserError
from cellseg_mm.evaluation.segmented_folder import find_results, read_segmented_image
from cellseg_mm.structures.planes import InstanceCrop, instance_extents

MAX_LABELLED = 0.1
"""Largest share of its pixels that a found cell may have on labelled cells.

Small, since what lies half on an ignored box is not learned: a detection that is a labelled cell,
badly outlined, must not take that cell away.
"""


@dataclass(frozen=True)
class UnlabelledCells:
    """Confident detections that match no label.

    Attributes:
        folder: The ``--out`` of ``cellseg segment``, with the formats ``labels`` and ``csv``.
        min_score: Least score of a detection.
        names: The images that are treated; in the others, nothing is found.
    """

    folder: Path
    min_score: float
    names: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UserError: The score is no score.
        """
        if not 0 <= self.min_score <= 1:
            raise UserError(f"--min-score is {self.min_score}; give 0 to 1.")

    def of_images(self, names: Sequence[str]) -> UnlabelledCells:
        """The same for some images.

        Raises:
            MissingFileError: An image has no results.
        """
        for name in names:
            find_results(self.folder, f"{name}.png")
        return replace(self, names=frozenset(names))

    def find(self, name: str, labelled: npt.NDArray[np.bool_], first_id: int) -> list[InstanceCrop]:
        """The unlabelled cells of an image.

        Args:
            name: Name of the image.
            labelled: (H, W), where its labelled cells are.
            first_id: Id of the first cell that is found; the others follow.

        Returns:
            The pixels of the detections that are not labelled.

        Raises:
            UserError: The image's results are missing or damaged, or of another size.
        """
        if name not in self.names:
            return []
        stem = find_results(self.folder, f"{name}.png")
        found = read_segmented_image(stem, labelled.shape, f"train/{name}")
        boxes, areas = instance_extents(found.labels[None])
        covered = np.bincount(found.labels[labelled], minlength=len(areas))
        sure = np.append(False, found.scores >= self.min_score)
        crops: list[InstanceCrop] = []
        for label in np.flatnonzero(sure & (areas > 0) & (covered <= MAX_LABELLED * areas)):
            x1, y1, x2, y2 = boxes[label].tolist()
            bitmap = (found.labels[y1:y2, x1:x2] == label) & ~labelled[y1:y2, x1:x2]
            crops.append(InstanceCrop(first_id + len(crops), y1, x1, bitmap))
        return crops
