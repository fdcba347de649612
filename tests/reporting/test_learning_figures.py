"""The five figures of a training."""

import pytest

from cellseg_mm.reporting.learning_figures import learning_figures, training_facts
from cellseg_mm.visualization.learning_curves import History

TRAINING = [
    {"step": s, "epoch": 1 + (s > 10), "lr": 0.1 / s, "loss": 2.0 - s / 20, "loss_cls": 1.0, **more}
    for s, more in ((5, {"time": 1.0}), (10, {"time": 3.0}), (20, {"time": 1.5, "memory": 2048}))
]
VALIDATION = [
    {"step": 1, "segm_mAP": 0.3, "segm_mAP_50": 0.6, "segm_mAP_75": 0.2},
    {"step": 2, "segm_mAP": 0.25, "segm_mAP_50": 0.7, "segm_mAP_75": float("nan")},
]


def test_all_five():
    figures = learning_figures(History(TRAINING, VALIDATION))

    assert list(figures) == ["learning_rate", "loss", "map", "ap50", "ap75"]
    lines = {name: figure.axes[0].lines for name, figure in figures.items()}
    assert lines["learning_rate"][0].get_ydata() == pytest.approx([0.02, 0.01, 0.005])
    assert [line.get_label() for line in lines["loss"]] == ["total", "class"]
    # The value at the epoch of the best mAP is marked in each.
    assert [t.get_text() for t in figures["ap50"].axes[0].texts] == ["0.600"]


def test_what_was_not_logged_is_left_out():
    assert list(learning_figures(History(TRAINING, []))) == ["learning_rate", "loss"]
    assert learning_figures(History()) == {}


def test_the_training_in_numbers():
    assert training_facts(History(TRAINING, VALIDATION)) == {
        "Trained": "2 epochs, 20 iterations",
        "Best epoch": "1 (validation mAP 0.300)",
        "Time an iteration": "1.50 s (median)",
        "GPU memory": "2.0 GiB (greatest)",
    }
