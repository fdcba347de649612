"""Attack the tools for some minutes, count, and fail on any fault.

    python -m stress [--minutes N] [--seed K] [--short | --sets N]

The same seed chooses the same attacks in the same order; how many there are, and when a kill
strikes, depends on the machine. --short: half a minute, without a model. --sets: damaged data sets
for convert.py, as many, of each format in turn.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

# One thread a process: they are forked.
os.environ["OMP_NUM_THREADS"] = "1"

from stress.tally import Tally
from stress.tool_process import REPOSITORY, import_libraries

SHORT_SECONDS = 12


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m stress",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=15, help="default: 15")
    parser.add_argument("--seed", type=int, help="default: another one each time")
    parser.add_argument("--short", action="store_true", help="half a minute, without a model")
    parser.add_argument("--sets", type=int, metavar="N", help="N damaged data sets, nothing else")
    return parser.parse_args()


def attacks(
    folder: Path, tally: Tally, short: bool
) -> list[tuple[float, Callable[[random.Random], None]]]:
    """All attacks, each with its share of the tries."""
    from stress.damaged_input import DamagedInput
    from stress.damaged_sets import DamagedSets
    from stress.hostile_checkpoints import HostileCheckpoints
    from stress.kills import KillAttack, kill_training, light_jobs, model_jobs
    from stress.material import make_material

    material = make_material(folder / "material", train=not short)
    damaged = DamagedInput(material, folder, tally)
    jobs = light_jobs(material)
    found: list[tuple[float, Callable[[random.Random], None]]] = []
    if short:
        jobs = {name: jobs[name] for name in ("prepare", "ensemble")}
    else:
        jobs |= model_jobs(material)
        found += [(2, attack) for attack in damaged.model_attacks().values()]
        found.append((3, HostileCheckpoints(material, folder, tally)))
        found.append((1, lambda rng: kill_training(material, folder, tally, rng)))
    found += [(3, KillAttack(name, job, folder / "kills", tally)) for name, job in jobs.items()]
    found += [(10, attack) for attack in damaged.light_attacks().values()]
    found += [(2, attack) for attack in DamagedSets(folder / "converted", tally).attacks().values()]
    return found


def attack_sets(folder: Path, tally: Tally, rng: random.Random, number: int) -> None:
    """Damage the data sets of the formats in turn."""
    from stress.damaged_sets import DamagedSets

    attacks = cycle(DamagedSets(folder, tally).attacks().values())
    for attack in islice(attacks, number):
        attack(rng)


def attack_all(folder: Path, tally: Tally, rng: random.Random, short: bool, minutes: float) -> None:
    """Attacks of all kinds, for some time."""
    weights, chosen = zip(*attacks(folder, tally, short), strict=True)
    start = time.monotonic()
    seconds = SHORT_SECONDS if short else 60 * minutes
    while time.monotonic() - start < seconds:
        rng.choices(chosen, weights)[0](rng)


def main() -> int:
    args = parse_args()
    seed = random.SystemRandom().randrange(10**6) if args.seed is None else args.seed
    print(f"seed {seed}", flush=True)
    os.chdir(REPOSITORY)
    import_libraries()
    rng, tally = random.Random(seed), Tally()
    with tempfile.TemporaryDirectory(prefix="stress-") as folder:
        try:
            if args.sets:
                attack_sets(Path(folder), tally, rng, args.sets)
            else:
                attack_all(Path(folder), tally, rng, args.short, args.minutes)
        finally:
            print(tally)
    print("failed" if tally.faults else "no fault", f"(seed {seed})")
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
