"""Size and scale of an image, before its pixels are decoded."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from cellseg_mm.errors import UserError, one_line
from cellseg_mm.readers import scale
from cellseg_mm.readers.open_image import open_image
from cellseg_mm.readers.oriented_image import ORIENTATION_TAG
from cellseg_mm.readers.whole_image import decoder_of


class ImageHeader(NamedTuple):
    """What an image's file says of it, as :func:`~cellseg_mm.readers.open_image.open_image` would.

    Attributes:
        width: Pixels, upright.
        height: Pixels, upright.
        mpp: µm per pixel in x and y, or None.
    """

    width: int
    height: int
    mpp: tuple[float, float] | None


def read_header(path: Path) -> ImageHeader:
    """Read what an image says of itself; its pixels may still prove damaged.

    Raises:
        MissingFileError: The image does not exist.
        UserError: It is of no known format, or its header is damaged.
    """
    decoder = None
    if path.is_file() and path.suffix.lower() != ".mrxs":
        with path.open("rb") as file:
            decoder = decoder_of(file.read(16))
    if decoder is None:  # of slides and TIFFs, opening reads no pixel
        with open_image(path) as image:
            return ImageHeader(image.width, image.height, image.mpp)
    try:
        with path.open("rb") as file, decoder(file, str(path)) as picture:
            width, height = picture.size
            density = picture.info.get("dpi")
            # Pillow decodes a PNG to look for an EXIF that comes after the pixels.
            asked = picture.format != "PNG" or "exif" in picture.info
            turned = asked and picture.getexif().get(ORIENTATION_TAG, 1) in range(5, 9)
    except Exception as error:  # Pillow has many, SyntaxError among them
        raise UserError(
            f"{path} is damaged or cut short ({one_line(error)}): copy or save it again."
        ) from error
    mpp = None
    if density is not None and len(density) == 2:
        mpp = scale.from_density(float(density[0]), float(density[1]), 25_400)
    if turned:
        return ImageHeader(height, width, mpp and mpp[::-1])
    return ImageHeader(width, height, mpp)
