"""Pictures of 8-bit RGB, read from files and written to them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from cellseg_mm.errors import MissingFileError, UserError
from cellseg_mm.files.atomic_write import atomic_write

RgbImage = npt.NDArray[np.uint8]


def read_rgb(path: str | Path) -> RgbImage:
    """Read a picture, such as an image of a prepared data set, as (H, W, 3) uint8 RGB.

    Raises:
        MissingFileError: The file does not exist.
        UserError: The file is not an image.
    """
    if not Path(path).is_file():
        raise MissingFileError(
            f"The image {path} does not exist: the data folder must be one that "
            "data_prep/prepare.py wrote."
        )
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise UserError(f"{path} is not an image that can be read: prepare the data set again.")
    return np.ascontiguousarray(image[..., ::-1], np.uint8)


def require_size(path: str | Path, found: tuple[int, ...], noted: tuple[int, ...]) -> None:
    """Refuse an image or a label map of another (height, width, …) than its annotations are of.

    Raises:
        UserError: The sizes differ, so that the cells would lie elsewhere.
    """
    if found[:2] != noted[:2]:
        raise UserError(
            f"{path} is {found[0]}×{found[1]}, but its annotations are of an image of "
            f"{noted[0]}×{noted[1]}: prepare the data set again."
        )


def encode_rgb(rgb: RgbImage, suffix: str, options: Sequence[int] = ()) -> bytes:
    """The bytes of an image file.

    Args:
        rgb: (H, W, 3) uint8.
        suffix: ".png" or ".jpg".
        options: OpenCV's pairs of a flag and its value, such as the quality of a JPEG.

    Raises:
        OSError: The picture is too large for the format.
    """
    encoded, content = cv2.imencode(suffix, rgb[..., ::-1], options)
    if not encoded:
        raise OSError(f"A picture of the shape {rgb.shape} cannot be written as {suffix}.")
    return content.tobytes()


def write_rgb(path: Path, rgb: RgbImage) -> None:
    """Write (H, W, 3) uint8 whole or not at all; see :func:`encode_rgb`."""
    content = encode_rgb(rgb, path.suffix)
    with atomic_write(path) as unfinished:
        unfinished.write_bytes(content)
