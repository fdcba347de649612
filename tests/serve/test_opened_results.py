"""Results of ``cellseg segment`` are shown, and stay as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cellseg_mm.cli.main import main
from cellseg_mm.errors import UserError
from cellseg_mm.runs.model_bundle import ModelBundle
from cellseg_mm.serve.opened_results import open_results
from tests.serve.conftest import StartServer, png


@pytest.fixture
def segmented(bundle: ModelBundle, tmp_path: Path) -> Path:
    """Results of two images, one of them in a folder."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "a.png").write_bytes(png(0))
    (tmp_path / "in" / "deep" / "b.png").write_bytes(png(1))
    asked = ["segment", str(tmp_path / "in"), "--recursive", "--model", str(bundle.folder)]
    asked += ["--mpp", "0.25", "--out", str(tmp_path / "out"), "--formats", "geojson", "csv"]
    with pytest.raises(SystemExit) as caught:
        main(asked)
    assert not caught.value.code
    return tmp_path / "out"


def contents(folder: Path) -> dict[Path, tuple[bytes, int]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_they_are_jobs_that_are_done(
    start: StartServer, segmented: Path, tmp_path: Path, bundle: ModelBundle
) -> None:
    before = contents(segmented) | contents(tmp_path / "in")
    client = start(results=open_results([segmented], tmp_path / "jobs"))
    listed = {job["name"]: job for job in client.get("/jobs").json()}
    assert listed.keys() == {"a.png", "b.png"}
    for name, stem in (("a.png", "a"), ("b.png", "deep/b")):
        found = json.loads((segmented / f"{stem}_run.json").read_text())["found"]
        listed_job = listed[name]
        assert (listed_job["state"], listed_job["model"]) == ("done", "random")
        assert listed_job["cells"] == found["cells"] > 0
        job = client.get(f"/jobs/{listed_job['id']}").json()
        assert job["classes"] == listed_job["classes"]
        assert [kind["name"] for kind in job["classes"]] == list(bundle.classes)
        assert (job["width"], job["height"], job["mpp"]) == (80, 96, [0.25, 0.25])
        assert job["formats"] == ["geojson", "csv"]
        points = client.get(f"/jobs/{job['id']}/points.bin").content
        assert len(points) == 16 * found["cells"]
        answer = client.get(f"/jobs/{job['id']}/results/geojson")
        assert answer.content == (segmented / f"{stem}.geojson").read_bytes()
        assert client.get(f"/jobs/{job['id']}/tiles/7/0_0.jpg").status_code == 200

    # A model on the same image is a job of the server's.
    again = client.post(f"/jobs/{listed['a.png']['id']}/segment").json()
    assert again["image"] == listed["a.png"]["image"] != listed["b.png"]["image"]
    for job in listed.values():
        assert client.delete(f"/jobs/{job['id']}").status_code == 204
    assert [job["id"] for job in client.get("/jobs").json()] == [again["id"]]
    assert contents(segmented) | contents(tmp_path / "in") == before


def test_the_second_start_uses_the_index_of_the_first(
    start: StartServer, segmented: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = segmented / "a_run.json"

    def points() -> bytes:
        client = start(results=open_results([record], tmp_path / "jobs"))
        (job,) = client.get("/jobs").json()
        return client.get(f"/jobs/{job['id']}/points.bin").content

    first = points()
    monkeypatch.setattr("cellseg_mm.serve.job_cells.write_index", None)
    assert points() == first
    monkeypatch.undo()
    # Results that were made anew are read anew.
    whole = json.loads((segmented / "a.geojson").read_text())
    (segmented / "a.geojson").write_text(json.dumps(whole | {"features": whole["features"][:2]}))
    assert len(points()) == 32


def test_what_can_be_named(segmented: Path, tmp_path: Path) -> None:
    def names(*paths: Path) -> list[str]:
        return [job.name for job in open_results(paths, tmp_path)]

    assert names(segmented / "a.geojson") == ["a.png"]
    assert names(segmented / "deep") == ["b.png"]
    assert sorted(names(segmented, segmented / "a_run.json")) == ["a.png", "b.png"]


def test_what_cannot_be_shown(
    segmented: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(path: Path) -> str:
        with pytest.raises(UserError) as caught:
            open_results([path], tmp_path)
        return str(caught.value)

    (tmp_path / "other.geojson").write_text("{}")
    (tmp_path / "bad_run.json").write_text('{"image": 3}')
    (tmp_path / "empty").mkdir()
    assert "does not exist" in refused(tmp_path / "nowhere")
    assert "no other_run.json beside it" in refused(tmp_path / "other.geojson")
    assert "is no record of cellseg segment" in refused(tmp_path / "bad_run.json")
    assert "holds no results" in refused(tmp_path / "empty")

    (tmp_path / "in" / "a.png").unlink()
    assert "a.png is gone or has changed" in refused(segmented / "a_run.json")
    (job,) = open_results([segmented], tmp_path)  # one that is gone does not hide the others
    assert job.name == "b.png"
    assert "a.png is gone" in capsys.readouterr().err
    (segmented / "deep" / "b.geojson").unlink()
    assert "no outlines" in refused(segmented / "deep")


def test_an_image_that_disappears_is_told_by_its_name(
    start: StartServer, segmented: Path, tmp_path: Path
) -> None:
    client: Any = start(results=open_results([segmented / "a.geojson"], tmp_path / "jobs"))
    (job,) = client.get("/jobs").json()
    (tmp_path / "in" / "a.png").unlink()
    answer = client.get(f"/jobs/{job['id']}/tiles/7/0_0.jpg")
    assert answer.status_code == 404
    assert answer.json()["error"] == "The image a.png does not exist."
