"""Images of several scales at one scale, with numbers worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import DATASETS, MODELS
from mmengine.dataset import pseudo_collate

import cellseg_mm.register  # noqa: F401
from cellseg_mm.datasets import cell_dataset
from cellseg_mm.datasets.transforms.resize_to_mpp import ResizeToMpp
from cellseg_mm.preparation.prepare_dataset import PrepareOptions, prepare_dataset
from cellseg_mm.preparation.raw_facts import ImageFacts, RawFacts
from cellseg_mm.preparation.raw_writer import RawDatasetWriter
from cellseg_mm.runs.run_config import load_config
from cellseg_mm.structures.label_map_masks import LabelMapMasks

HEIGHT, WIDTH = 40, 60
CONFIG = Path(__file__).parents[2] / "configs/mask-rcnn_efficientnet-lite0_fpn_dense-cell.py"


def planes() -> np.ndarray:
    """Two planes: cells of 10 × 6 and 4 × 8 pixels (width × height), and one of a pixel."""
    found = np.zeros((2, HEIGHT, WIDTH), np.int32)
    found[0, 4:10, 20:30] = 7
    found[1, 8:16, 22:26] = 9
    found[0, 30, 40] = 3
    return found


def sample(mpp: float | None) -> dict[str, Any]:
    masks = LabelMapMasks(planes(), np.array([7, 9, 3]))
    known = {} if mpp is None else {"mpp": mpp}
    return {
        "img": np.full((HEIGHT, WIDTH, 3), (10, 120, 200), np.uint8),
        "img_shape": (HEIGHT, WIDTH),
        "gt_masks": masks,
        "gt_bboxes": masks.get_bboxes(),
        "gt_bboxes_labels": np.array([0, 1, 2]),
        "gt_ignore_flags": np.array([False, True, False]),
        **known,
    }


def test_half_a_micrometre_becomes_a_quarter() -> None:
    found = ResizeToMpp(0.25).transform(sample(0.5))
    assert found["img"].shape == (80, 120, 3)
    assert (found["img"] == (10, 120, 200)).all()
    assert found["img_shape"] == (80, 120)
    assert found["scale_factor"] == (2.0, 2.0)
    assert found["gt_bboxes"].tensor.tolist() == [
        [40, 8, 60, 20], [44, 16, 52, 32], [80, 60, 82, 62]
    ]  # fmt: skip
    assert found["gt_masks"].areas.tolist() == [240, 128, 4]
    doubled = planes().repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_array_equal(found["gt_masks"].planes, doubled)


def test_a_quarter_becomes_half_and_a_cell_between_the_centres_is_dropped() -> None:
    found = ResizeToMpp(0.5).transform(sample(0.25))
    assert found["img"].shape == (20, 30, 3)
    # Pixel 2i + 1 stands for pixels 2i and 2i + 1; the cell of one pixel lies at (30, 40).
    np.testing.assert_array_equal(found["gt_masks"].planes, planes()[:, 1::2, 1::2])
    assert found["gt_bboxes"].tensor.tolist() == [[10, 2, 15, 5], [11, 4, 13, 8]]
    assert found["gt_bboxes_labels"].tolist() == [0, 1]
    assert found["gt_ignore_flags"].tolist() == [False, True]
    assert found["gt_masks"].ids.tolist() == [7, 9]


def test_the_scale_factor_is_that_of_whole_pixels() -> None:
    results = {"img": np.zeros((33, 50, 3), np.uint8), "mpp": 0.375, "img_shape": (33, 50)}
    found = ResizeToMpp(0.25).transform(results)
    assert found["img"].shape == (50, 75, 3)  # 49.5 is rounded to the even number
    assert found["scale_factor"] == (1.5, 50 / 33)


@pytest.mark.parametrize(
    ("target", "stated"), [(None, 0.5), (0.25, None), (0.25, 0.254), (0.25, 0.2451)]
)
def test_what_has_the_scale_or_none_stays_as_it_is(
    target: float | None, stated: float | None
) -> None:
    before = sample(stated)
    image, masks = before["img"], before["gt_masks"]
    found = ResizeToMpp(target).transform(before)
    assert found["img"] is image
    assert found["gt_masks"] is masks
    assert found["scale_factor"] == (1.0, 1.0)


def test_the_image_is_resampled_as_by_the_segmenter() -> None:
    """A frequency beyond the new pixels' is gone, one below stays; area averaging keeps some."""
    x = np.arange(240)
    image = np.zeros((40, 240, 3), np.uint8)
    image[..., 0] = 128 + 100 * np.sin(2 * np.pi * x / 12)  # 6 new pixels a period
    image[..., 1] = 128 + 100 * np.sin(2 * np.pi * x / 2.5)  # 1.25: must not fold over
    found = ResizeToMpp(0.5).transform({"img": image, "mpp": 0.25})["img"].astype(float)
    assert found[10, 20:100, 0].std() == pytest.approx(100 / np.sqrt(2), rel=0.1)
    assert found[10, 20:100, 1].std() < 3


def write_set(root: Path, mpp: float | None, times: int) -> None:
    """Three images with a cell of 8 × 8 pixels and one of 6 × 4, all ``times`` as large."""
    (root / "raw").mkdir(parents=True)
    writer = RawDatasetWriter(root / "raw")
    for index in range(3):
        mask = np.zeros((48, 64), np.int32)
        mask[8:16, 8 + index : 16 + index] = 1
        mask[30:34, 40:46] = 2
        tissue = np.random.default_rng(index).integers(0, 256, (6, 8, 3), np.uint8)
        pixels = tissue.repeat(8, axis=0).repeat(8, axis=1)
        mask, pixels = (np.repeat(np.repeat(a, times, 0), times, 1) for a in (mask, pixels))
        writer.add("train", f"i{index}", pixels, [mask])
    writer.finish()
    facts = {f"i{index}": ImageFacts(mpp=mpp) for index in range(3)}
    RawFacts(("cell",), "bgr", facts).write(root / "raw")
    prepare_dataset(PrepareOptions(root / "raw", root / "cell", val_fraction=0.34))


def test_data_sets_of_two_scales_train_at_one(tmp_path: Path) -> None:
    write_set(tmp_path / "a", 0.5, 1)
    write_set(tmp_path / "b", 0.25, 2)
    roots = f"data_root=[{tmp_path}/a/cell,{tmp_path}/b/cell]"
    config = load_config(str(CONFIG), None, ["mpp=0.5", roots, "metainfo.classes=cell"])
    for dataset in config.train_dataloader.dataset.datasets:
        dataset.pipeline = dataset.pipeline[:3]  # without crops and the rest
    both = DATASETS.build(config.train_dataloader.dataset)
    samples = [both[n] for n in range(len(both))]
    assert len(samples) == 4
    assert {s["img"].shape for s in samples} == {(48, 64, 3)}
    for found in samples:
        assert found["gt_masks"].areas.tolist() == [64, 24]
        assert found["gt_bboxes"].tensor[1].tolist() == [40, 30, 46, 34]
    first, second = samples[0], samples[2]
    assert (first["scale_factor"], second["scale_factor"]) == ((1.0, 1.0), (0.5, 0.5))


def test_predictions_come_back_in_pixels_of_the_image(tmp_path: Path) -> None:
    """A network that sees every cell where it is: its boxes are halved on the way back."""
    write_set(tmp_path, 0.5, 1)
    options = ["mpp=0.25", f"data_root={tmp_path}/cell", "metainfo.classes=cell"]
    config = load_config(str(CONFIG), None, [*options, "model.backbone.init_cfg=None"])
    dataset = DATASETS.build(config.val_dataloader.dataset)
    batch = pseudo_collate([dataset[0]])
    assert batch["inputs"][0].shape == (3, 96, 128)
    torch.manual_seed(0)
    model = MODELS.build(config.model).eval()
    boxes = torch.tensor([[20.0, 10.0, 60.0, 50.0]])

    def one_box(*arguments: Any, **others: Any) -> list[Any]:
        from mmengine.structures import InstanceData

        found = InstanceData(bboxes=boxes, scores=torch.ones(1), labels=torch.zeros(1).long())
        return [found]

    model.rpn_head.predict = one_box
    model.roi_head.bbox_head.fc_cls.bias.data = torch.tensor([50.0, 0.0])
    for layer in (model.roi_head.bbox_head.fc_cls, model.roi_head.bbox_head.fc_reg):
        layer.weight.data.zero_()
    model.roi_head.bbox_head.fc_reg.bias.data.zero_()
    with torch.no_grad():
        (result,) = model.test_step(batch)
    found = result.pred_instances
    assert found.bboxes.tolist() == [[10.0, 5.0, 30.0, 25.0]]
    (mask,) = found.masks
    assert tuple(mask["size"] if isinstance(mask, dict) else mask.shape) == (48, 64)


def test_a_data_set_says_once_that_scales_are_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_set(tmp_path, None, 1)
    options = [f"data_root={tmp_path}/cell", "metainfo.classes=cell"]
    said: list[str] = []
    monkeypatch.setattr(cell_dataset, "print_log", lambda text, *others: said.append(text))
    for extra, number in (([], 0), (["mpp=None"], 0), (["mpp=0.25"], 1)):
        config = load_config(str(CONFIG), None, [*options, *extra])
        dataset = DATASETS.build(config.train_dataloader.dataset)
        for index in range(2):
            dataset[index]
        assert len(said) == number
    assert "train.json: 2 of 2 images do not state their µm per pixel" in said[0]


def test_prepared_images_hold_their_scale(tmp_path: Path) -> None:
    write_set(tmp_path, 0.5, 1)
    record = json.loads((tmp_path / "cell/annotations/train.json").read_text())
    assert [image["mpp"] for image in record["images"]] == [0.5, 0.5]
    assert cv2.imread(str(tmp_path / "cell/images/train/i0.png")).shape == (48, 64, 3)
