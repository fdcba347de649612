"""A small data set with predictions."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask


def disc(height, width, x, y, radius):
    """An (H, W) bool mask."""
    rows, columns = np.mgrid[:height, :width]
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


def rle(mask):
    """COCO's RLE dict of a mask."""
    encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": encoded["size"], "counts": encoded["counts"].decode()}


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A prepared folder of three images, 60 × 80 pixels, with predictions beside it.

    Each image has four true cells of radius 6 in a row, of the classes round, flat, round, flat. Of
    image 1 all are found, and of image 2 the first two. Of image 3 the first is found, the second
    is taken for round, the third is missed, the fourth has a poor outline, and there is one
    prediction on the background.
    """
    root = tmp_path_factory.mktemp("prepared")
    (root / "annotations").mkdir()
    (root / "images" / "train").mkdir(parents=True)
    centres = [(10, 15), (30, 15), (50, 15), (70, 15)]
    images, annotations, predictions = [], [], []

    def predict(image_id, category_id, mask, score):
        predictions.append(
            {
                "image_id": image_id,
                "category_id": category_id,
                "score": score,
                "segmentation": rle(mask),
            }
        )

    for image_id in (1, 2, 3):
        name = f"train/<{image_id}>.png"
        noise = np.random.default_rng(image_id).integers(150, 250, (60, 80, 3))
        Image.fromarray(noise.astype(np.uint8)).save(root / "images" / name)
        images.append({"id": image_id, "file_name": name, "height": 60, "width": 80})
        for place, (x, y) in enumerate(centres):
            mask = disc(60, 80, x, y, 6)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": 1 + place % 2,
                    "bbox": [x - 6, y - 6, 13, 13],
                    "area": int(mask.sum()),
                    "iscrowd": 0,
                    "segmentation": rle(mask),
                }
            )
            if image_id == 1 or (image_id == 2 and place < 2) or (image_id == 3 and place == 0):
                predict(image_id, 1 + place % 2, mask, 0.9 - 0.01 * len(predictions))
    predict(3, 1, disc(60, 80, 30, 15, 6), 0.8)
    predict(3, 2, disc(60, 80, 70, 15, 3), 0.7)
    predict(3, 2, disc(60, 80, 40, 45, 5), 0.6)
    predict(3, 2, disc(60, 80, 20, 45, 5), 0.2)
    categories = [{"id": 1, "name": "round"}, {"id": 2, "name": "flat"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (root / "annotations" / "val.json").write_text(json.dumps(content))
    (root / "annotations" / "test.json").write_text(json.dumps(content | {"annotations": []}))
    (root / "predictions.json").write_text(json.dumps(predictions))
    (root / "audit.json").write_text(
        json.dumps(
            {
                "channel_order": {"order": "bgr", "decided_by": "vote"},
                "split": {"file": "splits/a.json", "groups": 3},
                "warnings": ["No training image has the class <flat>."],
            }
        )
    )
    return root
