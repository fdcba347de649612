"""From a tiled TIFF to files, with a model that returns the truth of its region."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from mmengine.structures import InstanceData
from pycocotools import mask as coco_mask
from scipy import ndimage
from torch import Tensor

from cellseg_mm.inference.readers.open_image import open_image
from cellseg_mm.inference.segment_image import segment_image
from cellseg_mm.structures.rle_masks import RLEMasks

CLASSES = ("a", "b", "c")


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    """300 × 200 pixels; red holds the ids of the cells."""
    noise = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal((300, 200)), 3)
    ids = ndimage.label(ndimage.binary_fill_holes(noise > 0.08))[0]
    assert 40 < ids.max() < 256
    rgb = np.stack([ids, 0 * ids, 0 * ids], axis=2).astype(np.uint8)
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, rgb, photometric="rgb", tile=(64, 64), compression="zlib")
    return path


def truth_of(region: Tensor) -> InstanceData:
    """A cell's class is its id modulo 3, and its score 0.4 for the class c, else 0.9."""
    red = region[0].numpy()
    ids = np.unique(red[red > 0])
    rles = [coco_mask.encode(np.asfortranarray(red == i, np.uint8)) for i in ids]
    boxes = np.array([coco_mask.toBbox(rle) for rle in rles], np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    labels = torch.from_numpy(ids.astype(np.int64) % 3)
    return InstanceData(
        bboxes=torch.from_numpy(boxes),
        scores=torch.where(labels == 2, 0.4, 0.9),
        labels=labels,
        masks=RLEMasks([rle["counts"].decode() for rle in rles], *red.shape),
    )


def test_the_files_tell_the_truth(slide: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with open_image(slide) as image:
        counts = segment_image(
            *(image, truth_of, CLASSES, out / "cells.geojson", out / "labels.tif"),
            tile=64,
            overlap=16,
            min_score=0.5,
        )
    assert sorted(path.name for path in out.iterdir()) == ["cells.geojson", "labels.tif"]
    truth = tifffile.imread(slide)[..., 0]
    kept = np.where(truth % 3 == 2, 0, truth)
    ids = np.unique(kept[kept > 0])
    assert counts == {"a": (ids % 3 == 0).sum(), "b": (ids % 3 == 1).sum(), "c": 0}

    labels = tifffile.imread(out / "labels.tif")
    pairs = np.unique(np.stack([kept.ravel(), labels.ravel()]), axis=1).T.tolist()
    assert len(pairs) == len(ids) + 1 == labels.max() + 1  # one to one
    class_of = {label: CLASSES[cell_id % 3] for cell_id, label in pairs}
    features = json.loads((out / "cells.geojson").read_text())["features"]
    assert len(features) == len(ids)
    for feature in features:
        properties = feature["properties"]
        label = properties["measurements"]["id"]
        assert properties["classification"]["name"] == class_of[label]
        rows, columns = np.nonzero(labels == label)
        corners = np.array(feature["geometry"]["coordinates"][0])
        assert corners.min(axis=0).tolist() == [columns.min(), rows.min()]
        assert corners.max(axis=0).tolist() == [columns.max() + 1, rows.max() + 1]


def test_an_image_that_breaks_off_leaves_nothing_behind(slide: Path, tmp_path: Path) -> None:
    with tifffile.TiffFile(slide) as file:
        offset = file.pages[0].dataoffsets[-1]
    content = bytearray(slide.read_bytes())
    content[offset : offset + 20] = bytes(20)
    slide.write_bytes(content)
    out = tmp_path / "out"
    out.mkdir()
    (out / "cells.geojson").write_text("older")
    with open_image(slide) as image, pytest.raises(ValueError, match="cannot be decoded"):
        segment_image(
            *(image, truth_of, CLASSES, out / "cells.geojson", out / "labels.tif"),
            tile=64,
            overlap=16,
            min_score=0.5,
        )
    assert [path.name for path in out.iterdir()] == ["cells.geojson"]
    assert (out / "cells.geojson").read_text() == "older"
