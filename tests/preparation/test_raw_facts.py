from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cellseg_mm.preparation.prepare_dataset import PrepareOptions, prepare_dataset
from cellseg_mm.preparation.problems import BadFileError, InputError
from cellseg_mm.preparation.raw_facts import (
    FACTS_FILE,
    ImageFacts,
    NotedCells,
    RawFacts,
    read_facts,
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    images = {"x": ImageFacts("p", 0.25), "y": ImageFacts()}
    notes = [NotedCells("x", "cut off", 3, ((1.5, -2.0), (0.0, 9.0)))]
    facts = RawFacts(("a", "b"), "bgr", images, notes)
    facts.write(tmp_path)
    assert read_facts(tmp_path) == facts


def test_without_the_file_nothing_is_known(tmp_path: Path) -> None:
    assert read_facts(tmp_path) == RawFacts()


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"classes": "a"}',
        '{"classes": [""]}',
        '{"channel_order": "grb"}',
        '{"images": {"a": {"mpp": 0}}}',
        '{"images": {"a": {"mpp": NaN}}}',
        '{"images": {"a": {"patient": 3}}}',
        '{"images": ["a"]}',
        '{"findings": {}}',
        '{"findings": ["outside"]}',
        '{"findings": [{"image": "a", "kind": "odd", "cells": 1, "places": []}]}',
        '{"findings": [{"image": "a", "kind": "outside", "cells": 0, "places": []}]}',
        '{"findings": [{"image": "a", "kind": "outside", "cells": 1, "places": [[1]]}]}',
        '{"findings": [{"image": "a", "kind": "outside", "cells": 1, "places": [[1, 1e999]]}]}',
        '{"findings": [{"image": "a", "kind": "outside", "cells": 1}]}',
    ],
)
def test_a_bad_file_is_named(raw_set, tmp_path: Path, text: str) -> None:
    (raw_set.root / FACTS_FILE).write_text(text)
    with pytest.raises(BadFileError, match=FACTS_FILE):
        read_facts(raw_set.root)
    with pytest.raises(InputError, match=FACTS_FILE):
        prepare_dataset(PrepareOptions(raw_set.root, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_prepared_images_keep_patients_and_scale(raw_set, tmp_path: Path) -> None:
    images = {f"image_{n}": ImageFacts(f"patient {n // 3}", 0.25) for n in range(6)}
    RawFacts(("blue", "red"), "bgr", images | {"test_0": ImageFacts("patient 1", 0.5)}).write(
        raw_set.root
    )
    audit = prepare_dataset(PrepareOptions(raw_set.root, tmp_path / "out", val_fraction=0.5))
    assert audit["classes"] == ["blue", "red"]
    assert audit["channel_order"]["order"] == "bgr"
    parts = {}
    for part in ("train", "val", "test"):
        record = json.loads((tmp_path / "out" / "annotations" / f"{part}.json").read_text())
        assert [category["name"] for category in record["categories"]] == ["blue", "red"]
        parts[part] = record["images"]
    for part in ("train", "val"):
        assert {image["mpp"] for image in parts[part]} == {0.25}
        assert len({image["patient"] for image in parts[part]}) == 1
        assert len(parts[part]) == 3
    assert [image.get("mpp") for image in parts["test"]] == [0.5, None]
    assert [image.get("patient") for image in parts["test"]] == ["patient 1", None]
    assert any("1 patient with images in train and test" in text for text in audit["warnings"])


def test_options_win(raw_set, tmp_path: Path) -> None:
    images = {f"image_{n}": ImageFacts("one", 0.25) for n in range(6)}
    RawFacts(("blue", "red"), "bgr", images).write(raw_set.root)
    options = PrepareOptions(
        raw_set.root,
        tmp_path / "out",
        classes=("a", "b"),
        channel_order="rgb",
        group_regex=r"\d$",
    )
    audit = prepare_dataset(options)
    assert audit["classes"] == ["a", "b"]
    assert audit["channel_order"]["order"] == "rgb"
    assert audit["split"]["groups"] == 6
    assert np.sum([part["images"] for part in audit["split"]["parts"].values()]) == 8
