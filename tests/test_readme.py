"""Every command of the README and of docs/ is one that the project understands; Python runs."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from PIL import Image
from torch.distributed.run import get_args_parser

from cellseg_mm.cli.main import build_parser
from cellseg_mm.runs.run_config import load_config

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
RUN = [
    ROOT / "README.md",
    *(ROOT / "docs" / f"{n}.md" for n in ("api", "index", "segment", "viewers")),
]
"""Pages whose Python is run; tests/configs has that of docs/configs.md."""


def commands_of(block: str) -> Iterator[str]:
    """The lines of a shell block, with its variables put in; of a loop, the first turn."""
    known: dict[str, str] = {}
    for line in block.splitlines():
        line = re.sub(r"\s+# .*", "", line.strip())
        line = re.sub(r"\$(\w+)", lambda name: known[name[1]], line)
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
    monkeypatch.setitem(sys.modules, module.__name__, module)  # its dataclasses look there
    monkeypatch.syspath_prepend(str(ROOT / script).rpartition("/")[0])
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
        assert (page.parent / (target.partition("#")[0] or page.name)).is_file(), target


def test_the_readme_is_short_and_leads_to_what_a_stranger_looks_for() -> None:
    text = PAGES[0].read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120
    for name in ("segment.md", "train.md#data-of-your-own", "viewers.md"):
        assert f"](docs/{name})" in text


def test_the_default_model_is_that_of_the_page() -> None:
    default = build_parser().parse_args(["segment", "image.jpg"]).model
    assert f"| `--model` | `{default}` |" in (ROOT / "docs" / "segment.md").read_text("utf-8")


@pytest.mark.parametrize("page", RUN, ids=lambda p: p.name)
def test_the_python_of_a_page_runs(
    page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Image.open(ROOT / "docs" / "images" / "nucls.png") as image:
        for name in ("image.jpg", "photo.jpg"):
            image.convert("RGB").save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    napari = MagicMock()  # it is not installed here
    monkeypatch.setitem(sys.modules, "napari", napari)
    text = page.read_text(encoding="utf-8")
    if page.stem == "viewers":
        (command,) = re.findall(r"^cellseg segment image\.jpg .*", text, re.M)
        args = build_parser().parse_args(shlex.split(command)[1:])
        assert args.run(args) == 0
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert blocks
    for block in blocks:
        names: dict[str, Any] = {}
        exec(block, names)
        if "cells" in names:
            assert names["cells"].labels.shape == (256, 256)
            assert names["cells"].labels.max() == len(names["cells"].table) > 10
    if page.stem == "viewers":
        (labels,) = napari.Viewer().add_labels.call_args.args
        rows = (tmp_path / "cells" / "image.csv").read_text(encoding="utf-8").splitlines()[1:]
        assert labels.shape == (256, 256)
        assert labels.max() == len(rows) > 10
