"""ImageJ's ROIs: written and read by roifile, filled by shapely."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import roifile
import shapely
from PIL import Image
from roifile import ROI_TYPE, ImagejRoi

from cellseg_mm.preparation.convert_dataset import ConvertOptions, convert_dataset
from cellseg_mm.preparation.formats import imagej
from cellseg_mm.preparation.formats.annotated_image import ReadOptions

HEIGHT, WIDTH = 40, 50
# No centre of a pixel lies on an edge: of an edge's width and height, one is odd, one even.
POLYGON = [[3, 5], [13, 4], [15, 11], [12, 15], [4, 16]]
BORDER = [[-4, 30], [6, 29], [5, 45], [-3, 44]]
OUTER = [[20, 5], [30, 5], [30, 16], [20, 16]]
HOLE = [[23, 8], [23, 12], [26, 12], [26, 8]]
PIECE = [[33, 5], [36, 5], [36, 9], [33, 9]]


def roi(points: list[list[float]], name: str, kind: int = ROI_TYPE.FREEHAND, **more) -> ImagejRoi:
    found = ImagejRoi.frompoints(points, name=name)
    found.roitype = ROI_TYPE(kind)
    for key, value in more.items():
        setattr(found, key, value)
    return found


def bounds(kind: int, name: str, x1: int, y1: int, x2: int, y2: int, **more) -> ImagejRoi:
    return ImagejRoi(
        **{"roitype": ROI_TYPE(kind), "name": name, "left": x1, "top": y1, "right": x2},
        **{"bottom": y2, "n_coordinates": 0, **more},
    )


def composite(name: str, *rings: list[list[float]]) -> ImagejRoi:
    path: list[float] = []
    for ring in rings:
        for number, point in enumerate(ring):
            path += [min(number, 1), *point]
        path.append(4)
    data = np.array(path, np.float32)
    return bounds(
        ROI_TYPE.RECT, name, 20, 5, 36, 16, multi_coordinates=data, shape_roi_size=len(data)
    )


def write(folder: Path, *rois: ImagejRoi, name: str = "a.zip", image: str = "a.png") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (WIDTH, HEIGHT), (200, 150, 180)).save(folder / image)
    with zipfile.ZipFile(folder / name, "w") as archive:
        for number, found in enumerate(rois):
            archive.writestr(f"{number:04d}-{found.name}.roi", found.tobytes())
    return folder / name


def area(forms, *rings: list[list[float]]) -> frozenset:
    coordinates = [[[*ring, ring[0]]] for ring in rings]
    return forms.inside({"type": "MultiPolygon", "coordinates": coordinates}, HEIGHT, WIDTH)


def test_every_kind_of_roi(forms, prepared, tmp_path: Path) -> None:
    subpixel = [[40.2, 20.4], [47.3, 21], [46, 27.8], [41.1, 26]]
    path = write(
        tmp_path / "export",
        roi(POLYGON, "00001_tumour", ROI_TYPE.POLYGON),
        roi(BORDER, "tumour-2", ROI_TYPE.TRACED),
        composite("stroma 3", OUTER, HOLE, PIECE),
        bounds(ROI_TYPE.RECT, "0012-0034", 20, 20, 25, 27, group=3),
        bounds(ROI_TYPE.OVAL, "round", 30, 20, 39, 31),
        roi(subpixel, "CD3", ROI_TYPE.POLYGON),
        roi([[1, 1], [2, 1], [2, 2], [1, 2]], "one pixel"),
        roi([[1, 1]], "seed", ROI_TYPE.POINT),
        roi([[1, 1], [5, 5], [6, 8]], "scale", ROI_TYPE.POLYLINE),
    )
    write(path.parent, name="none.zip", image="none.png")
    write(path.parent, roi(POLYGON, "one"), name="one_rois.zip", image="one.png")
    images = prepared("imagej", path.parent)
    # roifile's own reading of the file, filled by shapely.
    read = {found.name: found for found in roifile.roiread(path)}
    ellipse = read["round"].coordinates().tolist()
    holed = shapely.Polygon(OUTER, [HOLE]).union(shapely.Polygon(PIECE)).__geo_interface__
    assert images["a"].cells == {
        ("tumour", area(forms, read["00001_tumour"].coordinates().tolist())),
        ("tumour", area(forms, BORDER)),
        ("stroma", forms.inside(holed, HEIGHT, WIDTH)),
        ("group 3", frozenset((row, x) for row in range(20, 27) for x in range(20, 25))),
        ("round", area(forms, ellipse)),
        ("CD3", area(forms, subpixel)),
        ("one pixel", frozenset({(1, 1)})),
    }
    area_of_ellipse = np.pi / 4 * 9 * 11
    assert abs(len(area(forms, ellipse)) - area_of_ellipse) < 4
    assert images["none"].cells == set()
    assert images["one"].cells == {("one", area(forms, POLYGON))}


def test_names_that_say_nothing(tmp_path: Path) -> None:
    square = [[1, 1], [5, 1], [5, 5], [1, 5]]
    names = ("0001-0012", "0001-0012-0034", "7", "tumour", "0003-0101-tumour cell-2", "")
    path = write(tmp_path / "export", *(roi(square, name) for name in names))
    path.rename(path.with_name("RoiSet.zip"))
    done = convert_dataset(ConvertOptions("imagej", path.parent, tmp_path / "raw"))
    assert set(done.cells) == {"tumour", "tumour cell"}
    assert done.left_out == {"": 4}
    named = ReadOptions(default_class="nucleus")
    source = path.with_name("RoiSet.zip")
    done = convert_dataset(ConvertOptions("imagej", source, tmp_path / "raw2", read=named))
    assert set(done.cells) <= {"tumour", "tumour cell", "nucleus"}
    assert not done.left_out


def test_every_bad_file_is_named(refused_files, tmp_path: Path) -> None:
    source = tmp_path / "export"
    write(source, roi(POLYGON, "x"), name="good.zip", image="good.png")
    (write(source, name="text.zip", image="text.png")).write_bytes(b"no zip")
    cut = write(source, roi(POLYGON, "x"), name="cut.zip", image="cut.png")
    cut.write_bytes(cut.read_bytes()[:-30])
    short = write(source, name="short.zip", image="short.png")
    path = write(source, name="path.zip", image="path.png")
    bomb = write(source, name="bomb.zip", image="bomb.png")
    curved = composite("curved", OUTER)
    curved.multi_coordinates[0] = 3
    for place, name, data in (
        (short, "0001.roi", roi(POLYGON, "x").tobytes()[:70]),
        (path, "0002.roi", curved.tobytes()),
        (bomb, "0003.roi", bytes(40 << 20)),
    ):
        with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, data)
    write(source, name="lost.zip", image="found.png")
    words = {
        "text.zip": "not readable as a zip of ROIs",
        "cut.zip": "not readable as a zip of ROIs",
        "short.zip": "the ROI '0001' is damaged",
        "path.zip": "the ROI 'curved' has no outline",
        "bomb.zip": "it is larger than 16 MB",
        "lost.zip": "its image 'lost' is not in",
    }
    refused_files("imagej", source, words)


def test_a_bad_roi_is_named_once(refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "export")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0003.roi", bytes(17 << 20))
    save_again = "save it again with ImageJ's ROI manager."
    assert refused("imagej", path) == [
        f"{path}: the ROI '0003' is damaged (it is larger than 16 MB); {save_again}"
    ]
    monkeypatch.setattr(imagej, "_MOST_BYTES", 1 << 20)
    assert refused("imagej", path) == [f"{path}: it is larger than 1 GB unpacked; {save_again}"]


@pytest.mark.parametrize("name", ["none", "none.zip"])
def test_nothing_to_read(refused, tmp_path: Path, name: str) -> None:
    assert "it does not exist" in refused("imagej", tmp_path / name)[0]
    (tmp_path / "empty").mkdir()
    assert "holds no .zip of ROIs" in refused("imagej", tmp_path / "empty")[0]
