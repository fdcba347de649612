"""Config and log of a work dir, read without running anything."""

import json
from pathlib import Path

import pytest

from cellseg_mm.reporting.run_record import (
    RunRecord,
    logged_environment,
    parse_config,
    read_run_record,
)

CONFIG = """
custom_hooks = [
    dict(type='LearningCurvesHook'),
]
data_root = 'data/cell/'
model = dict(
    backbone=dict(arch='base', type='mmpretrain.ConvNeXt'),
    test_cfg=dict(rcnn=dict(max_per_img=1000, score_thr=0.05)),
    type='MaskRCNN')
optim_wrapper = dict(
    optimizer=dict(lr=0.0003, type='AdamW', weight_decay=0.0005))
randomness = dict(seed=-1)
strange = open('/nowhere')
train_cfg = dict(max_epochs=20, type='EpochBasedTrainLoop')
"""

LOG = """2026/01/02 03:04:05 - mmengine - INFO -
------------------------------------------------------------
System environment:
    sys.platform: linux
    CUDA available: True
    GPU 0,1: NVIDIA H100
    PyTorch: 2.14.1
    PyTorch compiling details: PyTorch built with:
  - GCC 13.3

Runtime environment:
    seed: 7
    GPU number: 2
------------------------------------------------------------

2026/01/02 03:04:05 - mmengine - INFO - Config:
    seed: 8
"""


def test_settings_of_a_config():
    assert RunRecord(config=parse_config(CONFIG)).settings == {
        "Detector": "MaskRCNN",
        "Backbone": "mmpretrain.ConvNeXt",
        "Backbone size": "base",
        "Optimizer": "AdamW",
        "Learning rate": "0.0003",
        "Weight decay": "0.0005",
        "Epochs at most": "20",
        "Detections an image": "1000",
        "Least score": "0.05",
        "Seed": "-1",
        "Data": "data/cell/",
    }


def test_a_broken_config_has_no_settings():
    assert parse_config("model = dict(") == {}
    assert RunRecord().settings == {}


def test_data_of_a_config():
    record = RunRecord(config=parse_config(CONFIG))
    assert record.data_root("val") == Path("data/cell/")
    # A loader that reads elsewhere wins.
    other = CONFIG + "val_dataloader = dict(dataset=dict(data_root='other'))"
    record = RunRecord(config=parse_config(other))
    assert (record.data_root("val"), record.data_root("test")) == (Path("other"), Path("data/cell"))
    assert RunRecord().data_root("val") is None


def test_environment_of_a_log():
    assert logged_environment(LOG) == {
        "platform": "linux",
        "CUDA available": "True",
        "GPU 0,1": "NVIDIA H100",
        "PyTorch": "2.14.1",
        "seed": "7",
        "processes": "2",
    }
    assert logged_environment("another program's log") == {}


def test_an_empty_work_dir(tmp_path):
    record = read_run_record(tmp_path)

    assert (record.config_text, record.settings, record.environment) == ("", {}, {})


@pytest.fixture
def add_run(tmp_path):
    """Leave behind what MMEngine does at a start and after: two configs, a log and records."""

    def add(time, epochs, seed, *records):
        config = CONFIG.replace("max_epochs=20", f"max_epochs={epochs}")
        vis_data = tmp_path / time / "vis_data"
        vis_data.mkdir(parents=True)
        (tmp_path / "mine.py").write_text(config)
        (vis_data / "config.py").write_text(config)
        (vis_data / "scalars.json").write_text("".join(records))
        (tmp_path / time / f"{time}.log").write_text(LOG.replace("seed: 7", f"seed: {seed}"))

    return add


TRAINED = json.dumps({"lr": 0.1, "loss": 2.5, "step": 1}) + "\n"
VALIDATED = json.dumps({"coco/segm_mAP": 0.5, "step": 1}) + "\n"
TESTED = json.dumps({"coco/segm_mAP": 0.5, "step": 0}) + "\n"


def test_a_later_test_run_does_not_hide_the_training(tmp_path, add_run):
    add_run("20260101_000000", 10, 7, TRAINED, VALIDATED)
    add_run("20260202_000000", 11, 8, VALIDATED, TRAINED, '{"lr": 0.1, "lo')  # resumed, killed
    add_run("20260303_000000", 12, 9, TESTED)

    record = read_run_record(tmp_path)

    assert record.config_name == "20260202_000000/vis_data/config.py"
    assert record.config_text == CONFIG.replace("max_epochs=20", "max_epochs=11")
    assert record.settings["Epochs at most"] == "11"
    assert record.environment["seed"] == "8"


def test_a_training_does_not_borrow_the_log_of_a_test(tmp_path, add_run):
    add_run("20260101_000000", 10, 7, TRAINED)
    add_run("20260303_000000", 12, 9, TESTED)
    (tmp_path / "20260101_000000" / "20260101_000000.log").unlink()

    record = read_run_record(tmp_path)

    assert (record.environment, record.settings["Epochs at most"]) == ({}, "10")


def test_without_training_records_the_newest_log_counts(tmp_path):
    for time, seed in (("20260101_000000", 7), ("20260202_000000", 9)):
        (tmp_path / time).mkdir()
        log = LOG.replace("seed: 7", f"seed: {seed}")
        (tmp_path / time / f"{time}.log").write_text(log)
    (tmp_path / "mine.py").write_text(CONFIG)

    record = read_run_record(tmp_path)

    assert record.environment["seed"] == "9"
    assert (record.config_name, record.settings["Epochs at most"]) == ("mine.py", "20")
