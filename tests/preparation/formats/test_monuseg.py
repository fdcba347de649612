from __future__ import annotations

from pathlib import Path

import numpy as np
import shapely
import tifffile
from shapely.geometry import Polygon

TRAIN, TEST = "TCGA-18-5592-01Z-00-DX1", "TCGA-2Z-A9J9-01A-01-TS1"
# No centre of a pixel lies on an edge.
RINGS = {
    "blob": [(22.5, 12), (30, 9.25), (36, 13), (35, 25), (28, 29), (20, 20)],
    "touching": [(36, 13), (43.1, 15.2), (44.3, 24.2), (35, 25)],
    "past the border": [(55, 50), (70.1, 51.3), (70, 64), (57.3, 61.2)],
    "one pixel": [(3, 3), (4, 3), (4, 4), (3, 4)],
    "star that crosses itself": [(10, 40.1), (14, 52), (4, 44.3), (16.2, 44), (6, 52)],
}


def xml(rings: list[list[tuple[float, float]]]) -> str:
    regions = "".join(
        f'<Region Id="{number}" Type="0" NegativeROA="0"><Attributes/><Vertices>'
        + "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in ring)
        + "</Vertices></Region>"
        for number, ring in enumerate(rings, start=1)
    )
    return (
        '<Annotations MicronsPerPixel="0.252000"><Annotation Id="1" Name="" Type="4">'
        '<Attributes><Attribute Name="Description" Id="0" Value=""/></Attributes><Regions>'
        '<RegionAttributeHeaders><AttributeHeader Id="9999" Name="Region"/>'
        f"</RegionAttributeHeaders>{regions}</Regions><Plots/></Annotation></Annotations>"
    )


def write_set(root: Path, forms) -> tuple[Path, Path]:
    images = root / "MoNuSeg 2018 Training Data" / "Tissue Images"
    annotations = root / "MoNuSeg 2018 Training Data" / "Annotations"
    test = root / "MoNuSegTestData"
    for folder in (images, annotations, test):
        folder.mkdir(parents=True)
    tifffile.imwrite(images / f"{TRAIN}.tif", forms.noise(1, 60, 64), photometric="rgb")
    tifffile.imwrite(test / f"{TEST}.tif", forms.noise(2, 30, 30), photometric="rgb")
    (annotations / f"{TRAIN}.xml").write_text(xml(list(RINGS.values())))
    (test / f"{TEST}.xml").write_text(xml([[(1, 1), (2, 2)], []]))
    return annotations / f"{TRAIN}.xml", test / f"{TEST}.xml"


def inside(ring: list[tuple[float, float]], height: int, width: int) -> np.ndarray:
    """Pixels with their centres inside: in an odd number of the faces that the ring covers."""
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    faces = shapely.polygonize([shapely.unary_union(shapely.LinearRing(ring))]).geoms
    odd = [
        face
        for face in faces
        if _crossings(ring, face.representative_point().x, face.representative_point().y) % 2
    ]
    return np.logical_or.reduce([shapely.contains_xy(face, columns, rows) for face in odd])


def _crossings(ring: list[tuple[float, float]], x: float, y: float) -> int:
    ray = shapely.LineString([(x, y), (1e4, y + 1e-3)])
    edges = zip(ring, [*ring[1:], ring[0]], strict=True)
    return sum(shapely.LineString(edge).crosses(ray) for edge in edges)


def test_every_nucleus(forms, prepared, tmp_path: Path) -> None:
    write_set(tmp_path, forms)
    images = prepared("monuseg", tmp_path)
    assert images.keys() == {TRAIN, TEST}
    expected = {
        name: frozenset(
            zip(*(axis.tolist() for axis in np.nonzero(inside(ring, 60, 64))), strict=True)
        )
        for name, ring in RINGS.items()
    }
    assert images[TRAIN].cells == {("nucleus", pixels) for pixels in expected.values()}
    assert expected["one pixel"] == {(3, 3)}
    # The middle of the star is crossed twice.
    assert (
        len(expected["star that crosses itself"])
        < Polygon(RINGS["star that crosses itself"]).convex_hull.area * 0.6
    )
    assert images[TEST].cells == set()
    assert (images[TRAIN].part, images[TEST].part) == ("train", "test")
    assert (images[TRAIN].patient, images[TEST].patient) == ("TCGA-18-5592", "TCGA-2Z-A9J9")
    assert images[TRAIN].mpp == images[TEST].mpp == 0.252
    np.testing.assert_array_equal(images[TRAIN].rgb, forms.noise(1, 60, 64))


def test_every_bad_file_is_named(forms, refused, tmp_path: Path) -> None:
    first, second = write_set(tmp_path, forms)
    first.write_text(xml([[("a", 1)]]))  # type: ignore[list-item]
    second.with_suffix(".tif").write_bytes(b"II*\0")
    lone = second.with_name("TCGA-44-2665-01B-06-BS6.tif")
    tifffile.imwrite(lone, forms.noise(2, 30, 30), photometric="rgb")
    for sentence, path in zip(
        refused("monuseg", tmp_path), (first, second.with_suffix(".tif"), lone), strict=True
    ):
        assert sentence.startswith(f"{path}: ")
