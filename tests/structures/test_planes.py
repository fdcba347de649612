"""Planes against brute force on full-size bitmaps."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cellseg_mm.errors import UserError
from cellseg_mm.structures.planes import (
    InstanceCrop,
    instance_extents,
    pack_planes,
    read_planes,
    write_planes,
)

HEIGHT, WIDTH = 7, 9


@st.composite
def crops(draw: st.DrawFn) -> list[InstanceCrop]:
    """Up to eight instances with distinct ids, which may overlap and fall apart."""
    ids = draw(st.lists(st.integers(1, 40), max_size=8, unique=True))
    instances = []
    for instance_id in ids:
        top, left = draw(st.integers(0, HEIGHT - 1)), draw(st.integers(0, WIDTH - 1))
        shape = draw(
            st.tuples(st.integers(1, HEIGHT - top), st.integers(1, WIDTH - left)), label="shape"
        )
        bitmap = draw(hnp.arrays(bool, shape))
        bitmap[0, 0] = True
        instances.append(InstanceCrop(instance_id, top, left, bitmap))
    return instances


def full_bitmap(crop: InstanceCrop) -> np.ndarray:
    full = np.zeros((HEIGHT, WIDTH), bool)
    h, w = crop.bitmap.shape
    full[crop.top : crop.top + h, crop.left : crop.left + w] = crop.bitmap
    return full


@given(crops())
def test_every_instance_is_kept_whole_in_the_first_free_plane(instances: list[InstanceCrop]):
    planes = pack_planes(instances, HEIGHT, WIDTH)

    # The greedy rule, spelled out on sets of pixels.
    taken: list[set[tuple[int, int]]] = [set()]
    for crop in instances:
        pixels = set(zip(*(axis.tolist() for axis in full_bitmap(crop).nonzero()), strict=True))
        number = next((i for i, used in enumerate(taken) if not used & pixels), len(taken))
        if number == len(taken):
            taken.append(set())
        taken[number] |= pixels
        np.testing.assert_array_equal(planes[number] == crop.instance_id, full_bitmap(crop))
    assert planes.shape == (len(taken), HEIGHT, WIDTH)
    assert planes.dtype == np.int32
    assert np.count_nonzero(planes) == sum(map(len, taken))


@given(crops())
def test_extents_equal_those_of_the_bitmaps(instances: list[InstanceCrop]):
    boxes, areas = instance_extents(pack_planes(instances, HEIGHT, WIDTH))

    largest = max((crop.instance_id for crop in instances), default=0)
    expected_boxes, expected_areas = np.zeros((largest + 1, 4), int), np.zeros(largest + 1, int)
    for crop in instances:
        rows, columns = full_bitmap(crop).nonzero()
        expected_boxes[crop.instance_id] = (
            columns.min(),
            rows.min(),
            columns.max() + 1,
            rows.max() + 1,
        )
        expected_areas[crop.instance_id] = len(rows)
    np.testing.assert_array_equal(boxes, expected_boxes)
    np.testing.assert_array_equal(areas, expected_areas)


@given(hnp.arrays(np.int32, (3, 4, 5), elements=st.integers(0, 6)))
def test_extents_pool_an_id_over_planes(planes: np.ndarray):
    boxes, areas = instance_extents(planes)
    for instance_id in range(1, planes.max() + 1):
        _, rows, columns = (planes == instance_id).nonzero()
        assert areas[instance_id] == len(rows)
        if len(rows):
            box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert tuple(boxes[instance_id]) == box
        else:
            assert not boxes[instance_id].any()


def test_a_run_does_not_go_on_in_the_next_row():
    plane = np.zeros((2, 3), int)
    plane[0, 2] = plane[1, 0] = 1  # neighbours in memory only
    boxes, areas = instance_extents(plane[None])
    assert boxes[1].tolist() == [0, 0, 3, 2]
    assert areas[1] == 2


def test_no_instance_at_all():
    planes = pack_planes([], 3, 4)
    assert planes.shape == (1, 3, 4)
    boxes, areas = instance_extents(planes)
    assert boxes.tolist() == [[0, 0, 0, 0]]
    assert areas.tolist() == [0]


@settings(max_examples=30)
@given(planes=hnp.arrays(np.int32, st.tuples(*[st.integers(1, 5)] * 3), elements=st.integers(0, 9)))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, planes: np.ndarray):
    path = tmp_path_factory.mktemp("planes") / "labels.tif"
    write_planes(path, planes)
    result = read_planes(path)
    assert result.dtype == np.int32
    np.testing.assert_array_equal(result, planes)


@pytest.mark.parametrize(("largest", "dtype"), [(65_535, np.uint16), (65_536, np.uint32)])
def test_more_instances_than_16_bits_hold(tmp_path, largest, dtype):
    planes = np.array([[[0, 1, largest]]], np.int32)
    write_planes(tmp_path / "labels.tif", planes)
    assert tifffile.imread(tmp_path / "labels.tif").dtype == dtype
    np.testing.assert_array_equal(read_planes(tmp_path / "labels.tif"), planes)


def test_a_plane_as_thin_as_a_colour_image_is_no_colour(tmp_path):
    # (P, H, W) with W = 3 or 4 could be taken for pixels with channels.
    for shape in ((1, 5, 3), (3, 5, 4), (4, 1, 1), (3, 4, 5)):
        planes = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
        write_planes(tmp_path / "labels.tif", planes)
        np.testing.assert_array_equal(read_planes(tmp_path / "labels.tif"), planes)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.tif does not exist: run"):
        read_planes(tmp_path / "absent.tif")


@pytest.mark.parametrize("content", [b"", b"not a TIFF", b"II*\0"])
def test_a_file_that_is_no_tiff(tmp_path, content):
    (tmp_path / "bad.tif").write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.tif is not a readable label file"):
        read_planes(tmp_path / "bad.tif")


def test_a_truncated_file(tmp_path):
    path = tmp_path / "cut.tif"
    noise = np.random.default_rng(0).integers(0, 60_000, (1, 64, 64))
    write_planes(path, noise)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ValueError, match=r"cut\.tif is not a readable label file"):
        read_planes(path)


@pytest.mark.parametrize("tag", ["ImageWidth", "ImageLength"])
def test_files_without_pixels_are_refused(tmp_path, tag):
    path = tmp_path / "none.tif"
    write_planes(path, np.ones((2, 4, 5), np.int32))
    with tifffile.TiffFile(path, mode="r+b") as file:
        for page in file.pages:
            page.tags[tag].overwrite(0)
    with pytest.raises(UserError, match=r"none\.tif has no pixels"):
        read_planes(path)


@pytest.mark.parametrize("values", [np.zeros((4, 5)), np.zeros((2, 2, 4, 5), np.uint16)])
def test_a_tiff_that_holds_no_planes(tmp_path, values):
    path = tmp_path / "other.tif"
    tifffile.imwrite(path, values, photometric="minisblack", metadata=None)
    if values.ndim == 4:  # tifffile needs its own metadata to give more dimensions back
        tifffile.imwrite(path, values, photometric="minisblack")
    with pytest.raises(ValueError, match=r"other\.tif holds"):
        read_planes(path)
