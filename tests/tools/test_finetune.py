"""docs/finetune.md on CC0 images: a published model learns other classes, an iteration long."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CONFIG = "configs/mask-rcnn_efficientnet-lite0_fpn_dense-cell.py"
SOURCES = "tumour,stromal,TIL,other"
TABLE = "tumour: epithelial\nTIL: inflammatory\nstromal: spindle\nother: ignore\n"


def test_from_a_published_model(tmp_path: Path, shared_data: Path, run_python: Any) -> None:
    (tmp_path / "classes.yaml").write_text(TABLE)
    out, raw = tmp_path / "mine", shared_data / "nucls_cc0"
    prepare = ("data_prep/prepare.py", raw, "--out", out, "--classes", SOURCES, "--workers", 1)
    table = ("--class-table", tmp_path / "classes.yaml", "--val-fraction", 0)
    run_python(*prepare, *table, check=True)

    images = out / "images" / "train"
    found = tmp_path / "found"
    segment = ("-m", "cellseg_mm", "segment", images, "--model", "he-consep", "--out", found)
    run_python(*segment, "--formats", "labels", "csv", "--device", "cpu", check=True)
    run_python(*prepare, *table, "--ignore-unlabelled", found, "--min-score", 0.6, check=True)
    ignored = json.loads((out / "audit.json").read_text())["ignored"]
    assert ignored["train"] > 91  # those of the class "other" (85 + 6), and unlabelled ones
    assert ignored["test"] == 22

    options = (f"data_root={out}", "metainfo.classes=epithelial,inflammatory,spindle")
    train = ("tools/train.py", CONFIG, "--work-dir", tmp_path / "run", "--cfg-options", *options)
    small = ("max_epochs=1", "train_dataloader.batch_size=10", "train_dataloader.num_workers=0")
    result = run_python(*train, *small, "load_from=he-consep", check=True)
    made_anew = [line for line in result.stdout.splitlines() if "Made anew" in line]
    made_anew += [line for line in result.stderr.splitlines() if "Made anew" in line]
    assert len(made_anew) == 1
    for layer in ("bbox_head.fc_cls", "bbox_head.fc_reg", "mask_head.conv_logits"):
        assert f"roi_head.{layer}" in made_anew[0]
    assert "backbone" not in made_anew[0]
    assert "size mismatch" not in result.stdout + result.stderr

    test = ("tools/test.py", CONFIG, tmp_path / "run" / "epoch_1.pth", "--split", "test")
    more = ("test_dataloader.num_workers=0",)
    run_python(*test, "--cfg-options", *options, *more, check=True)
