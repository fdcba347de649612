"""Tiled inference with a model that returns the truth of its region, and with a less exact one."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from mmengine.structures import InstanceData
from pycocotools import mask as coco_mask
from scipy import ndimage
from torch import Tensor

from cellseg_mm.models.test_time.tile_grid import tile_rows
from cellseg_mm.models.test_time.tiles import cells_of, merge_tiles, predict_tiled
from cellseg_mm.structures.rle_masks import RLEMasks

Image = npt.NDArray[np.uint8]
"""(3, H, W): channel k holds the ids of the cells of class k, 0 = background."""

# Shrinking a failing example takes minutes, and a small image hardly says more.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)

EIGHT = np.ones((3, 3), int)


def detections(
    masks: list[npt.NDArray[np.bool_]], labels: list[int], region: Tensor
) -> InstanceData:
    """What a detector returns: masks of the region's size, with tight boxes."""
    rles = [coco_mask.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in masks]
    boxes = np.array([coco_mask.toBbox(rle) for rle in rles], np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return InstanceData(
        bboxes=torch.from_numpy(boxes),
        scores=torch.linspace(1, 0.5, len(masks)),
        labels=torch.tensor(labels, dtype=torch.int64),
        masks=RLEMasks([rle["counts"].decode() for rle in rles], *region.shape[1:]),
    )


def truth_of(region: Tensor) -> InstanceData:
    """A model that finds all that a region shows, and nothing of what lies outside."""
    masks, labels = [], []
    for label, plane in enumerate(region.numpy()):
        for cell_id in np.unique(plane[plane > 0]):
            masks.append(plane == cell_id)
            labels.append(label)
    return detections(masks, labels, region)


class Reader:
    """Reads regions of an image, and tells which."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self.regions: list[tuple[int, int, int, int]] = []

    def __call__(self, x1: int, y1: int, x2: int, y2: int) -> Tensor:
        self.regions.append((x1, y1, x2, y2))
        return torch.from_numpy(self.image[:, y1:y2, x1:x2].copy())


def predict(
    image: Image, tile: int, overlap: int, model: Callable[[Tensor], InstanceData] = truth_of
) -> InstanceData:
    return predict_tiled(Reader(image), *image.shape[1:], model, tile, overlap)


def cells(found: InstanceData) -> list[tuple[int, str]]:
    """Class and mask of each detection, sorted; a cell found twice is in it twice."""
    return sorted(zip(found.labels.tolist(), found.masks.counts, strict=True))


def labelled(planes: npt.NDArray[np.bool_]) -> Image:
    """Connected components (8 neighbours) of each class as cells."""
    return np.stack([ndimage.label(plane, EIGHT)[0] for plane in planes]).astype(np.uint8)


@st.composite
def images(draw: st.DrawFn) -> Image:
    """Connected cells of any shape and length, from one pixel to right across the image."""
    height, width = draw(st.tuples(*[st.integers(1, 34)] * 2))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    noise = ndimage.gaussian_filter(
        rng.standard_normal((3, height, width)), (0, *[draw(st.sampled_from([0, 0.6, 1.5]))] * 2)
    )
    return labelled(noise > np.quantile(noise, draw(st.sampled_from([0.5, 0.7, 0.95]))))


@settings(deadline=None, max_examples=60, phases=PHASES)
@given(images(), st.integers(2, 24), st.data())
def test_any_connected_cells_come_out_exactly_once_and_whole(
    image: Image, tile: int, data: st.DataObject
) -> None:
    overlap = data.draw(st.integers(1, tile - 1))
    assert cells(predict(image, tile, overlap)) == cells(truth_of(torch.from_numpy(image)))


@pytest.mark.parametrize("offset", range(40))
def test_an_image_at_any_offset_of_the_tiles_gives_what_untiled_inference_gives(
    offset: int,
) -> None:
    rng = np.random.default_rng(0)
    large = ndimage.gaussian_filter(rng.standard_normal((3, 170, 170)), (0, 3, 3)) > 0.07
    image = labelled(large[:, offset : offset + 130, 40 - offset : 165 - offset])
    untiled = predict(image, 200, 20)
    assert len(untiled) > 60
    assert cells(predict(image, 40, 20)) == cells(untiled)


def picture(height: int, width: int, *boxes: tuple[int, int, int, int], channel: int = 0) -> Image:
    """Rectangular cells of one class; xyxy, half-open."""
    image = np.zeros((3, height, width), np.uint8)
    for cell_id, (x1, y1, x2, y2) in enumerate(boxes, start=1):
        image[channel, y1:y2, x1:x2] = cell_id
    return image


# Tiles of 20 with an overlap of 8 cover 44 pixels with those from 0, 12 and 24.
@pytest.mark.parametrize(
    "boxes",
    [
        pytest.param([(14, 4, 18, 8)], id="inside the overlap"),
        pytest.param([(8, 4, 12, 8)], id="ends where the second tile begins"),
        pytest.param([(8, 4, 13, 8)], id="one pixel in the second tile"),
        pytest.param([(20, 4, 23, 8)], id="begins where the first tile ends"),
        pytest.param([(19, 4, 20, 5)], id="a single pixel on the first tile's edge"),
        pytest.param([(12, 4, 20, 8)], id="as wide as the overlap"),
        pytest.param([(5, 4, 27, 8)], id="cut by both tiles"),
        pytest.param([(0, 3, 44, 7)], id="across all tiles"),
        pytest.param([(6, 6, 30, 30)], id="on a corner of four tiles"),
        pytest.param([(11, 11, 13, 13)], id="a pixel in the fourth tile"),
        pytest.param([(8, 4, 16, 8), (16, 4, 24, 8)], id="neighbours that touch in the overlap"),
        pytest.param([(4, 4, 20, 8), (20, 4, 30, 8)], id="neighbours that touch on the edge"),
        pytest.param([(0, 4, 44, 8), (0, 8, 44, 12)], id="long neighbours that touch"),
    ],
)
def test_cells_at_borders(boxes: list[tuple[int, int, int, int]]) -> None:
    for image in (picture(44, 44, *boxes), picture(44, 44, *boxes).transpose(0, 2, 1)):
        found = predict(image, 20, 8)
        assert cells(found) == cells(truth_of(torch.from_numpy(image)))
        truth = sorted(
            boxes if image.strides[1] > image.strides[2] else [(b, a, d, c) for a, b, c, d in boxes]
        )
        assert sorted(map(tuple, found.bboxes.tolist())) == truth


@pytest.mark.parametrize("inner", [(8, 8, 29, 29), (5, 5, 30, 30)])
def test_cells_of_two_classes_in_one_place_both_stay(inner: tuple[int, int, int, int]) -> None:
    image = picture(44, 44, (5, 5, 30, 30)) + picture(44, 44, inner, channel=1)
    assert cells(predict(image, 20, 8)) == cells(truth_of(torch.from_numpy(image)))


def test_overlapping_cells_of_one_class_stay_apart() -> None:
    """Masks of IoU 0.6 that both lie in the overlap, and are cut elsewhere."""
    boxes = [(2, 13, 30, 17), (2, 14, 30, 18)]

    def model(region: Tensor) -> InstanceData:
        masks = [plane > 0 for plane in region.numpy() if plane.any()]
        return detections(masks, [0] * len(masks), region)

    image = picture(44, 44, boxes[0]) + picture(44, 44, boxes[1], channel=1)
    found = predict(image, 20, 8, model)
    assert sorted(map(tuple, found.bboxes.tolist())) == boxes


def test_the_whole_cell_is_kept_and_not_the_better_scored_piece() -> None:
    image = picture(20, 32, (4, 4, 15, 12))
    scores = iter([0.6, 0.9])

    def model(region: Tensor) -> InstanceData:
        found = truth_of(region)
        found.scores = torch.tensor([next(scores)])
        return found

    found = predict(image, 20, 8, model)
    assert found.scores.tolist() == pytest.approx([0.6])
    assert found.bboxes.tolist() == [[4, 4, 15, 12]]


def test_of_two_whole_sightings_the_one_deeper_in_its_tile_is_kept_with_its_class() -> None:
    """It is 3 pixels from the end of the first tile, and 4 from the begin of the second."""
    image = picture(20, 32, (16, 4, 17, 9))
    looks = iter([(0, 0.9), (2, 0.6)])

    def model(region: Tensor) -> InstanceData:
        found = truth_of(region)
        label, score = next(looks)
        found.labels = torch.tensor([label])
        found.scores = torch.tensor([score])
        return found

    found = predict(image, 20, 8, model)
    assert found.labels.tolist() == [2]
    assert found.scores.tolist() == pytest.approx([0.6])


def test_a_cut_cell_that_the_other_tile_misses_stays() -> None:
    image = picture(20, 32, (5, 4, 27, 8))
    tiles = iter([truth_of, lambda region: detections([], [], region)])
    found = predict(image, 20, 8, lambda region: next(tiles)(region))
    assert found.bboxes.tolist() == [[5, 4, 20, 8]]


def test_a_sliver_named_differently_belongs_to_the_whole_cell() -> None:
    image = picture(20, 32, (4, 4, 14, 12))

    def model(region: Tensor) -> InstanceData:
        found = truth_of(region)
        if found.bboxes[0, 0] == 0:
            found.labels[:] = 2
        return found

    found = predict(image, 20, 8, model)
    assert (found.labels.tolist(), found.bboxes.tolist()) == ([0], [[4, 4, 14, 12]])


class InexactModel:
    """Finds every cell, but its outlines err by a pixel near the borders, boxes and scores by more.

    A piece that erosion leaves nothing of is missed.
    """

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def __call__(self, region: Tensor) -> InstanceData:
        truth = truth_of(region)
        masks, labels = [], []
        for mask, label in zip(truth.masks.to_ndarray(), truth.labels.tolist(), strict=True):
            change = self.rng.choice([ndimage.binary_dilation, ndimage.binary_erosion])
            changed = change(mask, border_value=0)
            changed[4:-4, 4:-4] = mask[4:-4, 4:-4]
            if changed.any():
                masks.append(changed)
                labels.append(label)
        found = detections(masks, labels, region)
        found.bboxes += torch.from_numpy(self.rng.uniform(-2, 2, (len(masks), 4))).float()
        found.scores = torch.from_numpy(self.rng.uniform(0.1, 1, len(masks))).float()
        return found


@settings(deadline=None, max_examples=60, phases=PHASES)
@given(
    st.integers(0, 2**32 - 1), st.integers(24, 60), st.integers(8, 20), st.integers(80, 110),
    st.integers(80, 110),
)  # fmt: skip
def test_a_model_that_errs_at_borders_still_gives_each_cell_once(
    seed: int, tile: int, overlap: int, height: int, width: int
) -> None:
    rng = np.random.default_rng(seed)
    image = np.zeros((3, height, width), np.uint8)
    rows, columns = np.mgrid[:height, :width]
    cell_id = 0
    for y in range(0, height - 26, 26):  # ellipses in a raster of cells that do not touch
        for x in range(0, width - 26, 26):
            cell_id += 1
            radius = rng.uniform(3, 11, 2)
            centre = np.array([y, x]) + rng.uniform(radius + 1, 25 - radius)
            inside = np.hypot((rows - centre[0]) / radius[0], (columns - centre[1]) / radius[1])
            image[rng.integers(2), inside <= 1] = cell_id
    truth = truth_of(torch.from_numpy(image))
    found = predict(image, tile, overlap, InexactModel(seed))
    assert len(found) == cell_id
    masks = found.masks.to_ndarray().astype(bool)
    for true_mask, label in zip(truth.masks.to_ndarray().astype(bool), truth.labels, strict=True):
        overlaps = (masks & true_mask).sum(axis=(1, 2)) > 0
        assert overlaps.sum() == 1
        best = int(overlaps.argmax())
        assert found.labels[best] == label
        iou = (masks[best] & true_mask).sum() / (masks[best] | true_mask).sum()
        assert iou > 0.6


@pytest.mark.parametrize(("height", "width"), [(30, 100), (5, 7), (64, 64), (65, 129)])
def test_tiles_cover_the_image_and_overlap(height: int, width: int) -> None:
    rows = list(tile_rows(height, width, side=32, overlap=10))
    covered = np.zeros((height, width), int)
    for row in rows:
        for tile in row:
            x1, y1, x2, y2 = tile.extent
            assert x2 - x1 <= min(32, width)
            assert y2 - y1 <= min(32, height)
            covered[y1:y2, x1:x2] += 1
    assert covered.min() == 1
    for axis, extents in ((0, [t.extent for t in rows[0]]), (1, [r[0].extent for r in rows])):
        for before, after in pairwise(extents):
            assert 10 <= before[axis + 2] - after[axis] <= 12
    # No more tiles than tiles of the full size would need.
    assert len(rows) == max(1, math.ceil((height - 10) / 22))
    assert len(rows[0]) == max(1, math.ceil((width - 10) / 22))
    for row in rows:
        for tile in row:
            x1, y1, x2, y2 = np.clip(tile.alone, 0, (width, height, width, height)).astype(int)
            assert (covered[y1:y2, x1:x2] == 1).all()


@pytest.mark.parametrize("overlap", [0, 32, 40])
def test_an_overlap_that_does_not_fit_the_tile_is_refused(overlap: int) -> None:
    with pytest.raises(ValueError, match="from 1 to 31 pixels"):
        predict(np.zeros((3, 8, 8), np.uint8), 32, overlap)


def test_each_region_is_read_once_and_only_as_large_as_a_tile() -> None:
    read = Reader(np.zeros((3, 100, 70), np.uint8))
    assert not len(predict_tiled(read, 100, 70, truth_of, 32, 8))
    assert len(read.regions) == len(set(read.regions)) == 12
    # Three columns of (70 + 2·8) / 3 pixels, four rows of (100 + 3·8) / 4.
    assert {(x2 - x1, y2 - y1) for x1, y1, x2, y2 in read.regions} == {(29, 31)}


def test_streamed_cells_are_final_above_the_row_that_is_promised() -> None:
    rng = np.random.default_rng(1)
    image = labelled(ndimage.gaussian_filter(rng.standard_normal((3, 200, 90)), (0, 2, 2)) > 0.1)
    final_rows = 0
    promises = []
    read = Reader(image)
    found = (
        cells_of(truth_of(read(*tile.extent)), *tile.extent[:2])
        for row in tile_rows(200, 90, 40, 12)
        for tile in row
    )
    for batch in merge_tiles(tile_rows(200, 90, 40, 12), 200, found):
        assert all(cell.top >= final_rows for cell in batch.cells)
        assert batch.final_rows >= final_rows
        final_rows = batch.final_rows
        promises.append(final_rows)
    assert promises[-1] == 200
    assert promises[5] > 20  # after two rows of three tiles, the first tile's height at least
