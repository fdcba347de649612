"""The mask head on planes, against the stock head on bitmaps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.models.task_modules.samplers import SamplingResult
from mmdet.structures.mask import BitmapMasks
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from pycocotools import mask as coco_mask

from cellseg_mm.models.cell_mask_head import CellMaskHead
from cellseg_mm.structures.label_map_masks import LabelMapMasks
from cellseg_mm.structures.rle_masks import RLEMasks

HEIGHT, WIDTH = 90, 120


@pytest.fixture
def heads() -> tuple[CellMaskHead, FCNMaskHead]:
    arguments = {"num_convs": 1, "in_channels": 8, "conv_out_channels": 8, "num_classes": 3}
    torch.manual_seed(0)
    stock = FCNMaskHead(**arguments)
    ours = CellMaskHead(**arguments)
    ours.load_state_dict(stock.state_dict())
    return ours, stock


def sampled_image(seed: int, positives: int) -> tuple[SamplingResult, np.ndarray]:
    """An image with 20 cells and positive boxes around some of them."""
    rng = np.random.default_rng(seed)
    bitmaps = np.zeros((20, HEIGHT, WIDTH), np.uint8)
    for bitmap in bitmaps:
        y, x, h, w = rng.integers([0, 0, 5, 5], [HEIGHT - 5, WIDTH - 5, 25, 25])
        bitmap[y : y + h, x : x + w] = 1
    gt_boxes = BitmapMasks(bitmaps, HEIGHT, WIDTH).get_bboxes("hbox").tensor
    assigned = torch.as_tensor(rng.integers(0, 20, positives))
    priors = gt_boxes[assigned] + torch.as_tensor(rng.normal(0, 3, (positives, 4))).float()
    priors[:, 2:] = torch.maximum(priors[:, 2:], priors[:, :2] + 0.1)
    result = SamplingResult.__new__(SamplingResult)
    result.pos_priors = priors  # some reach over the image's border
    result.pos_assigned_gt_inds = assigned
    result.pos_gt_labels = assigned % 3
    return result, bitmaps


@pytest.mark.parametrize("soft", [False, True])
def test_targets_and_loss_equal_the_stock_heads(
    heads: tuple[CellMaskHead, FCNMaskHead], soft: bool
) -> None:
    ours, stock = heads
    samples = [sampled_image(seed, positives) for seed, positives in ((1, 15), (2, 0), (3, 9))]
    results = [result for result, _ in samples]
    planes = [InstanceData(masks=LabelMapMasks.from_bitmaps(b).to("cpu")) for _, b in samples]
    bitmaps = [InstanceData(masks=BitmapMasks(b, HEIGHT, WIDTH)) for _, b in samples]
    config = ConfigDict(mask_size=28, soft_mask_target=soft)
    expected = stock.get_targets(results, bitmaps, config)
    assert expected.any()
    assert torch.equal(ours.get_targets(results, planes, config), expected)
    assert torch.equal(ours.get_targets(results, bitmaps, config), expected)  # stock masks work too
    logits = torch.randn(24, 3, 28, 28)
    loss = ours.loss_and_target(logits, results, planes, config)["loss_mask"]["loss_mask"]
    stock_loss = stock.loss_and_target(logits, results, bitmaps, config)["loss_mask"]["loss_mask"]
    assert loss == stock_loss


@pytest.mark.parametrize("rescale", [True, False])
def test_results_equal_the_stock_heads(
    heads: tuple[CellMaskHead, FCNMaskHead], rescale: bool
) -> None:
    generator = torch.Generator().manual_seed(4)
    counts = (12, 0)
    logits = [torch.randn(n, 3, 28, 28, generator=generator) for n in counts]
    metas = [{"ori_shape": (HEIGHT, WIDTH), "scale_factor": (1.5, 1.25)} for _ in counts]
    outputs = []
    for head in heads:
        results = []
        for n in counts:
            corner = torch.rand(n, 2, generator=generator.manual_seed(n)) * 70
            extent = torch.rand(n, 2, generator=generator) * 60
            results.append(
                InstanceData(
                    bboxes=torch.cat([corner, corner + extent], 1), labels=torch.arange(n) % 3
                )
            )
        config = ConfigDict(mask_thr_binary=0.5)
        outputs.append(head.predict_by_feat(logits, results, metas, config, rescale=rescale))
    for ours, stock in zip(*outputs, strict=True):
        assert isinstance(ours.masks, RLEMasks)
        expected = coco_mask.encode(
            np.asfortranarray(stock.masks.numpy().transpose(1, 2, 0)).view("u1")
        )
        assert list(ours.masks) == [
            {"size": e["size"], "counts": e["counts"].decode()} for e in expected
        ]
        assert torch.equal(ours.bboxes, stock.bboxes)  # scaled back in place
