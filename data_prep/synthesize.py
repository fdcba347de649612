"""Make a small synthetic data set in the raw layout, ready for data_prep/prepare.py.

    python data_prep/synthesize.py OUT [--images N --test-images N --size S --cells N --seed K]

H&E-like images with four classes of cells, written as the task's own files are: RGBA with red and
blue swapped, float64 masks, no file for a class without cells. Unlike the task's, the test images
come with their truth (OUT/test_gt). The same arguments give the same bytes.

Each image is S pixels along one side and 0.75 to 1.25 times S along the other.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cellseg_mm.runs.user_errors import exit_with_a_sentence, written_or_not


def _whole_number(least: int) -> type[int]:
    """An argument type: a whole number from `least` up."""

    def parse(text: str) -> int:
        number = int(text)
        if number < least:
            raise argparse.ArgumentTypeError(f"must be {least} or more, got {number}")
        return number

    parse.__name__ = "whole number"
    return parse  # type: ignore[return-value]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to make, absent or empty")
    for flag, least, default, text in (
        ("--images", 0, 24, "training images"),
        ("--test-images", 0, 4, "test images"),
        ("--size", 32, 256, "side of an image, pixels"),
        ("--cells", 0, 40, "mean number of cells an image"),
        ("--seed", 0, 0, "random seed"),
    ):
        parser.add_argument(
            flag,
            type=_whole_number(least),
            default=default,
            metavar="N",
            help=f"{text} (default: {default})",
        )
    return parser.parse_args()


def synthesize(
    out: Path, images: int, test_images: int, size: int, cells: int, seed: int
) -> tuple[int, int]:
    """Write the data set; the numbers of cells in the training and in the test images.

    Every image has a random stream of its own: the first images stay the same when more are wanted.
    """
    import uuid

    import numpy as np

    from cellseg_mm.files.whole_folder import whole_folder
    from cellseg_mm.preparation.raw_writer import RawDatasetWriter
    from cellseg_mm.preparation.synthetic_cells import synthesize_image

    painted = [0, 0]
    with whole_folder(out) as scratch:
        writer = RawDatasetWriter(scratch)
        for number, (part, count) in enumerate((("train", images), ("test", test_images))):
            for index in range(count):
                rng = np.random.default_rng([seed, number, index])
                image_id = str(uuid.UUID(bytes=rng.bytes(16), version=4))
                sides = [size, max(32, round(size * rng.uniform(0.75, 1.25)))]
                height, width = rng.permutation(sides).tolist()
                # Images of real tissue differ a lot in density; the shape 8 gives ±35 %.
                density = round(rng.gamma(8, cells / 8))
                # In the task's files the ids of an image do not always start at 1.
                first_id = 1 if rng.random() < 0.75 else int(rng.integers(2, 50))
                image = synthesize_image(rng, height, width, density)
                writer.add(part, image_id, image.rgb, image.label_maps(first_id))
                painted[number] += len(image.cells)
        writer.finish()
    return painted[0], painted[1]


def main() -> None:
    with exit_with_a_sentence("nothing was written."):
        args = parse_args()
    with exit_with_a_sentence(written_or_not(args.out)):
        train_cells, test_cells = synthesize(
            args.out, args.images, args.test_images, args.size, args.cells, args.seed
        )
        print(
            f"{args.out}: {args.images} training images with {train_cells} cells, "
            f"{args.test_images} test images with {test_cells} cells"
        )


if __name__ == "__main__":
    main()
