"""Weights of a model for other classes: what fits is taken, the rest is made anew."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from cellseg_mm.engine.hooks.fitting_weights_hook import FittingWeightsHook
from cellseg_mm.errors import UserError


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, line: str) -> None:
        self.lines.append(line)


def network(classes: int) -> nn.Module:
    head = nn.ModuleDict({"fc_cls": nn.Linear(4, classes)})
    return nn.ModuleDict({"body": nn.Linear(3, 4), "head": head})


def load(
    model: nn.Module, weights: dict[str, Any], resume: bool = False, trained: str = "ab"
) -> tuple[Any, Log]:
    runner = SimpleNamespace(
        model=model,
        logger=Log(),
        cfg={"metainfo": {"classes": list("ab")}},
        _resume=resume,
        _load_from="he-consep",
    )
    checkpoint = {
        "state_dict": dict(weights),
        "meta": {"dataset_meta": {"classes": tuple(trained)}},
    }
    FittingWeightsHook().after_load_checkpoint(runner, checkpoint)
    return checkpoint["state_dict"], runner.logger


def test_heads_of_other_sizes_stay_as_they_are_initialised() -> None:
    trained, model = network(4), network(3)
    own = model["head"]["fc_cls"].weight.detach().clone()
    weights, log = load(model, trained.state_dict())
    model.load_state_dict(weights)
    assert torch.equal(model["body"].weight, trained["body"].weight)
    assert torch.equal(model["head"]["fc_cls"].weight, own)
    assert log.lines == ["Made anew, as sizes or classes differ in he-consep: head.fc_cls."]


def test_as_many_other_classes_are_told_apart_anew() -> None:
    trained, model = network(4).state_dict(), network(4)
    weights, log = load(model, trained, trained="ba")
    assert torch.equal(weights["head.fc_cls.weight"], model["head"]["fc_cls"].weight)
    assert torch.equal(weights["body.weight"], trained["body.weight"])
    assert len(log.lines) == 1


def test_what_fits_and_what_is_resumed_is_not_touched() -> None:
    trained = network(4).state_dict()
    weights, log = load(network(4), trained)
    assert weights == trained
    assert not log.lines
    assert load(network(3), trained, resume=True)[0] == trained


def test_another_network_is_refused() -> None:
    with pytest.raises(UserError, match="No weight of load_from=he-consep fits"):
        load(network(4), {"other.weight": torch.zeros(1)})
