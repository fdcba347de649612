"""The page of `cellseg serve` in Chromium, against the command line's results of the same image."""

import json
import time
import urllib.request
import zipfile

import numpy as np
import pytest
from PIL import Image
from shapely.geometry import Point, Polygon

from cellseg_mm.structures.palette import class_colour

pytestmark = pytest.mark.browser

CLASSES = ("other", "inflammatory", "epithelial", "spindle")
COLOURS = dict(zip(CLASSES, map(class_colour, range(4)), strict=True))
ONLY_FIRST, ONLY_SECOND = "#ffd400", "#00e5ff"


def numbers_of_classes(page):
    """Name and count of each row of the classes, as shown."""
    rows = page.tab.run(
        "[...document.querySelectorAll('button.class-row')].map((row) =>"
        " [row.querySelector('.name').innerText, row.querySelector('.number').innerText])"
    )
    return {name: int(count.replace(",", "")) for name, count in rows}


def corners(reference, name):
    """(N, 2) corners of the outlines of a class, those at the image's edge left out."""
    chosen = [
        outline
        for row, outline in zip(reference.rows, reference.outlines, strict=True)
        if row["class"] == name
    ]
    points = np.concatenate(chosen)
    return points[((points > 4) & (points < 252)).all(1)][::7]


def common_classes(reference):
    """The two classes with the most cells."""
    return sorted(CLASSES, key=reference.count, reverse=True)[:2]


def alone(reference):
    """Index of a cell whose centre is inside it and that no other one is near."""
    for index, outline in enumerate(reference.outlines):
        x, y = reference.centre(index)
        others = [
            np.hypot(*(np.array(reference.centre(k)) - (x, y)))
            for k in range(len(reference.rows))
            if k != index
        ]
        inside = Polygon(outline).buffer(-2).contains(Point(x, y))
        if inside and min(others) > 12 and 60 < x < 196 and 60 < y < 196:
            return index
    raise AssertionError("The image has no such cell.")


def free_square(reference, side=8):
    """Closed corners of a square that no cell touches."""
    for x in range(4, 240, 4):
        for y in range(4, 240, 4):
            square = [(0, 0), (side, 0), (side, side), (0, side), (0, 0)]
            corners = [[x + dx, y + dy] for dx, dy in square]
            area = Polygon(corners).buffer(3)
            if not any(Polygon(outline).intersects(area) for outline in reference.outlines):
                return corners
    raise AssertionError("The image is full of cells.")


def test_cells_are_where_the_command_line_has_them(page, job, reference):
    page.open(job)
    cells = page.cells()

    for name in common_classes(reference):
        on_outlines = page.has_colour(cells, corners(reference, name), COLOURS[name])
        assert on_outlines.mean() > 0.97, name
    everything = [Polygon(outline).buffer(5) for outline in reference.outlines]
    grid = [(x, y) for x in range(8, 250, 8) for y in range(8, 250, 8)]
    free = [point for point in grid if not any(p.contains(Point(point)) for p in everything)]
    assert len(free) > 50
    for colour in COLOURS.values():
        assert not page.has_colour(cells, np.array(free), colour).any()


def test_classes_turn_off_and_on(page, job, reference):
    page.open(job)
    first, second = common_classes(reference)
    assert numbers_of_classes(page) == {name: reference.count(name) for name in CLASSES}

    page.press(str(CLASSES.index(first) + 1))
    page.settle()
    cells = page.cells()
    assert page.has_colour(cells, corners(reference, first), COLOURS[first]).mean() < 0.1
    assert page.has_colour(cells, corners(reference, second), COLOURS[second]).mean() > 0.97

    page.tab.run(f"document.querySelectorAll('button.class-row')[{CLASSES.index(first)}].click()")
    page.settle()
    cells = page.cells()
    assert page.has_colour(cells, corners(reference, first), COLOURS[first]).mean() > 0.97


def test_counts_follow_the_score(page, job, reference):
    page.open(job)
    scores = sorted(float(row["score"]) for row in reference.rows)
    level = round(255 * scores[len(scores) // 2])
    page.tab.run(
        f"(() => {{ const slider = document.querySelector('#level'); slider.value = {level};"
        " slider.dispatchEvent(new Event('input')); })()"
    )

    assert numbers_of_classes(page) == {name: reference.count(name, level) for name in CLASSES}
    assert 0 < reference.count("all", level) < len(scores)
    assert page.text("#level-text") == f"{level / 255:.2f}"
    page.settle()
    low = int(np.argmin([float(row["score"]) for row in reference.rows]))
    colour = COLOURS[reference.rows[low]["class"]]
    inner = reference.outlines[low][::5]
    assert page.has_colour(page.cells(), inner, colour).mean() < 0.7


def test_a_click_tells_of_the_cell(page, job, reference):
    page.open(job)
    index = alone(reference)
    row = reference.rows[index]
    page.tab.click(*page.on_screen(*reference.centre(index)))
    said = page.wait_for("#cell", f"cell {row['id']}\\b")

    assert row["class"] in said
    assert f"score {float(row['score']):.2f}" in said
    probabilities = page.tab.run(
        "Object.fromEntries([...document.querySelectorAll('.probability')].map((row) =>"
        " [row.querySelector('.name').innerText, row.querySelector('.number').innerText]))"
    )
    assert probabilities == {
        name: f"{float(row[f'probability_{name}']):.2f}"
        for name in CLASSES
        if row[f"probability_{name}"]
    }
    area = page.tab.run(
        "[...document.querySelectorAll('#cell tr')].find((row) => row.innerText.startsWith('area'))"
        ".innerText"
    )
    assert f"{float(row['area_px']):.0f} px²" in area
    page.press("Escape")
    page.wait_for("#cell", "Click a cell")


@pytest.mark.parametrize("tool", ["r", "p"])
def test_a_region_is_counted(page, job, reference, tool):
    page.open(job)
    left, top, right, bottom = 40, 50, 170, 200
    box = [(left, top), (right, top), (right, bottom), (left, bottom)]
    places = [page.on_screen(*corner) for corner in box]
    page.press(tool)
    if tool == "r":
        page.tab.drag(places[0], places[2])
    else:
        for place in places:
            page.tab.click(*place)
            time.sleep(0.4)  # two clicks in quick succession would be a double click
        page.press("Enter")
    page.wait_for("#region", "All cells")

    inside = [
        row["class"]
        for index, row in enumerate(reference.rows)
        if left < reference.centre(index)[0] < right and top < reference.centre(index)[1] < bottom
    ]
    shown = page.tab.run(
        "[...document.querySelectorAll('#region tbody tr')].map((row) =>"
        " [row.cells[0].innerText, row.cells[1].innerText, row.cells[3].innerText])"
    )
    area = (right - left) * (bottom - top) * 0.25**2 / 1e6
    # The pointer hits whole pixels of the screen, so a cell on the edge may be on either side.
    for name, count, per_mm2 in shown:
        expected = len(inside) if name == "All cells" else inside.count(name)
        assert int(count) == pytest.approx(expected, abs=1), name
        assert float(per_mm2.replace(",", "")) == pytest.approx(int(count) / area, rel=0.03), name
    assert [name for name, *_ in shown] == [*CLASSES, "All cells"]


def test_what_is_in_view_is_counted(page, job, reference):
    page.open(job)
    page.press("v")
    said = page.wait_for("#region", "All cells")

    assert f"All cells\t{len(reference.rows)}\t" in said
    assert "Area 4,096 µm²" in said  # (256 · 0.25 µm)²


def test_downloads_are_those_of_the_command_line(page, job, reference, tmp_path):
    page.open(job)
    page.tab.download_to(tmp_path)
    links = page.tab.run("[...document.querySelectorAll('#downloads a')].map((a) => a.href)")
    formats = [link.rsplit("/", 1)[1] for link in links]
    assert formats[-1] == "all.zip"
    assert {"geojson", "labels", "csv", "parquet", "roi", "overlay"} <= set(formats)

    page.tab.run("document.querySelector('#downloads a[href$=csv]').click()")
    end = time.monotonic() + 20
    while not (tmp_path / "nucls.csv").is_file() and time.monotonic() < end:
        time.sleep(0.05)
    assert (tmp_path / "nucls.csv").read_bytes() == (reference.folder / "nucls.csv").read_bytes()
    names = set()
    for link in links[:-1]:
        with urllib.request.urlopen(link) as answer:
            name = answer.headers["Content-Disposition"].split('filename="')[1].split('"')[0]
            assert answer.read() == (reference.folder / name).read_bytes(), name
        names.add(name)
    assert len(names) == len(links) - 1
    with urllib.request.urlopen(links[-1]) as answer:
        (tmp_path / "all.zip").write_bytes(answer.read())
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        for name in names:
            assert archive.read(name) == (reference.folder / name).read_bytes(), name


@pytest.mark.parametrize("late", [False, True], ids=["at once", "cells after the comparison"])
def test_compared_with_true_cells(page, job, reference, tmp_path, late):
    """Of the truth every fourth cell is taken away, and one is added where there is none."""
    content = json.loads((reference.folder / "nucls.geojson").read_text())
    missing = list(range(0, len(reference.rows), 4))
    kept = [each for k, each in enumerate(content["features"]) if k not in missing]
    square = free_square(reference)
    extra = json.loads(json.dumps(kept[0]))
    extra["geometry"]["coordinates"] = [square]
    extra["id"] = "00000000-0000-4000-8000-000000000000"
    path = tmp_path / "truth.geojson"
    path.write_text(json.dumps({**content, "features": [*kept, extra]}))
    page.open(job)
    page.hold_second_cells()
    page.tab.drop_files(*page.on_screen(128, 128), path)
    if not late:
        page.release_second_cells()
    said = page.wait_for("#compare", "F1")
    if late:
        page.release_second_cells()

    n, m = len(reference.rows), len(missing)
    assert f"in both\t{n - m}" in said
    assert f"only in {page.tab.run('page.state.job.model')}\t{m}" in said
    assert "only in truth.geojson\t1" in said
    assert f"F1 (IoU ≥ 0.5)\t{2 * (n - m) / (2 * (n - m) + m + 1):.3f}" in said
    assert "same class, of those in both\t100 %" in said
    page.settle()
    cells = page.cells()
    for index in missing:
        points = reference.outlines[index]
        points = points[((points > 4) & (points < 252)).all(1)]
        assert page.has_colour(cells, points, ONLY_FIRST).mean() > 0.7 or len(points) < 8
    assert page.has_colour(cells, np.array(square), ONLY_SECOND).mean() >= 0.6
    assert page.has_colour(cells, reference.outlines[1][::4], ONLY_FIRST).mean() < 0.2

    page.press("d")
    page.settle()
    cells = page.cells()
    assert not page.has_colour(cells, reference.outlines[missing[1]], ONLY_FIRST).any()
    assert page.has_colour(cells, reference.outlines[1], "#ffffff").mean() > 0.3


def test_a_second_image_is_dropped_and_removed(page, job, image, tmp_path):
    with Image.open(image) as picture:
        picture.crop((0, 0, 64, 48)).save(tmp_path / "small.png")
    page.open(job)
    page.tab.drop_files(*page.on_screen(128, 128), tmp_path / "small.png")
    page.wait_for("#title", r"^small\.png$")
    assert "64 × 48 px" in page.text("#subtitle")
    page.wait_for("#jobs", r"small\.png\s+he-consep · \d+ cells?", 120)

    page.tab.run("window.confirm = () => true")
    page.tab.run("document.querySelector('[aria-label=\"Remove small.png\"]').click()")
    page.tab.wait("!document.querySelector('#jobs').innerText.includes('small.png')")
    assert page.text("#title") == "No image is open"
    assert page.tab.run("document.querySelector('#empty').checkVisibility()")


def test_what_is_no_image_is_told_in_a_sentence(page, address, tmp_path):
    (tmp_path / "notes.png").write_text("not an image")
    page.open()
    page.tab.wait("document.querySelector('#model').options.length > 1")
    page.tab.choose_files("#file", tmp_path / "notes.png")
    page.tab.wait("document.querySelector('#status').classList.contains('bad')", 60)

    said = page.text("#status")
    assert "notes.png" in said
    assert said.endswith(".")
    assert "Traceback" not in said
    page.tab.run("document.querySelector('#mpp').value = '0'")
    page.tab.choose_files("#file", tmp_path / "notes.png")
    page.wait_for("#status", "µm per pixel is a number")


def test_quiet_and_at_home(page, job, address):
    """No message on the console, nothing asked of another host, and no way to do so."""
    page.open(job)
    for key in ("+", "+", "m", "f", "1", "n", "?"):
        page.press(key)
    page.settle()

    assert page.tab.complaints == []
    hosts = [url for url in page.tab.requests if not url.startswith(("data:", "blob:"))]
    assert len(hosts) > 20
    assert all(url.startswith(address) for url in hosts)
    with urllib.request.urlopen(address) as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "connect-src" not in policy  # nor a way around default-src for the worker


def test_keyboard(page, job, reference):
    page.open(job)
    page.press("?")
    assert page.tab.run("document.querySelector('#help').open")
    listed = page.text("#keys")
    page.press("Escape")
    assert not page.tab.run("document.querySelector('#help').open")
    assert "next cell" in listed

    scale = "page.viewer.view().scale"
    before = page.tab.run(scale)
    page.press("+")
    page.settle()
    assert page.tab.run(scale) == pytest.approx(1.5 * before, rel=0.01)
    page.press("0")
    page.settle()
    assert page.tab.run(scale) == pytest.approx(before, rel=0.01)

    page.press("n")
    page.wait_for("#cell", r"cell 1\b")
    page.press("n")
    page.wait_for("#cell", r"cell 2\b")
    page.tab.run("page.viewer.focus()")
    page.press("0")
    page.settle()
    page.press("Enter")
    middle = min(
        range(len(reference.rows)),
        key=lambda k: np.hypot(*(np.array(reference.centre(k)) - 128)),
    )
    page.wait_for("#cell", rf"cell {reference.rows[middle]['id']}\b")

    page.tab.run("document.activeElement.blur()")
    reached = []
    for _ in range(60):
        page.press("Tab")
        reached.append(page.tab.run("document.activeElement.outerHTML.slice(0, 120)"))
    for part in ('id="open"', 'id="model"', 'id="mpp"', "job-open", "openseadragon-canvas"):
        assert any(part in html for html in reached), part
    for part in ("class-row", 'id="level"', 'id="fill"', "Rectangle", 'id="other', "all.zip"):
        assert any(part in html for html in reached), part


def test_names_for_screen_readers(page, job):
    """Every control has a name, and what changes is told."""
    page.open(job)
    nodes = page.tab.send("Accessibility.getFullAXTree")["nodes"]
    kinds = {"button", "checkbox", "slider", "combobox", "spinbutton", "link", "application"}
    seen = [each for each in nodes if not each["ignored"]]
    controls = [each for each in seen if each["role"]["value"] in kinds]
    nameless = [each for each in controls if not each.get("name", {}).get("value")]

    assert len(controls) > 25
    assert [each["role"]["value"] for each in nameless] == []
    assert page.tab.run("document.querySelector('#status').getAttribute('aria-live')") == "polite"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_phone(page, job, dark):
    page.tab.resize(360, 740, dark=dark, mobile=True)
    page.open(job)

    assert page.tab.run("document.documentElement.scrollWidth") == 360
    ground = page.tab.run("getComputedStyle(document.querySelector('header')).backgroundColor")
    assert ground == ("rgb(26, 30, 35)" if dark else "rgb(255, 255, 255)")
    shown = "document.querySelector({!r}).checkVisibility()"
    assert page.tab.run(shown.format("#classes"))
    assert not page.tab.run(shown.format("#open"))
    page.tab.run("document.querySelector('[data-side=images]').click()")
    assert page.tab.run(shown.format("#open"))
    page.press("t")
    assert ground != page.tab.run(
        "getComputedStyle(document.querySelector('header')).backgroundColor"
    )
    page.press("t")
    page.tab.run("localStorage.clear()")
