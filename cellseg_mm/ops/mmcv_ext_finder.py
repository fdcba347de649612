"""Finds ``mmcv._ext`` where mmcv has none, whenever it is asked for.

The finder stands at the end of ``sys.meta_path``, so a compiled mmcv is found before it. Nothing is
imported until mmcv looks for its operators; then :mod:`cellseg_mm.ops.mmcv_ext` is what it gets.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
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
        return ModuleSpec(fullname, _Loader()) if fullname == EXTENSION else None


class _Loader(Loader):
    """Makes the stand-in."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module: ModuleType = importlib.import_module("cellseg_mm.ops.mmcv_ext").StandIn(spec.name)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing: the module is complete."""
