from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco_mask

from cellseg_mm.preparation.coco_annotations import annotations_from_planes, coco_dataset


@st.composite
def planes_of_instances(draw: st.DrawFn) -> np.ndarray:
    """(P, H, W) with the ids 1 … N, each in one plane."""
    height, width = draw(st.integers(1, 8)), draw(st.integers(1, 8))
    shape = (draw(st.integers(1, 3)), height, width)
    codes = draw(hnp.arrays(np.int64, shape, elements=st.integers(0, 4)))
    # Make the ids of different planes different, then consecutive.
    codes = np.where(codes, codes + 10 * np.arange(shape[0])[:, None, None], 0)
    present = np.unique(codes[codes > 0])
    return (np.searchsorted(present, codes) + 1) * (codes > 0)


@given(planes_of_instances())
def test_equal_to_pycocotools(planes: np.ndarray):
    count = int(planes.max())
    categories = np.arange(count) % 3 + 1
    records = annotations_from_planes(planes.astype(np.int32), categories, image_id=9)
    assert len(records) == count
    for number, record in enumerate(records, start=1):
        bitmap = (planes == number).any(axis=0)
        reference = coco_mask.encode(np.asfortranarray(bitmap.astype(np.uint8)))
        assert record["segmentation"] == {
            "size": list(bitmap.shape),
            "counts": reference["counts"].decode(),
        }
        assert record["bbox"] == coco_mask.toBbox(reference).tolist()
        assert record["area"] == bitmap.sum()
        assert record["instance_id"] == number
        assert record["category_id"] == categories[number - 1]
        assert record["image_id"] == 9
        assert record["iscrowd"] == 0


def test_by_hand():
    planes = np.array([[[1, 0, 2], [1, 1, 2]]])
    first, second = annotations_from_planes(planes, np.array([4, 1]), image_id=3)
    # Column-major: 1 1 | 0 1 | 2 2.
    assert coco_mask.decode(first["segmentation"]).tolist() == [[1, 0, 0], [1, 1, 0]]
    assert first["bbox"] == [0, 0, 2, 2]
    assert first["area"] == 3
    assert second["bbox"] == [2, 0, 1, 2]
    assert second["category_id"] == 1


def test_an_id_without_pixels_is_an_error():
    with pytest.raises(ValueError, match=r"ids \[2\], but each of 1 to 2 must occur"):
        annotations_from_planes(np.array([[[0, 2]]]), np.array([1, 1]), image_id=1)


def test_ids_and_categories_count_from_one():
    annotations = [{"image_id": 5}, {"image_id": 5}]
    dataset = coco_dataset([{"id": 5}], annotations, ["a", "b"])
    assert [record["id"] for record in dataset["annotations"]] == [1, 2]
    assert dataset["categories"] == [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    assert dataset["images"] == [{"id": 5}]
