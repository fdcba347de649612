from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cellseg_mm.errors import UserError
from cellseg_mm.files.rgb_file import encode_rgb, read_rgb, write_rgb

RGB = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)


def test_red_comes_first_in_the_file_and_in_the_array(tmp_path: Path) -> None:
    write_rgb(tmp_path / "new" / "a.png", RGB)
    with Image.open(tmp_path / "new" / "a.png") as image:
        np.testing.assert_array_equal(np.asarray(image), RGB)
    np.testing.assert_array_equal(read_rgb(tmp_path / "new" / "a.png"), RGB)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.png"]
    assert encode_rgb(RGB, ".jpg")[:3] == b"\xff\xd8\xff"


def test_grey_files_become_rgb(tmp_path: Path) -> None:
    Image.fromarray(RGB[..., 0]).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "grey.png"), np.dstack([RGB[..., 0]] * 3))


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"a\.png does not exist"):
        read_rgb(tmp_path / "a.png")
    (tmp_path / "a.png").write_text("text")
    with pytest.raises(UserError, match=r"a\.png is not an image"):
        read_rgb(tmp_path / "a.png")
