"""The ``test_time`` of a config: views, scales, tiles and further checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config, ConfigDict

from cellseg_mm.errors import UserError
from cellseg_mm.evaluation.predictions import is_finite
from cellseg_mm.models.test_time.views import VIEWS


def use_test_time(config: Config) -> list[str]:
    """Wrap a config's model as its ``test_time`` asks for, if at all; in place.

    Returns:
        The further checkpoints to load, after the first one.

    Raises:
        ValueError: A setting of ``test_time`` makes no sense.
    """
    settings = read_test_time(config.get("test_time", {}))
    checkpoints = settings.pop("checkpoints")
    views, scales, tile = settings["views"], settings["scales"], settings["tile"]
    if (views, scales, tile, checkpoints) == ("identity", [1.0], 0, []):
        return []
    config.model = within_test_time(config.model, 1 + len(checkpoints), **settings)
    return checkpoints


def within_test_time(detector: ConfigDict, count: int, **settings: Any) -> ConfigDict:
    """The config of a ``TestTimeModel`` with as many of these detectors; changes ``detector``."""
    test_cfg = detector.test_cfg.rcnn
    test_cfg.keep_probabilities = True
    return ConfigDict(
        type="TestTimeModel",
        detectors=[detector] * count,
        mask_threshold=test_cfg.mask_thr_binary,
        max_per_image=test_cfg.max_per_img if test_cfg.max_per_img > 0 else None,
        **settings,
    )


def read_test_time(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Check the ``test_time`` of a config and fill in what it leaves out.

    Raises:
        ValueError: A setting makes no sense.
    """
    views = settings.get("views", "identity")
    scales = settings.get("scales", [1.0])
    tile, overlap = settings.get("tile", 0), settings.get("overlap", 64)
    merge_iou = settings.get("merge_iou", 0.5)
    checkpoints = settings.get("checkpoints", [])
    # A list of one loses its brackets on the command line.
    scales = list(scales) if isinstance(scales, list | tuple) else [scales]
    checkpoints = [checkpoints] if isinstance(checkpoints, str) else [*map(str, checkpoints)]
    if views not in VIEWS:
        raise UserError(f"test_time.views is {views!r}: choose one of {', '.join(VIEWS)}.")
    if not scales or not all(is_finite(scale) and scale > 0 for scale in scales):
        raise UserError(f"test_time.scales is {scales}: give factors above 0, such as [1.0,1.5].")
    if not isinstance(tile, int) or tile < 0:
        raise UserError(
            f"test_time.tile is {tile!r}: give a whole number of pixels, or 0 for whole images."
        )
    if tile and not (isinstance(overlap, int) and 0 < overlap < tile):
        raise UserError(
            f"test_time.overlap is {overlap!r}: give a whole number of pixels above 0 and below "
            f"test_time.tile, {tile}."
        )
    if not is_finite(merge_iou) or not 0 < merge_iou <= 1:
        raise UserError(f"test_time.merge_iou is {merge_iou!r}, but must lie above 0, up to 1.")
    return {
        "views": views,
        "scales": scales,
        "tile": tile,
        "overlap": overlap,
        "merge_iou": merge_iou,
        "checkpoints": checkpoints,
    }
