"""What is attacked: small data sets, images, a trained model and its results."""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import Image

from stress.tool_process import run_tool

CONFIG = "configs/mask-rcnn_efficientnet-lite0_fpn_dense-cell.py"

# A network that is trained in seconds.
SMALL = (
    *("train_dataloader.num_workers=0", "val_dataloader.num_workers=0"),
    *("train_dataloader.batch_size=1", "train_dataloader.dataset.pipeline.2.size=64"),
    *("model.roi_head.bbox_head.fc_out_channels=32", "model.roi_head.mask_head.num_convs=1"),
    *("model.train_cfg.rpn_proposal.nms_pre=50", "model.train_cfg.rpn_proposal.max_per_img=20"),
    *("model.test_cfg.rpn.nms_pre=50", "model.test_cfg.rpn.max_per_img=20"),
    *("model.test_cfg.rcnn.max_per_img=20", "default_hooks.logger.interval=1", "max_epochs=2"),
)


@dataclass(frozen=True)
class Material:
    """Where the things lie that are attacked; none of them is ever written to.

    Attributes:
        raw: A raw data set with test images and their truth.
        cell: The same, prepared.
        monusac: A MoNuSAC download.
        images: One image in many formats.
        run: A work dir of tools/train.py, with predictions and a submission of it.
    """

    raw: Path
    cell: Path
    monusac: Path
    images: Path
    run: Path

    @property
    def options(self) -> tuple[str, ...]:
        """Overrides of the config for this data set."""
        return ("--cfg-options", f"data_root={self.cell}", *SMALL)

    @property
    def checkpoint(self) -> Path:
        """The trained model."""
        return self.run / "epoch_2.pth"


def make_material(folder: Path, train: bool) -> Material:
    """Make everything anew.

    Args:
        folder: Folder to make it in.
        train: Whether a model is trained, which takes a minute; else the work dir is empty.
    """
    made = Material(*(folder / name for name in ("raw", "cell", "monusac", "images", "run")))
    _must("data_prep/synthesize.py", made.raw, "--images", 4, "--test-images", 2,
          "--size", 64, "--cells", 8)  # fmt: skip
    prepare = ["data_prep/prepare.py", made.raw, "--out", made.cell, "--workers", 1]
    _must(*prepare, "--val-fraction", 0.5)
    _make_monusac(made)
    _make_images(made)
    made.run.mkdir()
    if train:
        _must("tools/train.py", CONFIG, "--work-dir", made.run, *made.options)
        test = ["tools/test.py", CONFIG, made.checkpoint, "--work-dir", made.run]
        _must(*test, "--dump", made.run / "found.json", *made.options)
        _must(*test, "--submission", made.run / "submission.zip", *made.options)
    else:
        _make_predictions(made)
    return made


def _must(script: str, *arguments: object) -> None:
    outcome = run_tool(script, *arguments, seconds=600)
    if outcome.code:
        raise RuntimeError(f"{outcome.command} failed:\n{outcome.output}")


def _make_predictions(made: Material) -> None:
    """The truth of the validation images as predictions."""
    truth = json.loads((made.cell / "annotations/val.json").read_text())
    keys = ("image_id", "category_id", "bbox", "segmentation")
    records = [
        {**{key: record[key] for key in keys}, "score": 0.9} for record in truth["annotations"]
    ]
    (made.run / "found.json").write_text(json.dumps(records))
    from cellseg_mm.structures.coco_rle import encode_counts

    images = json.loads((made.raw / "test_image_name_to_ids.json").read_text())
    size = [images[0]["height"], images[0]["width"]]
    cell = {
        "image_id": images[0]["id"], "category_id": 1, "bbox": [0, 0, 2, 2], "score": 0.5,
        "segmentation": {"size": size, "counts": encode_counts([0, 2, size[0] * size[1] - 2])},
    }  # fmt: skip
    with zipfile.ZipFile(made.run / "submission.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("test-results.json", json.dumps([cell]))


def _make_monusac(made: Material) -> None:
    for index, folder in enumerate(sorted((made.raw / "train").iterdir())[:2]):
        patient = made.monusac / f"TCGA-XX-000{index}-01Z-00-DX1"
        patient.mkdir(parents=True)
        name = f"{patient.name}_1"
        shutil.copy(folder / "image.tif", patient / f"{name}.tif")
        corners = ((3, 3), (9, 3), (9, 11), (3, 11))
        vertices = "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in corners)
        (patient / f"{name}.xml").write_text(
            "<?xml version='1.0' encoding='utf-8'?>\n<Annotations>"
            '<Annotation Id="1"><Attributes><Attribute Name="Epithelial" Id="0" Value=""/>'
            f'</Attributes><Regions><Region Id="1"><Vertices>{vertices}</Vertices></Region>'
            "</Regions></Annotation></Annotations>"
        )


def _make_images(made: Material) -> None:
    made.images.mkdir()
    rng = np.random.default_rng(1)
    rgb = cv2.GaussianBlur(rng.integers(0, 255, (150, 140, 3), dtype=np.uint8), (7, 7), 0)
    for name in ("plain.png", "photo.jpg", "old.bmp", "web.webp"):
        Image.fromarray(rgb).save(made.images / name)
    Image.fromarray(rgb[..., 0]).save(made.images / "grey.png")
    for name, options in {
        "strips": {"rowsperstrip": 16},
        "tiles": {"tile": (64, 64), "compression": "zlib", "predictor": True},
        "jpeg": {"tile": (64, 64), "compression": "jpeg"},
        "lzw": {"compression": "lzw"},
        "big": {"bigtiff": True, "tile": (32, 32)},
    }.items():
        tifffile.imwrite(made.images / f"{name}.tif", rgb, photometric="rgb", **options)
    with tifffile.TiffWriter(made.images / "pyramid.ome.tif", ome=True) as file:
        file.write(rgb, subifds=1, photometric="rgb", tile=(64, 64))
        file.write(rgb[::2, ::2], subfiletype=1, photometric="rgb", tile=(64, 64))
