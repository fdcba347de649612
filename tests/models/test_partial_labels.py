"""The loss of images that are not annotated for all classes."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from cellseg_mm.errors import UserError
from cellseg_mm.models.partial_labels import PartialLabelBBoxHead, join_background
from cellseg_mm.runs.partial_labels import PARTIAL_LABEL_HEADS
from cellseg_mm.runs.run_config import load_config

SPINDLE, BACKGROUND = 1, 3


def head() -> PartialLabelBBoxHead:
    return PartialLabelBBoxHead(
        num_classes=3,
        in_channels=4,
        fc_out_channels=8,
        roi_feat_size=2,
        loss_cls={"type": "CrossEntropyLoss", "use_sigmoid": False},
    )


def class_loss(each: Any, logits: torch.Tensor, images: list[int], labels: list[int]) -> Any:
    rois = torch.zeros(len(images), 5)
    rois[:, 0] = torch.tensor(images)
    weights = torch.ones(len(labels))
    return each.loss(logits, None, rois, torch.tensor(labels), weights, None, None)["loss_cls"]


def test_what_is_not_annotated_joins_the_background_of_its_image() -> None:
    probabilities = torch.tensor([[0.1, 0.6, 0.1, 0.2]] * 3)
    logits = probabilities.log().requires_grad_()
    each = head()
    each.unannotated = [[], [SPINDLE]]
    # Background of the whole and of the partial image; a labelled cell of the partial one.
    loss = class_loss(each, logits, [0, 1, 1], [BACKGROUND, BACKGROUND, 0])
    expected = -(torch.tensor(0.2).log() + torch.tensor(0.8).log() + torch.tensor(0.1).log()) / 3
    torch.testing.assert_close(loss, expected)
    loss.backward()
    # dL/dz_k = p_k - p_k / .8 for what may be there, p_k for what is known not to be.
    expected_gradient = torch.tensor([0.1, 0.6 - 0.75, 0.1, 0.2 - 0.25]) / 3
    torch.testing.assert_close(logits.grad[1], expected_gradient)
    assert logits.grad[0, SPINDLE] > 0  # where it is annotated, its logit is pushed down
    assert torch.isfinite(logits.grad).all()


def test_a_confident_cell_of_an_unannotated_class_is_left_alone() -> None:
    each = head()
    each.unannotated = [[SPINDLE]]
    logits = torch.tensor([[0.0, 9.0, 0.0, 0.0]], requires_grad=True)
    class_loss(each, logits, [0], [BACKGROUND]).backward()
    assert logits.grad.abs().max() < 1e-3


def test_rows_without_joined_classes_keep_their_bits() -> None:
    logits = torch.randn(5, 4)
    joined = torch.zeros(5, 3, dtype=torch.bool)
    assert torch.equal(join_background(logits, joined), logits)
    joined[2] = True
    torch.testing.assert_close(join_background(logits, joined)[2, 3], logits[2].logsumexp(0))
    assert torch.equal(join_background(logits, joined)[[0, 1, 3, 4]], logits[[0, 1, 3, 4]])


def test_a_sigmoid_is_refused() -> None:
    with pytest.raises(UserError, match="use_sigmoid=False"):
        PartialLabelBBoxHead(
            num_classes=3, loss_cls={"type": "CrossEntropyLoss", "use_sigmoid": True}
        )


@pytest.mark.parametrize(
    "name", ["cascade-mask-rcnn_convnext-b", "htc_convnext-b", "mask-rcnn_r50"]
)
def test_with_all_classes_annotated_the_losses_are_the_stock_ones(
    name: str, repository: Any
) -> None:
    recipe = "cell" if "r50" in name else "dense-cell"
    model = load_config(str(repository / f"configs/{name}_fpn_{recipe}.py"), None, None).model
    settings = {**model.roi_head, "train_cfg": model.train_cfg.rcnn}
    del settings["mask_head"], settings["mask_roi_extractor"]
    settings["bbox_roi_extractor"]["out_channels"] = 8
    if "htc" in name:
        settings.update(interleaved=False, mask_info_flow=False)
    stages = settings["bbox_head"] if isinstance(settings["bbox_head"], list) else None
    for stage in stages or [settings["bbox_head"]]:
        stage.update(in_channels=8, fc_out_channels=16)
    partial = copy.deepcopy(settings)
    partial["type"] = PARTIAL_LABEL_HEADS[partial["type"]]
    for stage in partial["bbox_head"] if stages else [partial["bbox_head"]]:
        stage["type"] = PARTIAL_LABEL_HEADS[stage["type"]]
    torch.manual_seed(0)
    stock, ours = MODELS.build(settings), MODELS.build(partial)
    ours.load_state_dict(stock.state_dict())

    features = tuple(torch.randn(2, 8, 64 // s, 64 // s) for s in (4, 8, 16, 32))
    corners = torch.rand(2, 40, 2) * 40
    proposals = torch.cat([corners, corners + 4 + 20 * torch.rand(2, 40, 2)], dim=2)

    def losses(heads: Any, unannotated: list[list[int]]) -> dict[str, torch.Tensor]:
        samples = []
        for boxes, missing in zip(proposals, unannotated, strict=True):
            sample = DetDataSample(metainfo={"img_shape": (64, 64), "unannotated": missing})
            sample.gt_instances = InstanceData(bboxes=boxes[:6].clone(), labels=torch.arange(6) % 3)
            samples.append(sample)
        found = [InstanceData(bboxes=boxes.clone(), scores=torch.ones(40)) for boxes in proposals]
        torch.manual_seed(1)
        return heads.loss(features, found, samples)

    expected, found = losses(stock, [[], []]), losses(ours, [[], []])
    assert expected.keys() == found.keys()
    for key, value in expected.items():
        assert torch.equal(torch.as_tensor(value), torch.as_tensor(found[key])), key
    partial_losses = losses(ours, [[], [3]])
    changed = [k for k in expected if "loss_cls" in k and partial_losses[k] < expected[k]]
    assert len(changed) == (3 if stages else 1)
