"""Overlays of predictions against truth: which images, which cells, where."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from mmdet.registry import HOOKS
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from pycocotools import mask as coco_mask

from cellseg_mm.datasets.cell_dataset import CellDataset
from cellseg_mm.engine.hooks.overlay_hook import OverlayHook
from cellseg_mm.structures.planes import write_planes
from cellseg_mm.structures.rle_masks import RLEMasks

HEIGHT, WIDTH = 1200, 500  # large enough not to be enlarged
BOXES = [(10, 20, 60, 90), (100, 200, 160, 230)]  # xyxy, half-open
COLOURS = CellDataset.METAINFO["palette"]
RIMS = [2 * 2 * (x2 - x1 + y2 - y1 - 4) for x1, y1, x2, y2 in BOXES]  # two pixels wide


def bitmap(box: tuple[int, int, int, int]) -> npt.NDArray[np.uint8]:
    canvas = np.zeros((HEIGHT, WIDTH), np.uint8)
    canvas[box[1] : box[3], box[0] : box[2]] = 1
    return canvas


def prepare(folder: Path, images: int, truth: bool, ignored: int = 0) -> CellDataset:
    """A data set whose images hold cell 1 of class 0 and cell 2 of class 1."""
    classes = CellDataset.METAINFO["classes"]
    annotations: dict[str, Any] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(classes)],
    }
    for subfolder in ("images/train", "labels"):
        (folder / subfolder).mkdir(parents=True)
    for image_id in range(11, 11 + images):
        name = f"cells{image_id}"
        cv2.imwrite(
            str(folder / f"images/train/{name}.png"), np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
        )
        record = {"id": image_id, "file_name": f"train/{name}.png"}
        record |= {"height": HEIGHT, "width": WIDTH}
        if truth:
            record["label_file"] = f"{name}.tif"
            planes = bitmap(BOXES[0]) + 2 * bitmap(BOXES[1])
            write_planes(folder / "labels" / record["label_file"], planes[None])
            for number, (x1, y1, x2, y2) in enumerate(BOXES, start=1):
                annotations["annotations"].append(
                    {
                        "id": len(annotations["annotations"]) + 1,
                        "image_id": image_id,
                        "category_id": number,
                        "bbox": [x1, y1, x2 - x1, y2 - y1],
                        "area": (x2 - x1) * (y2 - y1),
                        "iscrowd": int(number == ignored),
                        "instance_id": number,
                    }
                )
        annotations["images"].append(record)
    (folder / "train.json").write_text(json.dumps(annotations))
    return CellDataset(ann_file="train.json", data_root=str(folder), pipeline=[], test_mode=True)


def output(sample: dict[str, Any], rle: bool = True) -> DetDataSample:
    """Box 0 as class 2 with score 0.9 and box 1 as class 3 with score 0.4."""
    bitmaps = [bitmap(box) for box in BOXES]
    counts = [coco_mask.encode(np.asfortranarray(b))["counts"].decode() for b in bitmaps]
    result = DetDataSample(metainfo={"img_id": sample["img_id"], "img_path": sample["img_path"]})
    result.pred_instances = InstanceData(
        bboxes=torch.tensor(BOXES, dtype=torch.float32),
        scores=torch.tensor([0.9, 0.4]),
        labels=torch.tensor([2, 3]),
        masks=RLEMasks(counts, HEIGHT, WIDTH)
        if rle
        else torch.as_tensor(np.stack(bitmaps), dtype=torch.bool),
    )
    return result


def run(hook: OverlayHook, dataset: CellDataset, work_dir: Path, stage: str, **how: Any) -> Path:
    """Evaluate the whole data set, last image first, two images a batch."""
    loader = SimpleNamespace(dataset=dataset)
    runner = SimpleNamespace(
        work_dir=str(work_dir),
        logger=logging.getLogger("test_overlay_hook"),
        **{f"{stage}_dataloader": loader},
    )
    getattr(hook, f"before_{stage}_epoch")(runner)
    outputs = [output(dataset.get_data_info(i), **how) for i in range(len(dataset))][::-1]
    for batch, start in enumerate(range(0, len(outputs), 2)):
        getattr(hook, f"after_{stage}_iter")(
            runner, batch, data_batch={}, outputs=outputs[start : start + 2]
        )
    return work_dir / "overlays" / Path(dataset.ann_file).stem


def count(picture: npt.NDArray[np.uint8], label: int) -> int:
    """Pixels in the colour of a class; OpenCV reads BGR."""
    return int((picture == COLOURS[label][::-1]).all(axis=2).sum())


@pytest.mark.parametrize("rle", [True, False], ids=["rle", "bitmaps"])
def test_truth_on_the_left_and_good_predictions_on_the_right(tmp_path: Path, rle: bool) -> None:
    dataset = prepare(tmp_path / "data", images=1, truth=True)
    folder = run(OverlayHook(), dataset, tmp_path, "val", rle=rle)
    picture = cv2.imread(str(folder / "cells11.png"))
    left, right = np.split(picture, 2, axis=1)
    # Class 1 has a swatch on the right, too, but no cell; class 3's cell has a low score.
    swatch = count(right, 1)
    assert swatch > 0
    assert [count(left, label) - swatch for label in range(4)] == [*RIMS, 0, 0]
    assert [count(right, label) - swatch for label in range(4)] == [0, 0, RIMS[0], 0]


def test_an_ignored_cell_is_not_drawn(tmp_path: Path) -> None:
    dataset = prepare(tmp_path / "data", images=1, truth=True, ignored=2)
    folder = run(OverlayHook(), dataset, tmp_path, "val")
    left, right = np.split(cv2.imread(str(folder / "cells11.png")), 2, axis=1)
    assert [count(left, label) - count(right, 1) for label in range(2)] == [RIMS[0], 0]


def test_without_truth_there_are_predictions_alone(tmp_path: Path) -> None:
    dataset = prepare(tmp_path / "data", images=1, truth=False)
    folder = run(OverlayHook(score_thr=0.3), dataset, tmp_path, "test")
    picture = cv2.imread(str(folder / "cells11.png"))
    assert picture.shape[1] < 2 * WIDTH
    swatch = count(picture, 0)
    assert [count(picture, label) - swatch for label in range(4)] == [0, 0, *RIMS]


def test_draws_the_first_images_of_the_data_set_whatever_their_turn(tmp_path: Path) -> None:
    dataset = prepare(tmp_path / "data", images=5, truth=False)
    folder = run(OverlayHook(num_images=2), dataset, tmp_path, "val")
    assert sorted(path.name for path in folder.iterdir()) == ["cells11.png", "cells12.png"]


def test_the_latest_evaluation_replaces_the_one_before(tmp_path: Path) -> None:
    dataset = prepare(tmp_path / "data", images=1, truth=False)
    hook = OverlayHook()
    picture = run(hook, dataset, tmp_path, "val") / "cells11.png"
    picture.write_bytes(b"old")
    run(hook, dataset, tmp_path, "val")
    assert cv2.imread(str(picture)) is not None
    assert len(list(picture.parent.iterdir())) == 1


def test_a_failure_to_draw_is_a_warning_and_other_images_are_drawn(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = prepare(tmp_path / "data", images=2, truth=True)
    (tmp_path / "data/labels/cells12.tif").unlink()
    with caplog.at_level(logging.WARNING):
        folder = run(OverlayHook(), dataset, tmp_path, "val")
    assert "No overlay of" in caplog.text
    assert "cells12" in caplog.text
    assert [path.name for path in folder.iterdir()] == ["cells11.png"]


def test_is_registered_and_checks_its_arguments() -> None:
    assert isinstance(HOOKS.build({"type": "OverlayHook", "num_images": 0}), OverlayHook)
    with pytest.raises(ValueError, match="num_images=-1"):
        OverlayHook(num_images=-1)
