"""Finds ``mmcv._ext`` where mmcv has none, whenever it is asked for.

The finder stands at the end of ``sys.meta_path``, so a compiled mmcv is found before it. Nothing is
imported until mmcv looks for its operators; then :mod:`cellseg_mm.ops.mmcv_ext` is what it gets.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

EXTENSION = "mmcv._ext"


def install() -> None:
    """Put the finder in place; a second call does nothing.

    Raises:
        ImportError: mmdet was imported before and has found no operators.
    """
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    sys.meta_path.append(_Finder())
    if "mmdet.structures" in sys.modules and EXTENSION not in sys.modules:
        raise ImportError(
            "mmdet was imported before cellseg_mm and has settled for no operators: import "
            "cellseg_mm first."
        )


class _Finder(MetaPathFinder):
    """Answers for the extension and for nothing else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != EXTENSION:
            return None
        return spec_from_file_location(fullname, Path(__file__).with_name("mmcv_ext.py"))
