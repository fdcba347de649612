"""Files that are named by a path, an address or an installed package."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
import urllib.request
from pathlib import Path

import torch
from mmengine.logging import print_log

from cellseg_mm.errors import MissingFileError, UserError
from cellseg_mm.files.atomic_write import atomic_write

_TIMEOUT = 30  # seconds
_PACKAGE = "package://"


def local_copy(source: str | Path) -> Path:
    """Find a file on this machine, downloading it if need be.

    Args:
        source: A path; a file of an installed package as ``package://<module>/<path in it>``, which
            is not imported; or an address (``https://``), which is looked up in torch's download
            folder first.

    Raises:
        MissingFileError: The file is neither here nor to be downloaded.
        UserError: An address that begins with something else.
    """
    name = str(source)
    if name.startswith(_PACKAGE):
        return _package_file(name)
    if name.startswith(("http://", "https://")):
        return _downloaded(name)
    if re.match(r"[\w-]+:", name) and "//" in name:
        raise UserError(f"{name} cannot be fetched: give a file, or an address with https://.")
    path = Path(name).expanduser()
    if not path.is_file():
        raise MissingFileError(f"The file {path} does not exist.")
    return path


def _package_file(name: str) -> Path:
    module, _, inside = name.removeprefix(_PACKAGE).partition("/")
    package = module.replace("_", "-")
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise MissingFileError(f"The package {package} of {name} is not installed.")
    path = Path(spec.origin).parent / inside
    if not path.is_file():
        raise MissingFileError(f"The package {package} has no file {inside}.")
    return path


def _downloaded(url: str) -> Path:
    path = Path(torch.hub.get_dir(), "checkpoints", url.rsplit("/", 1)[-1])
    if path.is_file():
        return path
    print_log(f"Downloading {url} to {path}", logger="current")
    try:
        _download(url, path)
    except OSError as error:
        raise MissingFileError(
            f"{url} cannot be downloaded ({error}): fetch it on another machine and put it at "
            f"{path}."
        ) from error
    return path


def _download(url: str, path: Path) -> None:
    """Download whole or not at all; a name may end in the start of the SHA-256 (torch.hub)."""
    with atomic_write(path) as unfinished:
        with (
            unfinished.open("wb") as file,
            urllib.request.urlopen(url, timeout=_TIMEOUT) as response,
        ):
            shutil.copyfileobj(response, file, 1 << 20)
        expected = re.search(r"-([0-9a-f]{8,})\.", path.name)
        with unfinished.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if expected and not digest.startswith(expected[1]):
            raise OSError(f"its SHA-256 starts with {digest[:8]}, not with {expected[1]}")
