"""The switches of the training step: time and peak memory of each, against the default.

python benchmarks/training_switches.py [--side S] [--cells N] [--steps N]

The model is the reference's ConvNeXt-Base from scratch, batch 2. Each switch runs in a process of
its own. Memory is the device's on a GPU, and the rise of the process's resident set on a CPU.
"""

from __future__ import annotations

import argparse
import copy
import shutil
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.optim import OptimWrapper
from peak_memory import peak_extra_bytes
from training_step import BATCH, CONFIGS, batch_of, build_model

from cellseg_mm.engine.bf16_optim_wrapper import Bf16OptimWrapper


class Switch(NamedTuple):
    """One way to run a step, and how a user asks for it."""

    name: str
    option: str
    bf16: bool = False
    channels_last: bool = False
    compile: bool = False
    checkpointing: bool = False
    accumulation: int = 1


SWITCHES = (
    Switch("default", ""),
    Switch("bfloat16", "--amp", bf16=True),
    Switch("channels last", "default_hooks.backbone_speed.channels_last=True", channels_last=True),
    Switch("compiled backbone", "default_hooks.backbone_speed.compile=True", compile=True),
    Switch("gradient checkpointing", "model.backbone.with_cp=True", checkpointing=True),
    Switch(
        "gradient accumulation",
        "train_dataloader.batch_size=1 optim_wrapper.accumulative_counts=2",
        accumulation=2,
    ),
)


def prepare_steps(
    switch: Switch, side: int, cells: int, steps: int
) -> Callable[[], tuple[float, int]]:
    """The work to measure: some steps of one batch of 2.

    It gives the median seconds of a step and the peak bytes of a GPU (0 on a CPU).
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = build_model(CONFIGS / "mask-rcnn_convnext-b_fpn_cell.py", stock=False, device=device)
    if switch.channels_last:
        model.backbone.to(memory_format=torch.channels_last)
    if switch.compile:
        model.backbone.compile()
    if switch.checkpointing:
        for module in model.backbone.modules():
            if hasattr(module, "with_cp"):
                module.with_cp = True
    batch = batch_of(side, cells, stock=False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    wrapper = (Bf16OptimWrapper if switch.bf16 else OptimWrapper)(
        optimizer=optimizer, accumulative_counts=switch.accumulation
    )
    parts = _split(batch, switch.accumulation)

    def run() -> tuple[float, int]:
        times = []
        for _ in range(steps + 1):  # the first warms up
            start = time.perf_counter()
            for part in parts:
                model.train_step(copy.deepcopy(part), wrapper)
            if device == "cuda":
                torch.cuda.synchronize()
            times.append(time.perf_counter() - start)
        device_peak = torch.cuda.max_memory_allocated() if device == "cuda" else 0
        return float(np.median(times[1:])), device_peak

    return run


def _split(batch: dict[str, list[Any]], parts: int) -> list[dict[str, list[Any]]]:
    size = BATCH // parts
    return [
        {key: values[i * size : (i + 1) * size] for key, values in batch.items()}
        for i in range(parts)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=256, help="image side, pixels (default: 256)")
    parser.add_argument("--cells", type=int, default=60, help="cells an image (default: 60)")
    parser.add_argument("--steps", type=int, default=3, help="timed steps (default: 3)")
    args = parser.parse_args()
    print("| switch | option | s a step | peak memory |\n|---|---|--:|--:|")
    for switch in SWITCHES:
        if switch.compile and not torch.cuda.is_available() and not shutil.which("g++"):
            print(f"| {switch.name} | `{switch.option}` | needs a C++ compiler | |", flush=True)
            continue
        host_peak, (seconds, device_peak) = peak_extra_bytes(
            prepare_steps, switch, args.side, args.cells, args.steps
        )
        peak = device_peak or host_peak
        option = f"`{switch.option}`" if switch.option else ""
        print(
            f"| {switch.name} | {option} | {seconds:.2f} | {peak / 1e9:.2f} GB |",
            flush=True,
        )


if __name__ == "__main__":
    main()
