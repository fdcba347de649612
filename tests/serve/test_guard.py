"""Who is answered."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from cellseg_mm.serve.guard import Guard, is_loopback

SECRET = "a-secret"
OURS = {"X-Cellseg": "1"}


def client(host: str = "127.0.0.1", token: str | None = None, at: str = "127.0.0.1:8000") -> Any:
    guarded = Guard(PlainTextResponse("in"), host, 8000, token)
    return TestClient(guarded, base_url=f"http://{at}", follow_redirects=False)


@pytest.mark.parametrize(
    ("host", "asked", "let_in"),
    [
        ("127.0.0.1", "127.0.0.1:8000", True),
        ("127.0.0.1", "localhost", True),
        ("127.0.0.1", "LOCALHOST:9", True),  # the port may be another one's that leads here
        ("127.0.0.1", "[::1]:8000", True),
        ("127.0.0.1", "evil.example:8000", False),
        ("127.0.0.1", "localhost.evil.example", False),
        ("127.0.0.1", "127.0.0.1.evil.example", False),
        ("127.0.0.1", "192.168.0.7:8000", False),
        ("127.0.0.1", "", False),
        ("0.0.0.0", "192.168.0.7:8000", True),
        ("0.0.0.0", "evil.example", False),
        ("lab.example", "lab.example:8000", True),
    ],
)
def test_the_name_that_is_asked_for(host: str, asked: str, let_in: bool) -> None:
    answer = client(host).get("/jobs", headers={"Host": asked})
    assert answer.status_code == (200 if let_in else 403)
    if not let_in:
        assert "does not go by that name" in answer.json()["error"]


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "PATCH"])
def test_changes_need_a_header_that_other_sites_cannot_send(method: str) -> None:
    assert client().request(method, "/jobs").status_code == 403
    assert client().request(method, "/jobs", headers={"X-Cellseg": "0"}).status_code == 403
    assert client().request(method, "/jobs", headers=OURS).status_code == 200


def test_other_sites_are_not_told_that_they_may_ask() -> None:
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    answer = client().options("/segment", headers=asked)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_token_is_asked_for_everywhere() -> None:
    guarded = client("0.0.0.0", SECRET, "10.0.0.1:8000")
    for path in ("/", "/jobs", "/static/main.js", "/openapi.json", "/?token=wrong"):
        answer = guarded.get(path)
        assert answer.status_code in (401, 303), path
        assert "set-cookie" not in answer.headers
    assert guarded.get("/jobs?token=" + SECRET).status_code == 401
    assert guarded.get("/jobs", headers={"Authorization": f"Bearer {SECRET}"}).status_code == 200
    assert guarded.get("/jobs", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert guarded.get("/jobs", headers={"Authorization": "Bearer "}).status_code == 401
    # A token does not stand for the header of changes.
    assert guarded.post("/jobs", headers={"Authorization": f"Bearer {SECRET}"}).status_code == 403


def test_the_printed_address_lets_a_browser_in() -> None:
    guarded = client("0.0.0.0", SECRET, "10.0.0.1:8000")
    answer = guarded.get("/", params={"token": SECRET})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith("cellseg-8000=")
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert guarded.get("/jobs").status_code == 200


def test_every_answer_forbids_what_the_page_does_not_need() -> None:
    for answer in (client().get("/"), client().post("/"), client(token=SECRET).get("/")):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'self';")
        assert "unsafe" not in policy
        assert "http" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("host", "only_here"),
    [
        *(("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("localhost", True)),
        *(("0.0.0.0", False), ("::", False), ("192.168.0.7", False), ("lab.example", False)),
    ],
)
def test_which_addresses_are_loopback(host: str, only_here: bool) -> None:
    assert is_loopback(host) == only_here
