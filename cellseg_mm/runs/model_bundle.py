"""Published models: a folder of weights and data, from which no code is ever run.

A bundle holds ``model.safetensors`` (weights), ``model.json`` (network, test pipeline, classes,
scale, thresholds, licence, scores) and ``README.md`` (the card). ``tools/publish_model.py`` writes
it, ``cellseg_mm/model_zoo/`` has those that are installed with the package.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor

from cellseg_mm.errors import MissingFileError, UserError
from cellseg_mm.files.checkpoint_file import read_checkpoint
from cellseg_mm.files.json_file import read_json
from cellseg_mm.runs.partial_labels import PARTIAL_LABEL_HEADS

FORMAT = "cellseg-mm model 1"
WEIGHTS_FILE, MODEL_FILE, CARD_FILE = "model.safetensors", "model.json", "README.md"
ZOO = Path(__file__).parent.parent / "model_zoo"

DEFAULT_THRESHOLD = 0.5
"""Least score of a cell where nothing better is known."""

_TYPES = {
    *("MaskRCNN", "CascadeRCNN", "HybridTaskCascade", "DetDataPreprocessor"),
    *("ResNet", "mmpretrain.ConvNeXt", "NormEvalTIMMBackbone", "FPN", "BN", "GN", "LN", "LN2d"),
    *("RPNHead", "AnchorGenerator", "DeltaXYWHBBoxCoder"),
    *("CrossEntropyLoss", "L1Loss", "SmoothL1Loss"),
    *("StandardRoIHead", "CellRoIHead", "CascadeRoIHead", "HybridTaskCascadeRoIHead"),
    *("SingleRoIExtractor", "RoIAlign", "Shared2FCBBoxHead", "CellMaskHead", "CellHTCMaskHead"),
    *("nms", "soft_nms", "LoadImageFromFile", "Resize", "PackDetInputs"),
}
"""What a bundle may name. A registry would build anything, such as what reads or loads files."""

_KEYS = {
    *("anchor_generator", "arch", "backbone", "bbox_coder", "bbox_head", "bbox_roi_extractor"),
    *("beta", "bgr_to_rgb", "class_agnostic", "conv_out_channels", "data_preprocessor", "depth"),
    *("drop_path_rate", "fc_out_channels", "feat_channels", "featmap_strides", "features_only"),
    *("frozen_stages", "gap_before_final_norm", "in_channels", "interleaved", "iou_threshold"),
    *("keep_ratio", "layer_scale_init_value", "loss_bbox", "loss_cls", "loss_mask", "loss_weight"),
    *("mask_head", "mask_info_flow", "mask_roi_extractor", "mask_scale", "mask_thr_binary"),
    *("max_per_img", "mean", "meta_keys", "method", "min_bbox_size", "min_score", "model_name"),
    *("neck", "nms", "nms_pre", "norm_cfg", "norm_eval", "num_classes", "num_convs", "num_groups"),
    *("num_outs", "num_stages", "out_channels", "out_indices", "output_size", "pad_mask"),
    *("pad_size_divisor", "ratios", "rcnn", "reg_class_agnostic", "requires_grad", "roi_feat_size"),
    *("roi_head", "roi_layer", "rpn", "rpn_head", "sampling_ratio", "scale_factor", "scales"),
    *("score_thr", "sigma", "stage_loss_weights", "std", "strides", "style", "target_means"),
    *("target_stds", "test_cfg", "train_cfg", "type", "use_grn", "use_mask", "use_sigmoid"),
    "with_conv_res",
}
"""What a bundle may set: what the configs of this package do, and settings of NMS."""

_FOR_TRAINING = {"init_cfg", "pretrained", "checkpoint", "checkpoint_path", "url"}
_STOCK_HEADS = {ours: stock for stock, ours in PARTIAL_LABEL_HEADS.items()}
_KEEP_SIZE = {"type": "Resize", "scale_factor": 1.0, "keep_ratio": True}
_LARGEST_MODEL_FILE = 1 << 20
_LARGEST_WEIGHTS = 4 << 30
"""Bytes; ten times those of the largest network here."""

_LARGEST_NUMBER = 100_000
_PLAIN_NAME = re.compile(r"[\w.-]+")


@dataclass(frozen=True)
class ModelBundle:
    """A trained model and what is needed to use it.

    Attributes:
        name: Its name, or that of its file.
        folder: Where it lies.
        weights: File of the weights.
        classes: Names of the classes.
        model: The network, as MMDetection's registry builds it.
        test_pipeline: Transforms of an image, the first one loads it.
        sha256: Of the weights' file.
        mpp: µm per pixel of the images that it was trained on; None if unknown.
        thresholds: Least score of a cell, by class.
        licence: Of the weights.
        scores: Of its card, by metric.
        summary: One line on what it is for.
    """

    name: str
    folder: Path
    weights: Path
    classes: tuple[str, ...]
    model: ConfigDict
    test_pipeline: list[ConfigDict]
    sha256: str
    mpp: float | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    licence: str = "not stated"
    scores: Mapping[str, Any] = field(default_factory=dict)
    summary: str = ""

    def threshold(self, name: str) -> float:
        """Least score of a cell of a class."""
        return self.thresholds.get(name, DEFAULT_THRESHOLD)

    def state_dict(self) -> dict[str, Tensor]:
        """The weights, in 32 bits.

        Raises:
            UserError: The file is damaged or not the one that the bundle was written with.
        """
        if self.weights.suffix != ".safetensors":
            state = read_checkpoint(self.weights).get("state_dict")
            if not isinstance(state, dict):
                raise UserError(f"{self.weights} is not a checkpoint, for it has no state_dict.")
            return state
        _check_size(self.weights, _LARGEST_WEIGHTS)
        content = self.weights.read_bytes()
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise UserError(
                f"{self.weights} is damaged or was exchanged: its SHA-256 is not that of "
                f"{MODEL_FILE}. Install the model again."
            )
        try:
            state = load_safetensors(content)
        except SafetensorError as error:
            raise UserError(f"{self.weights} is no safetensors file ({error}).") from error
        return {k: v.float() if v.dtype == torch.float16 else v for k, v in state.items()}


def known_models() -> list[ModelBundle]:
    """The models that are installed with the package, by name."""
    return [read_bundle(path.parent) for path in sorted(ZOO.glob(f"*/{MODEL_FILE}"))]


def weights_of(checkpoint: str) -> str:
    """The weights' file of an installed model or a bundle; anything else is left as it is.

    With it, such names work wherever a checkpoint is wanted.
    """
    path = Path(checkpoint)
    if _PLAIN_NAME.fullmatch(checkpoint) and (ZOO / path / MODEL_FILE).is_file():
        return str(ZOO / path / WEIGHTS_FILE)
    return str(path / WEIGHTS_FILE) if (path / MODEL_FILE).is_file() else checkpoint


def find_model(model: str | Path) -> ModelBundle:
    """Find a model; nothing is ever downloaded.

    Args:
        model: Name of an installed model, folder of a bundle, or a checkpoint of tools/train.py,
            beside which its config lies.

    Raises:
        UserError: There is no such model, or it cannot be used.
    """
    path = Path(model)
    if _PLAIN_NAME.fullmatch(str(model)) and (ZOO / path / MODEL_FILE).is_file():
        return read_bundle(ZOO / path)
    if path.is_dir():
        return read_bundle(path)
    if path.is_file():
        return _from_training(path)
    names = ", ".join(folder.parent.name for folder in sorted(ZOO.glob(f"*/{MODEL_FILE}")))
    raise MissingFileError(
        f"There is no model {model}: name one of {names or '(none is installed)'}, a folder of "
        "tools/publish_model.py, or a checkpoint of tools/train.py."
    )


def read_bundle(folder: Path) -> ModelBundle:
    """Read and check a bundle, all but its weights.

    Raises:
        MissingFileError: The folder is no bundle.
        UserError: Its ``model.json`` is damaged, or names what a bundle must not.
    """
    path = folder / MODEL_FILE
    if not path.is_file():
        checkpoints = sorted(folder.glob("best_*.pth")) or sorted(folder.glob("*.pth"))
        raise MissingFileError(
            f"{folder} is not a published model, for it has no {MODEL_FILE}: name a folder that "
            "tools/publish_model.py wrote, or a checkpoint file"
            + (f", such as {checkpoints[0]}." if checkpoints else ".")
        )
    _check_size(path, _LARGEST_MODEL_FILE)
    content = read_json(path, "The model")
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"{path} is not of the form {FORMAT!r}: publish the model again.")
    for part in ("model", "test_pipeline"):
        _check_part(path, content.get(part), part)
    try:
        classes = tuple(map(str, content["classes"]))
        mpp = content["mpp"]
        return ModelBundle(
            name=str(content["name"]),
            folder=folder,
            weights=folder / WEIGHTS_FILE,
            classes=classes,
            model=ConfigDict(content["model"]),
            test_pipeline=[ConfigDict(step) for step in content["test_pipeline"]],
            sha256=str(content["sha256"]),
            mpp=None if mpp is None else float(mpp),
            thresholds={name: float(content["thresholds"][name]) for name in classes},
            licence=str(content["licence"]),
            scores=dict(content["scores"]),
            summary=str(content["summary"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error!r}): publish the model again.") from error


def _check_size(path: Path, largest: int) -> None:
    """Refuse what no file of a model is as large as, before it takes memory."""
    if path.stat().st_size > largest:
        raise UserError(
            f"{path} has {path.stat().st_size:,} bytes, more than the {largest:,} that a model of "
            "this package can have; do not use."
        )


def _check_part(path: Path, part: Any, name: str) -> None:
    """Refuse what a network of ours does not need, before anything is built."""

    def refuse(what: str) -> UserError:
        return UserError(f"{path}: {name} {what}, which no model of this package has; do not use.")

    if not isinstance(part, dict | list):
        raise refuse(f"is a {type(part).__name__}")
    for key, value in _walk(part):
        if key and key not in _KEYS:
            raise refuse(f"has the key {key[:60]!r}")
        if key == "type" and not (isinstance(value, str) and value in _TYPES):
            raise refuse(f"names the type {str(value)[:60]!r}")
        if key == "model_name" and not (isinstance(value, str) and _PLAIN_NAME.fullmatch(value)):
            raise refuse(f"names the network {str(value)[:60]!r}")
        if isinstance(value, int | float) and not abs(value) <= _LARGEST_NUMBER:
            raise refuse(f"has {key} {str(value)[:20]}")


def _walk(part: Any) -> Iterator[tuple[str, Any]]:
    """Every key and value, at any depth; members of lists go by the list's key."""
    waiting = [("", part)]
    while waiting:
        key, value = waiting.pop()
        yield key, value
        if isinstance(value, dict):
            waiting += value.items()
        elif isinstance(value, list | tuple):
            waiting += [(key, member) for member in value]


def _from_training(checkpoint: Path) -> ModelBundle:
    """A model in a work dir of tools/train.py; its config is the user's own and may be code."""
    return bundle_of(checkpoint, Config.fromfile(config_beside(checkpoint)))


def config_beside(checkpoint: Path) -> Path:
    """The config of the training that a checkpoint is of.

    Raises:
        UserError: There is none, or more than one.
    """
    configs = sorted(checkpoint.parent.glob("*.py"))
    if len(configs) != 1:
        raise UserError(
            f"{checkpoint} needs the config of its training beside it, but {checkpoint.parent} has "
            f"{len(configs)} .py files: name a checkpoint in the work dir of its training, or a "
            "published model."
        )
    return configs[0]


def bundle_of(checkpoint: Path, config: Config) -> ModelBundle:
    """A checkpoint with the config of its training, as a bundle that was not written yet.

    Raises:
        UserError: The checkpoint does not say its classes and neither does the config.
    """
    content = read_checkpoint(checkpoint, mmap=checkpoint.suffix == ".pth")
    meta = content.get("meta") or {}
    classes = (meta.get("dataset_meta") or {}).get("classes") or config.metainfo.classes
    model = without_training(config.model.to_dict())
    pipeline, scale = list(config.test_dataloader.dataset.pipeline), None
    for n, step in enumerate(pipeline):
        if step["type"] == "ResizeToMpp":  # what the user of a bundle does to every image
            scale, pipeline[n] = step["mpp"], ConfigDict(_KEEP_SIZE)
    return ModelBundle(
        name=checkpoint.stem,
        folder=checkpoint.parent,
        weights=checkpoint,
        classes=tuple(map(str, classes)),
        model=ConfigDict(model),
        test_pipeline=pipeline,
        sha256=hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
        mpp=scale or config.get("mpp"),
    )


def without_training(node: Any) -> Any:
    """A network's config without what only training needs."""
    if isinstance(node, str):
        return _STOCK_HEADS.get(node, node)
    if isinstance(node, Mapping):
        return {
            key: None if key == "train_cfg" else without_training(value)
            for key, value in node.items()
            if key not in _FOR_TRAINING
        }
    return [without_training(v) for v in node] if isinstance(node, list | tuple) else node
