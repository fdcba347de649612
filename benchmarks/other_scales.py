"""How many cells are found again when an image is stored in larger or smaller pixels.

    python benchmarks/other_scales.py MODEL IMAGE ... [--window W ...] [--min-score S]

Each image, which is at the model's scale, is stored in pixels of twice and of half the width and
segmented again. A cell is found again if one there has an IoU above 0.5 with it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from cellseg_mm.evaluation.overlap_pairs import overlap_pairs
from cellseg_mm.inference.cell_segmenter import CellSegmenter

WINDOWS = {
    "lanczos": Image.Resampling.LANCZOS,
    "cubic": Image.Resampling.BICUBIC,
    "linear": Image.Resampling.BILINEAR,
    "area": Image.Resampling.BOX,
    "nearest": Image.Resampling.NEAREST,
}


def found_again(
    segmenter: CellSegmenter, image: Image.Image, window: str, least: float | None
) -> list[str]:
    """Number of cells; at half and at double the size, by how much it differs, and the share found.

    ``image`` is RGB and at the model's scale.
    """
    mpp = segmenter.bundle.mpp
    expected = segmenter.segment(image, mpp, min_score=least).labels
    cells = int(expected.max())
    values = [str(cells)]
    for factor in (2, 0.5):
        size = round(image.width / factor), round(image.height / factor)
        scale = image.width / size[0] * mpp, image.height / size[1] * mpp
        stored = image.resize(size, WINDOWS[window])
        labels = segmenter.segment(stored, scale, min_score=least).labels
        pairs = overlap_pairs(expected, _resized(labels, expected.shape))
        matched = int((pairs.iou > 0.5).sum()) / cells
        values += [f"{int(labels.max()) / cells - 1:+.1%}", f"{matched:.1%}"]
    return values


def _resized(labels: npt.NDArray[np.int32], shape: tuple[int, ...]) -> npt.NDArray[np.int32]:
    """A label map (H, W) at another size, by its nearest pixels."""
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(int)
        for new, old in zip(shape, labels.shape, strict=True)
    )
    return labels[rows[:, None], columns]


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="as of CellSegmenter")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE")
    parser.add_argument("--window", nargs="+", choices=WINDOWS, default=["lanczos"])
    parser.add_argument("--min-score", type=float, help="default: the model's own")
    args = parser.parse_args()
    torch.set_num_threads(1)
    segmenter = CellSegmenter(args.model, "cpu")
    print(
        "| image | window | cells | half the size | found again | double the size | found again |"
    )
    print("|---|---|--:|--:|--:|--:|--:|")
    for path in args.images:
        rgb = Image.open(path).convert("RGB")
        for window in args.window:
            values = found_again(segmenter, rgb, window, args.min_score)
            print(f"| {path.stem} | {window} | {' | '.join(values)} |", flush=True)


if __name__ == "__main__":
    main()
