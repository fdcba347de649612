"""The command `tools/browse_dataset.py`: pictures of what the loader makes."""

import cv2
import pytest

CONFIG = "configs/mask-rcnn_r50_fpn_cell.py"


@pytest.fixture
def browse(run_python, tmp_path):
    for command in (
        ["synthesize.py", tmp_path / "raw", "--images", "3", "--test-images", "0", "--size", "64"],
        ["prepare.py", tmp_path / "raw", "--out", tmp_path / "data", "--val-fraction", "0.3"],
    ):
        script, *arguments = command
        run_python(f"data_prep/{script}", *arguments, check=True)

    def run(*arguments, data=tmp_path / "data"):
        command = ["tools/browse_dataset.py", CONFIG, *arguments]
        options = [f"data_root={data}"]
        for split in ("train", "val"):
            options += [f"{split}_dataloader.num_workers=0"]
            options += [f"{split}_dataloader.persistent_workers=False"]
        return run_python(*command, "--cfg-options", *options)

    return run


def test_pictures_of_training_samples(browse, tmp_path):
    result = browse("--num", "3", "--out", tmp_path / "out")

    assert result.returncode == 0, result.stderr
    pictures = sorted((tmp_path / "out").iterdir())
    assert [path.name[:10] for path in pictures] == ["train_001_", "train_002_", "train_003_"]
    # Two panels side by side, each enlarged to 1,200 px along the longer side.
    assert cv2.imread(str(pictures[0])).shape[1] > 1600


def test_one_page_of_the_validation_split(browse, tmp_path):
    result = browse("--split", "val", "--num", "9", "--out", tmp_path / "page.html")

    assert result.returncode == 0, result.stderr
    page = (tmp_path / "page.html").read_text()
    assert page.count("<figure>") == 1  # there are no more than one validation image
    assert 'src="data:image/jpeg;base64,' in page
    assert "http" not in page


def test_absent_data_is_one_sentence(browse, tmp_path):
    result = browse("--out", tmp_path / "out", data=tmp_path / "none")

    assert result.returncode == 2
    assert "does not exist" in result.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()
