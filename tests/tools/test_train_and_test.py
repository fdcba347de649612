"""tools/train.py and tools/test.py as a user runs them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

CONFIG = "configs/mask-rcnn_convnext-atto_fpn_cell.py"
FAST = [
    "max_epochs=2",
    "train_dataloader.num_workers=0",
    "val_dataloader.num_workers=0",
    "test_dataloader.num_workers=0",
    "default_hooks.logger.interval=1",
    "model.test_cfg.rcnn.max_per_img=50",
]


RunPython = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def trained(
    run_python: RunPython, prepared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The work dir of a run of two epochs, the second of them resumed and in bfloat16."""
    work_dir = tmp_path_factory.mktemp("runs") / "run"
    options = ["--work-dir", work_dir, "--cfg-options", f"data_root={prepared_data}", *FAST]
    first = run_python("tools/train.py", CONFIG, *options, "train_cfg.max_epochs=1")
    assert first.returncode == 0, first.stderr
    second = run_python("tools/train.py", CONFIG, "--resume", "--amp", *options)
    assert second.returncode == 0, second.stderr
    assert "resumed epoch: 1" in second.stdout + second.stderr
    return work_dir


def test_a_run_leaves_what_it_promises(trained: Path) -> None:
    assert (trained / "epoch_2.pth").is_file()
    assert len(list(trained.glob("best_coco_segm_mAP_epoch_*.pth"))) == 1
    assert (trained / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert len(list((trained / "overlays/val").glob("*.png"))) == 2
    assert list(trained.rglob("events.out.tfevents.*"))
    records = [
        json.loads(line)
        for path in sorted(trained.glob("*/vis_data/scalars.json"))
        for line in path.read_text().splitlines()
    ]
    training = [r for r in records if "loss" in r]
    terms = ("loss_rpn_cls", "loss_rpn_bbox", "loss_cls", "loss_bbox", "loss_mask", "lr")
    assert all(term in record for record in training for term in terms)
    assert [r["epoch"] for r in training] == [1, 1, 1, 2, 2, 2]
    # Cosine annealing over two epochs: the second starts at half the rate.
    assert training[0]["lr"] == pytest.approx(2 * training[-1]["lr"])
    assert sum("coco/segm_mAP" in r for r in records) == 2


def test_scores_dump_and_submission(
    run_python: RunPython, prepared_data: Path, trained: Path, tmp_path: Path
) -> None:
    options = ["--work-dir", tmp_path, "--cfg-options", f"data_root={prepared_data}", *FAST]
    checkpoint = trained / "epoch_2.pth"
    scored = run_python(
        "tools/test.py",
        *(CONFIG, checkpoint, "--metrics", "coco", "cell", "--dump", tmp_path / "found.json"),
        *options,
    )
    assert scored.returncode == 0, scored.stderr
    assert len(scored.stdout.splitlines()) < 60
    assert "OneDL" not in scored.stdout + scored.stderr
    assert scored.stdout.splitlines()[-7].split()[:4] == ["AP", "AP50", "AP75", "AP@100"]
    assert list((tmp_path / "overlays" / "val").glob("*.png"))
    text = (tmp_path / "metrics.json").read_text()
    metrics = json.loads(text)
    assert metrics.pop("run") == {
        "checkpoint": str(checkpoint),
        "config": CONFIG,
        "options": [f"data_root={prepared_data}", *FAST],
        "data": str(prepared_data / "annotations/val.json"),
    }
    assert {"segm_mAP", "segm_mAP_50", "segm_mAP_75", "segm_mAP_dets100"} <= metrics.keys()
    assert {"cell/bPQ", "cell/AJI"} <= metrics.keys()
    found = json.loads((tmp_path / "found.json").read_text())
    val = json.loads((prepared_data / "annotations/val.json").read_text())
    assert {f["image_id"] for f in found} <= {image["id"] for image in val["images"]}

    submission = tmp_path / "submission.zip"
    test = json.loads((prepared_data / "annotations/test.json").read_text())
    (tmp_path / "no_truth.json").write_text(json.dumps(test | {"annotations": []}))
    without_truth = f"test_dataloader.dataset.ann_file={tmp_path / 'no_truth.json'}"
    written = run_python(
        "tools/test.py",
        *(CONFIG, checkpoint, "--submission", submission, *options, without_truth),
    )
    assert written.returncode == 0, written.stderr
    assert (written.stdout + written.stderr).count("--metrics is left out") == 1
    assert (tmp_path / "metrics.json").read_text() == text
    assert not (tmp_path / "metrics_test.json").exists()
    assert zipfile.ZipFile(submission).namelist() == ["test-results.json"]
    names = prepared_data.parent / "raw" / "test_image_name_to_ids.json"
    checked = run_python("tools/validate_submission.py", submission, names)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train.py", "configs/missing.py"], "configs/missing.py does not exist"),
        (["train.py", CONFIG, "--cfg-options", "max_epoch=3"], "nearest are max_epochs"),
        (["train.py", CONFIG, "--cfg-options", "data_root=no/where"], "no/where/annotations/val"),
        (["test.py", CONFIG, "missing.pth", "--cfg-options", "data_root={data}"], "missing.pth"),
        (
            ["test.py", CONFIG, "{data}/audit.json", "--cfg-options", "data_root={data}"],
            "is not a checkpoint",
        ),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    run_python: RunPython, prepared_data: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    script, *rest = (argument.format(data=prepared_data) for argument in arguments)
    result = run_python(f"tools/{script}", *rest[:1], "--work-dir", tmp_path, *rest[1:])
    assert result.returncode == 2, result.stderr
    (error,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert message in error
    assert "Traceback" not in result.stderr


def test_a_test_split_without_images_is_one_sentence(
    run_python: RunPython, prepared_data: Path, tmp_path: Path
) -> None:
    test = json.loads((prepared_data / "annotations/test.json").read_text())
    empty = tmp_path / "empty.json"
    empty.write_text(json.dumps(test | {"images": [], "annotations": []}))
    submission = tmp_path / "out.zip"
    (tmp_path / "any.pth").write_bytes(b"")
    options = [f"data_root={prepared_data}", f"test_dataloader.dataset.ann_file={empty}"]
    result = run_python(
        "tools/test.py",
        *(CONFIG, tmp_path / "any.pth", "--work-dir", tmp_path / "run", "--submission", submission),
        *("--cfg-options", *options),
    )
    assert result.returncode == 2, result.stderr
    assert f"error: {empty} lists no images to predict" in result.stderr
    assert not submission.exists()
