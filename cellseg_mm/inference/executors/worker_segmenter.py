"""The segmenter of a worker, the same as the parent's."""

from __future__ import annotations

from dataclasses import dataclass

from cellseg_mm.errors import UserError
from cellseg_mm.inference.cell_segmenter import CellSegmenter
from cellseg_mm.runs.model_bundle import ModelBundle, find_model


@dataclass(frozen=True)
class WorkerModel:
    """What a worker needs to load the model.

    Attributes:
        name: As the user named it.
        sha256: Of the weights.
        device: As the user named it.
    """

    name: str
    sha256: str
    device: str

    def load(self, views: str, gpu: int | None = None) -> CellSegmenter:
        """Load the model.

        Args:
            views: How it looks at a tile, as for ``CellSegmenter``.
            gpu: The one to use if the user left the choice open.

        Raises:
            UserError: It is not the parent's model, or cannot be used.
        """
        bundle: ModelBundle = find_model(self.name)
        if bundle.sha256 != self.sha256:
            raise UserError(
                f"The model {self.name} of a worker has other weights than this process sees: "
                "install the same one on all machines."
            )
        chosen = f"cuda:{gpu}" if gpu is not None and self.device == "auto" else self.device
        return CellSegmenter(bundle, chosen, views)
