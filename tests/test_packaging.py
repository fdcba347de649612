"""The metadata of the package against what is tested."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text().splitlines()
    found = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {re.sub(r"[-_.]+", "-", package).lower(): version for package, version in found}


def test_the_pins_lie_in_the_ranges_of_the_package() -> None:
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = metadata["optional-dependencies"].values()
    stated = [*metadata["dependencies"], *(line for extra in extras for line in extra)]
    ranges = {r.name: r.specifier for r in map(Requirement, stated)}
    pinned = pins("requirements.txt")
    assert ranges.keys() == pinned.keys()
    assert [name for name, version in pinned.items() if version not in ranges[name]] == []


def test_the_frozen_environment_has_the_pins() -> None:
    frozen = pins("constraints.txt")
    for name in ("requirements.txt", "requirements-dev.txt"):
        missing = {k: v for k, v in pins(name).items() if frozen.get(k) != v}
        assert missing == {}, name
