"""data_root, max_epochs, mpp and classes on the command line, and what they leave alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.config import Config

from cellseg_mm.runs.run_config import load_config

CONFIGS = Path(__file__).parents[2] / "configs"
PARTS = ("train", "val", "test")


@pytest.fixture
def path(repository: Path) -> str:
    return str(repository / "configs" / "mask-rcnn_convnext-b_fpn_cell.py")


@pytest.mark.parametrize(
    "root", ["elsewhere", "elsewhere/", "my data", "/a/dätä, 2", "2024", "007"]
)
def test_data_root_reaches_data_sets_and_evaluators(path: str, root: str) -> None:
    config = load_config(path, None, [f"data_root={root}"])
    root = root.rstrip("/")
    for part in PARTS:
        assert config[f"{part}_dataloader"].dataset.data_root == f"{root}/"
    assert config.val_evaluator.ann_file == f"{root}/annotations/val.json"
    assert config.test_evaluator.ann_file == f"{root}/annotations/test.json"
    assert "data/cell" not in config.pretty_text


def test_data_root_reaches_a_dumped_config_of_another_data_set(path: str, tmp_path: Path) -> None:
    dumped = str(tmp_path / "dumped.py")
    load_config(path, None, ["data_root=first set"]).dump(dumped)
    config = load_config(dumped, None, ["data_root=second"])
    assert config.train_dataloader.dataset.data_root == "second/"
    assert config.val_evaluator.ann_file == "second/annotations/val.json"
    assert "first" not in config.pretty_text


def test_a_place_with_a_folder_of_its_own_keeps_it(path: str, tmp_path: Path) -> None:
    leaf = tmp_path / "leaf.py"
    leaf.write_text(f"""
_base_ = ["{path}"]
data_root = "data/mine"
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root="data/mine2/"))
val_evaluator = dict(ann_file="data/mine2/val.json")
""")
    options = ["test_evaluator.ann_file=data/mine/x.json", "data_root=new"]
    config = load_config(str(leaf), None, options)
    assert config.data_root == config.train_dataloader.dataset.data_root == "new/"
    assert config.val_dataloader.dataset.data_root == "data/mine2/"
    assert config.val_evaluator.ann_file == "data/mine2/val.json"
    assert config.test_dataloader.dataset.data_root == "data/cell/"  # the leaf's base, not its own
    assert config.test_evaluator.ann_file == "data/mine/x.json"


def test_max_epochs_reaches_the_loop_and_a_dumped_schedule(path: str, tmp_path: Path) -> None:
    leaf = tmp_path / "leaf.py"
    leaf.write_text(f"""
_base_ = ["{path}"]
param_scheduler = [
    dict(type="LinearLR", by_epoch=False, end=20),
    dict(type="CosineAnnealingLR", begin=1, end=20, T_max=20),
    dict(type="CosineAnnealingLR", end=15, T_max=15),
]
""")
    config = load_config(str(leaf), None, ["max_epochs=7"])
    assert config.max_epochs == config.train_cfg.max_epochs == 7
    warm_up, cosine, own = config.param_scheduler
    assert warm_up.end == 20  # iterations
    assert (cosine.begin, cosine.end, cosine.T_max) == (1, 7, 7)
    assert (own.end, own.T_max) == (15, 15)
    options = ["param_scheduler.1.end=20", "train_cfg.max_epochs=3", "max_epochs=7"]
    config = load_config(str(leaf), None, options)
    assert (config.train_cfg.max_epochs, config.param_scheduler[1].end) == (3, 20)
    assert config.param_scheduler[1].T_max == 7


def test_classes_reach_data_sets_and_heads(path: str) -> None:
    config = load_config(path, None, ["metainfo.classes=[tumour cell, stroma, 3]"])
    for part in PARTS:
        names = config[f"{part}_dataloader"].dataset.metainfo.classes
        assert names == ["tumour cell", "stroma", "3"]
    assert config.model.roi_head.bbox_head.num_classes == 3
    assert config.model.roi_head.mask_head.num_classes == 3


def test_classes_reach_the_heads_of_a_cascade_and_a_wrapped_data_set(
    repository: Path, tmp_path: Path
) -> None:
    leaf = tmp_path / "leaf.py"
    leaf.write_text(f"""
_base_ = ["{repository}/configs/htc_convnext-b_fpn_dense-cell.py"]
cells = _base_.train_dataloader.dataset
repeated = dict(_delete_=True, type="RepeatDataset", times=2, dataset=cells)
train_dataloader = dict(dataset=repeated)
""")
    config = load_config(str(leaf), None, ["metainfo.classes=cell"])
    assert config.train_dataloader.dataset.dataset.metainfo.classes == ["cell"]
    heads = config.model.roi_head
    assert [head.num_classes for head in [*heads.bbox_head, *heads.mask_head]] == [1] * 6


OWN_CLASSES = """
_base_ = ["{path}"]
metainfo = dict(classes=("one", "two", "three"))
val_dataloader = dict(dataset=dict(metainfo=dict(classes=("a", "b"))))
test_dataloader = dict(dataset=dict(metainfo=metainfo))
model = dict(roi_head=dict(bbox_head=dict(num_classes=2), mask_head=dict(num_classes=3)))
"""


def test_a_leafs_own_classes_stay(path: str, tmp_path: Path) -> None:
    leaf = tmp_path / "leaf.py"
    leaf.write_text(OWN_CLASSES.format(path=path))
    config = load_config(str(leaf), None, None)
    assert config.val_dataloader.dataset.metainfo.classes == ("a", "b")
    assert len(config.train_dataloader.dataset.metainfo.classes) == 4
    assert config.model.roi_head.bbox_head.num_classes == 2

    options = ["metainfo.classes=x,y,z,w,v", "metainfo.palette=[(1,2,3)]"]
    config = load_config(str(leaf), None, options)
    assert config.val_dataloader.dataset.metainfo.classes == ("a", "b")
    assert len(config.train_dataloader.dataset.metainfo.classes) == 4
    assert config.test_dataloader.dataset.metainfo.classes == ["x", "y", "z", "w", "v"]
    assert config.test_dataloader.dataset.metainfo.palette == [(1, 2, 3)]
    heads = config.model.roi_head
    assert (heads.bbox_head.num_classes, heads.mask_head.num_classes) == (2, 5)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("max_epochs=two", "max_epochs takes a number, such as 20"),
        ("max_epochs=0", "whole number from 1"),
        ("max_epochs=2.5", "whole number from 1"),
        ("data_root=", "give the folder"),
        ("data_root=None", "give the folder"),
        ("metainfo.classes=[]", "give at least one name"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(path: str, option: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_config(path, None, [option])


@pytest.mark.parametrize(
    "leaf",
    [*CONFIGS.glob("*.py"), *CONFIGS.glob("ablations/*/*.py")],
    ids=lambda path: path.stem,
)
def test_without_options_nothing_is_changed(leaf: Path) -> None:
    stock, loaded = Config.fromfile(leaf), load_config(str(leaf), "work", None)
    stock.update(work_dir="work", launcher="none")
    assert loaded.to_dict() == stock.to_dict()


def test_several_folders_train_together(repository: Path) -> None:
    path = str(repository / "configs" / "mask-rcnn_convnext-atto_fpn_cell.py")
    config = load_config(path, None, ["data_root=[first,second]", "metainfo.classes=[a,b]"])
    together = config.train_dataloader.dataset
    assert together.type == "ConcatDataset"
    assert [part.data_root for part in together.datasets] == ["first/", "second/"]
    assert [part.ann_file for part in together.datasets] == ["annotations/train.json"] * 2
    assert all(list(part.metainfo.classes) == ["a", "b"] for part in together.datasets)
    assert config.val_dataloader.dataset.data_root == config.data_root == "first/"
    assert config.val_evaluator.ann_file == "first/annotations/val.json"


def steps(config: Config, part: str) -> list[str]:
    return [step["type"] for step in config[f"{part}_dataloader"].dataset.pipeline]


DENSE = str(CONFIGS / "mask-rcnn_efficientnet-lite0_fpn_dense-cell.py")


def test_mpp_reaches_every_pipeline(path: str) -> None:
    dense = load_config(DENSE, None, ["data_root=[a,b]", "mpp=0.25"])
    for dataset in dense.train_dataloader.dataset.datasets:
        kinds = [step["type"] for step in dataset.pipeline]
        assert kinds[:4] == ["LoadImageFromFile", "LoadCellLabels", "ResizeToMpp", "CellCrop"]
        assert dataset.pipeline[2] == {"type": "ResizeToMpp", "mpp": 0.25}
    scored = ["LoadImageFromFile", "ResizeToMpp", "PackDetInputs"]
    assert steps(dense, "val") == steps(dense, "test") == scored
    # In the reference recipe it stands where images keep their size.
    reference = load_config(path, None, ["mpp=0.25"])
    loaded = ["LoadImageFromFile", "LoadCellLabels", "ResizeToMpp", "RandomFlip", "PackDetInputs"]
    assert steps(reference, "train") == loaded
    assert reference.mpp == dense.mpp == 0.25


def test_mpp_of_a_dumped_config_can_be_changed_and_switched_off(tmp_path: Path) -> None:
    dumped = str(tmp_path / "dumped.py")
    load_config(DENSE, None, ["mpp=0.25"]).dump(dumped)
    again = load_config(dumped, None, ["mpp=0.5"])
    assert again.train_dataloader.dataset.pipeline[2] == {"type": "ResizeToMpp", "mpp": 0.5}
    off = load_config(dumped, None, ["mpp=None"])
    assert [s["mpp"] for s in off.test_dataloader.dataset.pipeline if "mpp" in s] == [None]


def test_without_mpp_no_pipeline_is_changed() -> None:
    plain = Config.fromfile(DENSE)
    for options in (None, ["mpp=None"]):
        config = load_config(DENSE, None, options)
        for part in PARTS:
            key = f"{part}_dataloader"
            assert config[key].dataset.pipeline == plain[key].dataset.pipeline


@pytest.mark.parametrize("value", ["0", "-1", "40x", "60", "[1,2]"])
def test_an_mpp_that_is_none(value: str) -> None:
    with pytest.raises(ValueError, match=r"give µm per pixel from 0\.05 to 5\.0, or None"):
        load_config(DENSE, None, [f"mpp={value}"])


def test_a_config_that_resizes_by_itself_refuses_mpp(path: str, tmp_path: Path) -> None:
    leaf = tmp_path / "leaf.py"
    leaf.write_text(f"""
_base_ = ["{path}"]
fit = dict(type="Resize", scale=(1333, 800), keep_ratio=True)
test_pipeline = [dict(type="LoadImageFromFile"), fit, dict(type="PackDetInputs")]
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
""")
    with pytest.raises(ValueError, match="already resizes images, by Resize"):
        load_config(str(leaf), None, ["mpp=0.25"])
