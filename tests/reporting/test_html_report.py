"""The page in a browser: it loads by itself, and its controls work by mouse and keyboard."""

import json
import re

import pytest

from cellseg_mm.reporting.html_report import ReportOptions, figures_folder, write_report


@pytest.fixture(scope="module")
def report(prepared, tmp_path_factory):
    out = tmp_path_factory.mktemp("report") / "report.html"
    options = ReportOptions(prepared / "predictions.json", prepared, samples=40)
    write_report(options, out)
    return out


def test_files(report):
    html = report.read_text()

    # 12 true cells, of which 4 + 2 + 1 are found with the right class.
    assert "11 predictions from predictions.json against 12 true cells in 3 images" in html
    assert "40 samples of the 3 images" in html
    assert "No training image has the class &lt;flat&gt;." in html
    assert "No work dir: the learning curves are left out." in html
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", html)
    assert sorted(path.name for path in report.parent.iterdir()) == [
        "report.html",
        "report_figures",
    ]
    names = {path.name for path in figures_folder(report).iterdir()}
    assert {"confusion_matrix.png", "precision_recall.svg", "worst_cells.png"} <= names


def test_numbers(report):
    html = report.read_text()

    # PQ of the images: 4/4; 2 / (2 + 2/2) = 2/3; image 3 has 2 pairs of IoU 1 (class aside) among
    # 4 true and 4 predicted cells: 2/4. Mean (1 + 2/3 + 1/2) / 3.
    assert re.search(r'<th scope="row">bPQ</th><td>0\.722</td>', html)
    # F1, all cells as one class: 2 · 8 / (12 + 10).
    assert re.search(r'<th scope="row">F1</th><td>0\.727</td>', html)


def test_seeded(prepared, report, tmp_path):
    write_report(
        ReportOptions(prepared / "predictions.json", prepared, samples=40), tmp_path / "report.html"
    )

    def without_date(path):
        return re.sub(r"Written by cellseg-mm on [^.]*\.", "", path.read_text())

    assert without_date(tmp_path / "report.html") == without_date(report)


def test_an_error_leaves_nothing_behind(prepared, tmp_path):
    out = tmp_path / "report.html"
    with pytest.raises(ValueError, match=r"holds no true cells"):
        write_report(ReportOptions(prepared / "predictions.json", prepared, "test"), out)

    assert list(tmp_path.iterdir()) == []


def write_predictions(path, prepared, keep):
    records = json.loads((prepared / "predictions.json").read_text())
    path.write_text(json.dumps([record for record in records if keep(record)]))
    return path


@pytest.mark.parametrize("kept", [(2,), ()], ids=["no prediction of a class", "none at all"])
def test_a_class_without_predictions_has_ap_0(prepared, tmp_path, kept):
    path = write_predictions(tmp_path / "p.json", prepared, lambda r: r["category_id"] in kept)
    write_report(ReportOptions(path, prepared, samples=5), tmp_path / "r.html")

    row = re.search(r'<tr><th scope="row">round</th>.*?</tr>', (tmp_path / "r.html").read_text())
    # True cells, predicted cells, AP, AP50, PQ+, F1.
    numbers = re.findall(r"<td>([^<]*)", row[0])
    assert numbers[:6] == ["6", "0", "0.000", "0.000", "0.000", "0.000"]
    assert (figures_folder(tmp_path / "r.html") / "precision_recall.png").is_file()


NAMES = ("CD3$^$ <high>", "_2/3 mitosis")


def test_names_of_classes_are_text(prepared, tmp_path):
    data = tmp_path / "data"
    (data / "annotations").mkdir(parents=True)
    (data / "images").symlink_to(prepared / "images")
    content = json.loads((prepared / "annotations" / "val.json").read_text())
    for category, name in zip(content["categories"], NAMES, strict=True):
        category["name"] = name
    (data / "annotations" / "val.json").write_text(json.dumps(content))
    out = tmp_path / "r.html"
    write_report(ReportOptions(prepared / "predictions.json", data, samples=5), out)

    html = out.read_text()
    assert '<th scope="row">CD3$^$ &lt;high&gt;</th>' in html
    for figure in ("precision_recall", "confusion_matrix", "error_breakdown", "ap_by_size"):
        svg = (figures_folder(out) / f"{figure}.svg").read_text()
        for name in NAMES:
            assert name.replace("<", "&lt;").replace(">", "&gt;") in svg, figure


def test_a_folder_of_somebody_else_is_kept(prepared, tmp_path):
    (tmp_path / "paper_figures").mkdir()
    (tmp_path / "paper_figures" / "fig1.tex").write_text("mine")
    options = ReportOptions(prepared / "predictions.json", prepared, samples=5)

    with pytest.raises(ValueError, match=r"paper_figures would be replaced, but holds fig1\.tex"):
        write_report(options, tmp_path / "paper.html")

    assert [path.name for path in tmp_path.rglob("*")] == ["paper_figures", "fig1.tex"]
    write_report(options, tmp_path / "other.html")
    write_report(options, tmp_path / "other.html")  # ours is replaced


def test_the_data_are_those_of_the_run(prepared, tmp_path):
    work_dir = tmp_path / "run"
    work_dir.mkdir()
    (work_dir / "config.py").write_text(f"data_root = {str(prepared)!r}\n")
    options = ReportOptions(prepared / "predictions.json", None, work_dir=work_dir, samples=5)
    write_report(options, tmp_path / "r.html")
    assert f"(val of {prepared})" in (tmp_path / "r.html").read_text()

    # A run of a ladder has the truth of its fold elsewhere.
    (tmp_path / "fold.json").write_text((prepared / "annotations" / "test.json").read_text())
    loader = f"val_dataloader = dict(dataset=dict(ann_file={str(tmp_path / 'fold.json')!r}))"
    (work_dir / "config.py").write_text(f"data_root = {str(prepared)!r}\n{loader}\n")
    with pytest.raises(ValueError, match=r"fold\.json holds no true cells"):
        write_report(options, tmp_path / "r.html")

    (work_dir / "config.py").write_text("data_root = '/moved/away'\n")
    with pytest.raises(ValueError, match=r"/moved/away, which config\.py .* say with --data"):
        write_report(options, tmp_path / "r.html")


def test_a_work_dir_without_logs_is_said(prepared, tmp_path):
    options = ReportOptions(prepared / "predictions.json", prepared, work_dir=tmp_path, samples=5)
    write_report(options, tmp_path / "r.html")

    html = (tmp_path / "r.html").read_text()
    assert "holds no training logs: the learning curves are left out" in html
    assert "The work dir holds no dumped config." in html


@pytest.fixture
def page(chromium, report):
    """The report, open on a desktop, with the picture decoded."""
    chromium.resize(1280, 900)
    chromium.open(report)
    chromium.wait("document.querySelector('#browser canvas')?.width > 300")
    chromium.settle()
    return chromium


def picture(page):
    """What the canvas shows, as a data URI."""
    page.settle()
    return page.run("document.querySelector('#browser canvas').toDataURL()")


def click(page, selector):
    page.run(f"document.querySelector({selector!r}).click()")
    page.settle()


def status(page):
    return page.run("document.querySelector('#browser .status').textContent")


@pytest.mark.browser
def test_loads_quietly_and_asks_for_nothing(page, report):
    for _ in range(3):
        click(page, '[data-action="next"]')

    assert page.complaints == []
    assert [url for url in page.requests if not url.startswith("data:")] == [report.as_uri()]


@pytest.mark.browser
def test_views_show_what_they_say(page):
    # The worst image first: the one with all kinds of error.
    assert status(page) == (
        "train/<3>.png, PQ 0.500. 1 found, 1 wrong class, 1 poor outline, 0 duplicate, "
        "1 background, 1 missed."
    )
    pictures = [picture(page)]
    for view, words in (("truth", "4 true cells."), ("prediction", "4 predicted cells.")):
        click(page, f'input[name="view"][value="{view}"]')
        assert status(page).endswith(words)
        pictures.append(picture(page))
    assert len(set(pictures)) == 3


@pytest.mark.browser
def test_toggles_take_cells_away_and_back(page):
    before = picture(page)

    click(page, 'input[name="class"][value="1"]')
    assert "1 found, 1 wrong class, 0 poor outline" in status(page)
    assert picture(page) != before
    click(page, 'input[name="class"][value="1"]')
    assert picture(page) == before

    click(page, 'input[name="kind"][value="5"]')
    assert picture(page) != before
    click(page, 'input[name="kind"][value="5"]')
    assert picture(page) == before

    click(page, 'input[name="outlines"]')
    assert picture(page) != before


@pytest.mark.browser
def test_outlines_lie_on_the_cells(page):
    # The missed cell, in image 3, has the centre (50, 15) and the radius 6: its outline crosses
    # (50, 9), its middle is free of it. Outlines of missed cells are #00c8ff.
    found = page.run(
        """(() => {
        const canvas = document.querySelector('#browser canvas'), pen = canvas.getContext('2d');
        const scale = Math.min(canvas.width / 80, canvas.height / 60);
        const left = (canvas.width - 80 * scale) / 2, top = (canvas.height - 60 * scale) / 2;
        return [[50.5, 9], [50.5, 15.5]].map(([x, y]) => {
            const area = pen.getImageData(left + x * scale - 3, top + y * scale - 3, 7, 7).data;
            for (let i = 0; i < area.length; i += 4)
                if (area[i] < 60 && area[i + 1] > 150 && area[i + 2] > 200) return true;
            return false;
        });
        })()"""
    )
    assert found == [True, False]


@pytest.mark.browser
def test_keyboard(page):
    page.run("document.querySelector('#browser canvas').focus()")
    fitted = picture(page)
    zoom = "parseInt(document.querySelector('.zoom-level').textContent)"
    before = page.run(zoom)
    page.press("+")
    assert page.run(zoom) == pytest.approx(1.5 * before, abs=2)
    zoomed = picture(page)
    page.press("ArrowRight")
    assert picture(page) != zoomed
    page.press("0")
    assert picture(page) == fitted
    page.press("t")
    assert status(page).endswith("4 true cells.")
    page.press("n")
    assert status(page).startswith("train/<2>.png")

    page.press("d")

    # Tab reaches every kind of control from the top of the page on.
    page.run("document.activeElement.blur(); window.scrollTo(0, 0)")
    reached = []
    for _ in range(60):
        page.press("Tab")
        reached.append(page.run("document.activeElement.outerHTML.slice(0, 80)"))
    for part in ("<a ", "<select", 'name="view"', 'name="class"', 'name="kind"', "<canvas"):
        assert any(part in html for html in reached), part


@pytest.mark.browser
def test_wheel_zooms_at_the_pointer(page):
    page.run("document.querySelector('#browser canvas').scrollIntoView({block: 'center'})")
    box = page.run(
        "(b => [b.x + b.width / 2, b.y + b.height / 2])"
        "(document.querySelector('#browser canvas').getBoundingClientRect())"
    )
    before = picture(page)
    page.send(
        "Input.dispatchMouseEvent", type="mouseWheel", x=box[0], y=box[1], deltaX=0, deltaY=-400
    )
    assert picture(page) != before


@pytest.mark.browser
def test_an_image_of_the_table_opens(page):
    click(page, 'a[data-show-image="2"]')

    assert status(page).startswith("train/<1>.png, PQ 1.000")


@pytest.mark.browser
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_phone(page, report, dark):
    page.resize(360, 740, dark=dark, mobile=True)
    page.open(report)
    page.wait("document.querySelector('#browser canvas').width > 300")

    # Nothing sticks out of the page; wide tables scroll by themselves.
    assert page.run("document.documentElement.scrollWidth") == 360
    background = page.run("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(20, 23, 27)" if dark else "rgb(254, 254, 254)")
    assert page.complaints == []
