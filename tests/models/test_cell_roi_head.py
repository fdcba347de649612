"""The RoI head with room for masks, against the stock head with boxes enlarged by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from cellseg_mm.errors import UserError
from cellseg_mm.models.cell_roi_head import enlarged
from cellseg_mm.runs.run_config import load_config
from cellseg_mm.structures.probability_masks import ProbabilityMasks
from tests.models.roi_inputs import CHANNELS, HEIGHT, WIDTH, boxes

META = {"ori_shape": (32, 48), "img_shape": (HEIGHT, WIDTH), "scale_factor": (2.0, 2.0)}


def build(repository: Path, **settings: Any) -> Any:
    path = repository / "configs/mask-rcnn_r50_fpn_cell.py"
    model = load_config(str(path), None, None).model
    config = {"train_cfg": model.train_cfg.rcnn, "test_cfg": model.test_cfg.rcnn, **model.roi_head}
    config["bbox_roi_extractor"]["out_channels"] = CHANNELS
    config["mask_roi_extractor"]["out_channels"] = CHANNELS
    config["bbox_head"].update(in_channels=CHANNELS, fc_out_channels=16)
    config["mask_head"].update(num_convs=1, in_channels=CHANNELS, conv_out_channels=CHANNELS)
    config["test_cfg"].update(score_thr=0.0, max_per_img=12, keep_probabilities=True)
    config.update(settings)
    torch.manual_seed(0)
    head = MODELS.build(config)
    head.init_weights()
    with torch.no_grad():
        head.bbox_head.fc_cls.weight.mul_(100)
        head.bbox_head.fc_reg.weight.mul_(100)
    return head


@pytest.fixture
def stock(repository: Path) -> Any:
    return build(repository, type="StandardRoIHead")


@pytest.fixture
def roomy(repository: Path) -> Any:
    return build(repository, type="CellRoIHead", mask_scale=1.25)


def proposals() -> list[InstanceData]:
    """Boxes of two images, some of them at the border."""
    found = [InstanceData(bboxes=boxes(9, seed)) for seed in (2, 3)]
    for image in found:
        image.bboxes[0] -= image.bboxes[0, :2].repeat(2)
    return found


@torch.no_grad()
def predict(head: Any, features: Any, found: list[InstanceData], rescale: bool) -> list[Any]:
    samples = [DetDataSample(metainfo=META) for _ in found]
    predicted: list[Any] = head.eval().predict(features, found, samples, rescale=rescale)
    return predicted


@pytest.mark.parametrize("rescale", [True, False])
def test_without_settings_it_is_the_stock_head(
    repository: Path, stock: Any, features: Any, rescale: bool
) -> None:
    head = build(repository, type="CellRoIHead")
    expected = predict(stock, features, proposals(), rescale)
    found = predict(head, features, proposals(), rescale)
    for ours, theirs in zip(found, expected, strict=True):
        assert len(ours) == 12
        for key in ("bboxes", "scores", "labels"):
            assert torch.equal(ours[key], theirs[key])
        assert torch.equal(ours.masks.grids, theirs.masks.grids)
        assert torch.equal(ours.masks.boxes, theirs.masks.boxes)


@torch.no_grad()
@pytest.mark.parametrize("rescale", [True, False])
def test_masks_are_predicted_in_larger_boxes(
    roomy: Any, stock: Any, features: Any, rescale: bool
) -> None:
    found = predict(roomy, features, proposals(), rescale)
    plain = predict(stock, features, proposals(), rescale)
    for index, (ours, theirs) in enumerate(zip(found, plain, strict=True)):
        assert torch.equal(ours.bboxes, theirs.bboxes)  # the cells' own boxes
        assert isinstance(ours.masks, ProbabilityMasks)
        factor = 2 if rescale else 1
        seen = ours.masks.boxes * factor
        centre, size = (seen[:, :2] + seen[:, 2:]) / 2, seen[:, 2:] - seen[:, :2]
        own = theirs.bboxes * factor
        inside = (seen > 0).all(dim=1) & (seen < torch.tensor([WIDTH, HEIGHT] * 2)).all(dim=1)
        assert 0 < inside.sum() < len(seen)  # some are cut at the border
        torch.testing.assert_close(size[inside], 1.25 * (own[:, 2:] - own[:, :2])[inside])
        torch.testing.assert_close(centre[inside], ((own[:, :2] + own[:, 2:]) / 2)[inside])
        maps = [level[index : index + 1] for level in features]
        rois = torch.cat([torch.zeros(len(seen), 1), seen], dim=1)
        grids = roomy._mask_forward(maps, rois)["mask_preds"].sigmoid()
        torch.testing.assert_close(ours.masks.grids, grids[torch.arange(len(seen)), ours.labels])


def test_nothing_found_is_empty(roomy: Any, features: Any) -> None:
    nothing = [InstanceData(bboxes=torch.zeros(0, 4)) for _ in range(2)]
    for found in predict(roomy, features, nothing, True):
        assert len(found) == 0
        assert found.bboxes.shape == (0, 4)


def test_an_image_keeps_larger_boxes_inside() -> None:
    own = torch.tensor([[0.0, 10, 20, 30], [80, 50, 96, 64]])
    assert enlarged(own, 1.5, (64, 96)).tolist() == [[0, 5, 25, 35], [76, 46.5, 96, 64]]
    assert enlarged(own, 1.0, (64, 96)) is own


@pytest.mark.parametrize("scale", [0.9, 100_000, float("nan")])
def test_other_scales_are_refused(repository: Path, scale: float) -> None:
    with pytest.raises(UserError, match="choose 1 to 4"):
        build(repository, type="CellRoIHead", mask_scale=scale)
