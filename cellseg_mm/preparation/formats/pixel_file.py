"""All pixels of an image file of any kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from cellseg_mm.errors import UserError
from cellseg_mm.preparation.problems import BadFileError
from cellseg_mm.preparation.raw_reader import LARGEST_SIDE
from cellseg_mm.readers.open_image import open_image


def read_pixel_file(
    path: Path, swapped: bool = False
) -> tuple[npt.NDArray[np.uint8], float | None]:
    """Read an image.

    Args:
        path: A file that :func:`~cellseg_mm.readers.open_image.open_image` opens.
        swapped: Red and blue are swapped in it.

    Returns:
        pixels: (H, W, 3), red first.
        mpp: µm per pixel, or None.

    Raises:
        BadFileError: It cannot be read, or has more than `LARGEST_SIDE` pixels a side.
    """
    try:
        with open_image(path, "bgr" if swapped else "rgb") as file:
            if max(file.height, file.width) > LARGEST_SIDE:
                what = f"it is {file.height} × {file.width} pixels (height × width)"
                remedy = f"cut it into images of at most {LARGEST_SIDE} pixels a side"
                raise BadFileError(path, what, remedy)
            pixels = file.read(0, 0, file.width, file.height)
            mpp = None if file.mpp is None else (file.mpp[0] * file.mpp[1]) ** 0.5
    except BadFileError:
        raise
    except UserError as error:
        what, _, remedy = str(error).removeprefix(f"The image {path} ").rstrip(".").partition(": ")
        what = what.removeprefix(f"{path} ")
        raise BadFileError(path, what, remedy or "add the image") from error
    return np.ascontiguousarray(pixels.permute(1, 2, 0).numpy()), mpp
