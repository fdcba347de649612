"""Scores as a table."""

from __future__ import annotations

from cellseg_mm.runs.score_table import score_table


def test_a_row_for_all_and_one_for_each_class() -> None:
    metrics = {
        "coco/segm_mAP": 0.25,
        "coco/segm_mAP_50": 0.5,
        "coco/segm_mAP_round": 0.125,
        "coco/segm_mAP_long": float("nan"),
        "coco/segm_mAP_s": 0.75,
        "cell/mPQ+": 0.375,
        "cell/PQ_round": 0.625,
        "cell/truth_round": 1200,
        "cell/truth_long": 0,
        "cell/predicted_round": 3,
        "cell/predicted_long": 4,
        "cell/AJI": 0.0625,
    }
    lines = score_table(metrics, ["round", "long"]).splitlines()
    assert [line.split() for line in lines[:-1]] == [
        ["AP", "AP50", "PQ", "true", "found"],
        ["all", "0.250", "0.500", "0.375", "1,200", "7"],
        ["round", "0.125", "-", "0.625", "1,200", "3"],
        ["long", "-", "-", "-", "0", "4"],
    ]
    assert len({len(line) for line in lines[:-1]}) == 1
    assert lines[-1] == "all cells as one class: AJI 0.062"


def test_nothing_scored_is_nothing_said() -> None:
    assert score_table({}, ["round"]) == ""


def test_a_class_whose_key_is_taken_has_its_own_score() -> None:
    metrics = {"coco/segm_mAP": 0.5, "coco/segm_mAP_s": 0.75, "coco/segm_mAP_class_s": 0.25}
    assert [line.split() for line in score_table(metrics, ["s"]).splitlines()] == [
        ["AP"],
        ["all", "0.500"],
        ["s", "0.250"],
    ]
