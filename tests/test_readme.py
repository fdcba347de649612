"""Every command of the README and of the guides in docs/ is one that the project understands."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch.distributed.run import get_args_parser

from cellseg_mm.cli.main import build_parser
from cellseg_mm.runs.run_config import load_config

ROOT = Path(__file__).resolve().parents[1]
GUIDES = ("configs", "distributed", "experiments", "models", "reference", "segment")
PAGES = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in GUIDES)]


def commands_of(block: str) -> Iterator[str]:
    """The lines of a shell block, with its variables put in; of a loop, the first turn."""
    known: dict[str, str] = {}
    for line in block.splitlines():
        line = re.sub(r"\$(\w+)", lambda name: known[name[1]], line.strip())
        if assigned := re.fullmatch(r"(\w+)=(\S+|\"[^\"]*\")", line):
            known[assigned[1]] = assigned[2].strip('"')
        elif loop := re.match(r"for (\w+) in (\S+) ", line):
            known[loop[1]] = loop[2]
        elif line not in ("", "done"):
            yield line


COMMANDS = [
    line
    for page in PAGES
    for block in re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    for line in commands_of(block)
]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
LAUNCHERS = ("python ", "torchrun ", "srun ")


def without_launcher(command: str) -> list[str]:
    """The script and its arguments."""
    words = shlex.split(command)
    if words[0] == "srun":
        words = words[words.index("python") :]
    if words[0] == "torchrun":
        parsed = get_args_parser().parse_args(words[1:])
        words = ["python", parsed.training_script, *parsed.training_script_args]
    return words[1:]


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith(LAUNCHERS)])
def test_a_scripts_arguments_and_overrides_exist(
    command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("slide.tif").touch()
    script, *arguments = without_launcher(command)
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


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("cellseg ")])
def test_the_arguments_of_cellseg_exist(command: str) -> None:
    build_parser().parse_args(shlex.split(command)[1:])


def test_make_and_pip_lines_are_the_makefiles() -> None:
    for command in COMMANDS:
        if command.startswith("make "):
            assert f"\n{command.removeprefix('make ')}:" in MAKEFILE
        elif command.startswith("pip ") and command != "pip install .":
            assert command.removeprefix("pip ") in MAKEFILE.replace(" --quiet", "").replace(
                "--editable", "-e"
            )
        else:
            known = (*LAUNCHERS, "cellseg ", "pip ", "python3 ", "source")
            assert command.startswith(known)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_pictures_and_pages_exist(page: Path) -> None:
    assert not re.search(r"\b[A-Z]+_(SECTION|TABLE|IMAGE)\b", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).is_file(), target
