"""Images of a prepared data set, and pictures as data URIs."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from cellseg_mm.errors import MissingFileError, UserError

RgbImage = npt.NDArray[np.uint8]


def read_image(data_root: Path, file_name: str) -> RgbImage:
    """Read an image of a prepared folder as (H, W, 3) uint8 RGB.

    Args:
        data_root: The folder that holds `images/`.
        file_name: As the annotation file has it.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file is not an image.
    """
    path = data_root / "images" / file_name
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except FileNotFoundError:
        raise MissingFileError(
            f"The image {path} does not exist: point --data at the folder that "
            "data_prep/prepare.py wrote."
        ) from None
    except OSError as error:
        raise UserError(f"The image {path} cannot be read ({error}): prepare it again.") from error


def jpeg_data_uri(image: RgbImage, longest_side: int | None = None, quality: int = 85) -> str:
    """A picture as a JPEG inside a URI.

    Args:
        image: (H, W, 3) uint8 RGB.
        longest_side: Reduce to this, pixels; None keeps the size.
        quality: Of the JPEG, 1 to 95.
    """
    picture = Image.fromarray(image)
    if longest_side is not None:
        picture.thumbnail((longest_side, longest_side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
