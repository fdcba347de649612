"""Folds: each image validates once, and the records are those of the prepared files."""

import json

import pytest
from mmengine.config import Config

from cellseg_mm.ablation.folds import annotation_files, select_fold, write_folds

CATEGORIES = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]


def part(images, annotations):
    return {
        "images": [
            {"id": i, "file_name": f"train/{name}.png", "height": 9, "width": 9}
            for i, name in images
        ],
        "annotations": [
            {"id": n, "image_id": i, "category_id": c}
            for n, (i, c) in enumerate(annotations, start=1)
        ],
        "categories": CATEGORIES,
    }


@pytest.fixture
def data(tmp_path):
    root = tmp_path / "data"
    (root / "annotations").mkdir(parents=True)
    (root / "splits").mkdir()
    train = part([(1, "x"), (3, "z")], [(1, 1), (1, 2), (3, 1)])
    val = part([(2, "y")], [(2, 2)])
    (root / "annotations" / "train.json").write_text(json.dumps(train))
    (root / "annotations" / "val.json").write_text(json.dumps(val))
    split = {
        "arguments": {"folds": 2, "seed": 0, "group_regex": None},
        "folds": [{"train": ["y"], "val": ["x", "z"]}, {"train": ["x", "z"], "val": ["y"]}],
    }
    (root / "splits" / "2-folds_seed-0.json").write_text(json.dumps(split))
    return root


@pytest.mark.parametrize("folds", [2, "splits/2-folds_seed-0.json"])
def test_records_are_dealt_out_anew(data, tmp_path, folds):
    folders = write_folds(data, folds, tmp_path / "folds")

    assert [folder.name for folder in folders] == ["fold-0", "fold-1"]
    train, val = (json.loads((folders[0] / f"{p}.json").read_text()) for p in ("train", "val"))
    assert [image["id"] for image in train["images"]] == [2]
    assert train["annotations"] == [{"id": 1, "image_id": 2, "category_id": 2}]
    assert [image["id"] for image in val["images"]] == [1, 3]
    assert [(a["id"], a["image_id"], a["category_id"]) for a in val["annotations"]] == [
        (1, 1, 1),
        (2, 1, 2),
        (3, 3, 1),
    ]
    assert val["categories"] == CATEGORIES


def test_the_split_file_is_needed(data, tmp_path):
    with pytest.raises(ValueError, match=r"no split into 5 folds: .*--folds 5 --fold 0"):
        write_folds(data, 5, tmp_path)


def test_several_split_files_are_ambiguous(data, tmp_path):
    file = data / "splits" / "2-folds_seed-0.json"
    (data / "splits" / "2-folds_seed-1.json").write_text(file.read_text())

    with pytest.raises(ValueError, match=r"splits/2-folds_seed-1\.json"):
        write_folds(data, 2, tmp_path)


def config_of(root, train="annotations/train.json"):
    def loader(ann_file):
        return {"dataset": {"data_root": root, "ann_file": ann_file}}

    return Config(
        {
            "train_dataloader": {"dataset": {"dataset": loader(train)["dataset"]}},
            "val_dataloader": loader("annotations/val.json"),
            "val_evaluator": [{"ann_file": f"{root}/annotations/val.json"}, {"type": "Other"}],
        }
    )


def test_a_config_takes_the_fold_everywhere(tmp_path):
    config = config_of("data/x")
    select_fold(config, tmp_path)

    train, val = str(tmp_path / "train.json"), str(tmp_path / "val.json")
    assert config.train_dataloader.dataset.dataset.ann_file == train
    assert config.val_dataloader.dataset.ann_file == val
    assert config.val_evaluator[0].ann_file == val
    assert list(map(str, annotation_files(config))) == [train, val]


def test_a_config_with_another_split_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"reads annotations/all\.json"):
        select_fold(config_of("data/x", "annotations/all.json"), tmp_path)
