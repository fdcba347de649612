"""Where a cell is cut out, and the outlines on it."""

from pathlib import Path

import numpy as np
import pytest

from cellseg_mm.analysis.errors.error_analysis import analyse_errors
from cellseg_mm.analysis.errors.error_kinds import ErrorKind
from cellseg_mm.evaluation.annotations import read_annotations
from cellseg_mm.evaluation.predictions import load_predictions
from cellseg_mm.reporting.crop_window import crop_window
from cellseg_mm.reporting.worst_cells import (
    PREDICTION_COLOUR,
    TRUTH_COLOUR,
    contact_sheet,
    draw_worst_cells,
)
from cellseg_mm.structures.palette import rgb


@pytest.mark.parametrize(
    ("box", "window"),
    [
        # The least side, 48, around the centre (105, 205).
        ((100, 200, 10, 10), (81, 181, 48)),
        # 1.6 times the longer side, 40, around (120, 205).
        ((100, 200, 40, 10), (88, 173, 64)),
        # Shifted into the image at two corners.
        ((0, 0, 10, 10), (0, 0, 48)),
        ((390, 290, 10, 10), (352, 252, 48)),
        # No larger than the image.
        ((0, 0, 400, 300), (50, 0, 300)),
    ],
)
def test_crop_window(box, window):
    assert crop_window(box, height=300, width=400) == window


def has(picture, colour):
    return bool((picture == np.array(rgb(colour))).all(axis=2).any())


def test_outlines_of_truth_and_prediction(prepared: Path):
    annotations = read_annotations(prepared / "annotations" / "val.json")
    predictions = load_predictions(prepared / "predictions.json", annotations)
    analysis = analyse_errors(annotations, predictions)

    pictures = draw_worst_cells(analysis.worst, annotations, predictions, prepared)

    # Missed: the last two of image 2, the third of image 3.
    assert {kind: len(row) for kind, row in pictures.items()} == {
        ErrorKind.WRONG_CLASS: 1,
        ErrorKind.POOR_OUTLINE: 1,
        ErrorKind.DUPLICATE: 0,
        ErrorKind.BACKGROUND: 1,
        ErrorKind.MISSED: 3,
    }
    for kind, truth, prediction in (
        (ErrorKind.POOR_OUTLINE, True, True),
        (ErrorKind.BACKGROUND, False, True),
        (ErrorKind.MISSED, True, False),
    ):
        picture = pictures[kind][0].picture
        assert picture.shape == (144, 144, 3)
        assert (has(picture, TRUTH_COLOUR), has(picture, PREDICTION_COLOUR)) == (truth, prediction)
    assert list(contact_sheet(pictures)) == ["worst_cells"]
    assert contact_sheet({kind: [] for kind in ErrorKind}) == {}
