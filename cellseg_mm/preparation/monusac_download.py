"""Finds and reads the images of an official MoNuSAC download.

The download has a folder for each patient; an image lies there as `.svs` or `.tif`, or both, with
its annotation in an `.xml` file of the same name.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tifffile

from cellseg_mm.errors import UserError
from cellseg_mm.preparation.image_groups import patient_of
from cellseg_mm.preparation.problems import BadFileError, Problem

# The largest region of MoNuSAC has 3 megapixels. Far beyond it, a header is broken or a whole slide
# has come in, and decoding it would only fill the memory.
_MAX_PIXELS = 100_000_000


class MonusacImage(NamedTuple):
    """One image of the download.

    Attributes:
        image_id: Name in the raw layout; begins with the patient's barcode where one is known.
        image: `.svs` or `.tif` file.
        annotation: `.xml` file.
    """

    image_id: str
    image: Path
    annotation: Path


def _image_id(image: Path, source: Path) -> str:
    named = image.parent == source or patient_of(image.stem) or not patient_of(image.parent.name)
    return image.stem if named else f"{image.parent.name}_{image.stem}"


def find_images(source: Path) -> tuple[list[MonusacImage], list[Problem]]:
    """Pair images with annotations, in all folders below `source`.

    Where an image is there twice, as `.svs` and as `.tif`, the `.svs` is taken: it is the original.

    Args:
        source: Folder of the download.

    Returns:
        The images, ordered by id, and what is wrong.
    """
    if not source.is_dir():
        return [], [Problem(source, "no such folder", "name the unpacked MoNuSAC download")]
    # Hidden files are leavings of archivers ("._x.svs") and desktops.
    files = [
        path
        for path in sorted(source.rglob("*"))
        if path.suffix.lower() in (".svs", ".tif", ".xml") and not path.name.startswith(".")
    ]
    images: dict[Path, Path] = {}
    annotations: dict[Path, Path] = {}
    for path in files:
        suffix = path.suffix.lower()
        if suffix == ".xml":
            annotations[path.with_suffix("")] = path
        elif suffix == ".svs" or path.with_suffix("") not in images:
            images[path.with_suffix("")] = path

    problems = [
        Problem(images[stem], f"its annotation {stem.name}.xml is missing", "download it again")
        for stem in sorted(images.keys() - annotations.keys())
    ]
    problems += [
        Problem(annotations[stem], f"its image {stem.name}.svs is missing", "download it again")
        for stem in sorted(annotations.keys() - images.keys())
    ]
    found: dict[str, MonusacImage] = {}
    for stem in sorted(images.keys() & annotations.keys()):
        item = MonusacImage(_image_id(images[stem], source), images[stem], annotations[stem])
        if item.image_id in found:
            other = found[item.image_id].image
            problems.append(Problem(item.image, f"{other} has the same name", "keep one of them"))
        else:
            found[item.image_id] = item
    if not files:
        problems.append(
            Problem(source, "it holds no .svs, .tif or .xml file", "name the unpacked download")
        )
    return [found[image_id] for image_id in sorted(found)], problems


def read_image(path: Path, tif_order: str = "bgr") -> npt.NDArray[np.uint8]:
    """Read the first level of an image in true colour.

    Args:
        path: `.svs` file, which is always RGB, or `.tif` file.
        tif_order: "bgr" for `.tif` files with red and blue swapped, as MoNuSAC distributes them
            (its code writes RGBA arrays with OpenCV, which takes them for BGRA), or "rgb".

    Returns:
        (H, W, 3) uint8, red first.

    Raises:
        BadFileError: Not a TIFF, or not an 8-bit colour image of a sensible size.
    """
    try:
        with tifffile.TiffFile(path) as tif:
            page = tif.pages[0]
            shape, dtype = page.shape, page.dtype
            if len(shape) != 3 or shape[2] not in (3, 4) or dtype != np.uint8:
                raise UserError(f"holds {dtype} of shape {shape}, not 8-bit colour")
            if shape[0] * shape[1] > _MAX_PIXELS:
                raise UserError(f"is {shape[1]}×{shape[0]} pixels, too large for MoNuSAC")
            pixels = page.asarray()
    except (OSError, ValueError, RuntimeError, IndexError, KeyError, MemoryError) as error:
        # tifffile and imagecodecs derive their errors from ValueError and RuntimeError.
        raise BadFileError(path, f"not a readable image ({error})", "download it again") from error
    swapped = path.suffix.lower() != ".svs" and tif_order == "bgr"
    return np.ascontiguousarray(pixels[..., 2::-1] if swapped else pixels[..., :3])
