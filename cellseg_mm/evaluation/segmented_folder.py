"""What ``cellseg segment`` wrote, as records of a COCO result list."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tifffile

from cellseg_mm.errors import MissingFileError, UserError
from cellseg_mm.evaluation.annotations import Annotations
from cellseg_mm.structures.mask_runs import MaskRuns


class SegmentedImage(NamedTuple):
    """The cells of one image.

    Attributes:
        labels: (H, W) ids 1 … N, 0 = background.
        classes: N names.
        scores: (N,) float64.
        stem: Where its files are, without what follows its name.
    """

    labels: npt.NDArray[np.integer]
    classes: list[str]
    scores: npt.NDArray[np.float64]
    stem: Path


def read_segmented_folder(folder: Path, annotations: Annotations) -> Iterator[dict[str, Any]]:
    """Read the cells of a data set's images from label maps and tables.

    An image's results are found by its name, its classes by theirs.

    Args:
        folder: The ``--out`` of ``cellseg segment``, with the formats ``labels`` and ``csv``.
        annotations: The data set.

    Yields:
        Records ``{image_id, category_id, score, segmentation}``, image by image; masks are
        compressed RLE.

    Raises:
        MissingFileError: An image has no results.
        UserError: A file is damaged, or names a class or has a size that the data set does not.
    """
    categories = {name: category_id for category_id, name in annotations.categories.items()}
    for image_id, image in annotations.images.items():
        size = [image["height"], image["width"]]
        found = read_segmented_image(
            find_results(folder, str(image.get("file_name", image_id))), size, annotations.source
        )
        counts = MaskRuns.from_planes(found.labels[None], len(found.scores)).encode()
        for name, score, count in zip(found.classes, found.scores.tolist(), counts, strict=True):
            if name not in categories:
                raise UserError(
                    f"{found.stem}.csv has cells of the class {name!r}, but {annotations.source} "
                    f"has the classes {', '.join(categories)}: use a model of these classes."
                )
            yield {
                "image_id": image_id,
                "category_id": categories[name],
                "score": score,
                "segmentation": {"size": size, "counts": count},
            }


def read_segmented_image(stem: Path, size: Sequence[int], source: str) -> SegmentedImage:
    """Read the cells of one image.

    Args:
        stem: What :func:`find_results` gave.
        size: Height and width of the image, pixels.
        source: The data set, for messages.

    Raises:
        UserError: A file is damaged, or the image had another size.
    """
    table, label_map = Path(f"{stem}.csv"), Path(f"{stem}_labels.ome.tif")
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = [(int(r["id"]), r["class"], float(r["score"])) for r in csv.DictReader(file)]
        labels = tifffile.imread(label_map, series=0, level=0)
    except OSError:
        raise
    except Exception as error:  # tifffile has many
        raise UserError(f"{stem}: the results are damaged ({error}): segment again.") from error
    if list(labels.shape) != list(size):
        raise UserError(
            f"{label_map} is {list(labels.shape)}, but the image in {source} is {list(size)} "
            "(height, width): segment the images of this data set."
        )
    if [number for number, *_ in rows] != list(range(1, int(labels.max()) + 1)):
        raise UserError(f"{table} and {label_map} hold other cells: segment again.")
    scores = np.array([score for *_, score in rows], np.float64)
    return SegmentedImage(labels, [name for _, name, _ in rows], scores, stem)


def find_results(folder: Path, file_name: str) -> Path:
    """Where an image's results are, without what follows its name.

    Raises:
        MissingFileError: They are not there.
    """
    name = Path(file_name)
    for stem in (folder / name.with_suffix(""), folder / name.stem):
        if Path(f"{stem}.csv").is_file() and Path(f"{stem}_labels.ome.tif").is_file():
            return stem
    raise MissingFileError(
        f"{folder} has no results of {file_name}, which are {name.stem}.csv and "
        f"{name.stem}_labels.ome.tif: write them with `cellseg segment --formats labels csv`."
    )
