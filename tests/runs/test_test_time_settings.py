"""Views, scales, tiles and further checkpoints."""

from __future__ import annotations

from typing import Any

import pytest
from mmengine.config import Config

from cellseg_mm.runs.test_time_settings import read_test_time, use_test_time


def model_config(**test_time: Any) -> Config:
    rcnn = {"mask_thr_binary": 0.4, "max_per_img": 300}
    model = {"type": "MaskRCNN", "test_cfg": {"rcnn": rcnn}}
    return Config({"model": model, "test_time": test_time})


def test_the_model_is_wrapped_only_if_something_is_on() -> None:
    assert use_test_time(Config({"model": {"type": "MaskRCNN"}})) == []
    config = model_config(views="identity", scales=[1.0], tile=0, overlap=64, checkpoints=[])
    assert use_test_time(config) == []
    assert config.model.type == "MaskRCNN"
    assert "keep_probabilities" not in config.model.test_cfg.rcnn

    config = model_config(views="flips", scales=1.5, tile=256, checkpoints="second.pth")
    assert use_test_time(config) == ["second.pth"]
    model = config.model
    assert model.type == "TestTimeModel"
    assert [detector.type for detector in model.detectors] == ["MaskRCNN", "MaskRCNN"]
    assert model.detectors[0].test_cfg.rcnn.keep_probabilities
    assert (model.views, model.scales, model.tile, model.overlap) == ("flips", [1.5], 256, 64)
    assert (model.mask_threshold, model.max_per_image) == (0.4, 300)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"views": "all"}, "views is 'all': choose one of identity, flips, dihedral"),
        ({"scales": []}, "scales is"),
        ({"scales": [1.0, 0]}, "scales is"),
        ({"scales": "big"}, "scales is"),
        ({"tile": 0.5}, "tile is 0.5"),
        ({"tile": -1}, "tile is -1"),
        ({"tile": 64}, "overlap is 64: .* below test_time.tile, 64"),
        ({"tile": 64, "overlap": 0}, "overlap is 0"),
        ({"merge_iou": 0}, "merge_iou is 0"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"test_time\.{message}"):
        read_test_time(settings)
