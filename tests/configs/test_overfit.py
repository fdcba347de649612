"""A small model learns one image by heart."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from mmdet.registry import MODELS
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from cellseg_mm.evaluation.cell_coco_metric import CellCocoMetric
from cellseg_mm.runs.run_config import load_config


def test_one_image_to_an_ap50_over_09(
    repository: Path, prepared_data: Path, tmp_path: Path
) -> None:
    truth = json.loads((prepared_data / "annotations/train.json").read_text())
    image = truth["images"][0]
    truth["images"] = [image]
    truth["annotations"] = [a for a in truth["annotations"] if a["image_id"] == image["id"]]
    (tmp_path / "one.json").write_text(json.dumps(truth))
    path = repository / "configs/mask-rcnn_convnext-atto_fpn_cell.py"
    options = [f"data_root={prepared_data}"]
    for part in ("train", "val"):
        options += [f"{part}_dataloader.num_workers=0"]
        options += [f"{part}_dataloader.dataset.ann_file={tmp_path / 'one.json'}"]
    config = load_config(str(path), None, options)
    plain = [t for t in config.train_pipeline if t.type != "AlbuLabelMaps"]
    config.train_dataloader.dataset.pipeline = plain

    init_default_scope("mmdet")
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    optim_wrapper = build_optim_wrapper(model, config.optim_wrapper)
    train = Runner.build_dataloader(config.train_dataloader, seed=0)
    for _ in range(250):
        for batch in train:
            model.train_step(batch, optim_wrapper)

    model.eval()
    validation = Runner.build_dataloader(config.val_dataloader, seed=0)
    metric = CellCocoMetric(str(tmp_path / "one.json"))
    metric.dataset_meta = validation.dataset.metainfo
    with torch.no_grad():
        for batch in validation:
            metric.process(batch, [s.to_dict() for s in model.test_step(batch)])
    assert metric.evaluate(size=1)["coco/segm_mAP_50"] > 0.9
