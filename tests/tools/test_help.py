"""--help of every command comes at once: nothing that takes seconds is imported for it."""

import pathlib

import pytest

_REPOSITORY = pathlib.Path(__file__).parents[2]
SCRIPTS = sorted(
    str(path.relative_to(_REPOSITORY))
    for folder in ("tools", "data_prep")
    for path in (_REPOSITORY / folder).glob("*.py")
)


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_imports_nothing_heavy(run_python, script):
    result = run_python("-X", "importtime", script, "--help")

    assert result.returncode == 0, result.stderr
    imported = {line.rsplit("|", 1)[-1].strip() for line in result.stderr.splitlines()}
    assert "argparse" in imported
    assert not imported & {"torch", "numpy", "mmengine", "mmdet", "cv2"}
    assert "usage:" in result.stdout
