"""The command `tools/validate_submission.py`: its words and exit codes."""

import json
import zipfile

import pytest


@pytest.fixture
def run(run_python, tmp_path):
    """Runs the command on records of a submission for one image of 2 × 3 pixels."""
    images = tmp_path / "images.json"
    images.write_text(json.dumps([{"file_name": "a.tif", "id": 1, "height": 2, "width": 3}]))

    def run_command(records, submission=tmp_path / "out.zip", images=images):
        with zipfile.ZipFile(tmp_path / "out.zip", "w") as archive:
            archive.writestr("test-results.json", json.dumps(records))
        return run_python("tools/validate_submission.py", submission, images, "--num-classes", 2)

    return run_command


# Column-major runs 1, 2, 3: the lower left pixel and the one right of its upper neighbour.
RECORD = {
    "image_id": 1,
    "bbox": [0, 0, 2, 2],
    "score": 0.5,
    "category_id": 2,
    "segmentation": {"size": [2, 3], "counts": "123"},
}


def test_valid(run):
    result = run([RECORD])

    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1] == "valid"


def test_problems(run):
    result = run([RECORD, RECORD | {"category_id": 3}])

    assert result.returncode == 2
    assert "problem: record 1: category_id must be an integer from 1 to 2" in result.stdout


def test_an_absent_file_is_one_sentence(run):
    result = run([RECORD], images="absent.json")

    assert result.returncode == 2
    assert result.stderr == "error: The image list absent.json does not exist.\n"
