"""Open an image of any format to read regions of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import tifffile

from cellseg_mm.errors import MissingFileError, UserError, one_line
from cellseg_mm.readers.image_reader import ImageReader
from cellseg_mm.readers.oriented_image import OrientedImage
from cellseg_mm.readers.slide_image import SlideImage, vendor_of
from cellseg_mm.readers.tiff_image import TiffImage
from cellseg_mm.readers.tiff_layout import find_layout
from cellseg_mm.readers.whole_image import WholeImage, decoder_of

TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@contextmanager
def open_image(path: Path, channel_order: str = "rgb") -> Iterator[ImageReader]:
    """Open an image to read regions of it.

    PNG, JPEG, BMP and WebP are decoded as a whole. Of a TIFF or a slide only the touched tiles or
    strips are, and never its label, its macro photo or its thumbnail. Images are turned as their
    orientation tag says. Grey becomes RGB, transparent pixels are laid over white, and 16 bits
    become 8 in proportion to the depth that the brightest value needs.

    Args:
        path: The image: PNG, JPEG, BMP, WebP, TIFF, BigTIFF, OME-TIFF, or a slide that OpenSlide
            reads.
        channel_order: "rgb", or "bgr" for a file that has red and blue swapped.

    Yields:
        The image, to be used until the context ends.

    Raises:
        MissingFileError: The image does not exist.
        UserError: It is damaged, has no grey or coloured pixels, or is of an unknown format.
    """
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "does not exist"
        raise MissingFileError(f"The image {path} {found}.")
    with ExitStack() as stack:
        try:
            image = _open(path, stack)
        except UserError:
            raise
        except Exception as error:  # damaged headers fail in many ways
            raise UserError(
                f"{path} cannot be read as an image ({one_line(error)}): copy or save it again."
            ) from error
        image.swapped = channel_order == "bgr"
        yield image


def _open(path: Path, stack: ExitStack) -> ImageReader:
    with path.open("rb") as file:
        head = file.read(16)
    # The main file of a MIRAX slide may be a JPEG of its thumbnail.
    mirax = path.suffix.lower() == ".mrxs"
    decoder = None if mirax else decoder_of(head)
    if decoder is not None:
        whole = WholeImage(path, decoder)
        return _upright(whole, whole.orientation)
    if vendor_of(path) is not None:
        slide = SlideImage(path)
        stack.callback(slide.close)
        return slide
    if head[:4] in TIFF_MAGIC:
        file = stack.enter_context(tifffile.TiffFile(path))
        layout = find_layout(path, file)
        return _upright(TiffImage(path, layout), layout.orientation)
    if mirax:
        raise UserError(f"{path} is no slide without the folder of its name: copy its folder, too.")
    raise UserError(
        f"{path} is not an image that can be read: give a PNG, JPEG, BMP, WebP, TIFF or a slide."
    )


def _upright(image: ImageReader, orientation: int) -> ImageReader:
    return OrientedImage(image, orientation) if orientation in range(2, 9) else image
