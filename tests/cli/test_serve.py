"""`cellseg serve`, as far as its command line."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from cellseg_mm.cli.main import main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "0"], "--port 0 must lie between 1 and 65535"),
        (["--max-megabytes", "0"], "--max-megabytes must be above 0"),
        (["--max-jobs", "-1"], "--max-jobs must be above 0"),
        (["--keep-days", "nan"], "--keep-days must be above 0"),
        (["--model", "nobody"], "no model nobody"),
        (["nowhere"], "nowhere does not exist"),
        (["--folder", "{file}"], "file"),
    ],
)
def test_bad_input_is_a_sentence(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    filled = [argument.format(file=tmp_path / "file") for argument in arguments]
    with pytest.raises(SystemExit) as caught:
        main(["serve", "--folder", str(tmp_path / "jobs"), *filled])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert message in said.splitlines()[-1]
    assert "Traceback" not in said


def test_a_port_in_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No address is printed: another program answers there."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SystemExit) as caught:
            main(["serve", "--folder", str(tmp_path), "--port", str(port)])
    assert caught.value.code == 2
    said = capsys.readouterr()
    assert f"Port {port} of 127.0.0.1 cannot be used" in said.err
    assert "http" not in said.out


def test_what_to_install_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(SystemExit) as caught:
        main(["serve"])
    assert caught.value.code == 2
    assert "install cellseg-mm[serve]" in capsys.readouterr().err
