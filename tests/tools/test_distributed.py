"""Training and testing by two processes on a CPU, which torchrun starts as a user's would."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")

# An epoch must bring 0.5 more mAP, which the second does not: training stops then.
CONFIG = """
_base_ = ["{repository}/configs/mask-rcnn_convnext-atto_fpn_cell.py"]
max_epochs = 3
train_cfg = dict(max_epochs=max_epochs)
default_hooks = dict(
    recorder=dict(type="RankRecorder"), early_stopping=dict(min_delta=0.5, patience=1)
)
model = dict(
    train_cfg=dict(rpn_proposal=dict(max_per_img=100), rcnn=dict(sampler=dict(num=32))),
    test_cfg=dict(rpn=dict(max_per_img=100), rcnn=dict(score_thr=0.0, max_per_img=50)),
)
"""


def launch(repository: Path, launcher: Sequence[str], commands: list[list[Any]]) -> str:
    """Run commands in one start of Python, or of the launcher's processes."""
    script = Path(__file__).with_name("launched_commands.py")
    text = json.dumps([[str(word) for word in command] for command in commands])
    result = subprocess.run(
        [sys.executable, *launcher, str(script), text],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    output = result.stdout + result.stderr
    assert result.returncode == 0, output
    return output


def test_two_processes_do_what_one_does(
    repository: Path, prepared_data: Path, tmp_path: Path
) -> None:
    """One test, since its commands take long: two epochs, the second resumed, then a test."""
    config, odd = tmp_path / "recorded.py", tmp_path / "odd.json"
    config.write_text(CONFIG.format(repository=repository))
    odd.write_text(json.dumps(five_images(prepared_data / "annotations/train.json")))
    trained, by_two, by_one = (tmp_path / name for name in ("trained", "by_two", "by_one"))
    options = [
        *("--cfg-options", f"data_root={prepared_data}"),
        *(f"val_dataloader.dataset.ann_file={odd}", f"val_evaluator.ann_file={odd}"),
        *(f"{part}_dataloader.num_workers=0" for part in ("train", "val", "test")),
        *(f"train_dataloader.dataset.pipeline.2.transforms.0.{k}=96" for k in ("height", "width")),
    ]
    two = ["--launcher", "pytorch", *options, "auto_scale_lr.enable=True"]
    two += ["optim_wrapper.optimizer.type=ShardedAdamW"]

    def train(*arguments: str) -> list[Any]:
        return ["tools/train.py", config, "--work-dir", trained, *arguments]

    def test(folder: Path, *arguments: str) -> list[Any]:
        folder.mkdir()
        outputs = ["--work-dir", folder, "--dump", folder / "found.json"]
        scores = ["--metrics", "coco", "cell"]
        return ["tools/test.py", config, trained / "epoch_2.pth", *outputs, *scores, *arguments]

    commands = [train(*two, "train_cfg.max_epochs=1"), train("--resume", *two), test(by_two, *two)]
    launch(repository, TORCHRUN, commands)
    first, second = (torch.load(trained / f"rank{rank}.pth", weights_only=False) for rank in (0, 1))
    saved = torch.load(trained / "epoch_2.pth", weights_only=False)
    they_trained_one_model(first, second, saved)
    they_decided_alike(first, second)
    the_optimizers_state_is_spread_and_saved_whole(first, second, saved)
    the_learning_rate_follows_the_batch(trained)
    one_process_wrote_the_files(trained)

    # One process, with plain AdamW and early stopping out of the way.
    resume = train("--resume", *options, "default_hooks.early_stopping.patience=9")
    output = launch(repository, (), [test(by_one, *options), resume])
    scores_and_detections_are_the_same(by_one, by_two)
    assert "resumed epoch: 2" in output
    assert (trained / "epoch_3.pth").is_file()


def five_images(annotations: Path) -> dict[str, Any]:
    """So few that one of two processes gets an image that the other one has."""
    content: dict[str, Any] = json.loads(annotations.read_text())
    content["images"] = content["images"][:5]
    kept = {image["id"] for image in content["images"]}
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] in kept]
    return content


def they_trained_one_model(
    first: dict[str, Any], second: dict[str, Any], saved: dict[str, Any]
) -> None:
    assert first["weights"].keys() == second["weights"].keys() == saved["state_dict"].keys()
    for name, weight in first["weights"].items():
        assert torch.equal(weight, second["weights"][name]), name
        assert torch.equal(weight, saved["state_dict"][name]), name
    # Each of the six images once, three a process, from random numbers of its own.
    assert len(first["images"]) == len(second["images"]) == 3
    assert len({*first["images"], *second["images"]}) == 6
    assert first["draw"] != second["draw"]


def they_decided_alike(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert first["epoch"] == second["epoch"] == 2  # of three: both stopped
    assert first["early_stopping"] == second["early_stopping"]
    assert first["early_stopping"]["wait_count"] == 1
    assert first["best"] == second["best"]
    assert Path(first["best"]).name.startswith("best_coco_segm_mAP_epoch_")


def the_optimizers_state_is_spread_and_saved_whole(
    first: dict[str, Any], second: dict[str, Any], saved: dict[str, Any]
) -> None:
    assert 0 < first["moments"] < first["parameters"]
    assert first["moments"] + second["moments"] == first["parameters"]
    assert len(saved["optimizer"]["state"]) == first["parameters"]


def the_learning_rate_follows_the_batch(work_dir: Path) -> None:
    lines = [line for p in work_dir.rglob("scalars.json") for line in p.read_text().splitlines()]
    rates = [record["lr"] for record in map(json.loads, lines) if "loss" in record]
    # This config's 1e-3 is for two images a step, its cosine annealing for twelve epochs.
    assert rates == pytest.approx([2e-3, 1e-3 * (1 + math.cos(math.pi / 12))])


def one_process_wrote_the_files(work_dir: Path) -> None:
    assert len(list(work_dir.glob("best_*.pth"))) == 1
    runs = sorted(work_dir.glob("20*"))
    assert len(runs) == 2
    assert all(len(list(run.glob("*.log"))) == 1 for run in runs)
    # events.out.tfevents.<time>.<host>.<process>.<number>
    writers = {path.name.split(".")[-2] for path in work_dir.rglob("events.out.tfevents.*")}
    assert len(writers) == 1


def scores_and_detections_are_the_same(by_one: Path, by_two: Path) -> None:
    one, two = (json.loads((folder / "metrics.json").read_text()) for folder in (by_one, by_two))
    assert one.pop("run")["checkpoint"] == two.pop("run")["checkpoint"]  # options differ
    assert one == two
    assert {"segm_mAP", "cell/bPQ"} <= one.keys()
    assert one["dump/images"] == 5
    assert one["dump/detections"] > 200
    alone, shared = (
        sorted(json.dumps(d) for d in json.loads((folder / "found.json").read_text()))
        for folder in (by_one, by_two)
    )
    assert alone == shared
    names = {path.name for path in (by_one / "overlays/odd").iterdir()}
    assert len(names) == 4
    assert {path.name for path in (by_two / "overlays/odd").iterdir()} == names
