"""Pretrained backbone weights from mmpretrain, torchvision or timm."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import torch
from mmengine.logging import print_log
from mmengine.registry import WEIGHT_INITIALIZERS
from torch import Tensor, nn

_TIMEOUT = 30  # seconds
_FROM_SCRATCH = "to train from scratch, add --cfg-options model.backbone.init_cfg=None"

# What may be absent from a classifier's weights: the norms that a detector adds after each stage.
_ADDED_BY_DETECTORS = re.compile(r"norm\d\.(weight|bias)")
# What only a classifier has.
_CLASSIFIER = re.compile(r"(fc|head|classifier|neck)\.")


@WEIGHT_INITIALIZERS.register_module()
class BackboneWeights:
    """Initialise a backbone from a file of ImageNet weights, whoever wrote it.

    Accepts weights of mmpretrain, mmdet, torchvision and timm, converts the names of ConvNeXt
    parameters, and insists that every parameter of the backbone is found. Use as
    ``init_cfg=dict(type="BackboneWeights", checkpoint=...)``.

    Args:
        checkpoint: Path or URL of a ``.pth`` or ``.safetensors`` file. A URL is looked up in
            torch's download folder first. Files are read without executing code from them.
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
                raise ValueError(
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
        State dict for ``mmpretrain.ConvNeXt``, or the input less prefix and classifier for another
        architecture.
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


def _reshape(weight: Tensor, own: Tensor | None) -> Tensor:
    """Between a linear layer and a 1×1 convolution, (C,) and (C, 1, 1) layer scales."""
    if own is None or weight.squeeze().shape != own.squeeze().shape:
        return weight
    return weight.reshape(own.shape)


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint file."""
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return dict(load_file(path))
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(
            f"{path} is not a file of weights that can be read without running code from it "
            f"({str(error).splitlines()[0]}): fetch it again, or save its state dict alone."
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, not a state dict of weights.")
    return {k: v for k, v in content.items() if isinstance(v, Tensor)}


def _local_file(checkpoint: str) -> Path:
    """The file of a path or URL, downloaded if need be."""
    if not checkpoint.startswith(("http://", "https://")):
        path = Path(checkpoint).expanduser()
        if not path.is_file():
            raise FileNotFoundError(
                f"The backbone weights {path} do not exist: set "
                f"model.backbone.init_cfg.checkpoint to a file or URL, or {_FROM_SCRATCH}."
            )
        return path
    path = Path(torch.hub.get_dir(), "checkpoints", checkpoint.rsplit("/", 1)[-1])
    if path.is_file():
        return path
    print_log(f"Downloading {checkpoint} to {path}", logger="current")
    try:
        _download(checkpoint, path)
    except (urllib.error.URLError, OSError) as error:
        raise FileNotFoundError(
            f"The backbone weights cannot be downloaded ({error}): fetch {checkpoint} on another "
            f"machine and put it at {path}, or {_FROM_SCRATCH}."
        ) from error
    return path


def _download(url: str, path: Path) -> None:
    """Download whole or not at all; a name may end in the start of the SHA-256 (torch.hub)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    try:
        with (
            os.fdopen(descriptor, "wb") as file,
            urllib.request.urlopen(url, timeout=_TIMEOUT) as response,
        ):
            shutil.copyfileobj(response, file, 1 << 20)
        expected = re.search(r"-([0-9a-f]{8,})\.", path.name)
        with open(partial, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if expected and not digest.startswith(expected[1]):
            raise OSError(f"its SHA-256 starts with {digest[:8]}, not with {expected[1]}")
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise
