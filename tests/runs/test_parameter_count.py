from __future__ import annotations

import pytest
from torch import nn

from cellseg_mm.runs.parameter_count import log_trainable_parameters, trainable_parameters


def test_frozen_parameters_do_not_count() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Linear(10, 4, bias=False), nn.BatchNorm2d(5))
    assert trainable_parameters(model) == (3 * 8 * 9 + 8) + 10 * 4 + 2 * 5
    model[0].requires_grad_(False)
    assert trainable_parameters(model) == 10 * 4 + 2 * 5


@pytest.mark.parametrize(("outputs", "verdict"), [(199_900, "199.9 M, under"), (200_000, "NOT")])
def test_the_limit_itself_is_too_much(
    outputs: int, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: list[str] = []
    monkeypatch.setattr(
        "cellseg_mm.runs.parameter_count.print_log",
        lambda message, logger, level: messages.append(message),
    )
    log_trainable_parameters(nn.Linear(1000, outputs, bias=False, device="meta"))
    (message,) = messages
    assert verdict in message
