"""Convert the official MoNuSAC download to the raw layout, ready for data_prep/prepare.py.

    python data_prep/convert_monusac.py SRC OUT [--test SRC]

SRC holds a folder for each patient with its images (.svs or .tif) and annotations (.xml); images
that lie in SRC itself are taken too. An image's name stays its id, and with it the patient's
barcode (the first 12 characters of `TCGA-2Z-A9JG-01Z-00-DX1_1`), by which data_prep/prepare.py can
keep a patient on one side of a split. The classes are 1 epithelial, 2 lymphocyte, 3 neutrophil and
4 macrophage.

Masks are painted by the rules of MoNuSAC's own code, so they equal the task's masks (see
cellseg_mm/preparation/monusac_xml.py). The "Ambiguous" regions of the test part belong to no class:
they are left out of the class files, and their pixels count as background.

Bad input is reported for all files at once, and nothing is written then (exit code 2).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, metavar="SRC", help="folder of the training part")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to make, absent or empty")
    parser.add_argument(
        "--test",
        type=Path,
        metavar="SRC",
        help="folder of the test part: images go to OUT/test_release, truth to OUT/test_gt",
    )
    parser.add_argument(
        "--tif-order",
        choices=("bgr", "rgb"),
        default="bgr",
        help="order of the colours in .tif files (default: bgr, as MoNuSAC distributes them); "
        ".svs files are always rgb and are preferred where an image is there as both",
    )
    return parser.parse_args()


def convert(train: Path, out: Path, test: Path | None, tif_order: str) -> tuple[int, int]:
    """Convert one or both parts; write `out` only if every file is good.

    Args:
        train: Folder of the training part.
        out: Folder to make.
        test: Folder of the test part, or None.
        tif_order: Order of the colours in `.tif` files, "bgr" or "rgb".

    Returns:
        The numbers of training and test images.

    Raises:
        InputError: Files are missing or cannot be used; every one is named.
        UserError: `out` is not absent or empty.
    """
    from cellseg_mm.files.whole_folder import whole_folder
    from cellseg_mm.preparation.monusac_download import MonusacImage, find_images, read_image
    from cellseg_mm.preparation.monusac_xml import paint_regions, read_regions
    from cellseg_mm.preparation.problems import BadFileError, InputError
    from cellseg_mm.preparation.raw_writer import RawDatasetWriter

    train_images, problems = find_images(train)
    test_images: list[MonusacImage] = []
    if test is not None:
        test_images, test_problems = find_images(test)
        problems += test_problems

    def write(item: MonusacImage, add: Callable[..., None]) -> None:
        # Both files are read even if the first one is bad, so that both are reported.
        read = []
        for reader in (
            lambda: read_image(item.image, tif_order),
            lambda: read_regions(item.annotation),
        ):
            try:
                read.append(reader())
            except BadFileError as error:
                problems.append(error.problem)
        if len(read) == 2 and not problems:
            rgb, regions = read
            add(item.image_id, rgb, paint_regions(regions, *rgb.shape[:2]))

    with whole_folder(out) as scratch:
        writer = RawDatasetWriter(scratch)
        for item in train_images:
            write(item, writer.add_train)
        for item in test_images:
            write(item, writer.add_test)
        if problems:
            raise InputError(*problems)
        writer.finish()
    return len(train_images), len(test_images)


def main() -> None:
    args = parse_args()
    from cellseg_mm.runs.user_errors import exit_with_a_sentence

    with exit_with_a_sentence("nothing was written."):
        counts = convert(args.source, args.out, args.test, args.tif_order)
    print(f"{args.out}: {counts[0]} training and {counts[1]} test images")


if __name__ == "__main__":
    main()
