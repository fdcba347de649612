"""Cascades with masks on planes, against the same cascades with the stock heads on bitmaps."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData
from pycocotools import mask as coco_mask

from cellseg_mm.runs.run_config import load_config
from cellseg_mm.structures.label_map_masks import LabelMapMasks
from cellseg_mm.structures.rle_masks import RLEMasks
from tests.models.roi_inputs import CHANNELS, HEIGHT, WIDTH, boxes

STOCK = {"CellMaskHead": "FCNMaskHead", "CellHTCMaskHead": "HTCMaskHead"}


@pytest.fixture(params=["cascade-mask-rcnn", "htc"])
def roi_heads(request: pytest.FixtureRequest, repository: Path) -> tuple[Any, Any]:
    """The heads of a leaf config, with few channels, and their stock twins of the same weights."""
    path = repository / f"configs/{request.param}_convnext-b_fpn_dense-cell.py"
    model = load_config(str(path), None, None).model
    config = {"train_cfg": model.train_cfg.rcnn, "test_cfg": model.test_cfg.rcnn, **model.roi_head}
    config["bbox_roi_extractor"]["out_channels"] = CHANNELS
    config["mask_roi_extractor"]["out_channels"] = CHANNELS
    for head in config["bbox_head"]:
        head.update(in_channels=CHANNELS, fc_out_channels=16)
    stock_config = copy.deepcopy(config)
    for each in (config, stock_config):
        masks = each["mask_head"]
        for head in masks if isinstance(masks, list) else [masks]:
            head.update(num_convs=1, in_channels=CHANNELS, conv_out_channels=CHANNELS)
            if each is stock_config:
                head["type"] = STOCK[head["type"]]
    torch.manual_seed(0)
    ours, stock = MODELS.build(config), MODELS.build(stock_config)
    stock.init_weights()
    ours.load_state_dict(stock.state_dict())
    return ours, stock


@pytest.mark.parametrize("rescale", [True, False])
def test_predicted_masks_equal_the_stock_cascades(
    roi_heads: tuple[Any, Any], features: tuple[torch.Tensor, ...], rescale: bool
) -> None:
    meta = {"ori_shape": (HEIGHT, WIDTH), "img_shape": (HEIGHT, WIDTH), "scale_factor": (1.0, 1.0)}
    samples = [DetDataSample(metainfo=meta) for _ in range(2)]
    outputs = []
    for roi_head in roi_heads:
        roi_head.eval()
        roi_head.test_cfg.update(score_thr=0.0, max_per_img=12)
        proposals = [InstanceData(bboxes=boxes(9, seed)) for seed in (2, 3)]
        with torch.no_grad():
            outputs.append(roi_head.predict(features, proposals, samples, rescale=rescale))
    for ours, stock in zip(*outputs, strict=True):
        assert isinstance(ours.masks, RLEMasks)
        assert len(ours) == 12
        assert torch.equal(ours.bboxes, stock.bboxes)
        assert torch.equal(ours.scores, stock.scores)
        bitmaps = coco_mask.decode(list(ours.masks)).transpose(2, 0, 1)
        assert 0 < bitmaps.mean() < 1
        np.testing.assert_array_equal(bitmaps, stock.masks.numpy())


def test_losses_on_planes_equal_those_on_bitmaps(
    roi_heads: tuple[Any, Any], features: tuple[torch.Tensor, ...]
) -> None:
    cells = boxes(6, 4).round()
    bitmaps = np.zeros((6, HEIGHT, WIDTH), np.uint8)
    for bitmap, (left, top, right, bottom) in zip(bitmaps, cells.long().tolist(), strict=True):
        bitmap[top + 1 : bottom, left + 1 : right - 1] = 1
    truths = LabelMapMasks.from_bitmaps(bitmaps).to("cpu"), BitmapMasks(bitmaps, HEIGHT, WIDTH)
    outputs = []
    for roi_head, masks in zip(roi_heads, truths, strict=True):
        samples = []
        for _ in range(2):
            truth = InstanceData(bboxes=cells, labels=torch.arange(6) % 4, masks=masks)
            sample = DetDataSample(metainfo={"img_shape": (HEIGHT, WIDTH)})
            sample.gt_instances, sample.ignored_instances = truth, InstanceData(bboxes=boxes(0, 0))
            samples.append(sample)
        proposals = [InstanceData(bboxes=cells + shift) for shift in (1.0, -2.0)]
        torch.manual_seed(5)
        outputs.append(roi_head.loss(features, proposals, samples))
    ours, stock = outputs
    assert ours.keys() == stock.keys() >= {f"s{stage}.loss_mask" for stage in range(3)}
    assert all(torch.equal(ours[key], stock[key]) for key in ours)
    assert all(ours[f"s{stage}.loss_mask"] > 0 for stage in range(3))
