"""Boxes on ignored cells are no background, with and without other cells."""

from __future__ import annotations

import torch
from mmdet.models.task_modules.assigners import MaxIoUAssigner
from mmengine.structures import InstanceData

from cellseg_mm.models.ignoring_assigner import IgnoringMaxIoUAssigner

SETTINGS = {"pos_iou_thr": 0.5, "neg_iou_thr": 0.5, "ignore_iof_thr": 0.5}
PRIORS = InstanceData(priors=torch.tensor([[0.0, 0, 10, 10], [4, 0, 14, 10], [30, 30, 40, 40]]))
IGNORED = InstanceData(bboxes=torch.tensor([[0.0, 0, 10, 10]]))


def cells(*boxes: list[float]) -> InstanceData:
    return InstanceData(
        bboxes=torch.tensor(boxes).reshape(-1, 4), labels=torch.zeros(len(boxes), dtype=torch.long)
    )


def test_without_other_cells() -> None:
    # The second box lies with 60 of its 100 pixels on the ignored cell.
    ours = IgnoringMaxIoUAssigner(**SETTINGS).assign(PRIORS, cells(), IGNORED)
    assert ours.gt_inds.tolist() == [-1, -1, 0]
    none = InstanceData(bboxes=torch.zeros(0, 4))
    assert not IgnoringMaxIoUAssigner(**SETTINGS).assign(PRIORS, cells(), none).gt_inds.any()


def test_with_other_cells_it_is_the_stock_one() -> None:
    truth = cells([30.0, 30, 40, 38])
    ours = IgnoringMaxIoUAssigner(**SETTINGS).assign(PRIORS, truth, IGNORED)
    stock = MaxIoUAssigner(**SETTINGS).assign(PRIORS, truth, IGNORED)
    assert ours.gt_inds.tolist() == stock.gt_inds.tolist() == [-1, -1, 1]
