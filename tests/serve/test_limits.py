"""What is too large, too much, or makes no sense."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cellseg_mm.serve.job import plain_name
from tests.serve.conftest import StartServer, png, wait_for


def left_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name != ".lock"]


def parts(size: int) -> Iterator[bytes]:
    yield png()
    for _ in range(size):
        yield bytes(1000)


def test_large_files_are_refused_before_and_while_they_come(start: StartServer) -> None:
    client = start(max_megabytes=0.1)
    for body in (bytes(100_001), parts(100)):  # with a length, and without
        answer = client.post("/segment", content=body)
        assert answer.status_code == 413
        assert "0.1 MB" in answer.json()["error"]
    assert left_in(client.services.store.folder) == []
    assert client.get("/jobs").json() == []
    assert client.post("/segment", content=parts(50)).status_code == 202


def test_large_images_are_refused_before_they_are_decoded(start: StartServer) -> None:
    client = start(max_megapixels=1)
    file = BytesIO()
    Image.new("RGB", (1001, 1000)).save(file, "PNG")
    # The pixels are missing: who decodes them fails otherwise.
    answer = client.post("/segment", params={"name": "b.png"}, content=file.getvalue()[:200])
    assert answer.status_code == 413
    assert answer.json()["error"].startswith("b.png has 1001×1000 pixels, more than the 1 million")
    assert left_in(client.services.store.folder) == []


@pytest.mark.parametrize(
    ("query", "body", "sentence"),
    [
        ("", b"", "has no body"),
        ("name=a.png", b"no image at all", "a.png is no PNG"),
        # The index of a slide in several files would name these.
        ("name=a.vms", b"[Virtual Microscope Specimen]\nImageFile=../../a.jpg\n", "one file"),
        ("model=nobody", png(), "no model nobody here: choose one of random"),
        ("model=../../model_zoo/he-consep", png(), "no model"),
        ("mpp=0", png(), "mpp must be a number from 0.05 to 5"),
        ("mpp=nan", png(), "mpp must be a number"),
        ("min_score=2", png(), "min_score must be a number from 0.001 to 1"),
        ("min_score=high", png(), "min_score must be a number"),
    ],
)
def test_what_makes_no_sense(client: Any, query: str, body: bytes, sentence: str) -> None:
    answer = client.post(f"/segment?{query}", content=body)
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]
    assert left_in(client.services.store.folder) == []


def test_a_full_queue_takes_no_more(start: StartServer) -> None:
    client = start(max_jobs=3)
    go_on = threading.Event()
    load = client.services.models.load
    client.services.models.load = lambda name: go_on.wait(60) and load(name)
    jobs = [client.post("/segment", content=png()).json() for _ in range(3)]
    assert [job["position"] for job in jobs] == [0, 1, 2]
    answer = client.post("/segment", content=png())
    assert answer.status_code == 429
    assert "3 jobs wait already" in answer.json()["error"]
    assert client.post(f"/jobs/{jobs[0]['id']}/segment").status_code == 429
    # One that is cancelled makes room.
    assert client.delete(f"/jobs/{jobs[1]['id']}").status_code == 204
    assert client.get(f"/jobs/{jobs[1]['id']}").json()["state"] == "cancelled"
    more = client.post("/segment", content=png())
    assert more.status_code == 202
    go_on.set()
    assert wait_for(client, more.json())["state"] == "done"
    assert len(client.get("/jobs").json()) == 4


REGIONS = [
    *(b"", b"no JSON", b"[]", b"{}", b'{"polygon": 3}', b'{"polygon": [[0, 0], [1, 1]]}'),
    *(b'{"polygon": [[0, 0], [1, 1], [2, 2]]}', b'{"polygon": [[0, 0], [1, null], [2, 0]]}'),
    *(b'{"polygon": [[0, 0], [1, 0], [NaN, 2]]}', b"[" * 100_000),
]
TRUTHS = [
    *(b"no JSON", b"{}", b"3", b'{"type": "Feature"}', b'{"type": "FeatureCollection"}'),
    *(b'{"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}', b"[" * 100_000),
    b'{"type": "Polygon", "coordinates": [[["a", 0], [1, 1], [2, 0], ["a", 0]]]}',
    b'{"type": "Polygon", "coordinates": [[[900, 900], [910, 900], [900, 910], [900, 900]]]}',
]


def test_regions_and_truths_that_are_none(client: Any) -> None:
    job = wait_for(client, client.post("/segment", content=png()).json())
    for body in REGIONS:
        answer = client.post(f"/jobs/{job['id']}/count", content=body)
        assert (answer.status_code, bool(answer.json()["error"])) == (400, True), body[:80]
    for body in TRUTHS:
        answer = client.post(f"/jobs/{job['id']}/truth", params={"name": "t.json"}, content=body)
        assert answer.status_code == 400, body[:80]
        assert "t.json" in answer.json()["error"], body[:80]
        assert str(client.services.store.folder) not in answer.json()["error"]
    assert left_in(client.services.store.folder) == [job["id"]]


HOSTILE = ["../../etc/passwd", "..\\..\\boot.ini", "/etc/passwd", "a/../../b.png", "..", ".", "\0"]


@pytest.mark.parametrize("name", [*HOSTILE, "a\r\nSet-Cookie: b.png", "<script>.png", "x" * 5000])
def test_names_become_no_paths(client: Any, name: str) -> None:
    job = client.post("/segment", params={"name": name}, content=png()).json()
    job = wait_for(client, job)
    assert job["state"] == "done"
    folder = client.services.store.folder
    assert left_in(folder) == [job["id"]]
    stems = {re.split(r"[._]", path.name)[0] for path in (folder / job["id"]).rglob("image*")}
    assert stems == {"image"}
    shown = {path.name for path in (folder / job["id"]).glob("[!.]*")}
    assert shown <= {*("image", "image.png", "results", "cells", "job.json")}
    answer = client.get(f"/jobs/{job['id']}/results/all.zip")
    assert "set-cookie" not in answer.headers
    assert answer.content[:2] == b"PK"


@given(st.text())
def test_a_plain_name_is_one_part_of_a_path(name: str) -> None:
    plain = plain_name(name)
    assert 0 < len(plain) <= 200
    assert plain.isprintable()
    assert plain not in (".", "..")
    assert not set("/\\\0\r\n") & set(plain)


def test_a_plain_name_stays_what_it_is() -> None:
    assert plain_name("Fall 7 (neu), Größe 2.ome.tif") == "Fall 7 (neu), Größe 2.ome.tif"


@pytest.mark.parametrize(
    "path",
    ["/jobs/../jobs", "/jobs/%2e%2e", "/static/%2e%2e/app.py", "/static/../app.py", "/nothing"],
)
def test_paths_lead_nowhere_else(client: Any, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404 or answer.json() == []
    assert b"import" not in answer.content


def test_a_fault_is_not_told_to_the_browser(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down() -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(client.services.models, "describe", break_down)
    answer = client.get("/models")
    assert answer.status_code == 500
    assert answer.json() == {"error": "A fault of this program, which its output tells."}
    assert answer.headers["content-security-policy"]
    assert client.put("/jobs").json()["error"] == "PUT /jobs: Method Not Allowed."
