"""The RLE codec against pycocotools and strings worked out by hand."""

from itertools import chain, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco_mask

from cellseg_mm.structures.coco_rle import (
    decode_counts,
    decode_many,
    encode_counts,
    encode_many,
)

bitmaps = hnp.arrays(
    np.uint8,
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    elements=st.integers(0, 1),
)
# pycocotools reserves six characters a run and none for the terminator: runs that take all six
# or seven make it write past its buffer, so it is asked for five at most.
long_runs = st.lists(st.integers(0, 2**24 - 1), min_size=1, max_size=30)


def column_major_runs(bitmap):
    """Run lengths by a plain loop."""
    runs, value = [0], 0
    for pixel in bitmap.T.ravel().tolist():
        if pixel != value:
            runs.append(0)
            value = pixel
        runs[-1] += 1
    return runs


def coco_counts(bitmap):
    return coco_mask.encode(np.asfortranarray(bitmap))["counts"].decode()


@given(bitmaps)
def test_one_mask_equals_pycocotools(bitmap):
    runs = column_major_runs(bitmap)

    assert encode_counts(runs) == coco_counts(bitmap)
    assert decode_counts(coco_counts(bitmap)).tolist() == runs


@given(st.lists(bitmaps, max_size=6))
def test_many_masks_equal_pycocotools(masks):
    runs = [column_major_runs(mask) for mask in masks]
    offsets = np.cumsum([0, *map(len, runs)])

    assert encode_many(list(chain.from_iterable(runs)), offsets) == [
        coco_counts(mask) for mask in masks
    ]


@given(long_runs)
def test_long_runs_equal_pycocotools(runs):
    # pycocotools encodes uncompressed runs of any length without decoding them.
    total = sum(runs)
    expected = coco_mask.frPyObjects({"size": [total, 1], "counts": runs}, total, 1)["counts"]

    assert encode_counts(runs) == expected.decode()
    assert decode_counts(expected.decode()).tolist() == runs


def plain_counts(runs):
    """COCO's format by a plain loop."""
    text = ""
    for i, run in enumerate(runs):
        value = run - runs[i - 2] if i > 2 else run
        more = True
        while more:
            bits = value & 31
            value >>= 5
            more = value != (-1 if bits & 16 else 0)
            text += chr(48 + (bits | more << 5))
    return text


@given(st.lists(st.integers(0, 2**32 - 1), max_size=30))
def test_the_whole_range(runs):
    assert encode_counts(runs) == plain_counts(runs)
    assert decode_counts(encode_counts(runs)).tolist() == runs


def test_by_hand():
    # 2 -> 0b00010 -> chr(2 + 48); 16 -> 0b10000 with "more", then 0; the fourth run is 1 - 16 = -15
    # -> 0b10001, and bit 4 is its sign.
    assert encode_counts([2, 16, 3, 1]) == "2" + "`0" + "3" + "A"
    assert decode_counts("2`03A").tolist() == [2, 16, 3, 1]


def test_no_masks_and_masks_without_runs():
    assert encode_many([], [0]) == []
    assert encode_many([5], [0, 0, 1, 1]) == ["", "5", ""]
    assert encode_counts([]) == ""
    assert decode_counts("").tolist() == []


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        ("4 5", "alphabet"),
        ("4q", "alphabet"),
        ("4é", "alphabet"),
        ("4\0", "alphabet"),
        ("44P", "end within"),
        ("o", "end within"),
        ("oooooooo1", "32 bits"),
        ("4@", "negative"),
        ("4444K", "negative"),
    ],
)
def test_malformed_strings_are_refused(counts, reason):
    with pytest.raises(ValueError, match=reason):
        decode_counts(counts)


@given(st.text(max_size=30))
def test_any_text_decodes_or_is_refused(counts):
    try:
        runs = decode_counts(counts)
    except ValueError:
        return
    assert (runs >= 0).all()


@pytest.mark.parametrize("runs", [[3, -1], [2**32]])
def test_runs_out_of_range_are_refused(runs):
    with pytest.raises(ValueError, match="run length"):
        encode_counts(runs)


@pytest.mark.parametrize("offsets", [[], [0, 2], [1, 3], [0, 3, 2, 3]])
def test_offsets_that_do_not_cover_the_runs_are_refused(offsets):
    with pytest.raises(ValueError, match="offsets"):
        encode_many([1, 2, 3], offsets)


RUNS = st.lists(st.one_of(st.integers(0, 40), st.integers(0, 2**32 - 1)), max_size=12)


@settings(max_examples=200, deadline=None)
@given(st.lists(RUNS, max_size=5))
def test_runs_of_many_masks(masks: list[list[int]]) -> None:
    values, offsets = decode_many([encode_counts(runs) for runs in masks])
    assert len(offsets) == len(masks) + 1
    assert [values[a:b].tolist() for a, b in pairwise(offsets)] == masks


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(min_codepoint=40, max_codepoint=130), max_size=12))
def test_refuses_what_one_by_one_refuses(counts: str) -> None:
    good = encode_counts([3, 4, 5, 6])
    try:
        runs = decode_counts(counts).tolist()
    except ValueError as error:
        with pytest.raises(ValueError, match=str(error)):
            decode_many([counts, good])
    else:
        values, offsets = decode_many([good, counts, good])
        assert values[offsets[1] : offsets[2]].tolist() == runs


def test_a_run_does_not_go_on_in_the_next_mask() -> None:
    with pytest.raises(ValueError, match="end within a run"):
        decode_many([chr(48 + 0x21), "1"])


def test_nothing_to_read() -> None:
    values, offsets = decode_many([])
    assert (values.size, offsets.tolist()) == (0, [0])
    values, offsets = decode_many(["", ""])
    assert (values.size, offsets.tolist()) == (0, [0, 0, 0])
    assert np.issubdtype(values.dtype, np.int64)
