"""The values of a PNG that holds labels, not colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL.PngImagePlugin import PngImageFile

from cellseg_mm.preparation.problems import BadFileError, reading
from cellseg_mm.preparation.raw_reader import LARGEST_SIDE

_ONE_VALUE = ("1", "L", "P", "I", "I;16")


def read_png_values(path: Path) -> npt.NDArray[np.integer]:
    """Read one number a pixel.

    Args:
        path: A PNG; grey or with a palette of any depth, or coloured: then every colour is a value
            of its own, 65536 × red + 256 × green + blue. Transparency counts for nothing.

    Returns:
        (H, W) integers.

    Raises:
        BadFileError: Not such a file, or damaged.
    """
    with reading(path, "not a readable PNG", "download it again"):
        with path.open("rb") as file, PngImageFile(file, str(path)) as image:
            image.verify()  # the checksums, which decoding leaves out
        with path.open("rb") as file, PngImageFile(file, str(path)) as image:
            if max(image.size) > LARGEST_SIDE:
                what = f"its header states {image.height} × {image.width} pixels (height × width)"
                raise BadFileError(path, what, "download it again")
            mode = image.mode
            values = np.array(image)
    if mode in _ONE_VALUE:
        return values.astype(np.int64)
    if mode == "LA":
        return values[..., 0].astype(np.int64)
    if mode in ("RGB", "RGBA"):
        return values[..., :3].astype(np.int64) @ np.array([65536, 256, 1])
    raise BadFileError(path, f"it holds pixels of the kind {mode}", "take the original file")
