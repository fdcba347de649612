"""PUMA: melanoma at 40×, 1024 × 1024 pixels, ten classes of nuclei.

::

    01_training_dataset_tif_ROIs/training_set_metastatic_roi_001.tif          (one is a .tiff)
    01_training_dataset_geojson_nuclei/training_set_metastatic_roi_001_nuclei.geojson

The annotations are QuPath's GeoJSON; a feature's class is `properties.classification.name`. Those
of tissue and the wider images ("…_context.tif") are passed over. The size of a pixel, about
0.23 µm, differs from image to image and is taken from the image's file. Patients are not stated.

The makers join the classes to three in a track of their challenge, as
`configs/class_tables/puma.yaml` does.

Schuiveling et al., "A novel dataset for nuclei and tissue segmentation in melanoma with baseline
nuclei segmentation and tissue segmentation benchmarks", GigaScience 14, 2025.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cellseg_mm.preparation.formats.annotated_image import AnnotatedImage, Cell, ReadOptions
from cellseg_mm.preparation.formats.geojson import outline
from cellseg_mm.preparation.formats.set_files import by_key, files_below, read_pairs
from cellseg_mm.preparation.problems import BadFileError, Problem

OPTIONS = ()
CLASSES = (
    "nuclei_tumor",
    "nuclei_lymphocyte",
    "nuclei_plasma_cell",
    "nuclei_histiocyte",
    "nuclei_melanophage",
    "nuclei_neutrophil",
    "nuclei_stroma",
    "nuclei_endothelium",
    "nuclei_epithelium",
    "nuclei_apoptosis",
)
_REMEDY = "take the original file"


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage | Problem]:
    """Read the images of a download; see :mod:`~cellseg_mm.preparation.formats.registry`."""
    images = files_below(source, "*.tif", "*.tiff")
    yield from read_pairs(
        source,
        by_key(path for path in images if not path.stem.endswith("_context")),
        by_key(
            files_below(source, "*_nuclei.geojson"),
            lambda path: path.stem.removesuffix("_nuclei"),
        ),
        _read_one,
        "01_training_dataset_tif_ROIs/*.tif and 01_training_dataset_geojson_nuclei/*.geojson",
    )


def _read_one(name: str, image: Path, annotation: Path) -> AnnotatedImage:
    try:
        features = json.loads(annotation.read_bytes())["features"]
        numbered = list(enumerate(features, start=1))
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        what = f"not readable as GeoJSON ({type(error).__name__}: {error})"
        raise BadFileError(annotation, what, "download it again") from error
    cells = []
    for number, feature in numbered:
        try:
            cells.append(_cell(feature))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            what = f"feature {number} is no outlined nucleus ({error})"
            raise BadFileError(annotation, what, _REMEDY) from error
    return AnnotatedImage(name=name, source=annotation, pixels=image, cells=cells)


def _cell(feature: dict[str, Any]) -> Cell:
    name = feature["properties"]["classification"]["name"]
    if name not in CLASSES:
        raise ValueError(f"its class is {name!r}")
    return Cell(name, outline(feature["geometry"]))
