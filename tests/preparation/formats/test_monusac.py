from __future__ import annotations

from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from skimage.measure import grid_points_in_poly

PATIENT = "TCGA-2Z-A9JG-01Z-00-DX1"
XML = """<Annotations>
<Annotation Id="1"><Attributes><Attribute Name="Lymphocyte"/></Attributes><Regions><Region>
<Vertices><Vertex X="1" Y="2"/><Vertex X="4" Y="2"/><Vertex X="4" Y="3"/><Vertex X="1" Y="3"/>
</Vertices></Region></Regions></Annotation>
<Annotation Id="2"><Attributes><Attribute Name="Ambiguous"/></Attributes><Regions><Region>
<Vertices><Vertex X="0" Y="0"/><Vertex X="9" Y="0"/><Vertex X="9" Y="9"/></Vertices></Region>
</Regions></Annotation></Annotations>"""


@pytest.fixture
def run(run_python):
    return partial(run_python, "data_prep/convert.py", "monusac", timeout=60)


def _add(folder: Path, stem: str, suffix: str, pixels: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(folder / f"{stem}{suffix}", pixels, photometric="rgb")
    (folder / f"{stem}.xml").write_text(XML)


def _pixels(colour: tuple[int, ...]) -> np.ndarray:
    return np.broadcast_to(np.array(colour, np.uint8), (8, 10, len(colour)))


def test_both_parts(run, tmp_path: Path) -> None:
    train, test = tmp_path / "train", tmp_path / "test"
    _add(train / PATIENT, f"{PATIENT}_1", ".svs", _pixels((200, 100, 50)))
    # As MoNuSAC distributes it: a copy in .tif, red and blue swapped, beside the original.
    tifffile.imwrite(train / PATIENT / f"{PATIENT}_1.tif", _pixels((1, 2, 3, 255)))
    _add(train / PATIENT, "2", ".tif", _pixels((50, 100, 200, 255)))
    _add(test, "flat", ".svs", _pixels((200, 100, 50)))
    out = tmp_path / "out"
    done = run(train, out, "--test", test)
    assert done.returncode == 0, done.stderr
    files = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
    assert files == {
        f"train/{PATIENT}_1/image.tif",
        f"train/{PATIENT}_1/class2.tif",
        f"train/{PATIENT}_2/image.tif",
        f"train/{PATIENT}_2/class2.tif",
        "test_release/flat.tif",
        "test_gt/flat/class2.tif",
        "test_image_name_to_ids.json",
        "dataset.json",
    }
    for image in (*out.glob("train/*/image.tif"), out / "test_release" / "flat.tif"):
        assert tifffile.imread(image)[0, 0].tolist() == [50, 100, 200, 255]
    expected = np.zeros((8, 10))
    expected[2:4, 1:5] = 1
    for mask in out.rglob("class2.tif"):
        np.testing.assert_array_equal(tifffile.imread(mask), expected)


def test_tif_order_can_be_told(run, tmp_path: Path) -> None:
    _add(tmp_path / "src", "a", ".tif", _pixels((200, 100, 50)))
    done = run(tmp_path / "src", tmp_path / "out", "--tif-order", "rgb")
    assert done.returncode == 0, done.stderr
    stored = tifffile.imread(tmp_path / "out" / "train" / "a" / "image.tif")
    assert stored[0, 0].tolist() == [50, 100, 200, 255]


def test_all_bad_files_are_reported_and_nothing_is_written(run, tmp_path: Path) -> None:
    source = tmp_path / "src"
    for name in ("good", "cut", "grey", "entity", "alone", "widow"):
        _add(source, name, ".svs", _pixels((200, 100, 50)))
    (source / "cut.svs").write_bytes((source / "cut.svs").read_bytes()[:100])
    tifffile.imwrite(source / "grey.svs", np.zeros((8, 10), np.complex64))
    (source / "grey.xml").write_text("<Annotations>")
    (source / "entity.xml").write_text('<!DOCTYPE a [<!ENTITY b "c">]><Annotations/>')
    (source / "alone.xml").unlink()
    (source / "widow.svs").unlink()
    done = run(source, tmp_path / "out")
    assert done.returncode == 2
    for name in ("cut.svs", "grey.svs", "grey.xml", "entity.xml", "alone.svs", "widow.xml"):
        assert str(source / name) in done.stderr
    assert "good" not in done.stderr
    assert "6 problems" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["src"]


def test_files_of_one_name_in_several_folders(run, tmp_path: Path) -> None:
    """An image belongs to the annotation beside it; two images of one name cannot be told apart."""
    source = tmp_path / "src"
    _add(source / "a", "twice", ".svs", _pixels((200, 100, 50)))
    _add(source / "b", "twice", ".tif", _pixels((200, 100, 50)))
    _add(source / "a", "apart", ".svs", _pixels((200, 100, 50)))
    (source / "a" / "apart.xml").rename(source / "b" / "apart.xml")
    _add(source / "a", "copied", ".svs", _pixels((200, 100, 50)))
    tifffile.imwrite(source / "b" / "copied.tif", _pixels((200, 100, 50)), photometric="rgb")
    (source / "b" / ".hidden.xml").write_text(XML)
    done = run(source, tmp_path / "out")
    assert done.returncode == 2
    for name in ("b/twice", "a/apart.svs", "b/apart.xml", "b/copied.tif"):
        assert str(source / name) in done.stderr
    assert "hidden" not in done.stderr
    assert "Traceback" not in done.stderr


def test_no_folder_empty_folder_and_full_output(run, tmp_path: Path) -> None:
    assert "no such folder" in run(tmp_path / "none", tmp_path / "out").stderr
    (tmp_path / "empty").mkdir()
    assert "holds no .svs" in run(tmp_path / "empty", tmp_path / "out").stderr
    _add(tmp_path / "src", "a", ".svs", _pixels((200, 100, 50)))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    done = run(tmp_path / "src", tmp_path / "full")
    assert (done.returncode, "not empty" in done.stderr) == (2, True)
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["file"]


@pytest.mark.shared_data
def test_official_files(run, tmp_path: Path, shared_data: Path) -> None:
    """Every pixel of the masks, against a point-in-polygon test of each region."""
    source = shared_data / "monusac_raw"
    done = run(source, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    names = ["Epithelial", "Lymphocyte", "Neutrophil", "Macrophage"]
    for stem in ("A9K0_2", "A9K0_3"):
        folder = tmp_path / "out" / "train" / stem
        original = tifffile.imread(source / f"{stem}.svs")
        np.testing.assert_array_equal(tifffile.imread(folder / "image.tif")[..., 2::-1], original)
        count = 0
        for annotation in ElementTree.parse(source / f"{stem}.xml").getroot():
            number = 1 + names.index(annotation.find("Attributes/Attribute").attrib["Name"])
            expected = np.zeros(original.shape[:2])
            for region in annotation.iter("Region"):
                count += 1
                points = [(float(v.get("Y")), float(v.get("X"))) for v in region.iter("Vertex")]
                top, left = np.min(points, 0).astype(int).clip(0)
                bottom, right = np.max(points, 0).astype(int) + 1
                window = expected[top:bottom, left:right]
                inside = grid_points_in_poly(window.shape, np.subtract(points, (top, left)))
                window[inside] = count
            path = folder / f"class{number}.tif"
            assert path.exists() == expected.any()
            if expected.any():
                np.testing.assert_array_equal(tifffile.imread(path), expected)
        assert count == {"A9K0_2": 314, "A9K0_3": 5}[stem]


def test_ids_count_over_the_classes_and_ambiguous_regions_take_one(tmp_path: Path, run) -> None:
    """By the rules of MoNuSAC's own code; see the format's docstring."""
    square = [(2, 1), (5, 1), (5, 3), (2, 3)]
    regions = [
        ("Epithelial", [(50, 50), (60, 50), (60, 60)]),  # outside the image: takes an id
        ("Epithelial", [(1, 1), (4, 4)]),  # encloses nothing: takes none
        ("Ambiguous", square),
        ("Epithelial", square),
        ("Epithelial", [(4, 1), (6, 1), (6, 3), (4, 3)]),
        ("Macrophage", square),
    ]
    _add(tmp_path / "src", "a", ".svs", _pixels((200, 100, 50)))
    body = "".join(
        f'<Annotation><Attributes><Attribute Name="{name}"/></Attributes><Regions><Region>'
        + "".join(f'<Vertex X="{x}" Y="{y}"/>' for x, y in points)
        + "</Region></Regions></Annotation>"
        for name, points in regions
    )
    (tmp_path / "src" / "a.xml").write_text(f"<Annotations>{body}</Annotations>")
    done = run(tmp_path / "src", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "out" / "train" / "a"
    assert sorted(path.name for path in folder.iterdir()) == [
        "class1.tif",
        "class4.tif",
        "image.tif",
    ]
    assert tifffile.imread(folder / "class1.tif")[2].tolist() == [0, 0, 3, 3, 4, 4, 4, 0, 0, 0]
    assert tifffile.imread(folder / "class4.tif")[2].tolist() == [0, 0, 5, 5, 5, 5, 0, 0, 0, 0]
