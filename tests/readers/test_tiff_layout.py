"""Which pages of a TIFF are taken, and at which scale."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from cellseg_mm.errors import UserError
from cellseg_mm.readers.open_image import open_image

Pixels = npt.NDArray[np.uint8]
Check = Callable[..., list[str]]
TILES: dict[str, Any] = {"photometric": "rgb", "tile": (16, 16), "compression": "zlib"}
GREY: dict[str, Any] = {"photometric": "minisblack", "tile": (16, 16)}


def test_an_unmarked_pyramid_in_any_order(check: Check, tmp_path: Path, rgb: Pixels) -> None:
    path = tmp_path / "pyramid.tif"
    with tifffile.TiffWriter(path) as writer:
        for level in (rgb[::4, ::4], rgb, rgb[::2, ::2]):
            writer.write(level, **TILES)
    assert check(path, rgb) == []
    with open_image(path) as image:
        assert image.levels == [(150, 100), (75, 50), (38, 25)]
        half = image.read_level(1, 3, 5, 70, 50).permute(1, 2, 0).numpy()
        assert (half == rgb[::2, ::2][5:50, 3:70]).all()


@pytest.mark.parametrize("ome", [False, True])
def test_levels_in_sub_ifds(check: Check, tmp_path: Path, rgb: Pixels, ome: bool) -> None:
    path = tmp_path / "pyramid.ome.tif"
    options: Any = {"metadata": {"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.25}} if ome else {}
    with tifffile.TiffWriter(path, ome=ome) as writer:
        writer.write(rgb, subifds=1, **TILES, **options)
        writer.write(rgb[::2, ::2], subfiletype=1, **TILES)
    assert check(path, rgb) == []
    with open_image(path) as image:
        assert image.levels == [(150, 100), (75, 50)]
        assert image.mpp == ((0.25, 0.25) if ome else None)
        assert (image.read_level(1, 0, 0, 75, 50)[0].numpy() == rgb[::2, ::2, 0]).all()


def test_label_macro_thumbnail_and_mask_are_never_taken(
    check: Check, tmp_path: Path, rgb: Pixels
) -> None:
    path = tmp_path / "slide.tif"
    large = np.zeros((300, 450, 3), np.uint8)  # of the same shape as the image
    with tifffile.TiffWriter(path) as writer:
        options: Any = {"metadata": None}
        writer.write(large, **TILES, subfiletype=1, **options)
        writer.write(rgb, **TILES, **options)
        writer.write(large, **TILES, description="thumbnail 450x300", **options)
        writer.write(large, **TILES, description="label 450x300", subfiletype=1, **options)
        writer.write(large[:, :300], **TILES, description="Macro 300x300", subfiletype=9, **options)
        writer.write(large[:200], **TILES, **options)  # another picture, of another shape
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages[0].tags["NewSubfileType"].overwrite(4)  # a mask
    (warning,) = check(path, rgb)
    assert "holds 2 images" in warning
    with open_image(path) as image:
        assert image.levels == [(150, 100)]


def test_a_label_map_before_the_image_is_not_taken(
    check: Check, tmp_path: Path, rgb: Pixels
) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(rgb[..., 0] // 99, **GREY)
        writer.write(rgb, **TILES)
    (warning,) = check(path, rgb)
    assert "holds 2 images" in warning


def test_channels_in_three_pages_are_put_together(
    check: Check, tmp_path: Path, rgb: Pixels
) -> None:
    planes = np.ascontiguousarray(np.moveaxis(rgb, -1, 0))
    tifffile.imwrite(tmp_path / "flat.ome.tif", planes, ome=True, metadata={"axes": "CYX"}, **GREY)
    with tifffile.TiffWriter(tmp_path / "pyramid.ome.tif", ome=True) as writer:
        writer.write(planes, subifds=1, metadata={"axes": "CYX"}, **GREY)
        writer.write(planes[:, ::2, ::2], subfiletype=1, **GREY)
    stack: Any = {"imagej": True, "metadata": {"axes": "ZCYX"}}
    tifffile.imwrite(tmp_path / "imagej.tif", planes[None], **stack)
    tifffile.imwrite(tmp_path / "plain.tif", planes, **GREY)
    with tifffile.TiffWriter(tmp_path / "pages.tif") as writer:
        for plane in planes:
            writer.write(plane, metadata=None, **GREY)
    deep = np.stack([planes.astype(np.uint16) * 257] * 2)  # two focal planes of three channels
    focal: Any = {"ome": True, "metadata": {"axes": "ZCYX"}}
    tifffile.imwrite(tmp_path / "focal.ome.tif", deep, photometric="minisblack", **focal)
    tifffile.imwrite(tmp_path / "samples.tif", rgb, photometric="minisblack", planarconfig="contig")
    for path in sorted(tmp_path.iterdir()):
        warnings = check(path, rgb)
        assert any("red, green and blue" in w or "taken as RGB" in w for w in warnings), path
    with open_image(tmp_path / "pyramid.ome.tif") as image:
        assert image.levels[1] == (75, 50)
        half = image.read_level(1, 0, 0, 75, 50).permute(1, 2, 0).numpy()
        assert (half == rgb[::2, ::2]).all()


@pytest.mark.parametrize("names", [["DAPI", "FITC", "Cy5"], ["a", "b"], list("abcde")])
def test_other_channels_are_refused(tmp_path: Path, rgb: Pixels, names: list[str]) -> None:
    planes = np.stack([rgb[..., 0]] * len(names))
    about: Any = {"axes": "CYX", "Channel": {"Name": names}}
    tifffile.imwrite(tmp_path / "a.ome.tif", planes, ome=True, metadata=about, **GREY)
    with (
        pytest.raises(UserError, match=f"a.ome.tif has {len(names)} channels"),
        open_image(tmp_path / "a.ome.tif"),
    ):
        pass


def test_the_first_of_several_full_pages_is_taken_and_it_is_said(
    check: Check, tmp_path: Path, rgb: Pixels
) -> None:
    stack = np.stack([rgb, rgb[::-1], rgb[:, ::-1]])
    tifffile.imwrite(tmp_path / "stack.tif", stack, photometric="rgb")
    with tifffile.TiffWriter(tmp_path / "pages.tif") as writer:
        for page in stack:
            writer.write(page, metadata=None, **TILES)
    with tifffile.TiffWriter(tmp_path / "scenes.ome.tif", ome=True) as writer:
        for page in stack:
            writer.write(page, **TILES)
    for path in sorted(tmp_path.iterdir()):
        (warning,) = check(path, rgb)
        assert f"{path} holds 3 images" in warning
        assert "the first one, of 150×100 pixels, is taken" in warning
        assert "pages" in warning


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_tag_is_obeyed(tmp_path: Path, rgb: Pixels, orientation: int) -> None:
    """As Pillow turns the same pixels in a PNG."""
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(rgb).save(tmp_path / "a.tif", exif=exif, dpi=(101_600, 50_800))
    turned: Any = [
        (lambda a: a), (lambda a: a[:, ::-1]), (lambda a: a[::-1, ::-1]), (lambda a: a[::-1]),
        (lambda a: a.swapaxes(0, 1)), (lambda a: np.rot90(a, -1)),
        (lambda a: np.rot90(a, 2).swapaxes(0, 1)), (lambda a: np.rot90(a, 1)),
    ]  # fmt: skip
    expected = turned[orientation - 1](rgb)
    with open_image(tmp_path / "a.tif") as image:
        assert (image.height, image.width) == expected.shape[:2]
        assert image.mpp == ((0.25, 0.5) if orientation < 5 else (0.5, 0.25))
        for x1, y1, x2, y2 in [(0, 0, image.width, image.height), (3, 20, 91, 77)]:
            region = image.read(x1, y1, x2, y2).permute(1, 2, 0).numpy()
            assert (region == expected[y1:y2, x1:x2]).all()


def test_pages_that_are_missing(tmp_path: Path, rgb: Pixels, caplog: Any) -> None:
    """An OME-TIFF whose second channel lies in a file that was not copied."""
    planes = np.moveaxis(rgb, -1, 0)
    tifffile.imwrite(tmp_path / "a.ome.tif", planes, ome=True, metadata={"axes": "CYX"}, **GREY)
    content = (tmp_path / "a.ome.tif").read_bytes()
    (tmp_path / "a.ome.tif").write_bytes(content.replace(b'PlaneCount="3"', b'PlaneCount="1"'))
    with (
        caplog.at_level(logging.CRITICAL, "tifffile"),
        pytest.raises(UserError, match="lacks pages"),
        open_image(tmp_path / "a.ome.tif"),
    ):
        pass


def test_an_image_in_several_files_is_refused(tmp_path: Path, rgb: Pixels) -> None:
    """OME-TIFF may spread planes over files; one with another's pages names it."""
    with tifffile.TiffWriter(tmp_path / "b.ome.tif", ome=True) as writer:
        writer.write(rgb, metadata={"UUID": "urn:uuid:b"}, **TILES)
    xml = """<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:a">
        <Image ID="Image:0"><Pixels DimensionOrder="XYCZT" ID="Pixels:0" Type="uint8" SizeX="150"
        SizeY="100" SizeC="3" SizeZ="2" SizeT="1"><Channel ID="Channel:0:0" SamplesPerPixel="3"/>
        <TiffData FirstZ="0" IFD="0" PlaneCount="1"><UUID FileName="b.ome.tif">urn:uuid:b</UUID>
        </TiffData><TiffData FirstZ="1" IFD="0" PlaneCount="1"><UUID FileName="a.ome.tif"
        >urn:uuid:a</UUID></TiffData></Pixels></Image></OME>"""
    tifffile.imwrite(tmp_path / "a.ome.tif", rgb, description=xml, metadata=None, **TILES)
    with pytest.raises(UserError, match="other files"), open_image(tmp_path / "a.ome.tif"):
        pass


@pytest.mark.shared_data
@pytest.mark.parametrize(("name", "size"), [("A9K0_2", (756, 763)), ("A9K0_3", (497, 185))])
def test_monusac_slides_give_their_tissue_and_not_the_photo_of_the_slide(
    shared_data: Path, name: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shared_data / "monusac_raw" / f"{name}.svs"
    tissue = tifffile.imread(path, key=0)
    for reader in ("OpenSlide", "tifffile"):
        if reader == "tifffile":
            vendor = "cellseg_mm.readers.open_image.vendor_of"
            monkeypatch.setattr(vendor, lambda path: None)
        with open_image(path) as image:
            assert (image.width, image.height) == size
            assert image.mpp == pytest.approx((0.19448, 0.19448))
            assert image.levels == [size]
            assert image.warnings == []
            pixels = image.read(0, 0, *size).permute(1, 2, 0).numpy()
        assert (pixels == tissue).all(), reader
