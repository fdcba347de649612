"""Pictures as data URIs."""

from __future__ import annotations

import base64
import io

from PIL import Image

from cellseg_mm.files.rgb_file import RgbImage


def jpeg_data_uri(image: RgbImage, longest_side: int | None = None, quality: int = 85) -> str:
    """A picture as a JPEG inside a URI.

    Args:
        image: (H, W, 3) uint8 RGB.
        longest_side: Reduce to this, pixels; None keeps the size.
        quality: Of the JPEG, 1 to 95.
    """
    picture = Image.fromarray(image)
    if longest_side is not None:
        picture.thumbnail((longest_side, longest_side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
