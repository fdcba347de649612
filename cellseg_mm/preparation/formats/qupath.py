"""QuPath's GeoJSON: the objects of an image, beside it or in another folder.

::

    slide1.tif  slide1.geojson     the image's name, with or without its ending
    slide2.png  slide2.png.geojson.gz

A file is a `FeatureCollection`, a list of features or one feature; children of an object count like
others. A feature's class is `properties.classification`: its `name`, or its `names` joined with
": ", as QuPath shows derived classes. Its kind is `properties.objectType`; up to version 0.3
`object_type`, and in version 0.2 the `id`.

Which objects are cells:

- Detections and cells. Of a cell with a nucleus, the nucleus is taken: what QuPath draws around it
  is a band of fixed width.
- Annotations, as those that were drawn by hand are, unless they are regions: an annotation that
  holds the centres of two objects or more, or whose class ends in "*", such as `Region*`.
- Tiles, TMA cores, regions, points and lines are passed over.

Bankhead et al., "QuPath: Open source software for digital pathology image analysis", Scientific
Reports 7, 2017. The forms of old versions are those that QuPath itself reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import shapely

from cellseg_mm.preparation.formats.annotated_image import (
    AnnotatedImage,
    Cell,
    Outline,
    ReadOptions,
    drawn_in,
)
from cellseg_mm.preparation.formats.geojson import outline
from cellseg_mm.preparation.formats.image_files import ImageFiles, names_of
from cellseg_mm.preparation.formats.json_text import read_json_text
from cellseg_mm.preparation.formats.set_files import attempts, files_below
from cellseg_mm.preparation.problems import BadFileError, Problem

OPTIONS = ("images", "default_class")
_ENDINGS = (".geojson", ".geojson.gz")
_OF_OLD_SCRIPTS = (".json", ".json.gz")
_LEGACY_IDS = {
    "PathAnnotationObject": "annotation",
    "PathDetectionObject": "detection",
    "PathCellObject": "cell",
    "PathTileObject": "tile",
    "TMACoreObject": "tma_core",
    "PathRootObject": "root",
}
_NO_CELLS = {"tile": "tile", "tma_core": "TMA core", "tmacore": "TMA core", "root": "root"}
_NO_AREA = {
    **dict.fromkeys(("Point", "MultiPoint"), "point"),
    **dict.fromkeys(("LineString", "MultiLineString"), "line"),
}


class _Object(NamedTuple):
    class_name: str | None
    outline: Outline
    is_annotation: bool


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage | Problem]:
    """Read exported objects; see :mod:`~cellseg_mm.preparation.formats.registry`."""
    if source.is_dir():
        files = _files_with(source, _ENDINGS) or _files_with(source, _OF_OLD_SCRIPTS)
    else:
        files = [source]
    if not source.exists():
        yield Problem(source, "it does not exist", "name the exported file, or their folder")
        return
    if source.suffix == ".qpproj":
        what = "it is a QuPath project, not the objects in it"
        yield Problem(source, what, "export each image's objects as GeoJSON, and name that folder")
        return
    if not files:
        yield Problem(source, "it holds no .geojson", "export the objects of each image there")
    folder = options.images or (source if source.is_dir() else source.parent)
    images, problems = ImageFiles(folder).of_stems({path: _image_names(path) for path in files})
    yield from problems
    names = names_of(images.values())
    yield from attempts(images.items(), lambda pair: _read_one(names[pair[1]], pair[1], pair[0]))


def _files_with(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    return [path for path in files_below(folder, "*") if path.name.endswith(endings)]


def _read_one(name: str, image: Path, path: Path) -> AnnotatedImage:
    objects: list[_Object] = []
    passed_over: Counter[str] = Counter()
    for number, feature in enumerate(_features(path), start=1):
        try:
            found = _object(feature)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            what = f"feature {number} is no outlined object ({error})"
            raise BadFileError(path, what, "export it again") from error
        if isinstance(found, str):
            passed_over[found] += 1
        else:
            objects.append(found)
    regions = _regions(objects)
    passed_over["region"] += len(regions)
    return AnnotatedImage(
        name=name,
        source=path,
        pixels=image,
        cells=[
            Cell(found.class_name, found.outline)
            for number, found in enumerate(objects)
            if number not in regions
        ],
        passed_over=+passed_over,
    )


def _image_names(path: Path) -> list[str]:
    """What the image may be called: QuPath adds " - " and the series of a file with several."""
    name = path.name
    for ending in (*_ENDINGS, *_OF_OLD_SCRIPTS):
        name = name.removesuffix(ending)
    first, separator, _ = name.rpartition(" - ")
    return [name, first] if separator else [name]


def _features(path: Path) -> Iterator[dict[str, Any]]:
    content = read_json_text(path)
    if isinstance(content, dict) and content.get("type") == "FeatureCollection":
        content = content.get("features")
    elif isinstance(content, dict) and content.get("type") == "Feature":
        content = [content]
    if not isinstance(content, list):
        what = "it is no GeoJSON of features"
        raise BadFileError(path, what, "export the objects as GeoJSON from QuPath")
    waiting = content[::-1]
    while waiting:
        feature = waiting.pop()
        properties = feature.get("properties") if isinstance(feature, dict) else None
        if isinstance(properties, dict):
            children = properties.get("childObjects", properties.get("children"))
            waiting += children[::-1] if isinstance(children, list) else []
        yield feature


def _object(feature: dict[str, Any]) -> _Object | str:
    """The object, or what it is instead of an outline."""
    properties = feature.get("properties") or {}
    kind = _kind(feature.get("id"), properties)
    if kind in _NO_CELLS:
        return _NO_CELLS[kind]
    geometry = feature.get("geometry")
    if kind == "cell" and feature.get("nucleusGeometry"):
        geometry = feature["nucleusGeometry"]
    if geometry is None:
        return "object without outline"
    if geometry["type"] in _NO_AREA:
        return _NO_AREA[geometry["type"]]
    name = _class_name(properties.get("classification"))
    return _Object(name, _united(geometry), kind not in ("detection", "cell"))


def _kind(identity: Any, properties: dict[str, Any]) -> str:
    for key in ("objectType", "object_type", "type"):
        kind = properties.get(key)
        if isinstance(kind, str):
            return _LEGACY_IDS.get(kind, kind.lower())
    return _LEGACY_IDS.get(str(identity), "annotation")


def _united(geometry: dict[str, Any]) -> Outline:
    if geometry["type"] != "GeometryCollection":
        return outline(geometry)
    parts = [outline(part) for part in geometry["geometries"] if part["type"] not in _NO_AREA]
    return Outline([polygon for part in parts for polygon in part.polygons])


def _class_name(classification: Any) -> str | None:
    name = classification
    if isinstance(classification, dict):
        name = classification.get("name")
        if name is None:
            name = ": ".join(map(str, classification.get("names") or ()))
    if name is not None and not isinstance(name, str):
        raise ValueError(f"its classification is {str(classification)[:80]}")
    return (name or "").strip() or None


def _regions(objects: Sequence[_Object]) -> set[int]:
    """Numbers of the annotations that are no cells, but hold such."""
    annotations = [n for n, found in enumerate(objects) if found.is_annotation]
    if not annotations:
        return set()
    regions = {n for n in annotations if (objects[n].class_name or "").endswith("*")}
    boxes = np.array([_box(found.outline) for found in objects])
    centres = shapely.points((boxes[:, :2] + boxes[:, 2:]) / 2)
    around = shapely.box(*boxes[annotations].T)
    holders, held = shapely.STRtree(centres).query(around, predicate="contains")
    # An annotation mostly holds its own centre; few hold others, too.
    for place in np.flatnonzero(np.bincount(holders, minlength=len(annotations)) > 1).tolist():
        number = annotations[place]
        others = [other for other in held[holders == place].tolist() if other != number]
        inside = shapely.contains(_polygons(objects[number].outline), centres[others])
        if np.count_nonzero(inside) > 1:
            regions.add(number)
    return regions


def _box(shape: Outline) -> tuple[float, ...]:
    """xyxy of the outer rings; of none, far outside of any image."""
    rings = [rings[0] for rings in shape.polygons if rings and len(rings[0])]
    if not rings:
        return (-1e300,) * 4
    points = drawn_in(np.concatenate(rings))
    return (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())


def _polygons(shape: Outline) -> shapely.Geometry:
    return shapely.make_valid(
        shapely.MultiPolygon(
            [
                (rings[0], [ring for ring in rings[1:] if len(ring) > 3])
                for rings in shape.polygons
                if rings and len(rings[0]) > 3
            ]
        )
    )
