"""The command `tools/report.py`: its files, words and exit codes."""

from functools import partial

import pytest


@pytest.fixture
def run(run_python):
    return partial(run_python, "tools/report.py")


def test_help_names_the_files(run):
    result = run("--help")

    assert result.returncode == 0
    assert "WORK_DIR" in result.stdout


def test_absent_predictions_are_one_sentence(run, tmp_path):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "val.json").write_text(
        '{"images": [{"id": 1, "height": 1, "width": 1}], "categories": [{"id": 1, "name": "a"}],'
        ' "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 1,'
        ' "bbox": [0, 0, 1, 1], "segmentation": {"size": [1, 1], "counts": "01"}}]}'
    )

    result = run("--predictions", tmp_path / "absent.json", "--data", tmp_path)

    assert result.returncode == 2
    assert result.stderr == (
        f"error: The predictions {tmp_path}/absent.json do not exist: write them with "
        "`tools/test.py --dump`.\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["annotations"]


def test_an_absent_work_dir_is_one_sentence(run, tmp_path):
    result = run(tmp_path / "w", "--predictions", "p.json")

    assert result.returncode == 2
    assert result.stderr.startswith(f"error: The work dir {tmp_path}/w does not exist")


def test_a_negative_number_is_refused(run):
    result = run("--predictions", "p.json", "--images", "-1")

    assert result.returncode == 2
    assert "must not be negative" in result.stderr
