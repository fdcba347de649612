"""Beginning and going on with a training, in a folder of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

from cellseg_mm.errors import UserError
from cellseg_mm.runs.training_start import resume_training, training_folder


def config(work_dir: Path, max_epochs: int = 3, classes: tuple[str, ...] = ("a", "b")) -> Config:
    return Config(
        {
            "work_dir": str(work_dir),
            "train_cfg": {"max_epochs": max_epochs},
            "val_dataloader": {},
            "metainfo": {"classes": classes},
        }
    )


def save(path: Path, epoch: int, validated: int = 0, **more: Any) -> None:
    content = {
        "meta": {"epoch": epoch, "dataset_meta": {"classes": ["a", "b"]}},
        "message_hub": {"runtime_info": {"validated_epoch": validated}},
        "optimizer": {},
    }
    torch.save(content | more, path)


def test_it_goes_on_from_the_newest_whole_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "epoch_1.pth", 1)
    save(tmp_path / "epoch_2.pth", 2)
    settings = config(tmp_path)
    assert resume_training(settings)
    assert (settings.resume, settings.load_from) == (True, str(tmp_path / "epoch_2.pth"))
    expected = f"The training goes on from {tmp_path / 'epoch_2.pth'}: 2 of 3 epochs are done.\n"
    assert capsys.readouterr().out == expected

    newest = tmp_path / "epoch_2.pth"
    newest.write_bytes(newest.read_bytes()[:300])
    assert resume_training(settings)
    assert settings.load_from == str(tmp_path / "epoch_1.pth")
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"{newest} is damaged and passed over."
    assert "epoch_1.pth: 1 of 3" in said[1]


def test_only_damaged_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "epoch_1.pth").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"epoch_1\.pth is damaged, and there is no other"):
        resume_training(config(tmp_path))


def test_nothing_to_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = config(tmp_path)
    assert resume_training(settings)
    assert "resume" not in settings
    assert "There is nothing to resume in" in capsys.readouterr().out


def test_a_finished_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "epoch_3.pth", 3, validated=3)
    assert not resume_training(config(tmp_path))
    assert "is finished: epoch_3.pth is of epoch 3 of 3" in capsys.readouterr().out
    assert resume_training(config(tmp_path, max_epochs=4))
    save(tmp_path / "epoch_3.pth", 3, validated=2)  # the last validation was cut off
    assert resume_training(config(tmp_path))


def test_other_classes_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "epoch_1.pth", 1)
    with pytest.raises(UserError, match="are a, b, but b, a are asked for"):
        resume_training(config(tmp_path, classes=("b", "a")))


def test_weights_alone_are_no_training(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, tmp_path / "epoch_1.pth")
    with pytest.raises(UserError, match="not the state of a training"):
        resume_training(config(tmp_path))


TRAIN = """
import os, sys, time
from cellseg_mm.runs.training_start import training_folder
from cellseg_mm.runs.user_errors import exit_with_a_sentence
with exit_with_a_sentence(), training_folder(sys.argv[1]):
    if "killed" in sys.argv:
        worker = os.fork()
        if worker == 0:
            time.sleep(60)  # as a data loader's worker that outlives its parent
        print(worker, flush=True)
        os._exit(9)
"""


def test_one_training_a_folder(tmp_path: Path) -> None:
    def other(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", TRAIN, str(tmp_path), *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    with training_folder(str(tmp_path)):
        refused = other()
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"error: Another training is using {tmp_path}: wait")
    assert other().returncode == 0


def test_a_killed_training_keeps_nobody_out(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TRAIN, str(tmp_path), "killed"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        worker = int(killed.stdout.readline())
        try:
            killed.wait()
            with training_folder(str(tmp_path)):
                pass
        finally:
            os.kill(worker, signal.SIGKILL)


def test_what_killed_trainings_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / ".epoch_3.abcd.unfinished.pth"
    left.write_bytes(b"half")
    with training_folder(str(tmp_path)):
        assert not left.exists()


def test_another_process_of_the_same_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with training_folder(str(tmp_path)):
        monkeypatch.setenv("RANK", "1")
        with training_folder(str(tmp_path)):
            pass
