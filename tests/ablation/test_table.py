"""The tables: numbers worked out by hand."""

import csv
import io

from cellseg_mm.ablation.run_result import RunResult
from cellseg_mm.ablation.table import build_tables, csv_text, progress_text

MODEL = {"parameters": 2_000_000, "trainable": 1_500_000, "gflops": 4.0, "input_size": [512, 512]}


def run(row, fold, ap, seconds=60.0, **changes):
    scores = {"segm_mAP": ap, "segm_mAP_50": 2 * ap, "segm_mAP_75": None, "segm_mAP_50_dets100": ap}
    training = {
        "seconds": seconds,
        "epochs": 2,
        "peak_bytes": 2**31,
        "memory": "GPU",
        "device": "X",
    }
    values = {"state": "done", "scores": scores, "training": training, "model": MODEL}
    return RunResult(row, fold, 0, **(values | changes))


FAILED = {"state": "failed", "scores": {}, "training": {}, "error": "out of memory"}
RESULTS = [
    run("A & B", 0, 0.25, 30, batch="0123456789", test_seconds=9.0),
    run("A & B", 1, 0.5, 90),
    run("C", 0, 0.375),
    run("C", 1, 0.625),
    run("D", 0, 0.5),
    run("D", 1, 0.0, **FAILED),
]


def test_scores():
    scores = build_tables("T", RESULTS)[0]

    # The sample deviation of 0.25 and 0.5 is 0.25 / √2 = 0.1768.
    assert scores.rows[0] == [
        "A & B",
        "0.3750 ± 0.1768",
        "0.7500 ± 0.3536",
        "–",
        "0.3750 ± 0.1768",
        "2/2",
    ]
    assert scores.rows[2] == ["D", "0.5000", "1.0000", "–", "0.5000", "1/2"]


def test_differences_pair_the_same_fold():
    differences = build_tables("T", RESULTS)[1]

    assert differences.rows[0][1] == "+0.1250 [+0.1250, +0.1250]"
    # Only fold 0 of D is there: 0.5 − 0.375 to the previous row, 0.5 − 0.25 to the first.
    assert differences.rows[1][1] == "+0.1250"
    assert differences.rows[1][5] == "+0.2500"
    assert differences.rows[1][-1] == "1"


def test_a_row_that_tests_the_weights_of_another_is_compared_with_it():
    flips = [run("C, flips", fold, 0.75, weights_of="C", training={}) for fold in (0, 1)]
    _, differences, cost, _ = build_tables("T", [*RESULTS, *flips])

    assert differences.rows[-1][1] == "+0.2500 [+0.1250, +0.3750]"
    assert differences.rows[-1][5] == "+0.3750 [+0.2500, +0.5000]"
    assert "has that row for its previous one" in differences.notes[-1]
    assert cost.rows[-1][4:6] == ["–", "–"]  # neither epochs nor time
    row = list(csv.DictReader(io.StringIO(csv_text([*RESULTS, *flips]))))[-1]
    assert row["mAP_minus_previous_mean"] == "0.25"


def test_cost_and_failures():
    _, _, cost, failures = build_tables("T", RESULTS)

    numbers = ["2.00", "1.50", "4.00", "2.0", "0:01:00", "0:00:09", "2.00", "01234567"]
    assert cost.rows[0] == ["A & B", *numbers]
    assert "512×512" in cost.notes[0]
    assert failures.rows == [["D", "1", "0", "out of memory"]]


def test_csv():
    rows = list(csv.DictReader(io.StringIO(csv_text(RESULTS))))

    assert [row["row"] for row in rows] == ["A & B", "C", "D"]
    assert (rows[0]["mAP_mean"], rows[0]["mAP_minus_previous_mean"]) == ("0.375", "")
    assert (rows[1]["mAP_minus_previous_mean"], rows[1]["mAP_minus_previous_pairs"]) == (
        "0.125",
        "2",
    )
    assert (rows[2]["runs"], rows[2]["planned"], rows[2]["AP75_mean"]) == ("1", "2", "")


def test_markdown_and_latex():
    table = build_tables("T", RESULTS)[0]

    lines = table.markdown().splitlines()
    assert lines[0] == "## T"
    assert len({len(line) for line in lines[2:7]}) == 1
    row = r"A \& B & 0.3750 $\pm$ 0.1768 & 0.7500 $\pm$ 0.3536 & -- & 0.3750 $\pm$ 0.1768 & 2/2 \\"
    assert row in table.latex()


def test_progress():
    lines = progress_text([*RESULTS, RunResult("E", 0, 0)]).splitlines()

    assert [line.split()[-4:-1] for line in lines[-2:]] == [["1", "1", "0"], ["0", "0", "1"]]
