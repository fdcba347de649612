"""Which images the browser shows, and the verdicts on their cells."""

from cellseg_mm.analysis.errors.error_analysis import analyse_errors
from cellseg_mm.evaluation.annotations import read_annotations
from cellseg_mm.evaluation.predictions import load_predictions
from cellseg_mm.reporting.image_browser import browser_data, choose_images


def test_half_the_worst_and_the_rest_evenly_up_to_the_best():
    ranked = list(range(11))

    # Four worst, then of 3 (chosen already) to 10 in three equal steps: 5.33, 7.67, 10.
    assert choose_images(ranked, 7) == [0, 1, 2, 3, 6, 8, 10]
    assert choose_images(ranked, 1) == [0]
    assert choose_images(ranked, 0) == []
    assert choose_images(ranked, 50) == ranked


def test_verdicts(prepared):
    annotations = read_annotations(prepared / "annotations" / "val.json")
    predictions = load_predictions(prepared / "predictions.json", annotations)
    analysis = analyse_errors(annotations, predictions)

    data = browser_data(analysis.images, analysis, annotations, predictions, prepared)

    names = [kind["name"] for kind in data["kinds"]]
    assert [c["name"] for c in data["classes"]] == ["round", "flat"]
    images = {image["name"]: image for image in data["images"]}
    third = images["train/<3>.png"]
    assert [(c, names[k]) for c, k, _ in third["truth"]] == [
        (0, "found"),
        (1, "wrong class"),
        (0, "missed"),
        (1, "poor outline"),
    ]
    # By falling score; that of score 0.2 is not sure. 29 of the 113 pixels of a disc of radius 6
    # lie in one of radius 3.
    assert [(c, names[k], score, iou) for c, k, _, score, iou in third["predictions"]] == [
        (0, "found", 0.84, 1.0),
        (0, "wrong class", 0.8, 1.0),
        (1, "poor outline", 0.7, 0.257),
        (1, "background", 0.6, 0.0),
    ]
    first = images["train/<1>.png"]
    assert first["pq"] == 1.0
    assert {names[k] for _, k, _ in first["truth"]} == {"found"}
    assert first["source"].startswith("data:image/jpeg;base64,")
