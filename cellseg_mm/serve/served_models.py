"""The models that can be asked for, by name."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cellseg_mm.errors import UserError
from cellseg_mm.runs.model_bundle import ModelBundle, find_model, known_models
from cellseg_mm.serve.request_error import RequestError
from cellseg_mm.structures.palette import class_colour

if TYPE_CHECKING:
    from cellseg_mm.inference.cell_segmenter import CellSegmenter

_LOADED = 2
"""Models that stay in memory."""


class ServedModels:
    """Models that were chosen when the server started; a request names no others.

    Args:
        names: As for ``cellseg segment --model``, the default first; empty = all installed ones.
        device: As for ``cellseg segment``.

    Attributes:
        default: Name of the one that is used if none is asked for.

    Raises:
        UserError: There is no such model, or two have the same name.
    """

    def __init__(self, names: Sequence[str], device: str) -> None:
        bundles = [find_model(name) for name in names] if names else known_models()
        self._bundles = {bundle.name: bundle for bundle in bundles}
        if len(self._bundles) < len(bundles):
            raise UserError("Two models have the same name: publish one of them under another.")
        if not bundles:
            raise UserError("No model is installed: name one with --model.")
        self.default = next(iter(self._bundles))
        self._device = device
        self._load = lru_cache(_LOADED)(self._loaded)

    def find(self, name: str | None) -> ModelBundle:
        """The model of a name; the default without one.

        Raises:
            RequestError: None is called so.
        """
        bundle = self._bundles.get(name or self.default)
        if bundle is None:
            names = ", ".join(self._bundles)
            raise RequestError(400, f"There is no model {name} here: choose one of {names}.")
        return bundle

    def load(self, name: str) -> CellSegmenter:
        """A model that is ready to be used; by one thread at a time.

        Raises:
            UserError: It cannot be loaded.
        """
        return self._load(name)

    def _loaded(self, name: str) -> CellSegmenter:
        # Half of the start is this import: the page is there before, and the worker goes on.
        from cellseg_mm.inference.cell_segmenter import CellSegmenter

        return CellSegmenter(self._bundles[name], self._device)

    def classes(self, name: str) -> list[dict[str, Any]]:
        """The classes of a model, as a job has them before its cells are counted."""
        return [
            {"name": kind, "color": class_colour(index), "count": None}
            for index, kind in enumerate(self._bundles[name].classes)
        ]

    def describe(self) -> list[dict[str, Any]]:
        """The models, as the page lists them."""
        return [
            {
                "name": bundle.name,
                "classes": [
                    {"name": name, "color": class_colour(index)}
                    for index, name in enumerate(bundle.classes)
                ],
                "mpp": bundle.mpp,
                "licence": bundle.licence,
                "default": bundle.name == self.default,
            }
            for bundle in self._bundles.values()
        ]
