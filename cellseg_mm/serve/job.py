"""A job: an image, and the cells that a model finds or a person drew in it."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cellseg_mm.errors import UserError
from cellseg_mm.files.atomic_write import atomic_write
from cellseg_mm.inference.results.formats import FORMATS

JOB_FILE = "job.json"
"""Marks a folder as a job's."""

OWN_RESULTS = "results/image"

QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"


@dataclass(eq=False)
class Job:
    """What ``job.json`` says, and where it lies.

    Names that users give are told to users, and never become part of a path.

    Attributes:
        folder: Its folder.
        id: Random.
        name: Of the image's file, as the user calls it.
        image: Equal for jobs on the same image.
        source: The image: its name in the folder, or an absolute path.
        results: What the paths of the results begin with, relative to the folder or absolute.
        model: Name of the model; None of a truth.
        truth: Name of the truth's file; None of a model's job.
        mpp: µm per pixel that the user stated.
        least_score: That the user asked for.
        state: One of the five.
        error: Why it failed.
        warnings: Of the results.
        created: ISO 8601, UTC.
        width: Pixels; 0 = not known yet.
        height: Pixels.
        scale: µm per pixel in x and y, if known.
        opened: Whether the results are somebody else's, who keeps them.
        classes: Name, colour (`#rrggbb`) and number of cells of each class; None = not known yet.
        min_score: Least score of a cell.
    """

    folder: Path
    id: str
    name: str
    image: str
    source: str
    results: str = OWN_RESULTS
    model: str | None = None
    truth: str | None = None
    mpp: float | None = None
    least_score: float | None = None
    state: str = QUEUED
    error: str | None = None
    warnings: list[str] = field(default_factory=list)
    created: str = field(default_factory=lambda: now())
    width: int = 0
    height: int = 0
    scale: tuple[float, float] | None = None
    opened: bool = False
    classes: list[dict[str, Any]] = field(default_factory=list)
    min_score: float | None = None

    @property
    def image_path(self) -> Path:
        """The image."""
        return self.folder / self.source

    @property
    def is_over(self) -> bool:
        """Whether nothing more becomes of it."""
        return self.state in (DONE, FAILED, CANCELLED)

    @property
    def title(self) -> str:
        """What its results are called: the file's name without its ending."""
        return Path(self.truth or self.name).stem

    def shown(self, sentence: str) -> str:
        """A sentence that names the image as its user does."""
        return sentence.replace(str(self.image_path), self.name)

    def result(self, name: str) -> Path:
        """The file of a format, whether it exists or not."""
        return Path(f"{self.folder / self.results}{FORMATS[name].ending}")

    def formats(self) -> list[str]:
        """The formats that there are."""
        return [name for name in FORMATS if self.result(name).is_file()]

    def save(self, state: str | None = None) -> None:
        """Write ``job.json`` whole or not at all, unless the job was removed.

        Args:
            state: A new state. It is written first and told then, so that who was told that a job
                is done finds it done after a crash, too.
        """
        state = state or self.state
        content = {**asdict(self), "state": state}
        del content["folder"]
        try:
            if self.folder.is_dir():
                with atomic_write(self.folder / JOB_FILE) as unfinished:
                    unfinished.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        finally:
            self.state = state


def read_job(folder: Path) -> Job:
    """Read ``job.json``.

    Raises:
        UserError: It is absent or damaged.
    """
    try:
        content = json.loads((folder / JOB_FILE).read_text(encoding="utf-8"))
        known = {field.name for field in fields(Job)} - {"folder"}
        return Job(folder, **{key: value for key, value in content.items() if key in known})
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"{folder / JOB_FILE} cannot be read ({error}): remove its folder."
        ) from error


def now() -> str:
    """The time as ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def new_id() -> str:
    """One that nobody guesses."""
    return secrets.token_hex(12)


def plain_name(name: str | None) -> str:
    """What a user calls a file, without folders and without what cannot be shown; never empty."""
    last = (name or "").replace("\\", "/").rpartition("/")[2]
    shown = "".join(c for c in last if c.isprintable()).strip()[-200:]
    return shown if shown.strip(".") else "image"
