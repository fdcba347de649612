"""The stress suite: its short form, and that it sees the faults that it looks for."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from stress.kills import differences, digests
from stress.mutations import cut_short, damage_bytes, damage_json
from stress.tally import Tally
from stress.tool_process import Outcome, run_reader


def test_short_form(run_python) -> None:
    result = run_python("-m", "stress", "--short", "--seed", 1)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "no fault (seed 1)" in result.stdout


def outcome(code: int, output: str = "", **more: object) -> Outcome:
    return Outcome("tool", code, output, 1.0, 0, **more)


@pytest.mark.parametrize(
    ("ended", "fault"),
    [
        (outcome(0), None),
        (outcome(2, "error: The file x is damaged."), None),
        (outcome(2), "exit code"),
        (outcome(1), "exit code"),
        (outcome(-11), "exit code"),
        (outcome(0, "Traceback (most recent call last):"), "traceback"),
        (outcome(1, "Traceback (most recent call last):\nMemoryError"), "memory"),
        (outcome(-9, hung=True), "hang"),
        (outcome(0, left_behind=1), "left behind"),
    ],
)
def test_faults_are_seen(ended: Outcome, fault: str | None) -> None:
    tally = Tally()
    tally.judge("try", ended)
    assert dict(tally.faults) == ({fault: 1} if fault else {})


def test_a_kill_may_end_a_tool_in_its_own_way() -> None:
    tally = Tally()
    for code in (0, -signal.SIGTERM, 128 + signal.SIGTERM):
        tally.judge("kill", outcome(code), signal.SIGTERM)
    assert not tally.faults
    tally.judge("kill", outcome(1), signal.SIGTERM)
    assert tally.faults["exit code"] == 1


def test_a_reader_that_takes_too_much_is_stopped() -> None:
    slow = run_reader(lambda: time.sleep(60), "slow", seconds=0.2)
    assert slow.hung
    large = run_reader(lambda: bytearray(3 << 30), "large")
    assert "MemoryError" in large.output


def test_a_changed_file_is_seen(tmp_path: Path) -> None:
    (tmp_path / "20260101_000000").mkdir()
    for name in ("a", ".unfinished", "20260101_000000/log"):
        (tmp_path / name).write_text("1")
    whole = digests(tmp_path)
    assert list(whole) == ["a"]
    (tmp_path / "a").write_text("2")
    assert "a differs" in differences(digests(tmp_path), whole)
    assert differences({}, whole) == ""


@pytest.mark.parametrize("damage", [damage_bytes, damage_json, cut_short])
def test_damage_follows_the_seed(damage) -> None:
    content = b'[{"a": 1, "b": [1, 2, {"c": "d"}]}, {"a": 2}]' * 1
    found = [[damage(content, random.Random(seed)) for seed in range(50)] for _ in range(2)]
    assert found[0] == found[1]
    assert sum(damaged != content for damaged in found[0]) > 40


def test_damage_to_what_is_no_json() -> None:
    for content in (b"", b'{"a": 1}\n{"a": 2}\n'):
        for seed in range(50):
            assert isinstance(damage_json(content, random.Random(seed)), bytes)


def test_damaged_sets_of_every_format(run_python) -> None:
    result = run_python("-m", "stress", "--sets", 48, "--seed", 3)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "no fault (seed 3)" in result.stdout
    assert result.stdout.count("damaged set: ") == 16
