"""Classes of cells by their ids, from CSV files."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from cellseg_mm.preparation.problems import BadFileError, reading

_EVERY_IMAGE = ""


class CellClasses:
    """The class of each id of each image.

    Args:
        path: A CSV file with the columns `id` and `class`, and `image` where there are several: an
            image's name without its ending. Or a folder with a file `IMAGE.csv` for each, such as
            `cellseg segment` writes. Columns are separated by comma, semicolon or tab.

    Raises:
        BadFileError: It does not exist, or is no such file.
    """

    def __init__(self, path: Path) -> None:
        self._folder = path if path.is_dir() else None
        self._found = {} if path.is_dir() else _read(path)

    def of(self, image: str) -> Mapping[int, str]:
        """The classes of an image's cells.

        Raises:
            BadFileError: Its file is missing, or is no such file.
        """
        if self._folder is not None:
            return _read(self._folder / f"{image}.csv").get(_EVERY_IMAGE, {})
        return self._found.get(image) or self._found.get(_EVERY_IMAGE) or {}


def _read(path: Path) -> dict[str, dict[int, str]]:
    remedy = "write the columns image, id and class"
    found: dict[str, dict[int, str]] = {}
    with reading(path, "not readable as CSV", remedy, OSError, ValueError, csv.Error):
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        header = lines[0] if lines else ""
        delimiter = max(",;\t", key=header.count)
        reader = csv.DictReader(lines, delimiter=delimiter, strict=True)
        if not {"id", "class"} <= set(reader.fieldnames or ()):
            raise BadFileError(path, "it has no columns 'id' and 'class'", remedy)
        for row in reader:
            name, text = row["class"], row["id"]
            if not (text or "").strip().isascii() or not (text or "").strip().isdigit():
                raise ValueError(f"line {reader.line_num} has the id {text!r:.40}")
            of_image = found.setdefault((row.get("image") or _EVERY_IMAGE).strip(), {})
            if (name or "").strip():
                of_image[int(text)] = name.strip()
    return found
