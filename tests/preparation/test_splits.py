from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellseg_mm.preparation.problems import BadFileError
from cellseg_mm.preparation.splits import SplitArguments, draw_folds, read_split, write_split


def single(fraction: float = 0.05, seed: int = 0) -> SplitArguments:
    return SplitArguments(fraction, None, seed, None)


def k_folds(k: int, seed: int = 0) -> SplitArguments:
    return SplitArguments(0.05, k, seed, None)


@settings(max_examples=8, deadline=None)
@given(data=st.data(), count=st.integers(2, 30), seed=st.integers(0, 99))
def test_parts_are_whole_groups_and_never_empty(data: st.DataObject, count: int, seed: int):
    names = [f"image {index}" for index in range(count)]
    groups = [f"g{data.draw(st.integers(0, 9))}" for _ in names]
    counts = np.random.default_rng(seed).poisson(3, (count, 4))
    fold = draw_folds(names, groups, counts, single(0.2, seed))[0]
    assert fold.train
    assert fold.val
    assert sorted(fold.train + fold.val) == sorted(names)
    if len(set(groups)) > 1:
        group_of = dict(zip(names, groups, strict=True))
        assert not {group_of[n] for n in fold.train} & {group_of[n] for n in fold.val}
    assert draw_folds(names, groups, counts, single(0.2, seed))[0] == fold


def test_rare_classes_are_in_both_parts():
    counts = np.zeros((200, 3), int)
    counts[:, 0] = 50
    counts[::2, 1] = 20
    counts[[17, 103, 150], 2] = 4  # three images of 200 have the third class
    names = [f"{index:03}" for index in range(200)]
    for seed in range(5):
        fold = draw_folds(names, names, counts, single(seed=seed))[0]
        in_val = np.isin(names, fold.val)
        assert 8 <= in_val.sum() <= 12
        assert (counts[in_val].sum(axis=0) > 0).all()
        assert (counts[~in_val].sum(axis=0) > 0).all()


def test_a_class_of_a_single_image_stays_in_training():
    counts = np.ones((20, 2), int)
    counts[:, 1] = 0
    counts[7, 1] = 3
    names = [str(index) for index in range(20)]
    for seed in range(5):
        assert "7" in draw_folds(names, names, counts, single(seed=seed))[0].train


def test_folds_cover_every_image_once_with_every_class():
    rng = np.random.default_rng(1)
    counts = rng.poisson(5, (40, 4))
    counts[:, 3] = 0
    counts[:5, 3] = 1
    names = [f"{index:02}" for index in range(40)]
    folds = draw_folds(names, names, counts, k_folds(5))
    assert len(folds) == 5
    assert sorted(name for fold in folds for name in fold.val) == names
    for fold in folds:
        assert 7 <= len(fold.val) <= 9
        assert (counts[np.isin(names, fold.val)].sum(axis=0) > 0).all()


def test_seeds_differ():
    names = [str(index) for index in range(30)]
    counts = np.ones((30, 1), int)
    assert (
        len({tuple(draw_folds(names, names, counts, single(seed=s))[0].val) for s in range(5)}) > 1
    )


def test_one_image_goes_to_training():
    assert draw_folds(["a"], ["a"], np.ones((1, 4)), single())[0] == (["a"], [])


def test_no_validation_on_demand():
    assert draw_folds(["b", "a"], ["b", "a"], np.ones((2, 1)), single(0))[0] == (["a", "b"], [])


def test_one_patient_is_split_by_image():
    fold = draw_folds(["a", "b", "c"], ["p"] * 3, np.ones((3, 1)), single())[0]
    assert (len(fold.train), len(fold.val)) == (2, 1)


def test_too_few_groups_for_the_folds():
    with pytest.raises(ValueError, match="3 folds need at least 3 images or patients"):
        draw_folds(["a", "b", "c"], ["p", "p", "q"], np.ones((3, 1)), k_folds(3))


def test_file_names_tell_arguments_apart():
    assert single().file_name == "val-0.05_seed-0.json"
    assert k_folds(5, 3).file_name == "5-folds_seed-3.json"
    names = {SplitArguments(0.05, None, 0, regex).file_name for regex in (None, "a", "b")}
    assert len(names) == 3


def test_file_round_trip(tmp_path):
    names = [str(index) for index in range(9)]
    folds = draw_folds(names, names, np.ones((9, 1)), k_folds(3))
    write_split(tmp_path / "s.json", k_folds(3), folds)
    assert read_split(tmp_path / "s.json", 3, names) == folds


@pytest.mark.parametrize(
    ("folds", "complaint"),
    [
        ([{"train": ["a", "b"], "val": ["b"]}], "lists 'b' twice"),
        ([{"train": ["a"], "val": []}], "lacks 'b', which the raw folder has"),
        ([{"train": ["a", "c"], "val": ["b"]}], "lists 'c', which the raw folder has not"),
        ([{"train": [], "val": ["a", "b"]}], "no training image"),
        ([{"train": ["a"]}], "not a readable split file"),
        ([], "holds 0 folds, not 1"),
        ([{"train": [1], "val": [2]}], "not text"),
    ],
)
def test_a_split_file_of_other_images(tmp_path, folds, complaint):
    path = tmp_path / "s.json"
    path.write_text(json.dumps({"folds": folds}))
    with pytest.raises(BadFileError, match=complaint):
        read_split(path, 1, ["a", "b"])


def test_a_split_file_that_is_no_json(tmp_path):
    (tmp_path / "s.json").write_text("{")
    with pytest.raises(BadFileError, match="move it away to have a new split drawn"):
        read_split(tmp_path / "s.json", 1, ["a"])
