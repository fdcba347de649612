"""Config and log of a work dir, read without running anything."""

from cellseg_mm.reporting.run_record import (
    important_settings,
    logged_environment,
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
    assert important_settings(CONFIG) == {
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
    assert important_settings("model = dict(") == {}


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


def test_the_newest_log_counts(tmp_path):
    for time, seed in (("20260101_000000", 7), ("20260202_000000", 9)):
        (tmp_path / time).mkdir()
        log = LOG.replace("seed: 7", f"seed: {seed}")
        (tmp_path / time / f"{time}.log").write_text(log)
    (tmp_path / "mine.py").write_text(CONFIG)

    record = read_run_record(tmp_path)

    assert record.environment["seed"] == "9"
    assert (record.config_name, record.settings["Epochs at most"]) == ("mine.py", "20")
