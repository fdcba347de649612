"""Published models: written, read, and refused where they are not ours."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

import cellseg_mm.register  # noqa: F401
from cellseg_mm.errors import MissingFileError, UserError
from cellseg_mm.runs import model_bundle
from cellseg_mm.runs.model_bundle import find_model, known_models, read_bundle, weights_of
from cellseg_mm.runs.publish_model import ModelCard, publish_model
from cellseg_mm.runs.run_config import load_config

CONFIG = Path(__file__).parents[2] / "configs" / "mask-rcnn_convnext-atto_fpn_cell.py"
CLASSES = ("round", "long", "dark", "large")
CARD = {
    "name": "tiny",
    "summary": "For tests.",
    "licence": "CC0-1.0",
    "data": "None.",
    "split": "None.",
    "command": "python tools/train.py",
    "not_for": "Anything.",
    "mpp": 0.25,
    "thresholds": {"round": 0.4, "dark": 0.6},
    "scores": {"AP50": "0.71 ± 0.02"},
}


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a training leaves: a checkpoint that knows its classes, and the config beside it."""
    folder = tmp_path_factory.mktemp("run")
    init_default_scope("mmdet")
    config = Config.fromfile(CONFIG)
    config.dump(folder / "config.py")
    torch.manual_seed(0)
    state = MODELS.build(config.model).state_dict()
    meta = {"dataset_meta": {"classes": CLASSES}}
    torch.save({"state_dict": state, "meta": meta}, folder / "best.pth")
    return folder


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    path = tmp_path_factory.mktemp("card") / "card.yaml"
    path.write_text(yaml.safe_dump(CARD))
    return ModelCard.read(path)


@pytest.fixture(scope="module")
def published(work_dir: Path, card: ModelCard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "tiny"
    publish_model(find_model(work_dir / "best.pth"), card, out)
    return out


def test_overrides_reach_the_config_beside_the_checkpoint(
    work_dir: Path, tmp_path: Path, run_python: Any
) -> None:
    card = tmp_path / "card.yaml"
    card.write_text(yaml.safe_dump(CARD))
    out = tmp_path / "tiny"
    arguments = [work_dir / "best.pth", out, "--card", card, "--cfg-options"]
    room = ["model.roi_head.type=CellRoIHead", "model.roi_head.mask_scale=1.1"]
    run_python("tools/publish_model.py", *arguments, *room, check=True)
    assert read_bundle(out).model.roi_head.mask_scale == 1.1


def test_a_checkpoint_is_found_with_the_config_beside_it(work_dir: Path, tmp_path: Path) -> None:
    bundle = find_model(work_dir / "best.pth")
    assert (bundle.name, bundle.classes, bundle.mpp) == ("best", CLASSES, None)
    assert bundle.threshold("round") == 0.5
    (tmp_path / "best.pth").write_bytes((work_dir / "best.pth").read_bytes())
    with pytest.raises(UserError, match=r"needs the config of its training beside it"):
        find_model(tmp_path / "best.pth")


def test_what_was_published_is_read_back(published: Path, work_dir: Path) -> None:
    bundle = find_model(published)
    assert (bundle.name, bundle.classes, bundle.mpp) == ("tiny", CLASSES, 0.25)
    assert [bundle.threshold(name) for name in CLASSES] == [0.4, 0.5, 0.6, 0.5]
    model = MODELS.build(bundle.model)
    model.load_state_dict(bundle.state_dict())
    original = torch.load(work_dir / "best.pth", weights_only=True)["state_dict"]
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, original[name], rtol=1e-3, atol=1e-6)
    assert (published / "model.safetensors").stat().st_size < 0.6 * (
        work_dir / "best.pth"
    ).stat().st_size
    text = (published / "README.md").read_text()
    assert all(part in text for part in ("CC0-1.0", "0.71 ± 0.02", "Anything.", bundle.sha256))


def test_names_of_installed_models(
    published: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(model_bundle, "ZOO", published.parent)
    assert [model.name for model in known_models()] == ["tiny"]
    assert find_model("tiny").folder == published
    with pytest.raises(MissingFileError, match="no model tin: name one of tiny"):
        find_model("tin")
    with pytest.raises(MissingFileError, match=r"no model\.json"):
        find_model(tmp_path)


def test_names_are_files_of_weights(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_bundle, "ZOO", published.parent)
    weights = str(published / "model.safetensors")
    assert weights_of("tiny") == weights_of(str(published)) == weights
    assert weights_of("best.pth") == "best.pth"
    options = ["load_from=tiny", "metainfo.classes=[a,b]"]
    assert load_config(str(CONFIG), None, options).load_from == weights


Change = Callable[[dict[str, Any]], None]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(format="other"), "not of the form"),
        (lambda m: m.pop("classes"), "is damaged"),
        (lambda m: m["thresholds"].pop("round"), "is damaged"),
        (lambda m: m.update(model=[[[[]]]]), None),
        (lambda m: m["model"].update(type="HuggingFaceModel"), "names the type"),
        (lambda m: m["model"]["backbone"].update(type=["MaskRCNN"]), "names the type"),
        (lambda m: m["model"]["neck"].update(init_cfg={"type": "Pretrained"}), "init_cfg"),
        (lambda m: m["model"]["neck"].update(start_level=1), "has the key 'start_level'"),
        (lambda m: m["model"]["backbone"].update(model_name="hf_hub:a/b"), "names the network"),
        (lambda m: m["model"]["rpn_head"].update(in_channels=10**9), "has in_channels"),
        (lambda m: m["test_pipeline"].append({"type": "LoadAnnotations"}), "names the type"),
    ],
)
def test_what_no_model_of_ours_has_is_refused(
    published: Path, tmp_path: Path, change: Change, message: str | None
) -> None:
    content = json.loads((published / "model.json").read_text())
    change(content)
    (tmp_path / "model.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=message) as caught:
        read_bundle(tmp_path)
    assert str(tmp_path / "model.json") in str(caught.value)


def test_every_config_can_be_published(repository: Path) -> None:
    for path in sorted(repository.glob("configs/*.py")):
        config = Config.fromfile(path)
        model = model_bundle.without_training(config.model.to_dict())
        pipeline = json.loads(json.dumps(config.test_dataloader.dataset.pipeline))
        for part in (model, pipeline):
            model_bundle._check_part(path, part, "model")


def test_files_too_large_are_not_read(published: Path, tmp_path: Path) -> None:
    for name in ("model.json", "model.safetensors"):
        (tmp_path / name).write_bytes((published / name).read_bytes())
    os.truncate(tmp_path / "model.safetensors", (4 << 30) + 1)  # sparse: takes no room
    bundle = read_bundle(tmp_path)
    with pytest.raises(UserError, match=r"4,294,967,297 bytes, more than the 4,294,967,296"):
        bundle.state_dict()
    os.truncate(tmp_path / "model.json", (1 << 20) + 1)
    with pytest.raises(UserError, match=r"model\.json has 1,048,577 bytes"):
        read_bundle(tmp_path)


def test_exchanged_weights_are_refused(published: Path, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_bytes((published / "model.json").read_bytes())
    weights = bytearray((published / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (tmp_path / "model.safetensors").write_bytes(weights)
    with pytest.raises(UserError, match="damaged or was exchanged"):
        read_bundle(tmp_path).state_dict()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mpp": "0.25"}, "mpp must be"),
        ({"licence": ""}, "licence must be a text"),
        ({"colour": "red"}, "missing or unknown: colour"),
        ({"scores": [1]}, "scores must be a table"),
    ],
)
def test_bad_cards(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(CARD | change))
    with pytest.raises(UserError, match=message):
        ModelCard.read(tmp_path / "card.yaml")


def test_a_card_of_other_classes_is_refused(
    work_dir: Path, card: ModelCard, tmp_path: Path
) -> None:
    other = ModelCard(**{**CARD, "thresholds": {"square": 0.5}})  # type: ignore[arg-type]
    with pytest.raises(UserError, match="'square', but the model's classes are round"):
        publish_model(find_model(work_dir / "best.pth"), other, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_the_scale_of_a_training_is_the_model_s(work_dir: Path, tmp_path: Path) -> None:
    """The step that brought images to it is left to who uses the model."""
    config = load_config(str(CONFIG), None, ["mpp=0.5"])
    config.dump(tmp_path / "config.py")
    (tmp_path / "best.pth").hardlink_to(work_dir / "best.pth")
    bundle = find_model(tmp_path / "best.pth")
    plain = find_model(work_dir / "best.pth")
    assert (bundle.mpp, plain.mpp) == (0.5, None)
    assert bundle.test_pipeline == plain.test_pipeline
