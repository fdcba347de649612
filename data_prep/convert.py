"""Convert annotated cells of any form to the raw layout, ready for data_prep/prepare.py.

    python data_prep/convert.py FORMAT IN OUT [--test IN]

OUT appears whole or not at all. Bad input is reported for all files at once, and nothing is written
then (exit code 2).
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from cellseg_mm.errors import UserError
from cellseg_mm.preparation.formats.registry import FORMATS, TOOLS
from cellseg_mm.runs.user_errors import exit_with_a_sentence, written_or_not

if TYPE_CHECKING:
    from cellseg_mm.preparation.convert_dataset import Conversion


def parse_args() -> argparse.Namespace:
    formats = "\n".join(f"  {name:14}{what}" for name, what in FORMATS.items())
    tools = ", ".join(f"{tool} ({name})" for tool, name in TOOLS.items())
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\nformats:\n{formats}\n\nThese names do as well:\n  {tools}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "format",
        type=lambda name: TOOLS.get(name.lower(), name.lower()),
        choices=FORMATS,
        metavar="FORMAT",
        help="see above",
    )
    parser.add_argument("source", type=Path, metavar="IN", help="file or folder to convert")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to make, absent or empty")
    parser.add_argument(
        "--test",
        type=Path,
        metavar="IN",
        help="the test part: its images go to OUT/test_release, their truth to OUT/test_gt",
    )
    parser.add_argument(
        "--classes",
        metavar="A,B,…",
        help="classes to take, in this order; cells of others are left out (default: all)",
    )
    parser.add_argument(
        "--images", type=Path, metavar="DIR", help="folder of the images, if they lie elsewhere"
    )
    parser.add_argument(
        "--default-class", metavar="NAME", help="class of cells that have none (default: left out)"
    )
    parser.add_argument(
        "--cell-classes",
        type=Path,
        metavar="CSV",
        help="label images: file with the columns image, id and class, or folder of IMAGE.csv with "
        "id and class",
    )
    parser.add_argument(
        "--mpp", type=float, help="µm per pixel of all images (default: what the files say)"
    )
    parser.add_argument(
        "--tif-order",
        choices=("bgr", "rgb"),
        help="MoNuSAC: order of the colours in .tif files (default: bgr, as it distributes them)",
    )
    return parser.parse_args()


def summary(done: Conversion, out: Path) -> str:
    """A few lines for the person at the terminal."""
    cells = ", ".join(f"{count} {name}" for name, count in sorted(done.cells.items()))
    lines = [
        f"{out}: {done.images['train']} training and {done.images['test']} test images",
        f"  cells: {cells or 'none'}",
    ]
    if done.left_out:
        left = ", ".join(
            f"{n} {name or 'of no class'}" for name, n in sorted(done.left_out.items())
        )
        lines.append(f"  left out: {left}")
    if done.passed_over:
        other = ", ".join(f"{n} {name}" for name, n in sorted(done.passed_over.items()))
        lines.append(f"  passed over: {other}")
    if done.notes:
        kinds: Counter[str] = Counter()
        for note in done.notes:
            kinds[note.kind] += note.cells
        noted = ", ".join(f"{number} {kind}" for kind, number in kinds.items())
        lines.append(f"  odd: {noted}; prepare.py shows them in audit.html")
    return "\n".join(lines)


def main() -> None:
    with exit_with_a_sentence("nothing was written."):
        args = parse_args()
        if args.images is not None and not args.images.is_dir():
            raise UserError(f"--images {args.images} is no folder: name that of the images.")
    with exit_with_a_sentence(written_or_not(args.out)):
        # These imports take seconds, which --help and a mistyped option should not.
        from cellseg_mm.preparation.convert_dataset import ConvertOptions, convert_dataset
        from cellseg_mm.preparation.formats.annotated_image import ReadOptions

        classes = args.classes and tuple(name.strip() for name in args.classes.split(","))
        read = ReadOptions(
            images=args.images,
            default_class=args.default_class,
            cell_classes=args.cell_classes,
            tif_order=args.tif_order,
        )
        done = convert_dataset(
            ConvertOptions(
                args.format, args.source, args.out, args.test, classes or None, args.mpp, read
            )
        )
        print(summary(done, args.out))


if __name__ == "__main__":
    main()
