"""The training step on an accelerator: images/s and peak memory, stock and this project.

Both sides are the same model with the same weights; stock gets ``FCNMaskHead`` and bitmaps. A step
is what MMEngine runs: data preprocessor, losses, backward pass and optimizer.

On its own, this script can also prove on a CPU that it runs: ``python training_step.py --tiny``.
"""

from __future__ import annotations

import argparse
import copy
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dense_scene import synthetic_scene
from measurement import Measurement, require
from mmdet.datasets.transforms import PackDetInputs
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.optim import OptimWrapper

import cellseg_mm.models  # noqa: F401
from cellseg_mm.engine.bf16_optim_wrapper import Bf16OptimWrapper

CONFIGS = Path(__file__).parents[1] / "configs"
STAGE = "training step"
BATCH = 2


def build_model(config: Path, stock: bool, device: str) -> Any:
    """The config's model from scratch, the same weights on both sides."""
    register_all_modules()
    import mmpretrain.models  # noqa: F401  (registers the backbone)

    model = copy.deepcopy(Config.fromfile(config).model)
    model.backbone.init_cfg = None
    if stock:
        model.roi_head.mask_head.type = "FCNMaskHead"
    torch.manual_seed(0)
    built = MODELS.build(model)
    built.init_weights()
    return built.to(device).train()


def batch_of(side: int, cells: int, stock: bool) -> dict[str, list[Any]]:
    """A batch as a loader hands it over."""
    scenes = [synthetic_scene(side, cells, seed) for seed in range(BATCH)]
    packed = [
        PackDetInputs()(scene.sample(scene.bitmap_masks() if stock else scene.masks))
        for scene in scenes
    ]
    return {key: [sample[key] for sample in packed] for key in ("inputs", "data_samples")}


def losses_of(model: Any, batch: dict[str, list[Any]]) -> dict[str, float]:
    """Losses of one step from fixed random numbers."""
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002  (the generator that samplers may draw from)
    with torch.no_grad():
        data = model.data_preprocessor(copy.deepcopy(batch), training=True)
        losses = model(**data, mode="loss")
        _, values = model.parse_losses(losses)
    return {name: float(value) for name, value in values.items()}


def step_cost(
    model: Any, batch: dict[str, list[Any]], bf16: bool, steps: int
) -> tuple[float, float]:
    """Images/s and peak bytes of device memory (nan on a CPU)."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    wrapper = (Bf16OptimWrapper if bf16 else OptimWrapper)(optimizer=optimizer)
    cuda = next(model.parameters()).is_cuda
    for _ in range(1 if not cuda else 3):
        model.train_step(copy.deepcopy(batch), wrapper)
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    times = []
    for _ in range(steps):
        data = copy.deepcopy(batch)
        if cuda:
            torch.cuda.synchronize()
        start = time.perf_counter()
        model.train_step(data, wrapper)
        if cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    peak = float(torch.cuda.max_memory_allocated()) if cuda else float("nan")
    return BATCH / float(np.median(times)), peak


def measure_step(
    config: Path, side: int, cells: int, device: str, bf16: bool, steps: int
) -> list[Measurement]:
    """Both sides on one workload; the losses must agree first."""
    speeds, peaks, losses = [], [], []
    for stock in (True, False):
        model, batch = build_model(config, stock, device), batch_of(side, cells, stock)
        losses.append(losses_of(model, batch))
        speed, peak = step_cost(model, batch, bf16, steps)
        speeds.append(speed)
        peaks.append(peak)
        del model, batch
        if device == "cuda":
            torch.cuda.empty_cache()
    # Targets are the same; a GPU adds up in no fixed order.
    tolerance = 1e-6 if device == "cpu" else 1e-3
    for name, value in losses[0].items():
        require(abs(value - losses[1][name]) <= tolerance * max(1, abs(value)), f"loss {name}")
    precision = "bf16" if bf16 else "fp32"
    workload = f"{config.stem}, {precision}, batch {BATCH}, {side}×{side}, {cells:,} cells"
    rows = [Measurement(STAGE, workload, "images/s", *speeds)]
    if device == "cuda":
        rows.append(Measurement(f"{STAGE}, peak device memory", workload, "bytes", *peaks))
    return rows


def measure(data: Path | None, quick: bool) -> list[Measurement]:
    """All measurements of this stage; none without an accelerator. ``data`` is unused."""
    if not torch.cuda.is_available():
        return []
    config = CONFIGS / "mask-rcnn_convnext-b_fpn_cell.py"
    rows = []
    for cells in (50,) if quick else (50, 500, 1500):
        for bf16 in (False, True) if torch.cuda.is_bf16_supported() else (False,):
            rows += measure_step(config, 1000, cells, "cuda", bf16, steps=2 if quick else 10)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="small model and images, on a CPU")
    if parser.parse_args().tiny:
        config = CONFIGS / "mask-rcnn_convnext-atto_fpn_cell.py"
        rows = [
            row for bf16 in (False, True) for row in measure_step(config, 128, 20, "cpu", bf16, 2)
        ]
    else:
        rows = measure(None, quick=False)
    for row in rows:
        print(f"{row.stage}: {row.workload}: {row.stock:.3g} → {row.ours:.3g} {row.unit}")


if __name__ == "__main__":
    main()
