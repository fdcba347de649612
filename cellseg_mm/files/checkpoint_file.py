"""Checkpoints are data: no code from a file of weights ever runs."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
from safetensors import SafetensorError, safe_open

from cellseg_mm.errors import UserError
from cellseg_mm.files.local_copy import local_copy


def read_checkpoint(
    source: str | Path, map_location: Any = "cpu", mmap: bool = False
) -> dict[str, Any]:
    """Read a checkpoint or a file of weights without running code from it.

    Args:
        source: ``.pth`` or ``.safetensors`` file; also an address or a file of a package, see
            :func:`~cellseg_mm.files.local_copy.local_copy`.
        map_location: Where the tensors go, as for ``torch.load``.
        mmap: Leave a ``.pth`` file's tensors on the disk until they are used.

    Returns:
        What the file holds. Of a ``.safetensors`` file: its tensors as ``state_dict``, and ``meta``
        with the classes in ``dataset_meta`` if its metadata has a JSON list of ``classes``.

    Raises:
        MissingFileError: The file is neither here nor to be downloaded.
        UserError: It is damaged, or cannot be read without running code from it.
    """
    path = local_copy(source)
    if path.suffix == ".safetensors":
        return _read_safetensors(path, map_location)
    path.open("rb").close()  # what the system says of it is no damage
    try:
        with _safe_globals_alone():
            content = torch.load(path, map_location=map_location, weights_only=True, mmap=mmap)
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle can raise any
        raise UserError(
            f"{path} is not a checkpoint that can be read without running code from it, or it is "
            "damaged: name one that tools/train.py wrote, or fetch it again."
        ) from error
    if not isinstance(content, dict):
        raise UserError(
            f"{path} is not a checkpoint, for it holds a {type(content).__name__}: name one that "
            "tools/train.py wrote."
        )
    return content


def _read_safetensors(path: Path, map_location: Any) -> dict[str, Any]:
    try:
        with safe_open(path, "pt", device=str(map_location or "cpu")) as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            metadata: Mapping[str, str] = file.metadata() or {}
        meta: dict[str, Any] = {}
        if "classes" in metadata:
            meta["dataset_meta"] = {"classes": tuple(map(str, json.loads(metadata["classes"])))}
    except (SafetensorError, ValueError, TypeError) as error:
        raise UserError(f"{path} is damaged, or no safetensors file ({error}).") from error
    return {"state_dict": tensors, "meta": meta}


class _History(HistoryBuffer):
    """Stands in for MMEngine's ``HistoryBuffer`` while it is read.

    The stock class takes any attribute from the file, and functions for all buffers.
    """

    def __setstate__(self, state: dict[str, Any]) -> None:
        history, counts = (np.asarray(state[k], float) for k in ("_log_history", "_count_history"))
        self.__init__(history, counts, int(state["max_length"]))  # type: ignore[misc]
        self.__class__ = HistoryBuffer


def _statistic(owner: Any, name: Any) -> None:
    """Stands in for ``getattr``, with which buffers name their statistics; they have them anyway.

    The true one leads from any function of torch's to its ``__builtins__``, thus to ``exec``.
    """
    if owner is not _History or name not in ("min", "max", "current", "mean"):
        raise pickle.UnpicklingError("getattr is for the statistics of a HistoryBuffer alone")


_CORES = ("core", "_core")
_SAFE_GLOBALS: list[Any] = [
    slice,
    np.ndarray,
    np.dtype,
    *{type(np.dtype(code)) for code in "?bBhHiIlLqQefd"},
    # What NumPy pickles arrays and numbers with; versions 1 and 2 have them in different modules.
    *((np.empty(0).__reduce__()[0], f"numpy.{core}.multiarray._reconstruct") for core in _CORES),
    *((np.float64().__reduce__()[0], f"numpy.{core}.multiarray.scalar") for core in _CORES),
    (_History, "mmengine.logging.history_buffer.HistoryBuffer"),
    (_statistic, "builtins.getattr"),
]
"""What a checkpoint may name besides torch's own tensors."""


@contextmanager
def _safe_globals_alone() -> Iterator[None]:
    """Permit our own globals and no others, whatever another package has permitted."""
    others = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    try:
        torch.serialization.add_safe_globals(_SAFE_GLOBALS)
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(others)


@CheckpointLoader.register_scheme([*CheckpointLoader._schemes], force=True)
def load_from_data_alone(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Read for MMEngine's runner (``--resume``, ``load_from``) and for ``init_cfg``.

    MMEngine's own loaders fall back to running code from the file.

    Args and errors: those of :func:`read_checkpoint`.
    """
    content = read_checkpoint(filename, map_location)
    if isinstance(content.get("meta"), dict):
        # Runner.resume would run this text as a Python config.
        content["meta"].pop("config", None)
    return content
