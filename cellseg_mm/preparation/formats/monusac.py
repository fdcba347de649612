"""The official MoNuSAC download.

It has a folder for each patient; an image lies there as `.svs` or `.tif`, or both, with its
annotation in an `.xml` file of the same name. Images that lie in the download's folder itself are
taken, too.

Masks follow the rules by which MoNuSAC's own code makes its "n-ary" masks, from which the task's
masks come, down to their ids: ids count the regions of the whole file, in file order, over the
classes; the "ambiguous" regions of the test part belong to no class, take an id and are not
painted, and regions with fewer than three vertices enclose nothing and take no id (MoNuSAC's code
stops at them, so no rule is given).

Verma et al., "MoNuSAC2020: A Multi-Organ Nuclei Segmentation and Classification Challenge", IEEE
Transactions on Medical Imaging 40(12), 2021.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cellseg_mm.preparation.formats.annotated_image import (
    AnnotatedImage,
    Cell,
    FilledRegion,
    ReadOptions,
)
from cellseg_mm.preparation.formats.imagescope_xml import Annotations, read_annotations
from cellseg_mm.preparation.image_groups import patient_of
from cellseg_mm.preparation.problems import BadFileError, Problem

OPTIONS = ("tif_order",)
CLASSES = ("epithelial", "lymphocyte", "neutrophil", "macrophage")
AMBIGUOUS = "ambiguous"


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage | Problem]:
    """Read the images of a download; see :mod:`~cellseg_mm.preparation.formats.registry`.

    MoNuSAC distributes `.tif` files with red and blue swapped (its code writes RGBA arrays with
    OpenCV, which takes them for BGRA), unless `options.tif_order` is "rgb"; `.svs` files are RGB.
    """
    images, problems = find_images(source)
    yield from problems
    for item in images:
        try:
            regions, mpp = read_annotations(item.annotation, (*CLASSES, AMBIGUOUS))
        except BadFileError as error:
            yield error.problem
            # The image is still looked at, so that all that is wrong is told at once.
            regions, mpp = Annotations([], None)
        yield AnnotatedImage(
            name=item.image_id,
            source=item.annotation,
            pixels=item.image,
            cells=[
                Cell(None if label == AMBIGUOUS else label, FilledRegion(vertices))
                for label, vertices in regions
                if len(vertices) > 2
            ],
            mpp=mpp,
            patient=patient_of(item.image_id),
            swapped=item.image.suffix.lower() == ".tif" and options.tif_order != "rgb",
        )


class MonusacImage(NamedTuple):
    """One image of the download.

    Attributes:
        image_id: Name in the raw layout; begins with the patient's barcode where one is known.
        image: `.svs` or `.tif` file.
        annotation: `.xml` file.
    """

    image_id: str
    image: Path
    annotation: Path


def _image_id(image: Path, source: Path) -> str:
    named = image.parent == source or patient_of(image.stem) or not patient_of(image.parent.name)
    return image.stem if named else f"{image.parent.name}_{image.stem}"


def find_images(source: Path) -> tuple[list[MonusacImage], list[Problem]]:
    """Pair images with annotations, in all folders below `source`.

    Where an image is there twice, as `.svs` and as `.tif`, the `.svs` is taken: it is the original.

    Args:
        source: Folder of the download.

    Returns:
        The images, ordered by id, and what is wrong.
    """
    if not source.is_dir():
        return [], [Problem(source, "no such folder", "name the unpacked MoNuSAC download")]
    # Hidden files are leavings of archivers ("._x.svs") and desktops.
    files = [
        path
        for path in sorted(source.rglob("*"))
        if path.suffix.lower() in (".svs", ".tif", ".xml") and not path.name.startswith(".")
    ]
    images: dict[Path, Path] = {}
    annotations: dict[Path, Path] = {}
    for path in files:
        suffix = path.suffix.lower()
        if suffix == ".xml":
            annotations[path.with_suffix("")] = path
        elif suffix == ".svs" or path.with_suffix("") not in images:
            images[path.with_suffix("")] = path

    problems = [
        Problem(images[stem], f"its annotation {stem.name}.xml is missing", "download it again")
        for stem in sorted(images.keys() - annotations.keys())
    ]
    problems += [
        Problem(annotations[stem], f"its image {stem.name}.svs is missing", "download it again")
        for stem in sorted(annotations.keys() - images.keys())
    ]
    found: dict[str, MonusacImage] = {}
    for stem in sorted(images.keys() & annotations.keys()):
        item = MonusacImage(_image_id(images[stem], source), images[stem], annotations[stem])
        if item.image_id in found:
            other = found[item.image_id].image
            problems.append(Problem(item.image, f"{other} has the same name", "keep one of them"))
        else:
            found[item.image_id] = item
    if not files:
        problems.append(
            Problem(source, "it holds no .svs, .tif or .xml file", "name the unpacked download")
        )
    return [found[image_id] for image_id in sorted(found)], problems
