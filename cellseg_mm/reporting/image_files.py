"""Pictures as data URIs."""

from __future__ import annotations

import base64
import io

from PIL import Image

from cellseg_mm.files.rgb_file import RgbImage


def jpeg_data_uri(image: RgbImage, longest_side: int | None = None, quality: int = 85) -> str:
    """A picture (H, W, 3) as a JPEG inside a URI, reduced to a longest side in pixels if given."""
    picture = Image.fromarray(image)
    if longest_side is not None:
        picture.thumbnail((longest_side, longest_side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
