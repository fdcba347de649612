"""Pretrained backbone weights from mmpretrain, torchvision, timm or an installed package."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from pathlib import Path

from mmengine.logging import print_log
from mmengine.registry import WEIGHT_INITIALIZERS
from torch import Tensor, nn

from cellseg_mm.errors import MissingFileError, UserError
from cellseg_mm.files.checkpoint_file import read_checkpoint
from cellseg_mm.files.local_copy import local_copy

_FROM_SCRATCH = "to train from scratch, add --cfg-options model.backbone.init_cfg=None"

# What may be absent from a classifier's weights: the norms that a detector adds after each stage.
_ADDED_BY_DETECTORS = re.compile(r"norm\d\.(weight|bias)")
# What only a classifier has.
_CLASSIFIER = re.compile(r"(fc|head|classifier|neck|conv_head|bn2)\.")
# What mmpretrain.TIMMBackbone puts before timm's names.
_TIMM = "timm_model."


@WEIGHT_INITIALIZERS.register_module()
class BackboneWeights:
    """Initialise a backbone from a file of ImageNet weights, whoever wrote it.

    Accepts weights of mmpretrain, mmdet, torchvision and timm, converts the names of ConvNeXt and
    EfficientNet parameters, and insists that every parameter of the backbone is found. Use as
    ``init_cfg=dict(type="BackboneWeights", checkpoint=...)``.

    Args:
        checkpoint: Path or URL of a ``.pth`` or ``.safetensors`` file, or a file of an installed
            package as ``package://<module>/<path in it>``. A URL is looked up in torch's download
            folder first. Files are read without executing code from them.
    """

    def __init__(self, checkpoint: str) -> None:
        self.checkpoint = checkpoint

    def __call__(self, module: nn.Module) -> None:
        """Load the weights into ``module``.

        Raises:
            FileNotFoundError: The file is neither here nor to be downloaded.
            ValueError: The file does not hold the weights of this backbone.
        """
        path = _local_file(self.checkpoint)
        own = module.state_dict()
        weights = convert_state_dict(_read(path))
        if own and all(k.startswith(_TIMM) for k in own):
            weights = {_TIMM + k.removeprefix(_TIMM): v for k, v in weights.items()}
        weights = {k: _reshape(v, own.get(k)) for k, v in weights.items()}
        missing = [
            k
            for k in own
            if k not in weights
            and not _ADDED_BY_DETECTORS.fullmatch(k)
            and not k.endswith("num_batches_tracked")
        ]
        # A detector may leave out the last norm, a classifier's file always has it.
        unknown = [k for k in weights if k not in own and not _ADDED_BY_DETECTORS.fullmatch(k)]
        wrong = [k for k, v in weights.items() if k in own and v.shape != own[k].shape]
        for problem, keys in (
            ("lacks", missing),
            ("has unknown", unknown),
            ("has other shapes for", wrong),
        ):
            if keys:
                raise UserError(
                    f"{path} is not for this {type(module).__name__}: it {problem} {len(keys)} "
                    f"parameters (such as {keys[0]}); set model.backbone.init_cfg.checkpoint to "
                    f"weights of this architecture, or {_FROM_SCRATCH}."
                )
        module.load_state_dict(weights, strict=False)
        print_log(f"Backbone weights: {path} ({len(weights)} tensors)", logger="current")


def convert_state_dict(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a backbone's parameters to mmpretrain's names and drop the classifier.

    Args:
        weights: State dict in the form of mmpretrain, mmdet, torchvision or timm.

    Returns:
        State dict for ``mmpretrain.ConvNeXt``; with timm's names for EfficientNet; for another
        architecture the input less prefix and classifier.
    """
    weights = {k.removeprefix("module."): v for k, v in weights.items()}
    if any(k.startswith("backbone.") for k in weights):
        weights = {
            k.removeprefix("backbone."): v for k, v in weights.items() if k.startswith("backbone.")
        }
    if "features.0.0.weight" in weights:
        rename = _torchvision_convnext
    elif "stem.0.weight" in weights:
        rename = _timm_convnext
    elif "_conv_stem.weight" in weights:
        return _efficientnet(weights)
    else:
        rename = _same
    renamed = ((rename(k), v) for k, v in weights.items())
    return {k: v for k, v in renamed if k is not None}


def _same(key: str) -> str | None:
    return None if _CLASSIFIER.match(key) else key


def _torchvision_convnext(key: str) -> str | None:
    """torchvision: features.{0 stem, 1/3/5/7 stages, 2/4/6 downsampling}, classifier."""
    parts = key.split(".")
    if parts[0] == "classifier":
        return f"norm3.{parts[2]}" if parts[1] == "0" else None
    index = int(parts[1])
    if index % 2 == 0:
        return f"downsample_layers.{index // 2}.{parts[2]}.{parts[3]}"
    block = f"stages.{index // 2}.{parts[2]}"
    if parts[3] == "layer_scale":
        return f"{block}.gamma"
    layer = {"0": "depthwise_conv", "2": "norm", "3": "pointwise_conv1", "5": "pointwise_conv2"}
    return f"{block}.{layer[parts[4]]}.{parts[5]}"


def _timm_convnext(key: str) -> str | None:
    """timm: stem, stages.i.{downsample, blocks.j}, head.norm, head.fc."""
    parts = key.split(".")
    if parts[0] == "head":
        return f"norm3.{parts[2]}" if parts[1] == "norm" else None
    if parts[0] == "stem":
        return f"downsample_layers.0.{parts[1]}.{parts[2]}"
    if parts[2] == "downsample":
        return f"downsample_layers.{parts[1]}.{parts[3]}.{parts[4]}"
    block, rest = f"stages.{parts[1]}.{parts[3]}", ".".join(parts[4:])
    for timm_name, name in (
        ("conv_dw", "depthwise_conv"),
        ("mlp.fc1", "pointwise_conv1"),
        ("mlp.fc2", "pointwise_conv2"),
        ("mlp.grn.weight", "grn.gamma"),
        ("mlp.grn.bias", "grn.beta"),
    ):
        rest = rest.replace(timm_name, name)
    return f"{block}.{rest}"


def _efficientnet(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """EfficientNet-PyTorch numbers its blocks through; timm by stage and block within it.

    Every stage has a number of output channels of its own, so these tell where a stage begins.
    """
    projection = re.compile(r"_blocks\.(\d+)\._project_conv\.weight")
    found = ((projection.fullmatch(key), weight) for key, weight in weights.items())
    channels = {int(match[1]): len(weight) for match, weight in found if match}
    stages = itertools.groupby(sorted(channels), key=lambda block: channels[block])
    place = {
        number: f"blocks.{stage}.{block}"
        for stage, (_, numbers) in enumerate(stages)
        for block, number in enumerate(numbers)
    }
    renamed = {}
    for key, weight in weights.items():
        parts = key.split(".")
        if parts[0] == "_blocks":
            expands = f"_blocks.{parts[1]}._expand_conv.weight" in weights
            layers = _EXPANDING_BLOCK if expands else _FIRST_BLOCK
            renamed[f"{place[int(parts[1])]}.{layers[parts[2]]}.{parts[3]}"] = weight
        elif parts[0] in _EFFICIENTNET_STEM:
            renamed[f"{_EFFICIENTNET_STEM[parts[0]]}.{parts[1]}"] = weight
    return renamed


_EFFICIENTNET_STEM = {"_conv_stem": "conv_stem", "_bn0": "bn1"}
_FIRST_BLOCK = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
_EXPANDING_BLOCK = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def _reshape(weight: Tensor, own: Tensor | None) -> Tensor:
    """Between a linear layer and a 1×1 convolution, (C,) and (C, 1, 1) layer scales."""
    if own is None or weight.squeeze().shape != own.squeeze().shape:
        return weight
    return weight.reshape(own.shape)


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint file."""
    content = read_checkpoint(path)
    for key in ("state_dict", "model"):
        if isinstance(content.get(key), dict):
            content = content[key]
    return {k: v for k, v in content.items() if isinstance(v, Tensor)}


def _local_file(checkpoint: str) -> Path:
    """The file of a path, package or address, downloaded if need be."""
    try:
        return local_copy(checkpoint)
    except MissingFileError as error:
        raise MissingFileError(
            f"The backbone weights are missing: {error} Set model.backbone.init_cfg.checkpoint to "
            f"a file or address, or {_FROM_SCRATCH}."
        ) from error
