from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cellseg_mm.preparation import convert_dataset as module
from cellseg_mm.preparation.convert_dataset import ConvertOptions, convert_dataset
from cellseg_mm.preparation.formats.annotated_image import (
    AnnotatedImage,
    Bitmap,
    Cell,
    FilledRegion,
    Outline,
    Runs,
)
from cellseg_mm.preparation.odd_annotations import note_odd_cells
from cellseg_mm.preparation.raw_facts import NotedCells, read_facts

HEIGHT, WIDTH = 60, 80


def outline(*points: tuple[float, float], name: str = "a") -> Cell:
    return Cell(name, Outline([[np.array(points, float)]]))


def square(x: float, y: float, side: float = 10, name: str = "a") -> Cell:
    return outline((x, y), (x + side, y), (x + side, y + side), (x, y + side), name=name)


def notes(*cells: Cell) -> list[tuple[str, int, tuple]]:
    found = note_odd_cells("i", cells, (HEIGHT, WIDTH), [])
    assert all(note.image == "i" for note in found)
    return [(note.kind, note.cells, note.places) for note in found]


def test_clean_cells_are_not_noted() -> None:
    bitmap = Cell("a", Bitmap(50, 70, np.ones((10, 10), bool)))
    region = Cell("a", FilledRegion(np.array([[-0.5, -0.5], [79.5, -0.5], [79.5, 59.5]])))
    edge = square(70, 50)  # ends on the image's corner
    half = square(70.8, 20)  # ends 0.8 px beyond
    hole = Cell("a", Outline([[np.array([[0, 0], [9, 0], [9, 9], [0, 9.0]]),
                               np.array([[3, 3], [6, 3], [6, 6], [3, 6.0]])]]))  # fmt: skip
    point = outline((3, 3))
    empty = Cell("a", Outline([]))
    assert notes(bitmap, region, edge, half, hole, point, empty, square(0, 0)) == []
    assert notes() == []


def test_points_as_far_out_as_numbers_go() -> None:
    far = 1.7e308
    region = Cell("a", FilledRegion(np.array([[far, far], [far, 5], [far, 9.0]])))
    twisted = outline((far, far), (-far, -far), (far, -far), (-far, far))
    (outside, _, places), *_ = notes(region, square(far, far), twisted)
    assert outside == "outside"
    assert np.isfinite(places).all()


def test_runs_have_a_place() -> None:
    # Columns 3 and 4 of a 60 px high image: rows 10 to 19, and rows 12 to 15.
    runs = Cell("a", Runs(np.array([190, 252]), np.array([200, 256])))
    (note,) = note_odd_cells("i", [runs, runs, Cell("a", Runs(*np.zeros((2, 0), int)))],
                             (HEIGHT, WIDTH), [1])  # fmt: skip
    assert note == NotedCells("i", "repeated", 1, ((4, 15),))


def test_cells_outside_and_cut_off() -> None:
    region = Cell("a", FilledRegion(np.array([[-9.0, 5], [-3, 5], [-3, 9]])))
    assert notes(
        square(80, 10),  # begins at the right border
        square(-4, 20),  # from -4 to 6
        region,
        Cell("a", Bitmap(58, 10, np.ones((6, 4), bool))),
        square(20, 20),
    ) == [
        ("outside", 2, ((85, 15), (-5.5, 7.5))),
        ("cut off", 2, ((1, 25), (12, 61))),
    ]


@pytest.mark.parametrize(
    ("points", "noted"),
    [
        ([(0, 0), (10, 10), (10, 0), (0, 10)], True),  # a bow-tie: two halves
        # A square with a loop of a tenth of its area turned inside: 10 of 100 px².
        ([(0, 0), (10, 0), (10, 10), (3, 10), (3, 8), (8, 8), (8, 11), (0, 11)], True),
        # There and back on the same way encloses nothing.
        ([(0, 0), (10, 0), (10, 10), (14, 10), (10, 10), (0, 10)], False),
        # A curl of 0.125 px² at a corner.
        ([(0, 0), (10, 0), (10, 10), (9.5, 10.5), (10.5, 10.5), (9, 10), (0, 10)], False),
        ([(0, 0), (10, 0), (10, 10), (0, 10), (0, 0)], False),  # closed explicitly
    ],
)
def test_outlines_that_cross_themselves(points: list[tuple[float, float]], noted: bool) -> None:
    assert [kind for kind, _, _ in notes(square(30, 30), outline(*points))] == (
        ["self-crossing"] if noted else []
    )


def test_a_conversion_notes_and_writes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [
        square(20, 20),  # 0: repeated by 2, which is shifted by 0.4 px: no pixel differs
        square(40, 20, name="b"),  # 1
        square(20.4, 20),  # 2
        square(40, 20),  # 3: the same as 1, in another class
        square(60, 20),  # 4: covered by 5 to 8 of 10 columns, IoU 80 / 120
        square(62, 20),  # 5
        square(20, 40, name="b"),  # 6: repeated by 7 with 100 of 108 px: .926
        Cell("b", Outline([[np.array([[20, 40], [30.8, 40], [30.8, 50], [20, 50.0]])]])),  # 7
        square(50, 40),  # 8: hidden by 9, which is four times as large
        square(45, 35, 20),  # 9
    ]
    image = AnnotatedImage(
        "one", tmp_path / "x", lambda: np.zeros((HEIGHT, WIDTH, 3), np.uint8), cells
    )

    class Format:
        OPTIONS = ()

        @staticmethod
        def read(source: Path, options: object):
            yield image

    monkeypatch.setattr(module, "format_module", lambda name: Format)
    done = convert_dataset(ConvertOptions("any", tmp_path, tmp_path / "raw"))
    # 20.4 to 30.4 covers the centres 20.5 to 29.5, and 20 to 30.8 those up to 30.5: 11 columns.
    assert done.notes == [NotedCells("one", "repeated", 2, ((25, 25), (25, 45)))]
    assert read_facts(tmp_path / "raw").findings == done.notes
