"""Test-time augmentation, ensembles and tiles around a detector that finds the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmdet.structures import DetDataSample
from mmengine.model import BaseModel
from mmengine.structures import InstanceData
from pycocotools import mask as coco_mask
from scipy import ndimage

from cellseg_mm.models.test_time.test_time_model import TestTimeModel
from cellseg_mm.structures.probability_masks import ProbabilityMasks

HEIGHT, WIDTH = 64, 96
SIDE = 12
CORNERS = [(x, y) for y in (0, 18, 36, 52) for x in (0, 20, 38, 56, 84)]


class Oracle(BaseModel):
    """Finds what is painted: channel 0 is the cells, 1 their class × 40, 2 their score × 200.

    As a detector does, it gives boxes in pixels of the metainfo's ``ori_shape``.
    """

    def __init__(self, shift: int = 0, blind: bool = False) -> None:
        super().__init__()
        self.shift = shift
        self.blind = blind
        self.seen: list[tuple[int, ...]] = []

    def forward(self, *args: Any, **kwargs: Any) -> None: ...

    def test_step(self, data: dict[str, Any]) -> list[DetDataSample]:
        (image,), (sample,) = data["inputs"], data["data_samples"]
        self.seen.append(tuple(image.shape[-2:]))
        assert sample.img_shape == self.seen[-1]
        scale, scale_y = sample.scale_factor
        assert scale == scale_y
        assert sample.ori_shape == tuple(round(side / scale) for side in image.shape[-2:])
        # Back to the original's pixels, without loss since cells lie on even ones.
        image = image.float()[:, :: round(scale), :: round(scale)] if scale >= 1 else image
        repeat = max(round(1 / scale), 1)
        image = image.repeat_interleave(repeat, 1).repeat_interleave(repeat, 2)
        components, _ = ndimage.label(image[0].numpy() > 127)
        found = []
        for rows, columns in [] if self.blind else ndimage.find_objects(components):
            cell = image[:, rows, columns]
            grid = (cell[0] > 127).float()
            label, score = (cell[c][grid > 0].max().item() for c in (1, 2))
            grid = F.pad(grid, (0, SIDE - grid.shape[1], 0, SIDE - grid.shape[0]))
            x, y = columns.start + self.shift, rows.start
            found.append((score / 200, round(label / 40), [x, y, x + SIDE, y + SIDE], grid))
        found.sort(key=lambda cell: -cell[0])
        boxes = torch.tensor([box for _, _, box, _ in found]).reshape(-1, 4).float()
        masks: Any = torch.zeros(0, *sample.ori_shape, dtype=torch.bool)  # as mmdet's RoI head
        if found:
            grids = torch.stack([grid for *_, grid in found])
            masks = ProbabilityMasks(grids, boxes, *sample.ori_shape)
        sample.pred_instances = InstanceData(
            bboxes=boxes,
            scores=torch.tensor([score for score, *_ in found]),
            labels=torch.tensor([label for _, label, *_ in found], dtype=torch.int64),
            masks=masks,
        )
        return [sample]


@pytest.fixture(scope="module")
def scene() -> tuple[torch.Tensor, list[np.ndarray]]:
    """An image of notched squares, unlike their mirror images, and their bitmaps; best first."""
    image = torch.zeros(3, HEIGHT, WIDTH, dtype=torch.uint8)
    bitmaps = []
    for number, (x, y) in enumerate(CORNERS):
        bitmap = np.zeros((HEIGHT, WIDTH), np.uint8)
        bitmap[y : y + SIDE, x : x + SIDE] = 1
        bitmap[y : y + 4, x + 6 : x + SIDE] = 0
        values = torch.tensor([255, 40 * (number % 4), 190 - 5 * number], dtype=torch.uint8)
        image += values[:, None, None] * torch.as_tensor(bitmap)
        bitmaps.append(bitmap)
    return image, bitmaps


def predict(model: TestTimeModel, image: torch.Tensor, **meta: Any) -> InstanceData:
    metainfo = {
        "img_id": 7,
        "ori_shape": (HEIGHT, WIDTH),
        "img_shape": tuple(image.shape[-2:]),
        "scale_factor": (1.0, 1.0),
    } | meta
    sample = DetDataSample(metainfo=metainfo)
    (result,) = model.test_step({"inputs": [image], "data_samples": [sample]})
    assert result.img_id == 7
    assert result.ori_shape == (HEIGHT, WIDTH)
    return result.pred_instances


def assert_truth(found: InstanceData, bitmaps: list[np.ndarray], share: float = 1.0) -> None:
    counts = [coco_mask.encode(np.asfortranarray(b))["counts"].decode() for b in bitmaps]
    assert found.masks.counts == counts
    assert found.bboxes.tolist() == [[x, y, x + SIDE, y + SIDE] for x, y in CORNERS]
    numbers = range(len(bitmaps))
    assert found.labels.tolist() == [number % 4 for number in numbers]
    scores = [share * (190 - 5 * number) / 200 for number in numbers]
    assert found.scores.tolist() == pytest.approx(scores)


@pytest.mark.parametrize(
    ("settings", "looks"),
    [
        ({}, 1),
        ({"views": "flips"}, 4),
        ({"views": "dihedral"}, 8),
        ({"scales": [1.0, 2.0, 0.5]}, 3),
        ({"views": "dihedral", "scales": [0.5, 2.0]}, 16),
    ],
)
def test_no_cell_is_lost_doubled_or_moved(
    scene: tuple[torch.Tensor, list[np.ndarray]], settings: dict[str, Any], looks: int
) -> None:
    image, bitmaps = scene
    oracle = Oracle()
    assert_truth(predict(TestTimeModel([oracle], **settings), image), bitmaps)
    assert len(oracle.seen) == looks
    assert all(min(size) / max(size) == HEIGHT / WIDTH for size in oracle.seen)


@pytest.mark.parametrize("views", ["identity", "dihedral"])
def test_tiles_give_each_cell_once(
    scene: tuple[torch.Tensor, list[np.ndarray]], views: str
) -> None:
    image, bitmaps = scene
    oracle = Oracle()
    model = TestTimeModel([oracle], views=views, tile=40, overlap=16)
    assert_truth(predict(model, image), bitmaps)
    assert set(oracle.seen) <= {(40, 36), (36, 40)}


def test_resized_inputs_give_original_pixels(
    scene: tuple[torch.Tensor, list[np.ndarray]],
) -> None:
    image, bitmaps = scene
    doubled = image.repeat_interleave(2, 1).repeat_interleave(2, 2)
    model = TestTimeModel([Oracle()], views="dihedral")
    assert_truth(predict(model, doubled, scale_factor=(2.0, 2.0)), bitmaps)
    model = TestTimeModel([Oracle()], tile=40)
    with pytest.raises(ValueError, match=r"set test_time\.scales instead"):
        predict(model, doubled, scale_factor=(2.0, 2.0))
    with pytest.raises(ValueError, match="leave padding"):
        predict(model, doubled)


def test_models_are_averaged(scene: tuple[torch.Tensor, list[np.ndarray]]) -> None:
    image, bitmaps = scene
    assert_truth(predict(TestTimeModel([Oracle(), Oracle()]), image), bitmaps)
    half = TestTimeModel([Oracle(), Oracle(blind=True)], views="flips")
    assert_truth(predict(half, image), bitmaps, share=0.5)


def test_views_that_disagree_are_averaged(scene: tuple[torch.Tensor, list[np.ndarray]]) -> None:
    # The detector sees every cell a pixel too far right. In a mirror image, that is left:
    # where only one of the two lies, the mean is 1/2.
    image, bitmaps = scene
    inner = [number for number, (x, _) in enumerate(CORNERS) if 0 < x < WIDTH - SIDE]
    for threshold, combine in ((0.4, np.bitwise_or), (0.6, np.bitwise_and)):
        model = TestTimeModel([Oracle(shift=1)], views="flips", mask_threshold=threshold)
        found = predict(model, image)
        assert found.bboxes.tolist() == [[x, y, x + SIDE, y + SIDE] for x, y in CORNERS]
        for number in inner:
            right, left = (np.roll(bitmaps[number], step, axis=1) for step in (1, -1))
            rle = coco_mask.encode(np.asfortranarray(combine(right, left)))
            assert found.masks.counts[number] == rle["counts"].decode()


def test_an_image_without_cells() -> None:
    model = TestTimeModel([Oracle()], views="dihedral")
    found = predict(model, torch.zeros(3, HEIGHT, WIDTH, dtype=torch.uint8))
    assert len(found) == 0
    assert (found.masks.height, found.masks.width) == (HEIGHT, WIDTH)


def test_a_model_without_probabilities_is_a_sentence() -> None:
    class Binary(Oracle):
        def test_step(self, data: dict[str, Any]) -> list[DetDataSample]:
            (sample,) = super().test_step(data)
            sample.pred_instances.masks = sample.pred_instances.masks.to_rle(0.5)
            return [sample]

    image = torch.full((3, HEIGHT, WIDTH), 0, dtype=torch.uint8)
    image[:, 4:16, 4:16] = 160
    with pytest.raises(ValueError, match="mask probabilities, but the model gives RLEMasks"):
        predict(TestTimeModel([Binary()]), image)


def test_it_does_not_train() -> None:
    with pytest.raises(NotImplementedError, match="only has a test step"):
        TestTimeModel([Oracle()])(torch.zeros(1))
