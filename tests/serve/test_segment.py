"""From an upload to its cells, as a program asks for them."""

from __future__ import annotations

import json
import struct
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cellseg_mm.cli.main import main
from cellseg_mm.inference.results.formats import DEFAULT_FORMATS, FORMATS
from cellseg_mm.runs.model_bundle import ModelBundle
from tests.serve.conftest import png, wait_for

IMAGE = png()


@pytest.fixture
def job(client: Any) -> dict[str, Any]:
    answer = client.post("/segment", params={"name": "täst 1.png", "mpp": 0.25}, content=IMAGE)
    assert answer.status_code == 202
    job = wait_for(client, answer.json())
    assert job["state"] == "done", job
    return job


@pytest.fixture
def by_command(bundle: ModelBundle, tmp_path: Path) -> Path:
    """What ``cellseg segment`` writes."""
    (tmp_path / "täst 1.png").write_bytes(IMAGE)
    asked = ["segment", str(tmp_path / "täst 1.png"), "--model", str(bundle.folder)]
    asked += ["--mpp", "0.25", "--out", str(tmp_path / "cli"), "--formats", *DEFAULT_FORMATS]
    with pytest.raises(SystemExit) as caught:
        main(asked)
    assert not caught.value.code
    return tmp_path / "cli"


def test_downloads_are_those_of_the_command(client: Any, job: Any, by_command: Path) -> None:
    assert job["formats"] == list(DEFAULT_FORMATS)
    names = {name: f"täst 1{FORMATS[name].ending}" for name in DEFAULT_FORMATS}
    for name, file_name in names.items():
        answer = client.get(f"/jobs/{job['id']}/results/{name}")
        assert answer.content == (by_command / file_name).read_bytes(), name
        assert "t%C3%A4st%201" in answer.headers["content-disposition"]

    answer = client.get(f"/jobs/{job['id']}/results/all.zip")
    with zipfile.ZipFile(BytesIO(answer.content)) as whole:
        assert whole.testzip() is None
        assert sorted(whole.namelist()) == sorted([*names.values(), "täst 1_run.json"])
        for file_name in names.values():
            assert whole.read(file_name) == (by_command / file_name).read_bytes()
        record = json.loads(whole.read("täst 1_run.json"))
    expected = json.loads((by_command / "täst 1_run.json").read_text())
    assert record["image"]["path"] == "täst 1.png"
    assert record["image"]["bytes"] == len(IMAGE)
    for part in (record, expected):
        del part["image"]
        del part["found"]["seconds"]
    assert record == expected


def test_a_job_tells_all_of_itself(client: Any, job: Any, bundle: ModelBundle) -> None:
    with_cells = client.get(f"/jobs/{job['id']}/results/geojson").json()["features"]
    assert job["name"] == "täst 1.png"
    assert job["model"] == "random"
    assert (job["width"], job["height"], job["mpp"]) == (80, 96, [0.25, 0.25])
    assert (job["tile_size"], job["max_level"], job["polygon_tile"]) == (512, 7, 1024)
    assert [kind["name"] for kind in job["classes"]] == list(bundle.classes)
    assert job["cells"] == len(with_cells) == sum(kind["count"] for kind in job["classes"]) > 0
    scores = [feature["properties"]["measurements"]["score"] for feature in with_cells]
    assert job["min_score"] == min(scores)
    assert client.get("/jobs").json() == [job]


def test_cells_as_bytes_and_one_by_one(client: Any, job: Any) -> None:
    at = f"/jobs/{job['id']}"
    names = [kind["name"] for kind in job["classes"]]
    features = client.get(f"{at}/results/geojson").json()["features"]
    table = client.get(f"{at}/results/csv").text.splitlines()
    header, *rows = (line.split(",") for line in table)
    points = client.get(f"{at}/points.bin").content
    assert len(points) == 16 * len(rows)
    for number, row in enumerate(rows, start=1):
        told = dict(zip(header, row, strict=True))
        identity, x, y, label, score, radius = struct.unpack_from(
            "<IffBBH", points, 16 * number - 16
        )
        assert identity == number == int(told["id"])
        assert (x, y) == pytest.approx((float(told["x_px"]), float(told["y_px"])), abs=0.01)
        assert names[label] == told["class"]
        assert score == round(255 * float(told["score"]))
        assert radius == round(10 * (int(told["area_px"]) / np.pi) ** 0.5)
        cell = client.get(f"{at}/cells/{number}").json()
        assert (cell["id"], cell["class"], cell["score"]) == (
            number,
            told["class"],
            float(told["score"]),
        )
        for name in ("area_px", "area_um2", "perimeter_um", "eccentricity", "eosin_od"):
            assert cell[name] == pytest.approx(float(told[name]), abs=0.01)
        assert set(cell["probabilities"]) == set(names)

    outlines = client.get(f"{at}/polygons/0_0.bin").content
    place, seen = 0, []
    while place < len(outlines):
        number, _, _, corners = struct.unpack_from("<IBBH", outlines, place)
        ring = np.frombuffer(outlines, "<f4", 2 * corners, place + 8).reshape(-1, 2)
        expected = features[number - 1]["geometry"]["coordinates"][0]
        assert [*ring.tolist(), ring[0].tolist()] == expected
        seen.append(number)
        place += 8 + 8 * corners
    assert sorted(seen) == list(range(1, len(rows) + 1))


def test_the_image_in_tiles(client: Any, job: Any) -> None:
    def tile(level: int) -> np.ndarray:
        answer = client.get(f"/jobs/{job['id']}/tiles/{level}/0_0.jpg")
        assert answer.headers["content-type"] == "image/jpeg"
        return np.asarray(Image.open(BytesIO(answer.content)))

    full = np.asarray(Image.open(BytesIO(IMAGE)).convert("RGB"))
    assert tile(7).shape == full.shape
    assert abs(tile(7).astype(int) - full).mean() < 6
    assert tile(6).shape == (48, 40, 3)
    assert tile(0).shape == (1, 1, 3)
    assert abs(tile(0)[0, 0] - full.mean(axis=(0, 1))).max() < 6
    for wrong in ("8/0_0", "7/1_0", "7/0_1"):
        answer = client.get(f"/jobs/{job['id']}/tiles/{wrong}.jpg")
        assert answer.status_code == 404
        assert "There is no" in answer.json()["error"]


def test_a_region_is_counted(client: Any, job: Any) -> None:
    at = f"/jobs/{job['id']}"
    points = np.frombuffer(
        client.get(f"{at}/points.bin").content,
        [("id", "<u4"), ("xy", "<f4", 2), ("class", "u1"), ("score", "u1"), ("r", "<u2")],
    )
    # The half of the image above its diagonal, as a triangle.
    above = points["xy"][:, 1] / 96 < points["xy"][:, 0] / 80
    counted = client.post(f"{at}/count", json={"polygon": [[0, 0], [80, 0], [80, 96]]}).json()
    assert counted["cells"] == above.sum() == sum(counted["classes"].values()) > 0
    assert counted["area_px"] == 80 * 96 / 2
    assert counted["area_mm2"] == pytest.approx(80 * 96 / 2 * 0.25**2 / 1e6)
    high = np.sort(points["score"])[len(points) // 2] / 255
    kept = (above & (points["score"] >= round(255 * high))).sum()
    asked = {"polygon": [[0, 0], [80, 0], [80, 96]]}
    counted = client.post(f"{at}/count", params={"min_score": high}, json=asked).json()
    assert counted["cells"] == kept < above.sum()
    # What lies outside of the image has no area.
    large = client.post(
        f"{at}/count", json={"polygon": [[-9, -9], [999, -9], [999, 999], [-9, 999]]}
    )
    assert large.json()["area_px"] == 80 * 96
    assert large.json()["cells"] == job["cells"]


def test_another_model_and_a_truth_of_the_same_image(client: Any, job: Any) -> None:
    table = client.get(f"/jobs/{job['id']}/results/csv").text.splitlines()[1:]
    high = float(np.median([float(line.split(",")[2]) for line in table]))
    again = client.post(f"/jobs/{job['id']}/segment", params={"min_score": high})
    assert again.status_code == 202
    again = wait_for(client, again.json())
    assert again["image"] == job["image"]
    assert 0 < again["cells"] < job["cells"]
    assert again["min_score"] >= high

    whole = client.get(f"/jobs/{job['id']}/results/geojson").json()
    features = whole["features"][::2]
    for feature in features:
        feature["properties"] = {"classification": {"name": "dark", "color": [1, 2, 3]}}
    drawn = json.dumps({"type": "FeatureCollection", "features": features})
    truth = client.post(f"/jobs/{job['id']}/truth", params={"name": "t.json"}, content=drawn)
    assert truth.status_code == 201
    truth = truth.json()
    assert (truth["model"], truth["truth"], truth["state"]) == (None, "t.json", "done")
    assert truth["image"] == job["image"]
    assert truth["cells"] == len(features)
    assert truth["formats"] == ["geojson"]
    assert client.get(f"/jobs/{truth['id']}/results/geojson").text == drawn
    assert client.get(f"/jobs/{truth['id']}/cells/1").json()["class"] == "dark"

    compared = client.get(f"/jobs/{job['id']}/agreement/{truth['id']}").json()
    assert compared["matched"] == len(features)
    assert (compared["only_a"], compared["only_b"]) == (job["cells"] - len(features), 0)
    assert compared["pairs"] == [[2 * i + 1, i + 1] for i in range(len(features))]
    assert compared["f1"] == pytest.approx(2 * len(features) / (job["cells"] + len(features)))
    assert compared["same_class"] == sum(",dark," in line for line in table[::2])

    # The image stays as long as a job has it.
    assert client.delete(f"/jobs/{job['id']}").status_code == 204
    assert client.get(f"/jobs/{job['id']}").status_code == 404
    assert client.get(f"/jobs/{truth['id']}/tiles/7/0_0.jpg").status_code == 200
    folders = {path.name for path in client.services.store.folder.iterdir() if path.is_dir()}
    assert folders == {again["id"], truth["id"]}


def test_jobs_of_different_images_are_not_compared(client: Any, job: Any) -> None:
    other = client.post("/segment", params={"name": "b.png"}, content=png(1)).json()
    answer = client.get(f"/jobs/{job['id']}/agreement/{other['id']}")
    assert answer.status_code == 400
    assert "different images" in answer.json()["error"]


def test_a_damaged_image_fails_with_a_sentence_that_names_it(client: Any) -> None:
    answer = client.post("/segment", params={"name": "bad.png"}, content=IMAGE[:400])
    job = wait_for(client, answer.json())
    assert job["state"] == "failed"
    assert job["error"].startswith("bad.png is damaged or cut short")
    assert "/" not in job["error"].replace("bad.png", "")
    assert client.get(f"/jobs/{job['id']}/points.bin").status_code == 409
    assert client.get(f"/jobs/{job['id']}/results/csv").status_code == 409
    tile = client.get(f"/jobs/{job['id']}/tiles/7/0_0.jpg")
    assert tile.status_code == 400
    assert tile.json()["error"].startswith("bad.png is damaged")
    # The next one is done all the same.
    fine = wait_for(client, client.post("/segment", content=IMAGE).json())
    assert fine["state"] == "done"
    assert fine["name"] == "image"
