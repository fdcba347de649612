"""The dense recipe's moving average of the weights: resumed, kept as the best, and tested."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, METRICS
from mmengine.runner import Runner
from torch import Tensor

from cellseg_mm.runs.checkpoint_weights import load_weights
from cellseg_mm.runs.evaluation import choose_evaluation
from cellseg_mm.runs.run_config import load_config

GAMMA = 2  # of a run of six iterations, as 200 is of a long one
OPTIONS = f"""train_dataloader.num_workers=0 val_dataloader.num_workers=0 max_epochs=2
model.backbone.init_cfg=None model.test_cfg.rcnn.score_thr=0.0 model.test_cfg.rcnn.max_per_img=20
model.test_cfg.rpn.max_per_img=50 model.train_cfg.rpn_proposal.max_per_img=50
train_dataloader.dataset.pipeline.2.size=64 default_hooks.ema.gamma={GAMMA}
default_hooks.overlays=None default_hooks.curves=None visualizer.vis_backends=[]
default_hooks.recorder.type=RawWeightsRecorder""".split()
NAME = "roi_head.mask_head.conv_logits.weight"


@HOOKS.register_module(force=True)
class RawWeightsRecorder(Hook):
    """Keeps one tensor of the weights after each iteration."""

    priority = "HIGHEST"

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def after_train_iter(self, runner: Any, *_: Any, **__: Any) -> None:
        self.seen.append(runner.model.state_dict()[NAME].clone())


@METRICS.register_module(force=True)
class MeanScore(BaseMetric):
    """The detections' mean score: a figure that any change of the weights changes."""

    default_prefix = "coco"

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        self.results += [s["pred_instances"]["scores"] for s in data_samples]

    def compute_metrics(self, results: list[Tensor]) -> dict[str, float]:
        return {"segm_mAP": float(torch.cat(results).double().mean())}


class Killed(Exception):  # noqa: N818
    pass


@pytest.fixture(scope="module")
def leaf(
    repository: Path, prepared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, list[str]]:
    """A config of the dense recipe with another score, and the options of a short run."""
    path = tmp_path_factory.mktemp("leaf") / "leaf.py"
    path.write_text(
        f'_base_ = ["{repository}/configs/mask-rcnn_efficientnet-lite0_fpn_dense-cell.py"]\n'
        'val_evaluator = dict(_delete_=True, type="MeanScore")\n'
    )
    return str(path), [*OPTIONS, f"data_root={prepared_data}"]


def train(
    leaf: tuple[str, list[str]], work_dir: Path, until: int = 2, resume: str | None = None
) -> tuple[list[Tensor], list[float]]:
    """Train two epochs, or be killed after ``until``; the raw weights and the scores."""
    config = load_config(leaf[0], str(work_dir), leaf[1])
    config.update(resume=resume is not None, load_from=resume)
    config.experiment_name = f"{work_dir.name}_{until}_{resume is None}"
    runner = Runner.from_cfg(config)
    scores: list[float] = []
    original = runner.call_hook

    def call_hook(name: str, **kwargs: Any) -> None:
        if name == "before_train_epoch" and runner.epoch == until:
            raise Killed
        if name == "after_val_epoch":
            scores.append(kwargs["metrics"]["coco/segm_mAP"])
        original(name, **kwargs)

    runner.call_hook = call_hook  # type: ignore[method-assign]
    if until < 2:
        with pytest.raises(Killed):
            runner.train()
    else:
        runner.train()
    (recorder,) = (hook for hook in runner.hooks if isinstance(hook, RawWeightsRecorder))
    return recorder.seen, scores


def averaged(raw: list[Tensor]) -> Tensor:
    """The mean by its definition: a copy first, then a share that falls to 0.002."""
    mean = raw[0].clone()
    for step, weights in enumerate(raw[1:], start=1):
        share = (1 - 0.002) * math.exp(-(1 + step) / GAMMA) + 0.002
        mean += share * (weights - mean)
    return mean


def test_resumed_as_uninterrupted_and_the_best_scores_as_in_validation(
    leaf: tuple[str, list[str]], tmp_path: Path
) -> None:
    raw, scores = train(leaf, tmp_path / "whole")
    assert (len(raw), len(scores), len(set(scores))) == (6, 2, 2)
    saved = torch.load(tmp_path / "whole/epoch_2.pth", weights_only=False)
    torch.testing.assert_close(saved["state_dict"][NAME], averaged(raw))
    assert torch.equal(saved["ema_state_dict"][f"module.{NAME}"], raw[-1])
    assert not torch.allclose(averaged(raw), raw[-1], rtol=1e-3)

    first_raw, first_scores = train(leaf, tmp_path / "parts", until=1)
    last = str(tmp_path / "parts/epoch_1.pth")
    second_raw, second_scores = train(leaf, tmp_path / "parts", resume=last)
    assert first_scores + second_scores == scores
    assert all(map(torch.equal, first_raw + second_raw, raw))
    resumed = torch.load(tmp_path / "parts/epoch_2.pth", weights_only=False)
    for key in ("state_dict", "ema_state_dict"):
        assert resumed[key].keys() == saved[key].keys()
        assert all(torch.equal(resumed[key][name], saved[key][name]) for name in saved[key])

    epoch = 1 + scores.index(max(scores))
    (best,) = (tmp_path / "parts").glob("best_*.pth")
    assert best.name == f"best_coco_segm_mAP_epoch_{epoch}.pth"
    weights = torch.load(best, weights_only=False)["state_dict"][NAME]
    torch.testing.assert_close(weights, averaged(raw[: 3 * epoch]))

    config = load_config(leaf[0], str(tmp_path / "tested"), leaf[1])
    choose_evaluation(config, "val", ["coco"], None, None)
    config.experiment_name = "tested"
    runner = Runner.from_cfg(config)
    load_weights(runner.model, [str(best)])
    assert runner.test()["coco/segm_mAP"] == pytest.approx(max(scores), abs=1e-12)
