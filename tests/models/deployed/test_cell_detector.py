"""The detector for results finds what the stock detector finds."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from pycocotools import mask as coco_mask

from cellseg_mm.models.deployed import cell_detector
from cellseg_mm.models.deployed.cell_detector import CellDetector, Detections, can_deploy
from cellseg_mm.models.deployed.proposals import ProposalFinder
from cellseg_mm.preparation.synthetic_cells import synthesize_image
from cellseg_mm.structures.probability_masks import ProbabilityMasks

CONFIG = "configs/mask-rcnn_efficientnet-lite0_fpn_dense-cell.py"


@pytest.fixture(scope="module", params=["StandardRoIHead", "CellRoIHead"])
def stock(repository: Path, request: pytest.FixtureRequest) -> torch.nn.Module:
    """The detector of tools/test.py with random weights that see cells of several classes."""
    init_default_scope("mmdet")
    torch.manual_seed(0)
    config = Config.fromfile(repository / CONFIG).model
    config.backbone.init_cfg = None
    config.test_cfg.rcnn.nms.class_agnostic = True
    config.roi_head.type = request.param
    if request.param == "CellRoIHead":
        config.roi_head.mask_scale = 1.2
    model = MODELS.build(config).eval()
    with torch.no_grad():
        model.roi_head.bbox_head.fc_cls.weight.mul_(300)
        model.roi_head.bbox_head.fc_reg.weight.mul_(30)
        model.roi_head.mask_head.conv_logits.weight.mul_(10)
        model.rpn_head.rpn_cls.weight.mul_(5)
    return model


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it in float32, whatever the processor."""
    monkeypatch.setattr(cell_detector, "_multiplies_bfloat16", lambda: False)


@torch.inference_mode()
def by_stock(model: torch.nn.Module, rgb: np.ndarray) -> InstanceData:
    height, width = rgb.shape[:2]
    sample = DetDataSample(
        metainfo={
            "ori_shape": (height, width),
            "img_shape": (height, width),
            "scale_factor": (1.0, 1.0),
        }
    )
    bgr = torch.from_numpy(rgb[..., ::-1].copy()).permute(2, 0, 1)
    return model.test_step({"inputs": [bgr], "data_samples": [sample]})[0].pred_instances


def by_ours(model: torch.nn.Module, rgb: np.ndarray, min_scores: list[float]) -> Detections:
    height, width = rgb.shape[:2]
    images = (torch.from_numpy(rgb).permute(2, 0, 1)[None].float() - 127) / 128
    images = torch.nn.functional.pad(images, (0, -width % 32, 0, -height % 32))
    detector = CellDetector(copy.deepcopy(model))
    (found,) = detector(images, [(height, width)], torch.tensor(min_scores))
    return found


@pytest.mark.usefixtures("exact")
def test_equals_the_stock_detector_on_painted_cells(stock: torch.nn.Module) -> None:
    assert can_deploy(stock)
    rgb = synthesize_image(np.random.default_rng(0), 200, 170, 60).rgb
    expected = by_stock(stock, rgb)
    expected = expected[expected.scores >= 0.5]  # one class only can reach it
    assert len(expected) > 20
    assert len(expected.labels.unique()) > 1

    found = by_ours(stock, rgb, [0.5] * 4)

    # Boxes of nearly equal scores may change places.
    order = torch.cdist(found.boxes, expected.bboxes, p=torch.inf).argmin(dim=1)
    assert sorted(order.tolist()) == list(range(len(expected)))
    expected = expected[order]
    torch.testing.assert_close(found.boxes, expected.bboxes, atol=1e-2, rtol=1e-4)
    torch.testing.assert_close(found.scores, expected.scores, atol=1e-4, rtol=1e-4)
    assert found.labels.tolist() == expected.labels.tolist()
    torch.testing.assert_close(found.probabilities.max(dim=1).values, found.scores)
    assert (found.probabilities.sum(dim=1) <= 1 + 1e-5).all()
    ours = list(ProbabilityMasks(found.masks, found.mask_boxes, *rgb.shape[:2]).to_rle(0.5))
    iou = np.diag(coco_mask.iou(ours, list(expected.masks), [0] * len(ours)))
    areas = np.array([coco_mask.area(rle) for rle in ours])
    assert (areas >= 20).sum() > 20
    assert iou[areas >= 20].min() > 0.9  # a pixel or two at the threshold
    assert iou[areas > 0].mean() > 0.995


@pytest.mark.usefixtures("exact")
def test_each_class_has_its_least_score(stock: torch.nn.Module) -> None:
    rgb = synthesize_image(np.random.default_rng(1), 128, 128, 40).rgb
    everything = by_ours(stock, rgb, [0.2] * 4)
    common = int(everything.labels.bincount().argmax())
    without = [1.1 if label == common else 0.2 for label in range(4)]
    found = by_ours(stock, rgb, without)
    assert len(found.labels)
    assert common not in found.labels
    # The box goes to the best of the classes that are left.
    rest = found.probabilities.clone()
    rest[:, common] = 0
    assert rest.argmax(dim=1).tolist() == found.labels.tolist()


def test_nothing_found_is_empty(stock: torch.nn.Module) -> None:
    found = by_ours(stock, np.full((64, 96, 3), 255, np.uint8), [1.1] * 4)
    assert [len(part) for part in found] == [0] * 6
    assert found.boxes.shape == (0, 4)


@torch.inference_mode()
def test_a_small_image_gets_its_share_of_the_proposals(stock: torch.nn.Module) -> None:
    torch.manual_seed(0)
    image = torch.randn(1, 3, 512, 512)
    maps = stock.neck(stock.backbone(image))
    count = {}
    for full_area in (None, 512 * 512, 2 * 512 * 512, 100 * 512 * 512):
        (boxes,) = ProposalFinder(stock.rpn_head, full_area)(maps, [(512, 512)])
        count[full_area] = len(boxes)
    assert count[512 * 512] == count[None] == stock.test_cfg.rpn.max_per_img == 3000
    assert count[2 * 512 * 512] == 1500
    assert count[100 * 512 * 512] == 300


def test_a_crowded_image_gets_more_proposals(stock: torch.nn.Module) -> None:
    rgb = synthesize_image(np.random.default_rng(0), 128, 128, 60).rgb
    images = (torch.from_numpy(rgb).permute(2, 0, 1)[None].float() - 127) / 128

    def find(proposals: int, full_area: int | None) -> Detections:
        model = copy.deepcopy(stock)
        model.rpn_head.test_cfg.max_per_img = proposals
        detector = CellDetector(model, full_area)
        (found,) = detector(images, [(128, 128)], torch.tensor([0.5] * 4))
        return found

    # Sixty proposals instead of thirty, where every other one or more of these is a cell.
    assert 15 < len(find(30, None).scores) <= 30 < len(find(30, 128 * 128).scores) <= 60
    # Where fewer are, nothing changes.
    assert len(find(300, None).scores) < 150
    for one, other in zip(find(300, None), find(300, 128 * 128), strict=True):
        assert torch.equal(one, other)


def test_other_detectors_are_left_alone(repository: Path) -> None:
    config = Config.fromfile(repository / "configs/htc_convnext-b_fpn_dense-cell.py").model
    config.backbone.update(arch="atto", use_grn=True, init_cfg=None)
    config.neck.in_channels = [40, 80, 160, 320]
    assert not can_deploy(MODELS.build(config))


@pytest.mark.shared_data
@pytest.mark.parametrize("folder", ["nucls_cc0", "consep"])
def test_a_trained_model_finds_the_same_cells(
    repository: Path, shared_data: Path, folder: str
) -> None:
    checkpoint = shared_data.parent / "models/consep-laptop-4200it.pth"
    if not checkpoint.is_file():
        pytest.skip("needs the developers' model")
    config = Config.fromfile(repository / CONFIG).model
    config.backbone.init_cfg = None
    config.test_cfg.rcnn.nms.class_agnostic = True
    model = MODELS.build(config).eval()
    model.load_state_dict(torch.load(checkpoint, weights_only=False)["state_dict"])
    path = min((shared_data / folder / "test_release").glob("*.tif"))
    rgb = np.ascontiguousarray(tifffile.imread(path)[:320, :300, :3])
    expected = by_stock(model, rgb)
    expected = expected[expected.scores >= 0.5]
    assert len(expected) >= 10

    found = by_ours(model, rgb, [0.5] * 4)

    ours = list(ProbabilityMasks(found.masks, found.mask_boxes, *rgb.shape[:2]).to_rle(0.5))
    iou = coco_mask.iou(list(expected.masks), ours, [0] * len(ours))
    same = expected.labels.numpy()[:, None] == found.labels.numpy()
    matched = ((iou >= 0.9) & same).any(axis=1).sum()
    # In bfloat16, 99.7 % of 2,984 cells were the same; of some dozens, two may be among the others.
    assert matched >= max(len(expected), len(found.labels)) - 2
