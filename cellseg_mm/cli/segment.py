"""``cellseg segment``: images in, files of cells out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellseg_mm.runs.user_errors import exit_with_a_sentence

if TYPE_CHECKING:
    from cellseg_mm.inference.batch.executor import Executor
    from cellseg_mm.runs.model_bundle import ModelBundle

_FORMATS = ("geojson", "labels", "csv", "overlay")

_DESCRIPTION = """\
Finds the cells of images of any size. For each image, DIR receives

  NAME.geojson           outlines, classes and measurements; QuPath opens it
  NAME_labels.ome.tif    a label map; Fiji, napari and QuPath open it
  NAME.csv               a table, one row a cell
  NAME_overlay.png       the outlines on the image
  NAME_run.json          what was run, warnings and counts

and summary.csv, one row an image. Other formats: geojson.gz, parquet, roi (ImageJ), overlay.jpg.

Images are PNG, JPEG, BMP, WebP, TIFF, OME-TIFF or slides (SVS, NDPI, MRXS, SCN, DICOM, CZI). A bad
image costs a line in the summary, not the others. Exit code 1: some images failed; 2: all did, or
nothing was done."""


def add_command(commands: Any) -> None:
    """Add the command to the program's subparsers."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "segment",
        help="find the cells of images",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_images(parser)
    _add_model(parser)
    add = parser.add_argument
    add("--out", type=Path, default=Path("cells"), metavar="DIR", help="default: cells")
    add(
        "--formats",
        nargs="+",
        default=_FORMATS,
        metavar="FORMAT",
        help=f"what to write (default: {' '.join(_FORMATS)})",
    )
    add(
        "--resume",
        action="store_true",
        help="leave out images whose results are complete and would come out the same",
    )
    _add_processes(parser)
    parser.set_defaults(run=run, parser=parser)


def _add_images(parser: argparse.ArgumentParser) -> None:
    """Which images, and where in them."""
    add = parser.add_argument
    add("paths", nargs="+", metavar="PATH", help="images, folders of them, or patterns with *")
    add("--recursive", action="store_true", help="look into folders inside folders")
    add(
        "--mpp",
        type=float,
        metavar="F",
        help="µm per pixel of the images (default: what each file says)",
    )
    add(
        "--channel-order",
        choices=["rgb", "bgr"],
        default="rgb",
        help="bgr: the files have red and blue swapped, as in the course's archive",
    )
    add(
        "--tissue",
        choices=["auto", "none"],
        default="auto",
        help="none: look everywhere (default: images over 4 Mpx where tissue is)",
    )
    add("--roi", type=Path, metavar="FILE.geojson", help="look inside these polygons only")


def _add_model(parser: argparse.ArgumentParser) -> None:
    """Which model, and how it looks."""
    add = parser.add_argument
    add(
        "--model",
        default="he-consep",
        metavar="NAME|FOLDER|FILE",
        help="a model of `cellseg models` (default: he-consep), a folder of "
        "tools/publish_model.py, or a checkpoint of tools/train.py",
    )
    add(
        "--min-score",
        type=float,
        metavar="F",
        help="leave out cells below it (default: the model's own, for each class)",
    )
    add(
        "--views",
        choices=["identity", "flips", "dihedral"],
        default="identity",
        help="flips: look at 4 mirror images of each tile, dihedral: at all 8, and average: better "
        "cells in about 8 and 16 times the time (default: identity)",
    )
    add("--device", default="auto", metavar="D", help="cpu, cuda, cuda:1, … (default: auto)")


def _add_processes(parser: argparse.ArgumentParser) -> None:
    """Who does the work."""
    processes = parser.add_mutually_exclusive_group()
    processes.add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="processes that share the cores, an image each at a time (default: 1)",
    )
    processes.add_argument(
        "--ray",
        metavar="auto|HOST:PORT",
        help="let a Ray cluster do it, an image each GPU at a time; auto: the one of this machine",
    )
    parser.add_argument(
        "--cores-per-worker",
        type=int,
        metavar="N",
        help="with --ray: cores for an image at a time, where there is no GPU (default: 1)",
    )


def run(args: argparse.Namespace) -> int:
    """Segment images.

    Returns:
        0; 1 if some images failed, 2 if all did.
    """
    for name, value in (("--mpp", args.mpp), ("--min-score", args.min_score)):
        if value is not None and not value > 0:
            args.parser.error(f"{name} {value} must be above 0")
    if args.min_score is not None and args.min_score > 1:
        args.parser.error(f"--min-score {args.min_score} must be at most 1")
    if args.workers < 1:
        args.parser.error(f"--workers {args.workers} must be at least 1")
    if args.cores_per_worker is not None and (args.ray is None or args.cores_per_worker < 1):
        args.parser.error("--cores-per-worker must be at least 1, and needs --ray")
    with exit_with_a_sentence("finished images are whole; --resume goes on with the others."):
        # These imports take seconds, which --help and a mistyped option should not.
        from cellseg_mm.inference.batch.batch_options import BatchOptions
        from cellseg_mm.inference.batch.segment_batch import segment_batch
        from cellseg_mm.runs.model_bundle import find_model

        bundle = find_model(args.model)
        options = BatchOptions(
            formats=tuple(dict.fromkeys(args.formats)),
            mpp=args.mpp,
            min_score=args.min_score,
            tissue=args.tissue == "auto",
            roi=args.roi,
            channel_order=args.channel_order,
            views=args.views,
        )
        outcome = segment_batch(
            args.paths,
            args.out,
            bundle,
            _executor(args, bundle),
            options,
            args.recursive,
            args.resume,
        )
    if outcome.failed == outcome.images:
        return 2
    return 1 if outcome.failed else 0


def _executor(args: argparse.Namespace, bundle: ModelBundle) -> Executor:
    from cellseg_mm.inference.batch.executor import InProcess
    from cellseg_mm.inference.cell_segmenter import CellSegmenter
    from cellseg_mm.inference.executors.local_processes import LocalProcesses
    from cellseg_mm.inference.executors.ray_actors import RayActors
    from cellseg_mm.inference.executors.worker_segmenter import WorkerModel

    model = WorkerModel(args.model, bundle.sha256, args.device)
    if args.ray is not None:
        return RayActors(model, args.ray, args.cores_per_worker or 1)
    if args.workers > 1:
        return LocalProcesses(model, args.workers)
    return InProcess(lambda: CellSegmenter(bundle, args.device, args.views))
