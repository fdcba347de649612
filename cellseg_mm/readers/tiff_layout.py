"""Which pages of a TIFF are the image."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tifffile

from cellseg_mm.errors import UserError
from cellseg_mm.readers import scale
from cellseg_mm.readers.oriented_image import ORIENTATION_TAG

_SIDE_PICTURE = re.compile(r"\b(label|macro|thumbnail|overview)\b", re.IGNORECASE)
"""Names of the pictures that scanners add: the slide's label, a photo of the slide, a preview."""

_REDUCED, _MASK = 1, 4
"""Bits of the tag NewSubfileType."""

_INCH, _CENTIMETRE, _MILLIMETRE, _MICROMETRE = 2, 3, 4, 5
_UNITS = {_INCH: 25_400.0, _CENTIMETRE: 1e4, _MILLIMETRE: 1e3, _MICROMETRE: 1.0}
"""Values of the tag ResolutionUnit; the unit in µm."""


@dataclass
class TiffLayout:
    """The pages of a TIFF that are its image.

    Attributes:
        levels: Of each stored size, the full one first: its page, or the three pages that hold red,
            green and blue.
        mpp: µm per pixel in x and y, if the file says.
        orientation: Value of the tag Orientation.
        warnings: Sentences on what was decided.
    """

    levels: list[list[Any]]
    mpp: scale.Scale | None
    orientation: int
    warnings: list[str] = field(default_factory=list)


def find_layout(path: Path, file: Any) -> TiffLayout:
    """Find the image in an open ``tifffile.TiffFile``.

    Raises:
        UserError: There is none, or pages are missing.
    """
    usable = [series for series in file.series if _is_image(series)]
    if not usable:
        raise UserError(f"{path} holds no image: save it again.")
    usable = [series for series in usable if not _is_side_picture(series)] or usable[:1]
    first = _first_in_colour(usable)
    # Some programs write a pyramid from its top.
    chosen = max((series for series in usable if _same_picture(series, first)), key=_area)
    warnings: list[str] = []
    channels = _channel_indices(path, file, chosen, warnings)
    sizes = [chosen, *chosen.levels[1:]]
    if len(sizes) == 1:
        smaller = [s for s in usable if _area(s) < _area(chosen) and _same_picture(s, chosen)]
        sizes += sorted(smaller, key=_area, reverse=True)
    levels = [
        [_page(path, size, index) for index in channels]
        for size in sizes
        if size is chosen or _same_picture(size, chosen)
    ]
    if len(sizes) == 1 and len(channels) == 1:
        levels += [[page] for page in _reduced_pages(file, levels[0][0])]
    page = levels[0][0]
    others = sum(series is not chosen and series not in sizes for series in usable)
    others += len(chosen) - len(channels)
    if others:
        warnings.append(
            f"{path} holds {others + 1} images (focal planes, scenes or time points, one or more "
            f"pages each); the first one, of {page.imagewidth}×{page.imagelength} pixels, is taken."
        )
    orientation = page.tags.valueof(ORIENTATION_TAG)
    return TiffLayout(levels, _scale(file, page), orientation or 1, warnings)


def _is_image(series: Any) -> bool:
    page = series.keyframe
    return not (page.subfiletype & _MASK or page.photometric == tifffile.PHOTOMETRIC.MASK)


def _first_in_colour(usable: list[Any]) -> Any:
    """The first image, by convention; but what a mask has been put before is taken."""
    larger = [series for series in usable if _area(series) >= _area(usable[0])]
    coloured = (series for series in larger if series.keyframe.samplesperpixel >= 3)
    return usable[0] if usable[0].axes.count("C") else next(coloured, usable[0])


def _is_side_picture(series: Any) -> bool:
    page = series.keyframe
    description = page.description if page.index and len(page.description) < 500 else ""
    return bool(_SIDE_PICTURE.search(series.name) or _SIDE_PICTURE.search(description))


def _area(series: Any) -> int:
    page = series.keyframe
    return int(page.imagewidth) * int(page.imagelength)


def _same_picture(series: Any, other: Any) -> bool:
    """Whether two differ in size alone."""
    a, b = series.keyframe, other.keyframe
    if (a.samplesperpixel, a.dtype) != (b.samplesperpixel, b.dtype):
        return False
    if not (a.imagewidth and b.imagewidth):
        return False
    factor = b.imagewidth / a.imagewidth
    return bool(abs(b.imagelength - a.imagelength * factor) <= max(1, factor) * 1.5)


def _reduced_pages(file: Any, page: Any) -> Iterator[Any]:
    """Smaller sizes of a page that tifffile's series do not list: those in its SubIFDs."""
    for smaller in page.pages or []:
        smaller = smaller.aspage()
        factor = page.imagewidth / max(smaller.imagewidth, 1)
        if (
            smaller.subfiletype & _REDUCED
            and not smaller.subfiletype & _MASK
            and (smaller.samplesperpixel, smaller.dtype) == (page.samplesperpixel, page.dtype)
            and abs(page.imagelength - smaller.imagelength * factor) <= factor * 1.5
        ):
            yield smaller


def _channel_indices(path: Path, file: Any, series: Any, warnings: list[str]) -> list[int]:
    """Which pages of a series hold the colours of its first image."""
    if series.keyframe.samplesperpixel > 1:
        return [0]
    axes = series.axes.partition("Y")[0]
    lengths = dict(zip(axes, series.shape, strict=False))
    count = int(lengths.get("C") or lengths.get("S") or 1)
    step = 1
    if count > 1:
        for axis in axes[max(axes.find("C"), axes.find("S")) + 1 :]:
            step *= lengths[axis]
    elif len(series) == 3 and not set(axes) & set("ZT"):
        count = 3  # three grey pages that nothing is said of
    if count == 1:
        return [0]
    if count != 3 or _is_fluorescent(file, series):
        raise UserError(
            f"{path} has {count} channels, but not those of an H&E image: save it as RGB."
        )
    warnings.append(f"Three grey pages of {path} are taken as red, green and blue.")
    return [0, step, 2 * step]


def _is_fluorescent(file: Any, series: Any) -> bool:
    page = series.keyframe
    if not file.is_ome:
        return False
    pixels = scale.ome_pixels(file.ome_metadata, page.imagewidth, page.imagelength)
    channels = [] if pixels is None else [e for e in pixels if e.tag.endswith("Channel")]
    return any(
        {"Fluor", "EmissionWavelength", "ExcitationWavelength"} & set(channel.attrib)
        or re.search("dapi|hoechst|fitc|cy[35]", channel.get("Name", ""), re.IGNORECASE)
        for channel in channels
    )


def _page(path: Path, series: Any, index: int) -> Any:
    page = series[index] if index < len(series) else None
    if page is None:
        raise UserError(f"{path} lacks pages that its metadata names: save it again.")
    if page.parent is not series.parent:
        raise UserError(f"{path} keeps pages of its image in other files: save it as one file.")
    return page.aspage()


def _scale(file: Any, page: Any) -> scale.Scale | None:
    """µm per pixel, from the most definite statement of the file."""
    width, height = page.imagewidth, page.imagelength
    if file.is_ome and (found := scale.from_ome(file.ome_metadata, width, height)):
        return found
    if found := scale.from_aperio(page.description):
        return found
    unit = _UNITS.get(page.tags.valueof("ResolutionUnit") or 0)
    if file.is_imagej:
        unit = scale.MICROMETRES.get((file.imagej_metadata or {}).get("unit", ""), unit)
    densities = [page.tags.valueof(name) for name in ("XResolution", "YResolution")]
    if unit is None or not all(isinstance(d, tuple) and d[1] for d in densities):
        return None
    (x, x_parts), (y, y_parts) = densities
    return scale.from_density(x / x_parts, y / y_parts, unit)
