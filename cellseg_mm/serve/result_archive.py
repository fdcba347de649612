"""All results of a job in one ZIP, made as it is sent."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from typing import IO, Any, cast

from cellseg_mm.inference.batch.image_record import ENDING
from cellseg_mm.inference.results.formats import FORMATS
from cellseg_mm.serve.job import Job

_PART = 1 << 20
_LIKE_ALWAYS = (1980, 1, 1, 0, 0, 0)
_TEXTS = (".geojson", ".csv", ".json")


class _Sent:
    """A file that cannot be gone back in, and whose content is taken away."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""

    def take(self) -> bytes:
        """What was written since."""
        taken, self._parts = b"".join(self._parts), []
        return taken


def archive(job: Job) -> Iterator[bytes]:
    """The parts of the ZIP: files are called as ``cellseg segment`` calls them."""
    sent = _Sent()
    with zipfile.ZipFile(cast(IO[bytes], sent), "w") as whole:
        for name in job.formats():
            target = _entry(job.title + FORMATS[name].ending)
            with (
                job.result(name).open("rb") as file,
                whole.open(target, "w", force_zip64=True) as entry,
            ):
                while part := file.read(_PART):
                    entry.write(part)
                    yield sent.take()
        if (record := public_record(job)) is not None:
            whole.writestr(_entry(job.title + ENDING), json.dumps(record, indent=1) + "\n")
    yield sent.take()


def public_record(job: Job) -> dict[str, Any] | None:
    """The record of a job's image without paths of this machine; None of a truth."""
    path = job.folder / f"{job.results}{ENDING}"
    if not path.is_file():
        return None
    text = path.read_text(encoding="utf-8")
    inside = json.dumps(str(job.image_path.absolute()))[1:-1]
    record: dict[str, Any] = json.loads(text.replace(inside, json.dumps(job.name)[1:-1]))
    record["outputs"] = {
        job.title + FORMATS[name].ending: job.result(name).stat().st_size for name in job.formats()
    }
    return record


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _LIKE_ALWAYS)
    entry.compress_type = zipfile.ZIP_DEFLATED if name.endswith(_TEXTS) else zipfile.ZIP_STORED
    return entry
