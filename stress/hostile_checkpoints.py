"""Checkpoints with code in them, wherever a checkpoint can be named."""

from __future__ import annotations

import os
import pickle
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from stress.material import CONFIG, Material
from stress.tally import Tally
from stress.tool_process import Outcome, run_tool


class Call:
    """Pickles as the call of a function."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self._call


def payloads(marker: Path) -> dict[str, Call]:
    """What writes the file `marker` when it is unpickled.

    "climb" names only what MMEngine's list of safe globals holds: with ``getattr`` it climbs from a
    function of torch's to ``exec``. The others name outright what they call.
    """
    from torch._tensor import _rebuild_from_type_v2
    from torch._utils import _rebuild_tensor

    code = f"open({str(marker)!r}, 'w').close()"
    get = Call(getattr, Call(getattr, _rebuild_tensor, "__builtins__"), "get")
    builtin = Call(getattr, get, "__class__")
    execute = Call(_rebuild_from_type_v2, get, builtin, ("exec",), {})
    nothing = Call(getattr, None, "__class__")
    return {
        "reduce": Call(exec, code),
        "climb": Call(_rebuild_from_type_v2, execute, nothing, (code,), {}),
        "system": Call(os.system, f"touch {marker}"),
        "process": Call(subprocess.check_output, ["touch", str(marker)]),
    }


_WRITERS: dict[str, Callable[[Any, Path], None]] = {
    "zip": torch.save,
    "old": lambda content, path: torch.save(content, path, _use_new_zipfile_serialization=False),
    "pickle": lambda content, path: path.write_bytes(pickle.dumps(content)),
}


class HostileCheckpoints:
    """Attacks with checkpoints that hold code.

    Args:
        material: Its checkpoint is the one that code is put into.
        folder: Folder of the checkpoints and of the tools' output.
        tally: Where to count.
    """

    def __init__(self, material: Material, folder: Path, tally: Tally) -> None:
        self._material, self._tally = material, tally
        self._folder = folder / "hostile"

    def __call__(self, rng: random.Random) -> None:
        """Try one payload, written in one way, in one position."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        marker = self._folder / "the-code-ran"
        kind, payload = rng.choice(list(payloads(marker).items()))
        form = rng.choice(list(_WRITERS))
        position = rng.choice(list(self._positions()))
        content = torch.load(self._material.checkpoint, weights_only=False)
        if rng.random() < 0.5:
            content["payload"] = payload
        else:
            content["meta"]["payload"] = payload
        evil = self._folder / "run" / "epoch_1.pth"
        evil.parent.mkdir()
        _WRITERS[form](content, evil)
        outcome = self._positions()[position](evil)
        attack = f"code in a checkpoint: {position}"
        self._tally.judge(attack, outcome)
        if marker.exists():
            self._tally.fault("code ran", attack, outcome, f"{kind}, {form}")
        elif outcome.code != 2:
            self._tally.fault("exit code", attack, outcome, f"{kind}, {form}: it was not refused")

    def _positions(self) -> dict[str, Callable[[Path], Outcome]]:
        """How a checkpoint is named in each position."""
        good, options = self._material.checkpoint, self._material.options
        image = next((self._material.cell / "images/train").glob("*.png"))
        out = self._folder / "out"

        def train(*more: str) -> Outcome:
            return run_tool("tools/train.py", CONFIG, "--work-dir", out, *options, *more)

        def resume(evil: Path) -> Outcome:
            command = ("tools/train.py", CONFIG, "--work-dir", evil.parent, "--resume")
            return run_tool(*command, *options)

        def noted(evil: Path) -> Outcome:
            renamed = evil.rename(evil.with_name("weights.pth"))
            (evil.parent / "last_checkpoint").write_text(str(renamed))
            return resume(evil)

        def test(checkpoint: Path, *more: str) -> Outcome:
            command = ("tools/test.py", CONFIG, checkpoint, "--work-dir", out)
            return run_tool(*command, *options, *more)

        def segment(evil: Path) -> Outcome:
            shutil.copy(next(good.parent.glob("*.py")), evil.parent)
            command = ("cellseg_mm/__main__.py", "segment", image, "--out", out, "--device", "cpu")
            return run_tool(*command, "--model", evil)

        return {
            "test": test,
            "test_time.checkpoints": lambda evil: test(good, f"test_time.checkpoints={evil}"),
            "segment": segment,
            "resume": resume,
            "last_checkpoint": noted,
            "load_from": lambda evil: train(f"load_from={evil}"),
            "backbone": lambda evil: train(f"model.backbone.init_cfg.checkpoint={evil}"),
        }
