"""docs/own-data.md: every command, in its order, on CC0 images of NuCLS.

What a person does in QuPath between them is done here with the set's own annotations. The training
takes four iterations on small crops.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from cellseg_mm.cli.main import build_parser
from cellseg_mm.inference.results.polygon import polygon
from stress.tool_process import import_libraries, run_tool

CLASSES = ("tumour", "stromal", "TIL", "other")
QUICK = [
    *("train_dataloader.num_workers=0", "val_dataloader.num_workers=0"),
    "train_dataloader.dataset.pipeline.3.size=96",
    *("model.train_cfg.rpn_proposal.nms_pre=100", "model.train_cfg.rpn_proposal.max_per_img=50"),
    *("model.test_cfg.rpn.nms_pre=100", "model.test_cfg.rpn.max_per_img=50"),
    "model.test_cfg.rcnn.max_per_img=50",
]


@pytest.fixture
def commands(repository: Path) -> list[list[str]]:
    """The commands of the page, as words."""
    text = (repository / "docs/own-data.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", text, re.S)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


@pytest.fixture
def images(shared_data: Path, tmp_path: Path) -> list[Path]:
    """Ten images of five patients in `images/`, another one in `new/`."""
    folders = sorted((shared_data / "nucls_cc0/train").iterdir())[:10]
    for name in ("images", "new"):
        (tmp_path / name).mkdir()
    for number, folder in enumerate(folders):
        rgb = tifffile.imread(folder / "image.tif")[..., :3]
        path = tmp_path / "images" / f"P{number // 2 + 1:02d}_{number % 2 + 1}.png"
        cv2.imwrite(str(path), rgb[..., ::-1])
    cv2.imwrite(str(tmp_path / "new/P09_1.png"), rgb[:128, :128, ::-1])
    return folders


def correct(found: Path, truth: Path, out: Path) -> int:
    """Put the set's own cells in place of those that were found, as QuPath would export them."""
    collection = json.loads(found.read_text(encoding="utf-8"))
    assert collection["features"][0]["properties"]["objectType"] == "detection"
    features = []
    for path in sorted(truth.glob("class*.tif")):
        name = CLASSES[int(path.stem.removeprefix("class")) - 1]
        labels = tifffile.imread(path)
        for value in np.unique(labels[labels > 0]):
            count, pieces = cv2.connectedComponents((labels == value).astype(np.uint8), None, 4)
            rings = [
                [[*ring.tolist(), ring[0].tolist()] for ring in polygon(pieces == n, 0, 0)]
                for n in range(1, count)
            ]
            geometry = {"type": "MultiPolygon", "coordinates": rings}
            properties = {"objectType": "annotation", "classification": {"name": name}}
            features.append({"type": "Feature", "geometry": geometry, "properties": properties})
    out.write_text(json.dumps({**collection, "features": features}), encoding="utf-8")
    return len(features)


def run(words: list[str]) -> str:
    """Run a command of the page; what it printed."""
    if words[0] == "cellseg":
        words = [str(next(Path().glob(w))) if "*" in w else w for w in words]
        args = build_parser().parse_args(words[1:])
        assert args.run(args) == 0
        return ""
    assert words[0] == "python"
    outcome = run_tool(words[1], *words[2:], seconds=300)
    assert outcome.code == 0, outcome.output
    return outcome.output


def test_the_whole_way(
    commands: list[list[str]],
    images: list[Path],
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import_libraries()  # once, not by each command
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(repository / "configs")
    segment, convert, prepare, browse, train, look = commands
    run(segment)

    (tmp_path / "corrected").mkdir()
    outlines = sorted(Path("found").glob("*.geojson"))
    assert len(outlines) == 10
    cells = sum(
        correct(path, truth, Path("corrected", path.name))
        for path, truth in zip(outlines, images, strict=True)
    )
    printed = run(convert)
    assert "10 training and 0 test images" in printed
    assert "left out" not in printed
    assert sum(map(int, re.findall(r"(\d+) (?:TIL|other|stromal|tumour)", printed))) == cells

    run(prepare)
    audit = json.loads(Path("data/mine/audit.json").read_text())
    parts = audit["split"]["parts"]
    assert (parts["train"]["images"], parts["val"]["images"]) == (8, 2)
    assert Path("data/mine/audit.html").is_file()
    names = next(word for word in train if word.startswith("metainfo.classes="))
    assert names.partition("=")[2].split(",") == audit["classes"]

    run(browse)
    assert "<html" in Path("samples.html").read_text(encoding="utf-8")[:500]

    epochs = train.index("max_epochs=50")
    printed = run([*train[:epochs], "max_epochs=1", *train[epochs + 1 :], *QUICK])
    assert "Made anew" in printed
    run(look)
    assert Path("seen/P09_1.geojson").is_file()
