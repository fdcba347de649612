"""tools/segment.py as a user runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import cv2
import numpy as np
import pytest
import tifffile
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from pycocotools import mask as coco_mask
from scipy import ndimage

CONFIG = "configs/mask-rcnn_convnext-atto_fpn_cell.py"
FEW = "model.test_cfg.rcnn.max_per_img=40"


RunPython = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def checkpoint(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights."""
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(repository / CONFIG).model)
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save({"state_dict": model.state_dict()}, path)
    return path


def test_a_prepared_image_gives_what_the_test_script_finds_and_a_bad_one_a_sentence(
    run_python: RunPython, prepared_data: Path, checkpoint: Path, tmp_path: Path
) -> None:
    dumped = run_python(
        "tools/test.py",
        *(CONFIG, checkpoint, "--work-dir", tmp_path, "--dump", tmp_path / "found.json"),
        *("--cfg-options", f"data_root={prepared_data}", FEW, "val_dataloader.num_workers=0"),
    )
    assert dumped.returncode == 0, dumped.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    val = json.loads((prepared_data / "annotations/val.json").read_text())
    image = val["images"][0]
    # With red and blue swapped on disk and swapped again by the option, and as a TIFF.
    swapped, bad, out = tmp_path / "swapped.tif", tmp_path / "bad.png", tmp_path / "out"
    bgr = cv2.imread(str(prepared_data / "images" / image["file_name"]))
    tifffile.imwrite(swapped, bgr, photometric="rgb", tile=(32, 32))
    bad.write_text("no image")

    options = ["--channel-order", "bgr", "--min-score", "0", "--out", out, "--cfg-options", FEW]
    result = run_python("tools/segment.py", CONFIG, checkpoint, swapped, bad, *options)
    assert result.returncode == 2
    (error,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert "bad.png is not an image that can be read" in error
    assert sorted(path.name for path in out.iterdir()) == [
        "swapped_cells.geojson",
        "swapped_labels.tif",
    ]
    assert f"{swapped} ({image['width']}×{image['height']})" in result.stdout

    features = json.loads((out / "swapped_cells.geojson").read_text())["features"]
    names = [category["name"] for category in val["categories"]]
    records = [record for record in found if record["image_id"] == image["id"]]
    assert len(records) >= 30
    labels = tifffile.imread(out / "swapped_labels.tif")
    assert labels.shape == (image["height"], image["width"])
    assert 5 <= len(features) == labels.max() == len(np.unique(labels)) - 1
    for feature in features:
        name = feature["properties"]["classification"]["name"]
        measurements = feature["properties"]["measurements"]
        (mask,) = (  # of the one detection that it is
            coco_mask.decode(record["segmentation"])
            for record in records
            if names[record["category_id"] - 1] == name
            and record["score"] == pytest.approx(measurements["score"], abs=6e-5)
        )
        filled = ndimage.binary_fill_holes(mask)
        assert filled[labels == measurements["id"]].all()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (["none.tif"], "the image none.tif does not exist"),
        (["a/x.tif", "b/x.png"], "several images are named x"),
    ],
)
def test_bad_arguments_are_one_sentence(
    run_python: RunPython, tmp_path: Path, images: list[str], message: str
) -> None:
    result = run_python("tools/segment.py", CONFIG, "any.pth", *images, "--out", tmp_path / "out")
    assert result.returncode == 2
    assert message in result.stderr
    assert not (tmp_path / "out").exists()
