from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from cellseg_mm.preparation.raw_writer import RawDatasetWriter, write_class_masks, write_image

# The header tags that OpenCV writes and that readers act upon.
_FORM = (
    "ImageWidth",
    "ImageLength",
    "BitsPerSample",
    "Compression",
    "Predictor",
    "PhotometricInterpretation",
    "SamplesPerPixel",
    "RowsPerStrip",
)


def _form(path: Path) -> dict[str, object]:
    with tifffile.TiffFile(path) as tif:
        assert len(tif.pages) == 1
        return {tag.name: tag.value for tag in tif.pages[0].tags if tag.name in _FORM}


def test_image_is_stored_with_red_and_blue_swapped(tmp_path: Path) -> None:
    rgb = np.zeros((2, 3, 3), np.uint8)
    rgb[0, 1] = (200, 100, 50)
    write_image(tmp_path / "image.tif", rgb)
    stored = tifffile.imread(tmp_path / "image.tif")
    assert stored.dtype == np.uint8
    assert stored[0, 1].tolist() == [50, 100, 200, 255]
    assert stored[1, 2].tolist() == [0, 0, 0, 255]


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (3, 4, 4)])
def test_other_arrays_are_no_images(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="uint8"):
        write_image(tmp_path / "image.tif", np.zeros(shape, np.uint8))


def test_masks_are_float64_and_absent_where_empty(tmp_path: Path) -> None:
    maps = np.zeros((4, 5, 7), np.int32)
    maps[1, 2, 3] = 70_000
    maps[3, 0, 0] = 2
    write_class_masks(tmp_path, maps)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["class2.tif", "class4.tif"]
    stored = tifffile.imread(tmp_path / "class2.tif")
    assert stored.dtype == np.float64
    assert np.argwhere(stored).tolist() == [[2, 3]]
    assert stored[2, 3] == 70_000


def test_data_set_layout(tmp_path: Path) -> None:
    writer = RawDatasetWriter(tmp_path)
    maps = np.zeros((4, 20, 30), np.int32)
    maps[0, 3, 4] = 1
    writer.add("train", "a", np.zeros((20, 30, 3), np.uint8), maps)
    for name in ("t1", "t2"):
        writer.add("test", name, np.zeros((20, 30, 3), np.uint8), maps)
    writer.finish()
    files = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert files == {
        "train/a/image.tif",
        "train/a/class1.tif",
        "test_release/t1.tif",
        "test_release/t2.tif",
        "test_gt/t1/class1.tif",
        "test_gt/t2/class1.tif",
        "test_image_name_to_ids.json",
    }
    assert json.loads((tmp_path / "test_image_name_to_ids.json").read_text()) == [
        {"file_name": "t1.tif", "id": 1, "height": 20, "width": 30},
        {"file_name": "t2.tif", "id": 2, "height": 20, "width": 30},
    ]


@pytest.mark.shared_data
def test_files_have_the_form_of_the_genuine_ones(tmp_path: Path, shared_data: Path) -> None:
    genuine = shared_data / "hw3_sample" / "train" / "sample"
    stored = tifffile.imread(genuine / "image.tif")
    maps = [tifffile.imread(genuine / f"class{k}.tif").astype(np.int32) for k in (1, 2)]
    write_image(tmp_path / "image.tif", stored[..., 2::-1])
    write_class_masks(tmp_path, maps)
    for name in ("image.tif", "class1.tif", "class2.tif"):
        np.testing.assert_array_equal(
            tifffile.imread(tmp_path / name), tifffile.imread(genuine / name)
        )
        assert _form(tmp_path / name) == _form(genuine / name)
