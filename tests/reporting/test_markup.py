"""Text becomes HTML that says the same."""

import json

from cellseg_mm.analysis.errors.bootstrap import Interval
from cellseg_mm.reporting.markup import interval_text, number, table, whisker
from cellseg_mm.reporting.page import script_json

NAN = float("nan")


def test_numbers():
    assert number(0.12345) == "0.123"
    assert number(-2.5, 1) == "−2.5"
    assert number(NAN) == "–"
    assert interval_text(Interval(0.5, 0.25, 0.75)) == "0.250 to 0.750"
    assert interval_text(Interval(0.5, NAN, NAN)) == ""


def test_whisker_runs_from_0_to_1():
    drawn = whisker(Interval(0.5, 0.0, 1.7))

    assert 'x1="4.0" x2="96.0"' in drawn
    assert 'cx="50.0"' in drawn
    assert whisker(Interval(NAN, NAN, NAN)) == ""


def test_a_table_escapes_names():
    html = table("a < b", ("x", "y & z"), [("<b>", "1"), ("c", '<td class="k">2')])

    assert "a &lt; b" in html
    assert '<th scope="col">y &amp; z</th>' in html
    assert '<th scope="row">&lt;b&gt;</th><td>1</td>' in html
    assert '<td class="k">2' in html


def test_script_data_cannot_end_the_script():
    data = {"name": "</script><!--", "counts": "\\<>&"}

    text = script_json(data)

    assert "<" not in text
    assert json.loads(text) == data
