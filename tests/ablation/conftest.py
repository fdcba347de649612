"""A small prepared data set."""

import pytest


@pytest.fixture(scope="session")
def prepared(run_python, tmp_path_factory):
    """Eight synthetic images of about 64 pixels, with a split into two folds."""
    folder = tmp_path_factory.mktemp("ablation")
    for command in (
        ["synthesize.py", folder / "raw", "--images", "8", "--test-images", "1", "--size", "64"],
        ["prepare.py", folder / "raw", "--out", folder / "data", "--folds", "2", "--fold", "0"],
    ):
        script, *arguments = command
        options = ["--cells", "6"] if script == "synthesize.py" else ["--channel-order", "bgr"]
        run_python(f"data_prep/{script}", *arguments, *options, check=True)
    return folder / "data"
