"""Local files that are whole or not there."""

from __future__ import annotations

from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from cellseg_mm.files.atomic_write import atomic_write


class AtomicLocalBackend(LocalBackend):
    """MMEngine's local backend, but a file never exists half-written under its name.

    Use as ``backend_args=dict(backend="atomic")``, for instance of a checkpoint hook.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write ``obj`` beside ``filepath``, then rename."""
        with atomic_write(filepath) as unfinished:
            unfinished.write_bytes(obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = "utf-8") -> None:
        """Write text as :meth:`put` writes bytes."""
        self.put(obj.encode(encoding), filepath)


register_backend("atomic", AtomicLocalBackend, force=True)
