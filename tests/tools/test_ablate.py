"""The command `tools/ablate.py`: a ladder from end to end, killed and run again."""

import csv
import json
import signal
import subprocess
import sys
import time

import pytest
import torch

LADDER = """
title: Killed and not killed
overrides:
  max_epochs: 2
  train_dataloader.dataset.pipeline.2.transforms.0.height: 96
  train_dataloader.dataset.pipeline.2.transforms.0.width: 96
  train_dataloader.num_workers: 0
  val_dataloader.num_workers: 0
  val_dataloader.persistent_workers: false
  # Few boxes, since a network that has learned nothing finds a thousand cells in any image.
  model.train_cfg.rpn_proposal.max_per_img: 100
  model.train_cfg.rcnn.sampler.num: 32
  model.test_cfg.rpn.max_per_img: 100
  model.test_cfg.rcnn.max_per_img: 50
rows:
  - name: killed
    config: configs/mask-rcnn_convnext-atto_fpn_cell.py
  - name: not killed
    config: configs/mask-rcnn_convnext-atto_fpn_cell.py
    # Changes what is logged, not what is learned.
    overrides: {default_hooks.logger.interval: 7}
  - name: flips
    weights_of: not killed
    overrides: {test_time.views: flips}
"""


@pytest.fixture
def ablate(run_python, tmp_path):
    """The command line of a small ladder on six synthetic images, and its folder."""
    for command in (
        ["synthesize.py", tmp_path / "raw", "--images", "6", "--test-images", "0", "--size", "96"],
        ["prepare.py", tmp_path / "raw", "--out", tmp_path / "data", "--val-fraction", "0.3"],
    ):
        script, *arguments = command
        run_python(f"data_prep/{script}", *arguments, check=True)
    (tmp_path / "ladder.yaml").write_text(LADDER)
    command = ["tools/ablate.py", tmp_path / "ladder.yaml"]
    return [*command, "--out", tmp_path / "out", "--data", tmp_path / "data"]


def wait_for(out, pattern, process):
    while not list(out.glob(pattern)):
        assert process.poll() is None, "it ended too early"
        time.sleep(0.05)


def last_weights(folder):
    checkpoint = torch.load(folder / "epoch_2.pth", map_location="cpu", weights_only=False)
    return checkpoint["state_dict"]


def test_killed_and_run_again(ablate, run_python, repository, tmp_path):
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, *ablate],
        cwd=repository,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    # The first checkpoint is written before the epoch's validation.
    wait_for(out, "runs/killed/*/epoch_1.pth", process)
    process.send_signal(signal.SIGKILL)
    process.wait()

    again = run_python(*ablate)

    assert again.returncode == 0, again.stdout + again.stderr
    killed, straight = (next(out.glob(f"runs/{row}/*/")) for row in ("killed", "not-killed"))
    assert "resumed epoch: 1" in (killed / "train.log").read_text()
    assert "resumed epoch" not in (straight / "train.log").read_text()
    weights = last_weights(straight)
    for name, value in last_weights(killed).items():
        assert torch.equal(value, weights[name]), name
    first, second = (json.loads((run / "metrics.json").read_text()) for run in (killed, straight))
    assert first.pop("run")["checkpoint"] != second.pop("run")["checkpoint"]
    assert first == second
    first, second, flips = csv.DictReader((out / "table.csv").read_text().splitlines())
    assert first["runs"] == second["runs"] == "1"
    assert first["mAP_mean"] == second["mAP_mean"] != ""
    assert float(first["epochs"]) == float(second["epochs"]) == 2
    assert flips["runs"] == "1"
    assert flips["mAP_minus_previous_mean"] != flips["epochs"] == ""
    assert "Killed and not killed" in (out / "table.tex").read_text()
    assert "| killed " in again.stdout


def test_a_wrong_file_is_one_sentence(run_python, tmp_path):
    result = run_python("tools/ablate.py", tmp_path / "none.yaml", "--out", tmp_path / "out")

    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("error: The ablation file")
    assert not (tmp_path / "out").exists()
