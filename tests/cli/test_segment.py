"""`cellseg segment` as a user runs it, on a model of random weights."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cellseg_mm.cli.main import main
from cellseg_mm.files import atomic_write
from cellseg_mm.inference import cell_segmenter
from cellseg_mm.preparation.synthetic_cells import synthesize_image
from cellseg_mm.runs import model_bundle
from cellseg_mm.runs.model_bundle import ModelBundle

FORMATS = ("geojson", "labels", "csv", "overlay")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for seed, name in enumerate(["a.png", "a.tif", "b.png"]):
        pixels = synthesize_image(np.random.default_rng(seed), 96, 80, 12).rgb
        Image.fromarray(pixels).save(folder / name)
    return folder


def run(arguments: Sequence[str | Path]) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return int(caught.value.code or 0)


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "summary.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_with_a_bad_image(
    bundle: ModelBundle, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (images / "bad.png").write_bytes((images / "b.png").read_bytes()[:300])
    out = tmp_path / "out"
    asked = ["segment", images, "--model", bundle.folder, "--out", out, "--mpp", "0.25"]
    assert run(asked) == 1
    said = capsys.readouterr()
    assert "bad.png" in said.err
    assert "3 images, 1 failed" in said.out
    names = ["a.png", "a.tif", "b"]
    endings = [".geojson", "_labels.ome.tif", ".csv", "_overlay.png", "_run.json"]
    expected = {f"{name}{ending}" for name in names for ending in endings}
    assert {path.name for path in out.iterdir()} == expected | {"summary.csv", "run.json"}

    table = rows(out)
    assert [Path(row["image"]).name for row in table] == ["a.png", "a.tif", "b.png", "bad.png"]
    for row in table:
        if row["error"]:
            assert "bad.png" in row["image"]
            continue
        path = Path(row["image"])
        name = path.name if path.stem == "a" else path.stem
        with (out / f"{name}.csv").open(newline="") as file:
            assert len(list(csv.DictReader(file))) == int(row["cells"]) > 0
        features = json.loads((out / f"{name}.geojson").read_text())["features"]
        assert len(features) == int(row["cells"])
    record = json.loads((out / "run.json").read_text())
    assert record["model"]["sha256"] == bundle.sha256

    assert run([*asked[:1], images / "bad.png", *asked[2:]]) == 2  # nothing but bad images
    (row,) = rows(out)
    assert row["error"]


def test_resume_does_what_is_missing(
    bundle: ModelBundle,
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    asked = ["segment", images, "--model", bundle.folder, "--out", out, "--mpp", "0.25", "--resume"]
    assert run(asked) == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    times = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    (out / "b.csv").unlink()
    assert run(asked) == 0
    assert "2 of them done before" in capsys.readouterr().out
    assert (out / "b.csv").read_bytes() == before["b.csv"]
    again = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert {name for name in times if again[name] != times[name]} == {
        *("b.geojson", "b_labels.ome.tif", "b.csv", "b_overlay.png", "b_run.json"),
        *("summary.csv", "run.json"),
    }
    # With nothing to do, no model is loaded.
    monkeypatch.setattr(cell_segmenter, "CellFinder", None)
    assert run(asked) == 0
    assert [row["cells"] for row in rows(out)] != []
    # Another least score is another result, and so are more views.
    monkeypatch.undo()
    assert run([*asked, "--min-score", "0.9"]) == 0
    assert "done before" not in capsys.readouterr().out.splitlines()[-1]
    assert run([*asked, "--min-score", "0.9", "--views", "flips"]) == 0
    assert "done before" not in capsys.readouterr().out.splitlines()[-1]
    assert json.loads((out / "run.json").read_text())["options"]["views"] == "flips"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.png"], "nowhere.png does not exist"),
        (["{images}", "--model", "nobody"], "no model nobody"),
        (["{images}", "--formats", "svg"], "svg is not a format"),
        (["{images}", "--min-score", "2"], "must be at most 1"),
        (["{images}", "--mpp", "0"], "must be above 0"),
        (["{images}", "--roi", "{images}/b.png"], "b.png"),
        (["{images}", "--out", "{images}/b.png"], "is a file"),
        (["{images}", "--device", "abacus"], "abacus"),
    ],
)
def test_bad_input_is_a_sentence_and_nothing_is_written(
    bundle: ModelBundle,
    images: Path,
    tmp_path: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    filled = [argument.format(images=images) for argument in arguments]
    asked = ["segment", "--model", str(bundle.folder), "--out", str(out), *filled]
    assert run(asked) == 2
    said = capsys.readouterr().err.splitlines()
    assert message in said[-1]
    assert not list(out.glob("*")) if out.exists() else True


def test_a_folder_that_cannot_be_written_to(
    bundle: ModelBundle,
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is noticed before the model is loaded; a test may run as root, whom no mode stops."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path / ".hidden"))

    monkeypatch.setattr(cell_segmenter, "CellFinder", None)
    monkeypatch.setattr(atomic_write, "_locked_file", refuse)
    assert run(["segment", "--model", str(bundle.folder), "--out", str(tmp_path), str(images)]) == 2
    assert f"--out {tmp_path} cannot be written to (Permission denied)" in capsys.readouterr().err


def test_models_are_listed(
    bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(model_bundle, "ZOO", bundle.folder.parent)
    assert run(["models"]) == 0
    text = capsys.readouterr().out
    assert "random:" in text
    assert all(name in text for name in bundle.classes)
    assert "0.25 µm per pixel" in text


def test_help_is_quick(run_python) -> None:
    done = run_python(
        "-X", "importtime", "-c", "from cellseg_mm.cli.main import main; main(['-h'])"
    )
    assert done.returncode == 0
    assert "segment" in done.stdout
    assert "torch" not in done.stderr
