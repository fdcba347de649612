"""Counts what was tried and what went wrong."""

from __future__ import annotations

import sys
from collections import Counter

from stress.tool_process import MEMORY_LIMIT, Outcome

FAULTS = {
    "traceback": "a traceback instead of a sentence",
    "exit code": "another exit code than 0 for success, 2 for bad input, 130 or 143 for a stop",
    "hang": "no end within the time limit",
    "memory": f"more than {MEMORY_LIMIT >> 30} GiB of memory",
    "left behind": "processes or unfinished files that outlived their tool",
    "half-written": "a damaged file under its final name",
    "different": "a result that differs without a word",
    "code ran": "code from a file was run",
}


class Tally:
    """What was tried and what went wrong.

    Attributes:
        tries: Number of tries, by attack.
        faults: Number of faults, by kind (see ``FAULTS``).
        seconds: Time of the tries, by attack.
        refused: Number of tries that ended with a sentence.
    """

    def __init__(self) -> None:
        self.tries: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.seconds: Counter[str] = Counter()
        self.refused = 0

    def judge(self, attack: str, outcome: Outcome, stopped_by: int = 0) -> bool:
        """Count a run of a tool and what it did wrong.

        Args:
            attack: What it was attacked with.
            outcome: How it ended.
            stopped_by: The signal that was sent to it.

        Returns:
            Whether the tool did its work.
        """
        self.tries[attack] += 1
        self.seconds[attack] += outcome.seconds  # type: ignore[assignment]
        self.refused += outcome.code == 2
        expected = {0, 2} if not stopped_by else {0, 128 + stopped_by, -stopped_by}
        kind = None
        if outcome.hung:
            kind = "hang"
        elif "MemoryError" in outcome.output or outcome.memory > MEMORY_LIMIT:
            kind = "memory"
        elif "Traceback (most recent call last)" in outcome.output:
            kind = "traceback"
        elif outcome.code not in expected or (
            outcome.code == 2
            and "error: " not in outcome.output
            and "not valid" not in outcome.output
        ):
            kind = "exit code"
        if kind:
            self.fault(kind, attack, outcome)
        if outcome.left_behind and stopped_by != 9:
            self.fault("left behind", attack, outcome)
        return outcome.code == 0

    def fault(self, kind: str, attack: str, outcome: Outcome, more: str = "") -> None:
        """Count a fault and say it."""
        assert kind in FAULTS, kind
        self.faults[kind] += 1
        end = "\n".join(f"    {line[:300]}" for line in outcome.output.strip().splitlines()[-8:])
        print(
            f"FAULT ({kind}) {attack}: {more}\n  {outcome.command[:1500]}\n"
            f"  exit code {outcome.code} after {outcome.seconds:.1f} s\n{end}",
            file=sys.stderr,
            flush=True,
        )

    def __str__(self) -> str:
        lines = [
            f"{count:6,}  {attack}, {self.seconds[attack] / count:.1f} s each"
            for attack, count in sorted(self.tries.items())
        ]
        lines.append(f"{self.tries.total():6,}  tries, {self.refused:,} refused with a sentence")
        lines += [f"{self.faults[kind]:6,}  {text}" for kind, text in FAULTS.items()]
        return "\n".join(lines)
