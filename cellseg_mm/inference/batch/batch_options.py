"""What is asked of a batch of images."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class BatchOptions:
    """What is asked for; results depend on nothing else but the images and the model's weights.

    Attributes:
        formats: Names of :data:`~cellseg_mm.inference.results.formats.FORMATS`.
        mpp: µm per pixel of the images; None = what each file says.
        min_score: Least score of a cell; None = the model's own, by class.
        tissue: Whether to look only where tissue is, in large images.
        roi: GeoJSON of the polygons to look inside, or None.
        channel_order: Of the files, "rgb" or "bgr".
        views: How the model looks at a tile, as for ``CellSegmenter``.
    """

    formats: tuple[str, ...]
    mpp: float | None = None
    min_score: float | None = None
    tissue: bool = True
    roi: Path | None = None
    channel_order: str = "rgb"
    views: str = "identity"

    def asked(self, sha256: str) -> dict[str, Any]:
        """What results depend on besides the image, for its record.

        Args:
            sha256: Of the model's weights.
        """
        roi = None if self.roi is None else self.roi.read_text(encoding="utf-8-sig")
        return {"model": sha256, "options": {**asdict(self), "roi": roi}}
