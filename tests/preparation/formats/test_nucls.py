from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import shapely
from shapely.geometry import Polygon

from cellseg_mm.preparation.convert_dataset import ConvertOptions, convert_dataset

NAME = "TCGA-A1-A0SP-DX1_id-5ea4095addda5f8398977ebc_left-7053_top-53967_bottom-54231_right-7311"
HEAD = [
    "raw_classification",
    "main_classification",
    "super_classification",
    "type",
    "xmin",
    "ymin",
    "xmax",
    "ymax",
]
BLOB = [(22, 12), (30, 9), (36, 13), (35, 25), (28, 29), (20, 20), (22, 12)]
BOX = [(2, 2), (12, 2), (12, 9), (2, 9), (2, 2)]
BORDER = [(45, 30), (60, 30), (60, 45), (46, 44), (45, 30)]


def row(name: str, kind: str, ring: list[tuple[int, int]]) -> dict[str, str]:
    x, y = zip(*ring, strict=True)
    box = [min(x), min(y), max(x), max(y)]
    values = [name, "main", "super", kind, *map(str, box)]
    return dict(zip(HEAD, values, strict=True)) | {
        "coords_x": ",".join(map(str, x)),
        "coords_y": ",".join(map(str, y)),
    }


def write_field(root: Path, rows: list[dict[str, str]], rgb: np.ndarray, name: str = NAME) -> Path:
    for folder in ("rgb", "csv", "mask", "visualization"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(root / "rgb" / f"{name}.png"), rgb[..., ::-1])
    path = root / "csv" / f"{name}.csv"
    with path.open("w", newline="") as file:
        head = list(rows[0]) if rows else HEAD
        writer = csv.DictWriter(file, ["", *head])
        writer.writeheader()
        writer.writerows({"": str(index), **record} for index, record in enumerate(rows))
    (root / "csv" / "ALL_FOV_LOCATIONS.csv").write_text(",fovname,xmin\n0,x,1\n")
    return path


def inside(
    ring: list[tuple[int, int]], height: int, width: int, corner: tuple = (0, 0)
) -> frozenset:
    """The pixels whose centres shapely finds inside; no centre of these lies on an edge."""
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    polygon = Polygon([(x - corner[0], y - corner[1]) for x, y in ring])
    mask = shapely.contains_xy(polygon, columns, rows)
    assert not shapely.intersects_xy(polygon.boundary, columns, rows).any()
    return frozenset(zip(*(axis.tolist() for axis in np.nonzero(mask)), strict=True))


def test_outlines_are_cells_and_boxes_are_a_class(forms, prepared, tmp_path: Path) -> None:
    # The last one has its only row below the image.
    rows = [
        row("tumor", "polyline", BLOB),
        row("correction_fibroblast", "polyline", BORDER),
        row("lymphocyte", "rectangle", BOX),
        row("unlabeled", "polyline", [(3, 40), (4, 40), (4, 41), (3, 41), (3, 40)]),
    ]
    write_field(tmp_path, rows, forms.noise(1, 40, 50))
    write_field(tmp_path, [], forms.noise(2, 30, 30), name="TCGA-A2-A04P-DX1_id-1_left-1_top-2")
    images = prepared("nucls", tmp_path)
    first, empty = images[NAME], images["TCGA-A2-A04P-DX1_id-1_left-1_top-2"]
    assert first.cells == {
        ("tumor", inside(BLOB, 40, 50)),
        ("fibroblast", inside(BORDER, 40, 50)),
        ("box", frozenset((r, c) for r in range(2, 9) for c in range(2, 12))),
    }
    assert (first.patient, first.mpp) == ("TCGA-A1-A0SP", 0.2)
    assert (empty.cells, empty.patient) == (set(), "TCGA-A2-A04P")
    np.testing.assert_array_equal(first.rgb, forms.noise(1, 40, 50))


def test_boxes_can_be_left_out(forms, prepared, tmp_path: Path) -> None:
    write_field(
        tmp_path,
        [row("tumor", "polyline", BLOB), row("tumor", "rectangle", BOX)],
        forms.noise(1, 40, 50),
    )
    done = convert_dataset(
        ConvertOptions("nucls", tmp_path, tmp_path / "counted", classes=("tumor",))
    )
    assert (dict(done.cells), dict(done.left_out)) == ({"tumor": 1}, {"box": 1})


def test_images_are_cut_to_the_annotated_field(forms, prepared, tmp_path: Path) -> None:
    write_field(
        tmp_path,
        [row("tumor", "polyline", BLOB), row("tumor", "polyline", BORDER)],
        forms.noise(1, 60, 64),
    )
    mask = np.zeros((60, 64, 3), np.uint8)
    mask[10:50, 5:61, 2] = 253  # OpenCV writes blue, green, red
    mask[12:20, 8:30] = (1, 4, 1)
    cv2.imwrite(str(tmp_path / "mask" / f"{NAME}.png"), mask)
    image = prepared("nucls", tmp_path)[NAME]
    np.testing.assert_array_equal(image.rgb, forms.noise(1, 60, 64)[10:50, 5:61])
    assert image.cells == {
        ("tumor", inside(BLOB, 40, 56, (5, 10))),
        ("tumor", inside(BORDER, 40, 56, (5, 10))),
    }


def test_the_first_edition_says_group(forms, prepared, tmp_path: Path) -> None:
    record = row("correction_plasma_cell", "polyline", BLOB)
    record = {"group": record["raw_classification"], **{k: record[k] for k in list(record)[3:]}}
    write_field(tmp_path, [record], forms.noise(1, 40, 50))
    assert {name for name, _ in prepared("nucls", tmp_path)[NAME].cells} == {"plasma_cell"}


def test_every_bad_file_is_named(forms, refused, tmp_path: Path) -> None:
    good = row("tumor", "polyline", BLOB)
    changes = [
        ({"raw_classification": "cell"}, "row 1 is of the unknown class 'cell'"),
        ({"type": "point"}, "row 1 is of the type 'point'"),
        ({"coords_x": "1,2"}, "row 1 has 2 coords_x, but 7 coords_y"),
        ({"coords_y": "1,,3"}, "row 1 has no numbers in coords_y"),
        ({"coords_x": "nan,1,2,3,4,5,6"}, "row 1 has no numbers in coords_x"),
        ({"type": "rectangle", "xmin": ""}, "row 1 has no numbers in xmin"),
    ]
    paths = []
    for number, (change, _) in enumerate(changes):
        paths.append(
            write_field(
                tmp_path, [good | change], forms.noise(number, 40, 50), name=f"TCGA_{number}"
            )
        )
    paths.append(write_field(tmp_path, [good], forms.noise(1, 40, 50), name="TCGA_6"))
    paths[-1].write_bytes(b"\xff\xfe\x00")
    paths.append(write_field(tmp_path, [good], forms.noise(1, 40, 50), name="TCGA_7"))
    cv2.imwrite(str(tmp_path / "mask" / "TCGA_7.png"), np.full((41, 50, 3), 253, np.uint8))
    paths[-1] = tmp_path / "rgb" / "TCGA_7.png"
    words = [
        *(text for _, text in changes),
        "not readable as CSV",
        "smaller (40 × 50) than its mask",
    ]
    for sentence, path, text in zip(refused("nucls", tmp_path), paths, words, strict=True):
        assert sentence.startswith(f"{path}: ")
        assert text in sentence
