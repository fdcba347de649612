"""Choose the least scores of a model's classes on validation images, or score with given ones.

Predictions are those of tools/test.py --dump. Without --min-scores: for each class, the least score
with the best F1, and the one with which as many cells are found as there are; several files and
their predictions, as those of folds, count as one set of images. With it: metrics at these scores,
with 95 % bootstrap intervals over patients or images.
"""

from __future__ import annotations

import argparse

from cellseg_mm.runs.user_errors import exit_with_a_sentence


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE", help="COCO json of the images, predictions; and so on")
    add("--min-scores", nargs="+", type=float, metavar="S", help="one, or one for each class")
    add("--samples", type=int, default=1000, help="of the bootstrap (default 1000)")
    return parser.parse_args()


def main() -> None:
    with exit_with_a_sentence():
        choose(parse_args())


def choose(args: argparse.Namespace) -> None:
    """Print what was asked for."""
    # These imports take seconds, which --help and a mistyped option should not.
    from cellseg_mm.analysis.errors.bootstrap import resampling_units
    from cellseg_mm.analysis.errors.image_matches import match_images
    from cellseg_mm.analysis.errors.metric_intervals import metric_intervals
    from cellseg_mm.analysis.errors.min_scores import at_least, choose_min_scores
    from cellseg_mm.errors import UserError
    from cellseg_mm.evaluation.annotations import read_annotations
    from cellseg_mm.evaluation.predictions import load_predictions

    if len(args.files) % 2:
        raise UserError("Give each COCO json of images together with its predictions.")
    parts = []
    for ann_file, found in zip(args.files[::2], args.files[1::2], strict=True):
        annotations = read_annotations(ann_file)
        parts.append((annotations, load_predictions(found, annotations)))
    if args.min_scores is None:
        print("class                 best F1 at   F1     found   equal counts at   true")
        for name, chosen in choose_min_scores(*parts).items():
            print(
                f"{name:20}  {chosen.best:10.2f}   {chosen.f1:.3f}  {chosen.found:6}   "
                f"{chosen.equal_counts:15.2f}   {chosen.cells:4}"
            )
        return
    if len(parts) > 1:
        raise UserError("--min-scores: metrics are of one file of images and its predictions.")
    annotations, predictions = parts[0]
    names = list(annotations.categories.values())
    given = args.min_scores * (len(names) if len(args.min_scores) == 1 else 1)
    if len(given) != len(names):
        raise UserError(f"--min-scores: give one number, or one each for {', '.join(names)}.")
    kept = at_least(annotations, predictions, dict(zip(names, given, strict=True)))
    units = resampling_units(annotations.images.values())
    # AP ranks by score, so it is of all predictions; the rest is of the kept ones.
    coco = metric_intervals(match_images(annotations, predictions), names, units, args.samples)
    cell = metric_intervals(match_images(annotations, kept, 0.0), names, units, args.samples)
    print(f"{units.count} {units.kind}, {args.samples} bootstrap samples")
    for metric, (value, low, high) in [*coco.coco.items(), *cell.cell.items()]:
        print(f"{metric:28} {value:9.3f}  {low:9.3f} to {high:9.3f}")


if __name__ == "__main__":
    main()
