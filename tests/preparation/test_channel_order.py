from __future__ import annotations

import numpy as np
import pytest
import tifffile

from cellseg_mm.preparation.channel_order import blue_excess, to_rgb, vote_channel_order


def test_excess_by_hand():
    pixels = np.array([[[10, 0, 40], [100, 0, 90], [100, 0, 110]]], np.uint8)
    cells = np.array([[True, False, False]])
    assert blue_excess(pixels, cells) == 30 - 0
    assert blue_excess(pixels[..., ::-1], cells) == -30


@pytest.mark.parametrize("cells", [np.zeros((2, 2), bool), np.ones((2, 2), bool)])
def test_no_excess_without_cells_and_tissue(cells):
    assert blue_excess(np.zeros((2, 2, 3), np.uint8), cells) is None


@pytest.mark.parametrize(
    ("excesses", "order"),
    [
        ([5.0, 3.0, -90.0], "rgb"),  # one image, one vote
        ([-1.0, None, 0.0], "bgr"),
        ([-5.0, 2.0], "bgr"),  # a tie goes by the sum
        ([], None),
        ([None, 0.0], None),
    ],
)
def test_vote(excesses, order):
    decision = vote_channel_order(excesses)
    assert (decision and decision.order) == order


def test_a_stated_order_wins_but_doubt_is_told():
    decision = vote_channel_order([1.0, 1.0, 1.0], stated="bgr")
    assert (decision.order, decision.rgb_votes) == ("bgr", 3)
    assert "look like the other channel order" in decision.doubt
    assert vote_channel_order([], stated="rgb").doubt is None


def test_doubt_about_narrow_and_small_votes():
    assert vote_channel_order([1.0] * 3).doubt is None
    assert "won by 2 to 0 votes" in vote_channel_order([1.0] * 2).doubt
    assert "won by 5 to 2 votes" in vote_channel_order([1.0] * 5 + [-1.0] * 2).doubt


def test_to_rgb_drops_alpha():
    pixels = np.array([[[1, 2, 3, 4]]], np.uint8)
    assert to_rgb(pixels, "rgb").tolist() == [[[1, 2, 3]]]
    assert to_rgb(pixels, "bgr").tolist() == [[[3, 2, 1]]]


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "order"),
    [("consep", "rgb"), ("nucls_cc0", "rgb"), ("monusac", "bgr"), ("hw3_sample", "bgr")],
)
def test_real_data_sets(shared_data, name, order):
    excesses = []
    for folder in sorted((shared_data / name / "train").iterdir()):
        pixels = tifffile.imread(folder / "image.tif")
        masks = [tifffile.imread(path) > 0 for path in folder.glob("class*.tif")]
        excesses.append(blue_excess(pixels, np.any(masks, axis=0)))
    assert vote_channel_order(excesses).order == order
