"""The ablation file: what it means, and what is wrong with it in one sentence."""

import pytest

from cellseg_mm.ablation.ladder import Row, read_ladder


@pytest.fixture
def read(tmp_path):
    def read_text(text):
        path = tmp_path / "ladder.yaml"
        path.write_text(text)
        return read_ladder(path)

    return read_text


def test_a_file_with_everything(read):
    ladder = read("""
title: Two rows
data: data/x
folds: 5
seeds: [3, 1]
overrides: {max_epochs: 2}
rows:
  - name: "Base, lr 1e-4"
    config: a.py
    overrides:
      optim_wrapper.optimizer.lr: 1e-4
      model.backbone.init_cfg: null
      x.y: [1, 2]
      z: true
  - {name: Second, config: b.py}
""")

    assert (ladder.title, ladder.data, ladder.folds, ladder.seeds) == (
        "Two rows",
        "data/x",
        5,
        (3, 1),
    )
    first, second = ladder.rows
    assert first.slug == "base-lr-1e-4"
    assert first.options == (
        "max_epochs=2",
        "optim_wrapper.optimizer.lr=1e-4",
        "model.backbone.init_cfg=None",
        "x.y=[1,2]",
        "z=True",
    )
    assert (second.config, second.options) == ("b.py", ("max_epochs=2",))


def test_a_row_that_tests_the_weights_of_another_has_its_settings(read):
    ladder = read("""
overrides: {max_epochs: 2}
rows:
  - {name: A, config: a.py, overrides: {x: 1}}
  - {name: "A, flips", weights_of: A, overrides: {test_time.views: flips}}
""")

    assert ladder.rows[1] == Row(
        "A, flips", "a.py", ("max_epochs=2", "x=1", "test_time.views=flips"), weights_of="A"
    )


def test_the_command_line_goes_before_the_file_and_a_row_before_both(tmp_path):
    path = tmp_path / "ladder.yaml"
    path.write_text("""
folds: 5
overrides: {a: 1, b: 1}
rows: [{name: A, config: a.py, overrides: {c: 1}}]
""")
    ladder = read_ladder(path, 3, [4, 5], ["b=2", "c=2"])

    assert (ladder.folds, ladder.seeds) == (3, (4, 5))
    assert ladder.rows[0].options == ("a=1", "b=1", "b=2", "c=2", "c=1")
    with pytest.raises(ValueError, match="distinct whole numbers"):
        read_ladder(path, seeds=[1, 1])


def test_defaults(read):
    ladder = read("rows: [{name: A, config: a.py}]")

    assert (ladder.title, ladder.data, ladder.folds, ladder.seeds) == ("ladder", None, None, (0,))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rows: []", "at least one row"),
        ("row: [{name: A, config: a.py}]", "did you mean 'rows'"),
        ("rows: [{name: A}]", "row 1 needs `config`"),
        ("rows: [{name: A, config: a.py, override: {}}]", "did you mean 'overrides'"),
        ("rows: [{name: A b, config: a.py}, {name: A-B, config: a.py}]", "names that differ"),
        ("{seeds: [0, 0], rows: [{name: A, config: a.py}]}", "distinct whole numbers"),
        ("{folds: 1, rows: [{name: A, config: a.py}]}", "a number from 2"),
        ("rows: [{name: A, config: a.py, overrides: {model: {neck: 1}}}]", "with dots"),
        ("rows: [{name: A, config: a.py, weights_of: B}]", "not both"),
        ("rows: [{name: A, weights_of: B}]", "weights_of` of row 1 is 'B'.*there is none"),
        (
            "rows: [{name: A, config: a.py}, {name: B, weights_of: A}, {name: C, weights_of: B}]",
            "row 3 is 'B'; name a row above it that is trained: 'A'",
        ),
        (
            "rows: [{name: A, config: a.py}, {name: B, weights_of: A, overrides: {max_epochs: 3}}]",
            "max_epochs of row 2 changes more than the test.*give it a `config`",
        ),
        ("rows: [", "is not YAML"),
        ("just text", "keys and values"),
    ],
)
def test_what_is_wrong(read, text, message):
    with pytest.raises(ValueError, match=message):
        read(text)


def test_an_absent_file(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        read_ladder(tmp_path / "none.yaml")


@pytest.mark.parametrize("name", ["reference", "reference_small", "dense", "demo"])
def test_the_files_of_the_project(repository, name):
    ladder = read_ladder(repository / "configs" / "ablations" / f"{name}.yaml")

    assert all((repository / row.config).is_file() for row in ladder.rows)
