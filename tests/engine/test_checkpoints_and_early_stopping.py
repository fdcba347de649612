"""Best checkpoints, early stopping and resuming, in a real run of a toy model."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.data import DataLoader

import cellseg_mm.engine.hooks.best_checkpoint_hook  # noqa: F401
from cellseg_mm.engine.atomic_backend import AtomicLocalBackend
from cellseg_mm.engine.hooks.resumable_early_stopping_hook import ResumableEarlyStoppingHook


class ToyModel(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def forward(self, inputs: Tensor, mode: str = "tensor") -> Any:
        output = self.layer(inputs)
        return {"loss": output.mean()} if mode == "loss" else [output]


class ScriptedScore(BaseMetric):
    """Gives the next of some scores at each validation."""

    default_prefix = "coco"

    def __init__(self, scores: list[float], first_epoch: int = 0) -> None:
        super().__init__()
        self.scores = iter(scores[first_epoch:])

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results.append(0)

    def compute_metrics(self, results: list[int]) -> dict[str, float]:
        return {"segm_mAP": next(self.scores)}


def runner(
    work_dir: Path,
    scores: list[float],
    epochs: int,
    resume: bool = False,
    start: int = 0,
    load_from: str | None = None,
) -> Runner:
    torch.manual_seed(0)
    loader = DataLoader([{"inputs": torch.ones(1)}] * 2, batch_size=1)
    return Runner(
        model=ToyModel(),
        work_dir=str(work_dir),
        train_dataloader=loader,
        train_cfg={"by_epoch": True, "max_epochs": epochs},
        optim_wrapper={"optimizer": {"type": "AdamW", "lr": 0.1}},
        param_scheduler={"type": "CosineAnnealingLR", "T_max": 8},
        val_dataloader=loader,
        val_cfg={},
        val_evaluator=[ScriptedScore(scores, start)],
        default_hooks={
            "checkpoint": {
                "type": "BestCheckpointHook",
                "interval": 1,
                "max_keep_ckpts": 2,
                "save_best": "coco/segm_mAP",
                "rule": "greater",
                "backend_args": {"backend": "atomic"},
            }
        },
        custom_hooks=[
            {
                "type": "ResumableEarlyStoppingHook",
                "monitor": "coco/segm_mAP",
                "rule": "greater",
                "min_delta": 0.0,
                "patience": 3,
            }
        ],
        resume=resume,
        load_from=load_from,
        default_scope="mmengine",
        # MMEngine shares state between runs of one name in a process.
        experiment_name=f"{work_dir}_{resume}".replace("/", "_"),
    )


def names(work_dir: Path) -> list[str]:
    return sorted(p.name for p in work_dir.glob("*.pth"))


SCORES = [0.1, 0.3, 0.2, 0.2, 0.1, 0.9, 0.9, 0.9]  # the third without gain is epoch 5


def test_training_stops_after_the_patience(tmp_path: Path) -> None:
    run = runner(tmp_path, SCORES, epochs=8)
    run.train()
    assert run.epoch == 5
    assert names(tmp_path) == ["best_coco_segm_mAP_epoch_2.pth", "epoch_4.pth", "epoch_5.pth"]


@pytest.mark.parametrize("stage", ["before_train_epoch", "before_val_epoch"])
@pytest.mark.parametrize("done", [1, 2, 3, 4])
def test_a_resumed_run_ends_as_an_uninterrupted_one(tmp_path: Path, done: int, stage: str) -> None:
    whole = runner(tmp_path / "whole", SCORES, epochs=8)
    whole.train()

    class Killed(Exception):  # noqa: N818
        pass

    first = runner(tmp_path / "parts", SCORES, epochs=8)
    original = first.call_hook

    def interrupt(name: str, **kwargs: Any) -> None:
        if name == stage and first.epoch == done:
            raise Killed
        original(name, **kwargs)

    first.call_hook = interrupt  # type: ignore[method-assign]
    with pytest.raises(Killed):
        first.train()
    scored = done if stage == "before_train_epoch" else done - 1
    second = runner(tmp_path / "parts", SCORES, epochs=8, resume=True, start=scored)
    second.train()

    assert second.epoch == whole.epoch == 5
    assert names(tmp_path / "parts") == names(tmp_path / "whole")
    last = [
        torch.load(tmp_path / d / "epoch_5.pth", weights_only=False) for d in ("whole", "parts")
    ]
    torch.testing.assert_close(last[0]["state_dict"], last[1]["state_dict"], rtol=0, atol=0)
    assert last[0]["optimizer"] == last[1]["optimizer"]
    assert last[0]["param_schedulers"] == last[1]["param_schedulers"]


def test_a_score_that_is_no_number_does_not_stop(tmp_path: Path) -> None:
    run = runner(tmp_path, [float("nan")] * 5, epochs=5)
    run.train()
    assert run.epoch == 5


def test_a_run_that_had_stopped_stays_stopped(tmp_path: Path) -> None:
    runner(tmp_path, SCORES, epochs=8).train()
    again = runner(tmp_path, SCORES, epochs=8, resume=True, start=5)
    again.train()
    assert again.epoch == 5


def test_a_failed_write_leaves_the_old_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = AtomicLocalBackend.put

    def disk_full(self: AtomicLocalBackend, obj: bytes, filepath: Any) -> None:
        if Path(filepath).name == "best_coco_segm_mAP_epoch_2.pth":
            raise OSError("No space left on device")
        original(self, obj, filepath)

    monkeypatch.setattr(AtomicLocalBackend, "put", disk_full)
    with pytest.raises(OSError, match="No space"):
        runner(tmp_path, SCORES, epochs=8).train()
    assert "best_coco_segm_mAP_epoch_1.pth" in names(tmp_path)


def test_atomic_backend_writes_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = AtomicLocalBackend()
    backend.put(b"old", tmp_path / "deep" / "file.pth")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk gone")))
    with pytest.raises(OSError, match="disk gone"):
        backend.put(b"new", tmp_path / "deep" / "file.pth")
    assert (tmp_path / "deep" / "file.pth").read_bytes() == b"old"
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["file.pth"]


def test_early_stopping_does_not_build_the_training_loop_of_a_test() -> None:
    hook = ResumableEarlyStoppingHook(monitor="coco/segm_mAP")
    hook.before_run(runner=object())  # would fail if it looked at anything


@pytest.mark.parametrize(("rule", "gain"), [("greater", 0.1), ("less", -0.1)])
def test_an_equal_score_is_no_gain(rule: str, gain: float) -> None:
    hook = ResumableEarlyStoppingHook(monitor="x", rule=rule, min_delta=0.0, patience=2)
    assert hook._check_stop_condition(0.5) == (False, "")
    assert hook._check_stop_condition(0.5 + gain) == (False, "")
    assert hook.wait_count == 0
    assert not hook._check_stop_condition(0.5 + gain)[0]
    assert hook._check_stop_condition(0.5 + gain)[0]
    assert hook.best_score == 0.5 + gain


def test_a_training_that_finds_nothing_stops(tmp_path: Path) -> None:
    run = runner(tmp_path, [0.0] * 8, epochs=8)
    run.train()
    assert run.epoch == 4  # the first score is the best, three are no better


def test_a_copied_work_dir_leaves_the_original_alone(tmp_path: Path) -> None:
    runner(tmp_path / "first", SCORES, epochs=2).train()
    before = names(tmp_path / "first")
    shutil.copytree(tmp_path / "first", tmp_path / "copy")
    better = [0.0, 0.0, 0.5, 0.6]
    newest = str(tmp_path / "copy" / "epoch_2.pth")
    runner(tmp_path / "copy", better, epochs=4, resume=True, start=2, load_from=newest).train()
    assert names(tmp_path / "first") == before
    assert names(tmp_path / "copy") == [
        "best_coco_segm_mAP_epoch_4.pth",
        "epoch_3.pth",
        "epoch_4.pth",
    ]
