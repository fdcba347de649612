"""Seconds that another tool's network takes for an image, on one thread.

    python benchmarks/other_networks.py NETWORK IMAGE [--mpp M] [--repeats N]

benchmarks/other_networks.sh makes the environments that this runs in, and measures all of them.

The networks are built by the tools' own packages, and the tools' own code resamples, normalises and
tiles the image. The weights are random, since published ones would have to be downloaded: they cost
as much time. What comes after the network depends on what it finds, so it is left out: following
flows (Cellpose), suppressing polygons (StarDist), and clustering (InstanSeg).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

NUCLEUS = 6.25
"""Diameter of a nucleus that Cellpose 3 is told, µm; it resamples nuclei to the size it knows."""

Rgb = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Network:
    """A network that is ready to run.

    Attributes:
        work: From an image (H, W, 3) to the network's output.
        parameters: Their number.
        factor: Pixels a side that the network sees of one of the image.
        note: How it is run.
    """

    work: Callable[[Rgb], object]
    parameters: int
    factor: float
    note: str


def cellpose3(diameter: float, mpp: float) -> Network:
    """The U-Net of Cellpose 3, whose nuclei are ``diameter`` pixels wide."""
    from cellpose.models import CellposeModel
    from cellpose.resnet_torch import CPnet

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "random"))
        CPnet([2, 32, 64, 128, 256], 3, sz=3, diam_mean=diameter).save_model(path)
        model = CellposeModel(gpu=False, pretrained_model=path)

    def work(rgb: Rgb) -> object:
        return model.eval(
            rgb, channels=[0, 0], diameter=NUCLEUS / mpp, batch_size=1, compute_masks=False
        )

    return Network(work, _parameters(model.net), diameter * mpp / NUCLEUS, "tiles of 224 px")


def cellpose_sam() -> Network:
    """The vision transformer (ViT-L) of Cellpose 4."""
    from cellpose.models import CellposeModel
    from cellpose.vit import CPSAM

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "random"))
        CPSAM().save_model(path)
        model = CellposeModel(gpu=False, pretrained_model=path)

    def work(rgb: Rgb) -> object:
        return model.eval(rgb, batch_size=1, compute_masks=False)

    return Network(work, _parameters(model.net), 1, "tiles of 256 px, bfloat16")


def stardist() -> Network:
    """StarDist's network for H&E: 32 rays on a grid of 2 pixels."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    from csbdeep.utils import normalize
    from stardist.models import Config2D, StarDist2D

    config = Config2D(axes="YXC", n_rays=32, n_channel_in=3, grid=(2, 2))
    model = StarDist2D(config, name=None, basedir=None)

    def work(rgb: Rgb) -> object:
        return model.predict(normalize(rgb, 1, 99.8, axis=(0, 1)), show_tile_progress=False)

    return Network(work, model.keras_model.count_params(), 1, "as a whole")


def instanseg(mpp: float) -> Network:
    """InstanSeg's U-Net with the defaults of its training script."""
    import torch
    from instanseg.inference_class import _rescale_to_pixel_size
    from instanseg.utils.models.InstanSeg_UNet import InstanSeg_UNet
    from instanseg.utils.pytorch_utils import _to_tensor_float32
    from instanseg.utils.tiling import _instanseg_padding
    from instanseg.utils.utils import percentile_normalize

    model_mpp = 0.5
    network = InstanSeg_UNet(3, [[2, 2, 1]], layers=np.array([256, 128, 64, 32])).eval()
    with torch.no_grad():
        traced = torch.jit.trace(network, torch.rand(1, 3, 256, 256))

    @torch.no_grad()
    def work(rgb: Rgb) -> object:
        image = _rescale_to_pixel_size(_to_tensor_float32(rgb)[None], mpp, model_mpp)
        padded, _ = _instanseg_padding(percentile_normalize(image[0])[None], extra_pad=0)
        return traced(padded)

    return Network(work, _parameters(network), mpp / model_mpp, "as a whole")


def _parameters(network: Any) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


NETWORKS: dict[str, Callable[[float], Network]] = {
    "cellpose3-cyto3": lambda mpp: cellpose3(30, mpp),
    "cellpose3-nuclei": lambda mpp: cellpose3(17, mpp),
    "cellpose-sam": lambda _: cellpose_sam(),
    "stardist": lambda _: stardist(),
    "instanseg": instanseg,
}


def main() -> None:
    """Measure one network and print a row of the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("image", type=Path)
    parser.add_argument("--mpp", type=float, default=0.25, help="µm a pixel (default: 0.25)")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    rgb = np.asarray(Image.open(args.image).convert("RGB"))
    if args.network != "stardist":
        import torch

        torch.set_num_threads(1)
    network = NETWORKS[args.network](args.mpp)
    network.work(rgb)  # warms up
    cpu: list[float] = []
    wall: list[float] = []
    for _ in range(args.repeats):
        before = time.process_time(), time.perf_counter()
        network.work(rgb)
        cpu.append(time.process_time() - before[0])
        wall.append(time.perf_counter() - before[1])
    megapixels = rgb.shape[0] * rgb.shape[1] / 1e6
    seen = f"{network.factor:g}×, {network.note}"
    print(
        f"| {args.network} | {network.parameters / 1e6:.1f} M | {seen} "
        f"| {min(cpu) / megapixels:.2f} | {min(wall) / megapixels:.2f} "
        f"| {min(cpu) / megapixels / network.factor**2:.2f} |"
    )


if __name__ == "__main__":
    main()
