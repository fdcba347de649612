"""CoNSeP: colorectal adenocarcinoma, 41 images of 1000 × 1000 pixels with seven classes.

::

    Train/Images/train_1.png   Train/Labels/train_1.mat   Test/Images/test_1.png   …

A `.mat` file holds `inst_map` (ids), `type_map` (class numbers of the pixels), `inst_type` (class
numbers of the instances, in the order of their ids) and `inst_centroid`, which is not needed. An
instance has the class of most of its pixels, and that of `inst_type` where these have none.

The makers join 3 and 4 to epithelial, and 5, 6 and 7 to spindle-shaped, as
`configs/class_tables/consep.yaml` does.

Graham et al., "HoVer-Net: Simultaneous Segmentation and Classification of Nuclei in Multi-Tissue
Histology Images", Medical Image Analysis 58, 2019.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cellseg_mm.preparation.formats.annotated_image import AnnotatedImage, ReadOptions
from cellseg_mm.preparation.formats.label_maps import (
    labelled_image,
    majority_classes,
    whole_numbers,
)
from cellseg_mm.preparation.formats.mat_file import read_mat
from cellseg_mm.preparation.formats.set_files import (
    by_key,
    files_below,
    is_of_test_part,
    read_pairs,
)
from cellseg_mm.preparation.problems import BadFileError, Problem

OPTIONS = ()
CLASSES = (
    "other",
    "inflammatory",
    "healthy epithelial",
    "malignant epithelial",
    "fibroblast",
    "muscle",
    "endothelial",
)
MPP = 0.25
_LARGEST_ID = 10**6


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage | Problem]:
    """Read the images of a download; see :mod:`~cellseg_mm.preparation.formats.registry`."""

    def one(name: str, image: Path, annotation: Path) -> AnnotatedImage:
        arrays = read_mat(annotation, ("inst_map", "type_map", "inst_type"))
        labels = whole_numbers(annotation, "inst_map", arrays["inst_map"], _LARGEST_ID)
        types = whole_numbers(annotation, "type_map", arrays["type_map"], len(CLASSES))
        if types.shape != labels.shape:
            what = f"inst_map has the shape {labels.shape}, but type_map {types.shape}"
            raise BadFileError(annotation, what, "take the original file")
        classes = majority_classes(labels, types, len(CLASSES))
        listed = whole_numbers(annotation, "inst_type", arrays["inst_type"], len(CLASSES)).ravel()
        if len(listed) == len(classes):
            classes = {
                number: of_pixels or int(of_list)
                for (number, of_pixels), of_list in zip(classes.items(), listed, strict=True)
            }
        without = [number for number, class_number in classes.items() if not class_number]
        if without:
            what = f"instance {without[0]} has no class in type_map or inst_type"
            raise BadFileError(annotation, what, "take the original file")
        names = {number: CLASSES[kind - 1] for number, kind in classes.items()}
        part = "test" if is_of_test_part(annotation, source) else "train"
        return labelled_image(name, image, annotation, labels, names, mpp=MPP, part=part)

    yield from read_pairs(
        source,
        by_key(files_below(source, "Images/*.png")),
        by_key(files_below(source, "Labels/*.mat")),
        one,
        "Train/Images/*.png and Train/Labels/*.mat",
    )
