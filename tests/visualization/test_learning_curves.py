"""Learning curves: what is read from the runs of a work dir, and that pictures are drawn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from cellseg_mm.visualization.learning_curves import History, draw_learning_curves, read_scalars

ITERATIONS = 20
"""In each epoch; every tenth is logged."""


def train_record(epoch: int, step: int, loss: float) -> dict[str, Any]:
    # The form that MMEngine's LoggerHook writes.
    return {
        "base_lr": 2e-4,
        "lr": 1e-4,
        "data_time": 0.01,
        "loss": loss,
        "loss_mask": loss / 2,
        "acc": 90.0,
        "epoch": epoch,
        "iter": step,
        "step": step,
    }


def run_records(first_epoch: int, last_step: int, loss: float) -> list[dict[str, Any]]:
    """What a run logs that starts with an epoch and is stopped after an iteration."""
    records = []
    for step in range((first_epoch - 1) * ITERATIONS + 10, last_step + 1, 10):
        records.append(train_record((step - 1) // ITERATIONS + 1, step, loss))
        if step % ITERATIONS == 0:
            epoch = step // ITERATIONS
            scores = {"coco/segm_mAP": loss / 10, "coco/segm_mAP_50": loss / 5, "data_time": 0.1}
            records.append(scores | {"step": epoch})
    return records


def write_run(work_dir: Path, start: str, records: list[dict[str, Any]], tail: str = "") -> None:
    path = work_dir / start / "vis_data" / "scalars.json"
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records) + tail)


def test_a_class_name_with_a_slash_is_no_other_score(tmp_path: Path) -> None:
    scores = {"coco/segm_mAP": 0.5, "coco/segm_mAP_x/segm_mAP": 0.25, "step": 1}
    write_run(tmp_path, "20250101_000000", [train_record(1, 10, loss=1.0), scores])

    assert read_scalars(tmp_path).validation_curve("segm_mAP")[1].tolist() == [0.5]


def test_damaged_lines_are_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "vis_data"
    folder.mkdir(parents=True)
    whole = b'{"lr": 0.1, "loss": 2.0, "epoch": 1, "step": 10}'
    damaged = [b'{"lr": \xff\xfe', b"3", b"null", b'{"lr": 0.1}', b'{"lr": 1, "step": "x"}']
    damaged += [b'{"lr": 1, "step": 1, "epoch": 0}', b'{"lr": 1, "step": 1%s}' % (b"0" * 400)]
    (folder / "scalars.json").write_bytes(b"\n".join([*damaged, whole, whole[:20]]))
    assert [record["step"] for record in read_scalars(tmp_path).training] == [10]


def test_one_run(tmp_path: Path) -> None:
    write_run(tmp_path, "20250101_000000", run_records(1, 60, loss=1.0))
    history = read_scalars(tmp_path)
    epochs, losses = history.training_curve("loss_mask")
    np.testing.assert_allclose(epochs, [0.5, 1, 1.5, 2, 2.5, 3])
    np.testing.assert_allclose(losses, [0.5] * 6)
    epochs, scores = history.validation_curve("segm_mAP_50")
    np.testing.assert_allclose(epochs, [1, 2, 3])
    np.testing.assert_allclose(scores, [0.2] * 3)
    assert history.training_curve("loss_unknown")[0].size == 0


def test_the_losses_of_a_cascades_stages_are_added(tmp_path: Path) -> None:
    record = train_record(1, 10, 4.0) | {"s0.loss_cls": 0.5, "s1.loss_cls": 0.25, "s1.acc": 80.0}
    write_run(tmp_path, "run", [record])
    history = read_scalars(tmp_path)
    assert history.training_curve("loss_cls")[1].tolist() == [0.75]
    assert history.training_curve("loss_mask")[1].tolist() == [2.0]


def test_a_resumed_run_replaces_what_was_rolled_back(tmp_path: Path) -> None:
    # Stopped after 70 iterations, resumed from the checkpoint of epoch 2 (iteration 40).
    write_run(tmp_path, "20250101_000000", run_records(1, 70, loss=1.0), tail='{"lr": 0.1, "lo')
    write_run(tmp_path, "20250102_000000", run_records(3, 50, loss=2.0))
    history = read_scalars(tmp_path)
    assert [(r["step"], r["loss"]) for r in history.training] == [
        (10, 1), (20, 1), (30, 1), (40, 1), (50, 2),
    ]  # fmt: skip
    assert [(r["step"], r["segm_mAP"]) for r in history.validation] == [(1, 0.1), (2, 0.1)]


def test_a_resumed_run_that_logs_more_rarely_still_replaces(tmp_path: Path) -> None:
    write_run(tmp_path, "20250101_000000", run_records(1, 60, loss=1.0))
    write_run(tmp_path, "20250102_000000", [train_record(3, 60, 2.0)])
    assert [r["step"] for r in read_scalars(tmp_path).training] == [10, 20, 30, 40, 60]


def test_runs_that_did_not_train_replace_nothing(tmp_path: Path) -> None:
    write_run(tmp_path, "20250101_000000", run_records(1, 60, loss=1.0))
    before = read_scalars(tmp_path)
    write_run(tmp_path, "20250102_000000", [])
    write_run(tmp_path, "20250103_000000", [{"coco/segm_mAP": 0.9, "step": 0}])  # validation alone
    assert read_scalars(tmp_path) == before


def test_a_training_from_the_start_replaces_everything(tmp_path: Path) -> None:
    write_run(tmp_path, "20250101_000000", run_records(1, 60, loss=1.0))
    write_run(tmp_path, "20250102_000000", run_records(1, 20, loss=2.0))
    history = read_scalars(tmp_path)
    assert [r["step"] for r in history.training] == [10, 20]
    assert [r["step"] for r in history.validation] == [1]


def test_records_of_an_unfinished_first_epoch_stay_within_it() -> None:
    history = History(training=[train_record(1, step, 1.0) for step in (10, 20, 30)])
    np.testing.assert_allclose(history.training_curve("loss")[0], [1 / 3, 2 / 3, 1])


def test_nothing_logged_is_an_empty_history(tmp_path: Path) -> None:
    assert not read_scalars(tmp_path)
    with pytest.raises(ValueError, match="empty"):
        draw_learning_curves(History(), tmp_path / "curves.png")


@pytest.mark.parametrize(
    "history",
    [
        History([train_record(1, 10, 1.0)]),
        History([train_record(1, 10, 0.0)], [{"step": 1, "segm_mAP": 0.0}]),
        History([], [{"step": 1, "segm_mAP": float("nan")}]),
        History([train_record(1, 10, float("nan"))], [{"step": 1, "segm_mAP": 0.5}]),
    ],
    ids=["one-record", "zeros", "validation-only", "nan"],
)
@pytest.mark.filterwarnings("error::UserWarning")  # matplotlib's
def test_draws_whatever_there_is(tmp_path: Path, history: History) -> None:
    draw_learning_curves(history, tmp_path / "curves.png")
    picture = cv2.imread(str(tmp_path / "curves.png"))
    assert picture is not None
    assert picture.std() > 0
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]


def test_marks_the_best_epoch_and_names_every_line(tmp_path: Path) -> None:
    terms = ["loss", "loss_rpn_cls", "loss_rpn_bbox", "loss_cls", "loss_bbox", "loss_mask"]
    training = [
        {"epoch": e, "step": 5 * e, "lr": 0.1} | dict.fromkeys(terms, 1 / e) for e in (1, 2)
    ]
    validation = [
        {"step": epoch, "segm_mAP": m, "segm_mAP_50": m + 0.2, "segm_mAP_75": m + 0.1}
        for epoch, m in ((1, 0.25), (2, 0.5), (3, float("nan")), (4, 0.375))
    ]
    draw_learning_curves(History(training, validation), tmp_path / "curves.svg")
    svg = (tmp_path / "curves.svg").read_text()  # texts are comments beside their glyphs
    for text in (
        "best mAP: epoch 2", "mAP  0.500", "AP50  0.700", "AP75  0.600", "Learning rate",
        "total", "RPN objectness", "RPN box", "class", "box", "mask",
    ):  # fmt: skip
        assert f"<!-- {text} -->" in svg
