"""Backbone weights of mmpretrain, torchvision and timm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from mmpretrain.models import ConvNeXt
from safetensors.torch import save_file
from torch import nn

from cellseg_mm.files import local_copy
from cellseg_mm.models.backbone_weights import BackboneWeights, convert_state_dict

TINY: dict[str, Any] = {"depths": [1, 1, 2, 1], "channels": [8, 16, 24, 32]}
IMAGE = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def our_backbone(arch: Any = TINY, **kwargs: Any) -> ConvNeXt:
    backbone = ConvNeXt(
        arch, out_indices=[0, 1, 2, 3], gap_before_final_norm=False, init_cfg=None, **kwargs
    )
    backbone.eval()
    return backbone


def randomize(module: nn.Module) -> None:
    generator = torch.Generator().manual_seed(1)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.1


def features(backbone: ConvNeXt) -> list[torch.Tensor]:
    """The output of each stage, before the norms that only a detector has."""
    outputs = []
    x = IMAGE
    for downsample, stage in zip(backbone.downsample_layers, backbone.stages, strict=True):
        x = stage(downsample(x))
        outputs.append(x)
    outputs.append(backbone.norm3(x))
    return outputs


def assert_close(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> None:
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_torchvision_weights_give_the_same_features(tmp_path: Path) -> None:
    blocks = [
        torchvision.models.convnext.CNBlockConfig(c, n, d)
        for c, n, d in zip([8, 16, 24, 32], [16, 24, 32, None], TINY["depths"], strict=True)
    ]
    model = torchvision.models.convnext.ConvNeXt(blocks).eval()
    randomize(model)
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    backbone = our_backbone()
    BackboneWeights(str(tmp_path / "weights.pth"))(backbone)
    expected, x = [], IMAGE
    for index, layer in enumerate(model.features):
        x = layer(x)
        if index % 2:
            expected.append(x)
    expected.append(model.classifier[0](x))
    assert_close(features(backbone), expected)


@pytest.mark.parametrize("version", [1, 2])
@torch.no_grad()
def test_timm_weights_give_the_same_features(tmp_path: Path, version: int) -> None:
    extra = {"use_grn": True, "ls_init_value": None} if version == 2 else {}
    model = timm.models.convnext.ConvNeXt(
        depths=TINY["depths"], dims=TINY["channels"], conv_mlp=True, **extra
    ).eval()
    randomize(model)
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    ours = {"use_grn": True, "layer_scale_init_value": 0.0} if version == 2 else {}
    backbone = our_backbone(**ours)
    BackboneWeights(str(tmp_path / "weights.safetensors"))(backbone)
    expected, x = [], model.stem(IMAGE)
    for stage in model.stages:
        x = stage(x)
        expected.append(x)
    expected.append(model.head.norm(x))
    assert_close(features(backbone), expected)


@torch.no_grad()
def test_mmpretrain_weights_give_the_same_features(tmp_path: Path) -> None:
    source = our_backbone()
    randomize(source)
    state = {f"backbone.{k}": v for k, v in source.state_dict().items() if "norm0" not in k}
    state["head.fc.weight"] = torch.zeros(10, 32)
    torch.save({"state_dict": state, "meta": {}}, tmp_path / "weights.pth")
    backbone = our_backbone()
    BackboneWeights(str(tmp_path / "weights.pth"))(backbone)
    assert_close(features(backbone), features(source))


def test_full_size_names_of_convnext_base() -> None:
    """Every parameter of the real ConvNeXt-Base has a place, none is left over."""
    own = our_backbone("base").state_dict()
    with torch.device("meta"):
        sources = [
            torchvision.models.convnext_base().state_dict(),
            timm.create_model("convnext_base").state_dict(),
        ]
    for source in sources:
        converted = convert_state_dict(source)
        assert set(own) - set(converted) == {
            f"norm{i}.{p}" for i in range(3) for p in ("weight", "bias")
        }
        assert set(converted) <= set(own)


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    torch.save(our_backbone().state_dict(), tmp_path / "weights.pth")
    wider = our_backbone({"depths": [1, 1, 2, 1], "channels": [8, 16, 24, 40]})
    with pytest.raises(ValueError, match=r"weights\.pth is not for this ConvNeXt: .*shapes"):
        BackboneWeights(str(tmp_path / "weights.pth"))(wider)
    deeper = our_backbone({"depths": [1, 1, 3, 1], "channels": TINY["channels"]})
    with pytest.raises(ValueError, match=r"lacks \d+ parameters \(such as stages\.2\.2"):
        BackboneWeights(str(tmp_path / "weights.pth"))(deeper)


def test_offline_one_sentence_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))

    def offline(*args: Any, **kwargs: Any) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(local_copy.urllib.request, "urlopen", offline)
    url = "https://example.org/convnext-base-01234567.pth"
    with pytest.raises(FileNotFoundError) as caught:
        BackboneWeights(url)(our_backbone())
    message = str(caught.value)
    assert url in message
    assert str(tmp_path / "checkpoints" / "convnext-base-01234567.pth") in message
    assert "init_cfg=None" in message
    assert not list((tmp_path / "checkpoints").iterdir())  # no partial file

    with pytest.raises(FileNotFoundError, match=r"missing\.pth does not exist"):
        BackboneWeights("missing.pth")(our_backbone())


def test_a_damaged_download_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    (tmp_path / "weights-01234567.pth").write_bytes(b"not what the name promises")
    original = local_copy.urllib.request.urlopen
    monkeypatch.setattr(
        local_copy.urllib.request,
        "urlopen",
        lambda url, timeout: original((tmp_path / "weights-01234567.pth").as_uri()),
    )
    with pytest.raises(FileNotFoundError, match="SHA-256"):
        BackboneWeights("https://example.org/weights-01234567.pth")(our_backbone())
    assert not list((tmp_path / "hub" / "checkpoints").iterdir())
