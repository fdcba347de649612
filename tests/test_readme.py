"""Every command of the README and of docs/first-runs.md is one that the project understands."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from cellseg_mm.engine.run_config import load_config

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "docs" / "first-runs.md"]
COMMANDS = [
    line
    for page in PAGES
    for block in re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    for line in block.splitlines()
]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("python ")])
def test_a_scripts_arguments_and_overrides_exist(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, script, *arguments = shlex.split(command)
    spec = importlib.util.spec_from_file_location(Path(script).stem, ROOT / script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr("sys.argv", [script, *arguments])
    parsed = module.parse_args()
    if getattr(parsed, "config", None):
        load_config(str(ROOT / parsed.config), None, getattr(parsed, "cfg_options", None))
    if getattr(parsed, "file", None):
        assert (ROOT / parsed.file).is_file()


def test_make_and_pip_lines_are_the_makefiles() -> None:
    for command in COMMANDS:
        if command.startswith("make "):
            assert f"\n{command.removeprefix('make ')}:" in MAKEFILE
        elif command.startswith("pip "):
            assert command.removeprefix("pip ") in MAKEFILE.replace(" --quiet", "").replace(
                "--editable", "-e"
            )
        else:
            assert command.startswith(("python", "source"))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_pictures_and_pages_exist(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).is_file(), target
