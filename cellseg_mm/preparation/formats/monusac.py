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
from functools import partial
from pathlib import Path

from cellseg_mm.preparation.formats.annotated_image import (
    AnnotatedImage,
    Cell,
    FilledRegion,
    ReadOptions,
)
from cellseg_mm.preparation.formats.imagescope_xml import read_annotations
from cellseg_mm.preparation.formats.set_files import (
    DOWNLOAD_AGAIN,
    by_key,
    files_below,
    read_pairs,
)
from cellseg_mm.preparation.image_groups import patient_of
from cellseg_mm.preparation.problems import BadFileError, Problem

OPTIONS = ("tif_order",)
CLASSES = ("epithelial", "lymphocyte", "neutrophil", "macrophage")
AMBIGUOUS = "ambiguous"


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage | Problem]:
    """Read the images of a download; see :mod:`~cellseg_mm.preparation.formats.registry`.

    Where an image is there twice, as `.svs` and as `.tif`, the `.svs` is taken: it is the original.
    MoNuSAC distributes `.tif` files with red and blue swapped (its code writes RGBA arrays with
    OpenCV, which takes them for BGRA), unless `options.tif_order` is "rgb"; `.svs` files are RGB.
    """
    of_kind = by_key(files_below(source, "*"), lambda path: path.suffix.lower())
    originals, annotations = of_kind.get(".svs", []), of_kind.get(".xml", [])
    beside = {path.with_suffix("") for path in originals}
    copies = [path for path in of_kind.get(".tif", []) if path.with_suffix("") not in beside]
    if source.is_dir() and not (originals or copies or annotations):
        what = "it holds no .svs, .tif or .xml file"
        yield Problem(source, what, "name the unpacked download")
        return
    key = partial(_image_id, source)
    yield from read_pairs(
        source,
        by_key([*originals, *copies], key),
        by_key(annotations, key),
        partial(_read_one, options.tif_order != "rgb"),
        "*.svs or *.tif, and *.xml",
    )


def _image_id(source: Path, path: Path) -> str:
    """Name in the raw layout; begins with the patient's barcode where one is known."""
    named = path.parent == source or patient_of(path.stem) or not patient_of(path.parent.name)
    return path.stem if named else f"{path.parent.name}_{path.stem}"


def _read_one(swapped: bool, name: str, image: Path, annotation: Path) -> AnnotatedImage:
    if image.parent != annotation.parent:
        what = f"its annotation is missing; {annotation} lies in another folder"
        raise BadFileError(image, what, DOWNLOAD_AGAIN)
    regions, mpp = read_annotations(annotation, (*CLASSES, AMBIGUOUS))
    return AnnotatedImage(
        name=name,
        source=annotation,
        pixels=image,
        cells=[
            Cell(None if label == AMBIGUOUS else label, FilledRegion(vertices))
            for label, vertices in regions
            if len(vertices) > 2
        ],
        mpp=mpp,
        patient=patient_of(name),
        swapped=swapped and image.suffix.lower() == ".tif",
    )
