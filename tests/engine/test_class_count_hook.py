"""Heads and data with different numbers of classes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from torch import nn

from cellseg_mm.engine.hooks.class_count_hook import ClassCountHook
from cellseg_mm.errors import UserError


def runner(classes: int, **options: Any) -> Any:
    model = nn.ModuleDict({"mask_head": FCNMaskHead(num_classes=classes, **options)})
    dataset = SimpleNamespace(metainfo={"classes": ("tumour", "stroma")})
    return SimpleNamespace(model=model, train_dataloader=SimpleNamespace(dataset=dataset))


@pytest.mark.parametrize("classes", [1, 4])
def test_other_numbers_are_refused(classes: int) -> None:
    complaint = f"mask_head .* tells {classes} classes apart, but .* has 2 .tumour, stroma."
    with pytest.raises(UserError, match=complaint):
        ClassCountHook().before_train(runner(classes))


def test_the_same_number_passes() -> None:
    ClassCountHook().before_train(runner(2))
    ClassCountHook().before_train(runner(1, class_agnostic=True))
