"""mmcv's operators are found in any order of imports, and only when they are asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def run(code: str, *path: Path) -> str:
    """Run code in a process of its own, with folders in front of the module search path."""
    start = f"import sys; sys.path[:0] = {[str(p) for p in path]!r}; "
    result = subprocess.run(
        [sys.executable, "-c", start + code], capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = {"torch", "numpy", "mmengine", "mmcv", "mmdet", "cellseg_mm.ops.mmcv_ext"}
    loaded = run("import cellseg_mm; print(*sys.modules)").split()
    assert not heavy & set(loaded)


@pytest.mark.parametrize(
    "first", ["import mmcv.ops", "from mmdet.apis import init_detector", "import mmpretrain.models"]
)
def test_what_comes_after_the_package_finds_the_operators(first: str) -> None:
    code = "import torch, mmcv.ops; b = torch.tensor([[0., 0, 2, 2], [0, 0, 2, 2]])"
    end = "print(mmcv.ops.nms(b, torch.tensor([.5, .6]), .5)[1].tolist())"
    assert run(f"import cellseg_mm; {first}; {code}; {end}").splitlines()[-1] == "[1]"


def test_a_compiled_mmcv_wins(tmp_path: Path) -> None:
    package = tmp_path / "mmcv"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "_ext.py").write_text("compiled = True")
    assert run("import cellseg_mm, mmcv._ext; print(mmcv._ext.compiled)", tmp_path) == "True"


def test_mmdet_before_the_package_is_an_error_that_says_so() -> None:
    code = "import types; sys.modules['mmdet.structures'] = types.ModuleType('m')\n"
    check = "try:\n    import cellseg_mm\nexcept ImportError as error:\n    print(error)"
    assert "import cellseg_mm first" in run(code + check)
