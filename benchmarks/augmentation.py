"""The reference's Albumentations pipeline: stock ``Albu`` on bitmaps against ``AlbuLabelMaps``.

Both sides get the same random draws, so image, instances and masks must come out the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, Literal

import albumentations
import numpy as np
from dense_scene import DenseScene, prepared_scene, synthetic_scene
from measurement import Measurement, Target, require, seconds
from mmdet.datasets.transforms import Albu
from mmengine.config import Config
from peak_memory import available_bytes

from cellseg_mm.datasets.transforms.albu_label_maps import AlbuLabelMaps

CONFIG = Path(__file__).parents[1] / "configs" / "mask-rcnn_convnext-b_fpn_albu_cell.py"
STAGE = "the reference's augmentation pipeline"

# MMDetection's documentation of Albu: boxes with min_visibility 0, lost instances filtered.
BOX_PARAMS = {
    "type": "BboxParams",
    "format": "pascal_voc",
    "label_fields": ["gt_bboxes_labels", "gt_ignore_flags"],
    "min_visibility": 0.0,
    "filter_lost_elements": True,
}
_ROTATION = [{"type": "Rotate", "limit": (45, 45), "p": 1.0}]
_SEEDER = AlbuLabelMaps([])
_DISTORTIONS = ("ElasticTransform", "GridDistortion", "OpticalDistortion")


@cache
def reference_transforms() -> list[dict[str, Any]]:
    """The reference's pipeline, from its config."""
    transforms: list[dict[str, Any]] = Config.fromfile(CONFIG).to_dict()["albu_transforms"]
    return transforms


@cache
def fair_draws() -> dict[int, str]:
    """Six seeds in the pipeline's own proportions: each distortion once, and three times none."""
    pipeline = albumentations.Compose(
        AlbuLabelMaps(reference_transforms())._compose.transforms, save_applied_params=True
    )
    tiny = np.zeros((64, 64, 3), np.uint8)
    wanted = dict.fromkeys(_DISTORTIONS, 1) | {"none": 3}
    draws = {}
    for seed in range(1000):
        _seed(pipeline, seed)
        applied = [name for name, _ in pipeline(image=tiny)["applied_transforms"]]
        kind = next((name for name in applied if name in _DISTORTIONS), "none")
        if wanted[kind]:
            wanted[kind] -= 1
            draws[seed] = kind
    return draws


def stock_albu(transforms: list[dict[str, Any]]) -> Albu:
    """Stock MMDetection's transform, set up as its documentation says."""
    return Albu(transforms, bbox_params=BOX_PARAMS, skip_img_without_anno=True)


def seed_both(seed: int, stock: Albu) -> None:
    """Have both sides draw the same random numbers next."""
    _seed(stock.aug, seed)
    np.random.seed(seed)  # noqa: NPY002  (the generator that AlbuLabelMaps draws its seed from)


def _seed(pipeline: albumentations.Compose, seed: int) -> None:
    """Seed a pipeline as ``AlbuLabelMaps`` seeds its own after ``numpy.random.seed(seed)``."""
    np.random.seed(seed)  # noqa: NPY002
    _SEEDER._compose = pipeline
    _SEEDER._seed()


class _Pair:
    """Both transforms on one scene."""

    def __init__(self, scene: DenseScene, transforms: list[dict[str, Any]]) -> None:
        self.stock, self.ours = stock_albu(transforms), AlbuLabelMaps(transforms)
        self._ours_sample = scene.sample(scene.masks)
        # Stock takes the image as it is, ours turns BGR into RGB for Albumentations.
        self._stock_sample = scene.sample(scene.bitmap_masks()) | {"img": scene.rgb}

    def works(self, seed: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
        """The work of both sides under one draw; to be run in this order, right away."""

        def stock() -> Any:
            seed_both(seed, self.stock)
            return self.stock(dict(self._stock_sample))

        def ours() -> Any:
            seed_both(seed, self.stock)
            return self.ours(dict(self._ours_sample))

        return stock, ours

    def check(self, theirs: dict[str, Any], mine: dict[str, Any]) -> None:
        """Require the same image and the same masks."""
        require(np.array_equal(theirs["img"], mine["img"][..., ::-1]), "augmented images")
        masks = mine["gt_masks"]
        row_of_id = {int(i) + 1: row for row, i in enumerate(theirs["idx_mapper"])}
        bitmaps = theirs["gt_masks"].masks
        require(set(masks.ids.tolist()) <= row_of_id.keys(), "instances after augmentation")
        for instance_id, row in row_of_id.items():
            if instance_id not in masks.ids:
                require(not bitmaps[row].any(), "instances after augmentation")
        for instance_id, bitmap in zip(masks.ids.tolist(), masks, strict=True):
            require(np.array_equal(bitmaps[row_of_id[instance_id]], bitmap), "augmented masks")


def box_slack(scene: DenseScene) -> tuple[float, float]:
    """Median box area over that of the tight box after a rotation by 45°: stock and ours."""
    pair = _Pair(scene, _ROTATION)
    stock, ours = pair.works(0)
    theirs, mine = stock(), ours()
    pair.check(theirs, mine)
    filled = theirs["gt_masks"].masks.any(axis=(1, 2))
    tight = theirs["gt_masks"].get_bboxes("hbox").areas.numpy()[filled]
    stock_slack = np.median(theirs["gt_bboxes"].areas.numpy()[filled] / tight)
    our_slack = np.median(mine["gt_bboxes"].areas.numpy() / mine["gt_masks"].get_bboxes().areas)
    return float(stock_slack), float(our_slack)


def mean_seconds(
    scene: DenseScene,
    draws: Iterable[int],
    inner: int = 3,
    stock_draws: Iterable[int] | None = None,
) -> tuple[float | None, float]:
    """Mean seconds an image over ``draws``, stock and ours; results are compared draw by draw.

    ``stock_draws`` are those that stock is timed and both are compared on, if not on all.
    Stock is left out where its bitmaps do not fit into memory.
    """
    if not _fits(scene):
        return None, our_seconds(scene, draws, inner)
    pair = _Pair(scene, reference_transforms())
    slow, fast = [], []
    for draw in draws if stock_draws is None else stock_draws:
        stock, ours = pair.works(draw)
        start = time.perf_counter()
        theirs = stock()
        slow.append(time.perf_counter() - start)
        pair.check(theirs, ours())
        del theirs
        fast.append(np.median([seconds(ours) for _ in range(inner)]))
    mean = our_seconds(scene, draws, inner) if stock_draws is not None else float(np.mean(fast))
    return float(np.mean(slow)), mean


def our_seconds(scene: DenseScene, draws: Iterable[int], inner: int = 5) -> float:
    """Mean seconds an image over ``draws``, this project alone."""
    transform = AlbuLabelMaps(reference_transforms())
    sample = scene.sample(scene.masks)
    medians = []
    for draw in draws:
        repeats = []
        for _ in range(inner):
            np.random.seed(draw)  # noqa: NPY002
            repeats.append(seconds(lambda: transform(dict(sample))))
        medians.append(np.median(repeats))
    return float(np.mean(medians))


def _fits(scene: DenseScene) -> bool:
    """Whether stock's bitmaps and the copies that Albumentations makes of them fit into memory."""
    free = available_bytes()
    return free is None or 5 * len(scene.labels) * scene.planes[0].size < free


def measure(data: Path | None, quick: bool) -> list[Measurement]:
    """All measurements of this stage; ``quick`` leaves out what takes long."""
    note = "mean over six draws in the pipeline's proportions"
    draws = fair_draws()
    small = synthetic_scene(512, 100)
    mean_seconds(small, draws)  # warms both sides up
    workloads: list[tuple[str, DenseScene, float | None]] = [(small.name, small, 20)]
    if not quick:
        dense = synthetic_scene(1000, 800)
        workloads.append((dense.name, dense, 200))
        if data is not None:
            real = prepared_scene(data, 300)
            workloads.append((f"{real.name} (real)", real, None))
    # Large images take stock half a minute a draw: one with a distortion and one without.
    by_kind = {kind: seed for seed, kind in draws.items()}
    two = [by_kind["none"], by_kind["GridDistortion"]]
    rows = []
    for workload, scene, at_least in workloads:
        few = None if scene is small else two
        stock, ours = mean_seconds(scene, draws, stock_draws=few)
        target = None if at_least is None else Target("ratio", "at least", at_least)
        noted = note if few is None else f"{note}; stock over two, one with a distortion"
        rows.append(Measurement(STAGE, workload, "s", stock, ours, target, note=noted))

    stock_slack, our_slack = box_slack(small)
    rows.append(
        Measurement(
            "box area over the tight box's, rotation by 45°",
            small.name,
            "×",
            stock_slack,
            our_slack,
            Target("ours", "at most", 1.0),
            note="median over cells",
        )
    )
    few, many = (our_seconds(synthetic_scene(1000, cells), draws) for cells in (50, 2000))
    rows.append(
        Measurement(
            "growth of the pipeline's cost",
            "1000×1000, 50 → 2,000 cells",
            "×",
            None,
            many / few,
            Target("ours", "at most", 1.5),
            note=note,
        )
    )
    # Stock takes minutes for these, so the curves are drawn for one draw, with a distortion.
    one = [seed for seed, kind in draws.items() if kind == "GridDistortion"]
    for cells in (50, 200) if quick else (50, 200, 500, 2000):
        rows.append(_point("cells", cells, synthetic_scene(1000, cells), one))
    for side in (256, 512) if quick else (256, 512, 1000, 1500):
        rows.append(_point("side", side, synthetic_scene(side, 60), one))
    return rows


def _point(curve: Literal["cells", "side"], x: int, scene: DenseScene, draws: list[int]) -> Any:
    stock, ours = mean_seconds(scene, draws, inner=5)
    return Measurement("augmentation", scene.name, "s", stock, ours, curve=curve, x=x)
