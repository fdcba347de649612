"""Checkpoints are read without running code from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import _safe_torch_load, get_torch_safe_globals
from safetensors.torch import save_file

from cellseg_mm.errors import UserError
from cellseg_mm.files.checkpoint_file import load_from_data_alone, read_checkpoint


def test_what_training_saves_comes_back(tmp_path: Path) -> None:
    losses = HistoryBuffer([4.0, 2.0, 3.0], [1, 1, 1], max_length=7)
    content = {
        "state_dict": {"weight": torch.arange(6.0).reshape(2, 3)},
        "message_hub": {"log_scalars": {"train/loss": losses}, "best_score": np.float64(0.5)},
        "meta": {"epoch": 3, "dataset_meta": {"classes": ("a", "b"), "palette": [(1, 2, 3)]}},
    }
    torch.save(content, tmp_path / "epoch_3.pth")
    for mmap in (False, True):
        found = read_checkpoint(tmp_path / "epoch_3.pth", mmap=mmap)
        assert torch.equal(found["state_dict"]["weight"], content["state_dict"]["weight"])
        assert found["meta"] == content["meta"]
        assert found["message_hub"]["best_score"] == 0.5
        history = found["message_hub"]["log_scalars"]["train/loss"]
        assert type(history) is HistoryBuffer
        assert [a.tolist() for a in history.data] == [[4.0, 2.0, 3.0], [1, 1, 1]]
        assert history.max_length == 7
        statistics = [history.statistics(name) for name in ("min", "max", "current", "mean")]
        assert statistics == [2.0, 4.0, 3.0, 3.0]


def test_mmengine_runs_the_code(tmp_path: Path, hostile: Any) -> None:
    """So the other tests try what they say."""
    torch.save({"payload": hostile}, tmp_path / "file.pth")
    _safe_torch_load(tmp_path / "file.pth")
    assert hostile.marker.exists()
    hostile.marker.unlink()


@pytest.mark.parametrize("mmap", [False, True])
def test_code_is_not_run(tmp_path: Path, hostile: Any, mmap: bool) -> None:
    torch.save({"state_dict": {}, "payload": hostile}, tmp_path / "file.pth")
    # Whatever another package has permitted.
    with torch.serialization.safe_globals([*get_torch_safe_globals(), exec]):
        before = set(torch.serialization.get_safe_globals())
        with pytest.raises(UserError, match=r"file\.pth is not .* without running code"):
            read_checkpoint(tmp_path / "file.pth", mmap=mmap)
        assert set(torch.serialization.get_safe_globals()) == before


def test_a_history_cannot_replace_the_statistics_of_all(tmp_path: Path) -> None:
    losses = HistoryBuffer([1.0], [1])
    torch.save({"losses": losses}, tmp_path / "file.pth")
    state = {"_log_history": [2.0], "_count_history": [1], "max_length": 5}

    class Poisoned:
        def __reduce__(self) -> tuple[Any, ...]:
            more = {"statistics_methods": {"mean": torch.device}, "mean": 1}
            return (HistoryBuffer, (), state | more)

    torch.save({"losses": Poisoned()}, tmp_path / "poisoned.pth")
    found = read_checkpoint(tmp_path / "poisoned.pth")["losses"]
    assert found.mean() == found.statistics("mean") == 2.0
    assert HistoryBuffer([3.0], [1]).statistics("mean") == 3.0


def test_every_loader_of_mmengine_is_the_safe_one(tmp_path: Path, hostile: Any) -> None:
    assert set(CheckpointLoader._schemes.values()) == {load_from_data_alone}
    torch.save({"state_dict": {}, "payload": hostile}, tmp_path / "file.pth")
    with pytest.raises(UserError, match="without running code"):
        CheckpointLoader.load_checkpoint(str(tmp_path / "file.pth"))
    with pytest.raises(UserError, match="torchvision://resnet50 cannot be fetched"):
        CheckpointLoader.load_checkpoint("torchvision://resnet50")


def test_the_config_that_mmengine_would_run_is_left_out(tmp_path: Path) -> None:
    torch.save({"meta": {"epoch": 1, "config": "import os"}}, tmp_path / "file.pth")
    assert load_from_data_alone(str(tmp_path / "file.pth")) == {"meta": {"epoch": 1}}


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"\0" * 4096, b"{}", b"\x80\x02}q\0."])
def test_damaged_files_and_other_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file.pth").write_bytes(content)
    with pytest.raises(UserError, match=r"file\.pth is"):
        read_checkpoint(tmp_path / "file.pth")
    (tmp_path / "file.safetensors").write_bytes(content)
    with pytest.raises(UserError, match=r"file\.safetensors is damaged"):
        read_checkpoint(tmp_path / "file.safetensors")


def test_a_cut_checkpoint(tmp_path: Path) -> None:
    torch.save({"state_dict": {"weight": torch.ones(1000)}}, tmp_path / "file.pth")
    whole = (tmp_path / "file.pth").read_bytes()
    for size in (5, 500, len(whole) - 1):
        (tmp_path / "file.pth").write_bytes(whole[:size])
        with pytest.raises(UserError, match=r"file\.pth is .*damaged"):
            read_checkpoint(tmp_path / "file.pth")


def test_safetensors(tmp_path: Path) -> None:
    weights = {"weight": torch.arange(3.0)}
    save_file(weights, tmp_path / "a.safetensors", {"classes": '["lymphocyte", "other"]'})
    found = read_checkpoint(tmp_path / "a.safetensors")
    assert torch.equal(found["state_dict"]["weight"], weights["weight"])
    assert found["meta"] == {"dataset_meta": {"classes": ("lymphocyte", "other")}}
    save_file(weights, tmp_path / "b.safetensors")
    assert read_checkpoint(tmp_path / "b.safetensors")["meta"] == {}
