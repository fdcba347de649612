"""What is filled into a page says the same as HTML."""

import json
import re

import numpy as np

from cellseg_mm.analysis.errors.bootstrap import Interval
from cellseg_mm.reporting.render import _environment, interval_ends, number, render

NAN = float("nan")


def fill(text, **content):
    source = '{% from "macros.html" import table, whisker with context %}' + text
    return _environment().from_string(source).render(content)


def test_numbers():
    assert number(0.12345) == "0.123"
    assert number(-2.5, 1) == "−2.5"
    assert number(NAN) == "–"
    assert interval_ends(Interval(0.5, 0.25, 0.75)) == "0.250 to 0.750"
    assert interval_ends(Interval(0.5, NAN, NAN)) == ""


def test_whisker_runs_from_0_to_1():
    drawn = fill("{{ whisker(i) }}", i=Interval(0.5, 0.0, 1.7))

    assert 'x1="4.0" x2="96.0"' in drawn
    assert 'cx="50.0"' in drawn
    assert fill("{{ whisker(i) }}", i=Interval(NAN, NAN, NAN)).strip() == ""


def test_a_table_escapes_names():
    html = fill("{{ table('a < b', ['x', 'y & z'], rows) }}", rows=[("<b>", ["1", '"<i>'])])

    assert "a &lt; b" in html
    assert '<th scope="col">y &amp; z</th>' in html
    assert '<th scope="row">&lt;b&gt;</th><td>1</td><td>&#34;&lt;i&gt;</td>' in html


def test_script_data_cannot_end_the_script():
    data = {"name": "</script><!--", "counts": "\\<>&'é"}

    text = fill("{{ data | tojson }}", data=data)

    assert "<" not in text
    assert json.loads(text) == data


def test_the_page_of_samples():
    page = render(
        "samples.html",
        title="a<b",
        subtitle="two & more",
        figures=[("<i>", np.zeros((4, 4, 3), np.uint8))],
    )

    assert "<h1>a&lt;b</h1>" in page
    assert "two &amp; more" in page
    assert re.search(r'<img alt="&lt;i&gt;" src="data:image/jpeg;base64,[^"]+">', page)
