"""From a checkpoint to a published model: weights, data on them, and a card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox_overlaps
from mmengine.config import ConfigDict
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from safetensors.torch import save_file
from torch import Tensor, nn

import cellseg_mm.register  # noqa: F401
from cellseg_mm.errors import MissingFileError, UserError
from cellseg_mm.files.whole_folder import whole_folder
from cellseg_mm.preparation.synthetic_cells import synthesize_image
from cellseg_mm.runs.model_bundle import (
    CARD_FILE,
    DEFAULT_THRESHOLD,
    FORMAT,
    MODEL_FILE,
    WEIGHTS_FILE,
    ModelBundle,
    read_bundle,
)
from cellseg_mm.runs.package_versions import package_versions

_SAME_BOX, _SAME_SCORE, _SAME_SHARE = 0.9, 0.01, 0.99
"""Cells are the same with this IoU of boxes and this difference of scores; models are, with this
share of such cells."""

_LEAST_SCORE = 0.3
"""Cells below it are not compared."""


@dataclass(frozen=True)
class ModelCard:
    """What a card says, read from YAML.

    Attributes:
        name: Name of the model: letters, digits, ``-``.
        summary: One line on what it is for.
        licence: Of the weights.
        data: What it was trained on, and the licence of that.
        split: How images for choosing and for scoring were held out.
        command: The commands that train it.
        not_for: What it must not be used for.
        mpp: µm per pixel of its images.
        thresholds: Least score of a cell, by class; ``DEFAULT_THRESHOLD`` where not stated.
        scores: By metric: a number, or a text with its interval.
    """

    name: str
    summary: str
    licence: str
    data: str
    split: str
    command: str
    not_for: str
    mpp: float
    thresholds: Mapping[str, float]
    scores: Mapping[str, Any]

    @staticmethod
    def read(path: Path) -> ModelCard:
        """Read a card.

        Raises:
            MissingFileError: There is no such file.
            UserError: It is no YAML, or an entry is missing, unknown or of another kind.
        """
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
        except FileNotFoundError:
            raise MissingFileError(f"The card {path} does not exist.") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(
                f"The card {path} is no YAML: {' '.join(str(error).split())}."
            ) from error
        known = ModelCard.__annotations__
        if not isinstance(content, dict) or content.keys() != known.keys():
            wrong = sorted(map(str, set(content or ()) ^ known.keys()))
            raise UserError(
                f"The card {path} must have the entries {', '.join(known)}; missing or unknown: "
                f"{', '.join(wrong)}."
            )
        texts = [key for key, kind in known.items() if kind == "str"]
        for key in texts:
            if not isinstance(content[key], str) or not content[key].strip():
                raise UserError(f"The card {path}: {key} must be a text.")
        if not isinstance(content["mpp"], int | float) or not content["mpp"] > 0:
            raise UserError(f"The card {path}: mpp must be µm per pixel, above 0.")
        for key in ("thresholds", "scores"):
            if not isinstance(content[key], dict):
                raise UserError(f"The card {path}: {key} must be a table.")
        return ModelCard(**content)


def publish_model(bundle: ModelBundle, card: ModelCard, out: Path) -> ModelBundle:
    """Write a bundle, whole or not at all.

    Weights of two dimensions and more are stored in 16 bits if the model then finds the same cells
    in a synthetic image: as many, 99 % of them with boxes of IoU ≥ 0.9 and scores within 0.01.

    Args:
        bundle: The trained model.
        card: Its card.
        out: Folder to write; absent or empty.

    Returns:
        The bundle as it is read back.

    Raises:
        UserError: The card names other classes than the model, or the folder is not empty.
    """
    if unknown := sorted(set(card.thresholds) - set(bundle.classes)):
        raise UserError(
            f"The card has a threshold for {unknown[0]!r}, but the model's classes are "
            f"{', '.join(bundle.classes)}."
        )
    state = {key: value.contiguous() for key, value in bundle.state_dict().items()}
    small = {k: v.half() if v.ndim > 1 and v.is_floating_point() else v for k, v in state.items()}
    if _same_cells(bundle, state, small):
        state = small
    with whole_folder(out) as folder:
        save_file(state, folder / WEIGHTS_FILE, {"classes": json.dumps(bundle.classes)})
        (folder / WEIGHTS_FILE).chmod(0o644)  # safetensors writes for the user alone
        digest = hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest()
        record = {
            "format": FORMAT,
            "name": card.name,
            "summary": card.summary,
            "classes": list(bundle.classes),
            "mpp": card.mpp,
            "thresholds": {
                name: card.thresholds.get(name, DEFAULT_THRESHOLD) for name in bundle.classes
            },
            "licence": card.licence,
            "scores": dict(card.scores),
            "sha256": digest,
            "versions": package_versions(),
            "model": bundle.model,
            "test_pipeline": bundle.test_pipeline,
        }
        text = json.dumps(record, indent=1, ensure_ascii=False)
        (folder / MODEL_FILE).write_text(text + "\n", encoding="utf-8")
        (folder / CARD_FILE).write_text(card_text(card, bundle, digest), encoding="utf-8")
        read_bundle(folder)  # what is refused when it is used is refused here
    return read_bundle(out)


def card_text(card: ModelCard, bundle: ModelBundle, digest: str) -> str:
    """The card as Markdown."""
    scores = [f"| {metric} | {value} |" for metric, value in card.scores.items()]
    thresholds = [
        f"| {name} | {card.thresholds.get(name, DEFAULT_THRESHOLD)} |" for name in bundle.classes
    ]
    parts = [
        f"# {card.name}\n\n{card.summary}",
        f"**Licence of the weights:** {card.licence}",
        f"**Images:** H&E, RGB, {card.mpp} µm per pixel; others are resampled.",
        f"## Not for\n\n{card.not_for}",
        f"## Data\n\n{card.data}",
        f"## Split\n\n{card.split}",
        "## Scores\n\n| metric | value |\n|---|---|\n" + "\n".join(scores),
        "## Classes\n\n| class | least score of a cell |\n|---|--:|\n" + "\n".join(thresholds),
        f"## Training\n\n```bash\n{card.command.strip()}\n```",
        f"SHA-256 of `{WEIGHTS_FILE}`: `{digest}`",
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _same_cells(bundle: ModelBundle, state: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    init_default_scope("mmdet")
    model = MODELS.build(bundle.model).eval()
    pixels = synthesize_image(np.random.default_rng(0), 256, 256, 60).rgb
    first = _find(model, bundle, state, pixels)
    second = _find(model, bundle, {k: v.float() for k, v in other.items()}, pixels)
    if not len(first) == len(second) > 0:
        return len(first) == len(second)
    overlaps = bbox_overlaps(first.bboxes, second.bboxes)
    overlaps *= first.labels[:, None] == second.labels
    overlaps *= (first.scores[:, None] - second.scores).abs() <= _SAME_SCORE
    return bool((overlaps.amax(dim=0) >= _SAME_BOX).float().mean() >= _SAME_SHARE)


@torch.inference_mode()
def _find(
    model: nn.Module, bundle: ModelBundle, state: dict[str, Tensor], rgb: Any
) -> InstanceData:
    model.load_state_dict(state)
    steps = [ConfigDict(type="mmdet.LoadImageFromNDArray"), *bundle.test_pipeline[1:]]
    sample = Compose(steps)({"img": np.ascontiguousarray(rgb[..., ::-1]), "img_id": 0})
    batch = {"inputs": [sample["inputs"]], "data_samples": [sample["data_samples"]]}
    found: InstanceData = model.test_step(batch)[0].pred_instances  # type: ignore[operator]
    return found[found.scores >= _LEAST_SCORE]
