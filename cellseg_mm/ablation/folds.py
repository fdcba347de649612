"""Folds without copies: annotation files of a fold, derived from those of the prepared data set.

The images stay where they are. A fold's ``train.json`` and ``val.json`` hold the records of the
prepared ``train.json`` and ``val.json``, dealt out anew by a split file with k folds.
``data_prep/prepare.py RAW --out DIR --folds K --fold i`` writes one to ``DIR/splits/``, whatever i.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cellseg_mm.errors import UserError
from cellseg_mm.evaluation.annotations import read_coco_file
from cellseg_mm.files.atomic_write import atomic_write
from cellseg_mm.preparation.coco_annotations import coco_dataset
from cellseg_mm.preparation.splits import Fold, read_split
from cellseg_mm.runs.spread_setting import mappings

_PARTS = ("train", "val")


def write_folds(data: Path, folds: int | str, out: Path) -> list[Path]:
    """Write the annotation files of all folds, and tell their folders.

    The same data and split give the same bytes. Annotation ids count from 1 in each file.

    Args:
        data: Folder of a prepared data set.
        folds: Number of folds, of which ``data/splits/`` has one split file; or the path of the
            file, relative to ``data``.
        out: Folder to write ``fold-<i>/{train,val}.json`` into.

    Raises:
        FileNotFoundError: The data set lacks an annotation file.
        ValueError: There is no such split file, or it does not split the images of this data set.
    """
    prepared = [read_coco_file(data / "annotations" / f"{part}.json") for part in _PARTS]
    images = {Path(image["file_name"]).stem: image for p in prepared for image in p["images"]}
    classes = [category["name"] for category in prepared[0]["categories"]]
    of_image: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in images.values()}
    for annotation in (a for content in prepared for a in content["annotations"]):
        record = {key: value for key, value in annotation.items() if key != "id"}
        of_image[annotation["image_id"]].append(record)

    folders = []
    for number, fold in enumerate(_read_folds(data, folds, list(images))):
        folder = out / f"fold-{number}"
        for part, names in (("train", fold.train), ("val", fold.val)):
            members = sorted((images[name] for name in names), key=lambda image: image["id"])
            annotations = (record for image in members for record in of_image[image["id"]])
            with atomic_write(folder / f"{part}.json") as unfinished:
                content = coco_dataset(members, annotations, classes)
                unfinished.write_text(json.dumps(content) + "\n", encoding="utf-8")
        folders.append(folder)
    return folders


def select_fold(config: Any, folder: Path) -> None:
    """Let a config train and validate on a fold, in a folder of :func:`write_folds`; in place.

    Raises:
        ValueError: A loader or the validation's metric does not use the prepared split, so that a
            fold cannot take its place.
    """
    for key, part in (
        ("train_dataloader", "train"),
        ("val_dataloader", "val"),
        ("val_evaluator", "val"),
    ):
        found = False
        for node in _with_ann_file(config.get(key)):
            if not Path(node["ann_file"]).match(f"annotations/{part}.json"):
                raise UserError(
                    f"{key} reads {node['ann_file']}, not annotations/{part}.json: folds need a "
                    "config that uses the prepared split."
                )
            node["ann_file"] = str((folder / f"{part}.json").absolute())
            found = True
        if not found and key.endswith("dataloader"):
            raise UserError(f"{key} has no ann_file: folds cannot be selected.")


def annotation_files(config: Any) -> list[Path]:
    """The annotation files that a config trains and validates on, without repetition."""
    files: dict[Path, None] = {}
    for key in ("train_dataloader", "val_dataloader", "val_evaluator"):
        for node in _with_ann_file(config.get(key)):
            files[Path(node.get("data_root") or "", node["ann_file"])] = None
    return list(files)


def _with_ann_file(node: Any) -> Iterator[Any]:
    """All dicts below a node that name an annotation file."""
    return (found for found in mappings(node) if isinstance(found.get("ann_file"), str))


def _read_folds(data: Path, folds: int | str, names: list[str]) -> list[Fold]:
    if isinstance(folds, str):
        path, count = data / folds, None
        if not path.is_file():
            raise UserError(
                f"{path} does not exist: write it with 'python data_prep/prepare.py RAW --out DIR'."
            )
    else:
        found = sorted((data / "splits").glob(f"{folds}-folds_*.json"))
        if not found:
            raise UserError(
                f"{data}/splits has no split into {folds} folds: write one with "
                f"'python data_prep/prepare.py RAW --out {data} --folds {folds} --fold 0'."
            )
        if len(found) > 1:
            raise UserError(
                f"{data}/splits has several splits into {folds} folds: set `folds` to one of "
                f"{', '.join(f'splits/{path.name}' for path in found)}."
            )
        path, count = found[0], folds
    return read_split(path, count, names)
