from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cellseg_mm.preparation.instances import collect_instances

MASK = hnp.arrays(np.uint32, (5, 6), elements=st.sampled_from([0, 0, 3, 70_000, 2**32 - 1]))


@given(first=MASK, third=MASK)
def test_one_instance_for_each_value_of_each_class(first: np.ndarray, third: np.ndarray):
    instances = collect_instances({3: third, 1: first})
    expected = [
        (number, value, mask == value)
        for number, mask in ((1, first), (3, third))
        for value in sorted({*mask.ravel().tolist()} - {0})
    ]
    assert [crop.instance_id for crop in instances.crops] == list(range(1, len(expected) + 1))
    for index, (number, value, bitmap) in enumerate(expected):
        assert instances.classes[index] == number
        assert instances.raw_ids[index] == value
        assert instances.areas[index] == bitmap.sum()
        full = np.zeros_like(bitmap)
        _, top, left, crop = instances.crops[index]
        full[top : top + crop.shape[0], left : left + crop.shape[1]] = crop
        np.testing.assert_array_equal(full, bitmap)
        rows, columns = bitmap.nonzero()
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert instances.boxes[index].tolist() == box


def test_no_class_file():
    instances = collect_instances({})
    assert instances.crops == []
    assert instances.boxes.shape == (0, 4)
