"""Ctrl-C and SIGTERM end a program with a sentence, wherever they strike."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
STOPS = {signal.SIGINT: "Interrupted: so it is.", signal.SIGTERM: "Terminated: so it is."}

BEGIN = """
import logging, os, signal, sys, time
from cellseg_mm.files.atomic_write import atomic_write
from cellseg_mm.runs.user_errors import exit_with_a_sentence

def stop():
    os.kill(os.getpid(), int(sys.argv[1]))
    time.sleep(0.01)

signal.signal(signal.SIGINT, signal.default_int_handler)
with exit_with_a_sentence("so it is."):
"""

PLACES = {
    "anywhere": "stop()",
    "where it is dropped": """
try: stop()
except BaseException: pass
time.sleep(60)""",
    "where it becomes another error": """
try: stop()
except BaseException: raise ImportError("half a module") from None""",
    "where it becomes an exit": """
try: stop()
except BaseException: sys.exit(0)""",
    "in a destructor": """
class Thing:
    def __del__(self): stop()
Thing()
time.sleep(60)""",
    "in a message": """
class Message:
    def __str__(self):
        try: stop()
        except BaseException: raise ValueError from None
logging.basicConfig()
logging.error(Message())
time.sleep(60)""",
    "while a file is written": """
with atomic_write("result.txt") as path:
    path.write_text("half")
    stop()""",
    "in an import": """
sys.path.insert(0, "")
import stopped
time.sleep(60)""",
    "in an import while a file is written": """
sys.path.insert(0, "")
with atomic_write("result.txt") as path:
    import stopped
    time.sleep(60)""",
    "at its cleaning up": """
try: stop()
finally:
    time.sleep(0.5)
    print("cleaned up")""",
}


@pytest.mark.parametrize("number", STOPS)
@pytest.mark.parametrize("place", PLACES)
def test_a_stop_is_a_sentence_and_leaves_nothing(
    place: str, number: signal.Signals, tmp_path: Path
) -> None:
    (tmp_path / "stopped.py").write_text("import __main__; __main__.stop(); print('imported')")
    body = "\n".join(f"    {line}" for line in PLACES[place].strip().splitlines())
    (tmp_path / "program.py").write_text(BEGIN + body)
    result = subprocess.run(
        [sys.executable, "program.py", str(int(number))],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 128 + number, result.stderr
    assert STOPS[number] in result.stderr
    assert "Traceback" not in result.stderr
    left = {path.name for path in tmp_path.iterdir()} - {"__pycache__"}
    assert left == {"stopped.py", "program.py"}
    said = {
        "at its cleaning up": "cleaned up\n",
        "in an import while a file is written": "imported\n",
    }
    assert result.stdout == said.get(place, "")


@pytest.mark.parametrize("number", STOPS)
@pytest.mark.parametrize(
    "command",
    [
        ("tools/train.py", "configs/mask-rcnn_efficientnet-lite0_fpn_dense-cell.py"),
        ("-m", "cellseg_mm", "segment", "image.png"),
        ("data_prep/prepare.py", "raw", "--out", "cell"),
    ],
    ids=["train", "segment", "prepare"],
)
def test_a_tool_is_stopped_while_it_imports(
    command: tuple[str, ...], number: signal.Signals
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", *command],
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    said = ""
    for said in process.stderr:
        if said.rsplit("|", 1)[-1].strip().startswith(("numpy.", "torch.")):
            break
    start = time.monotonic()
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number, said + errors
    assert "Traceback" not in errors
    assert time.monotonic() - start < 2
