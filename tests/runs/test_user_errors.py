"""Errors as one sentence."""

from __future__ import annotations

import pytest
from torch.utils.data import DataLoader, Dataset

from cellseg_mm.errors import UserError
from cellseg_mm.runs.user_errors import exit_with_a_sentence
from cellseg_mm.structures.planes import read_planes


class Broken(Dataset):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> None:
        read_planes("nowhere.tif")


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_this_package_is_a_sentence(
    workers: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught, exit_with_a_sentence():
        list(DataLoader(Broken(), num_workers=workers))
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: The label file nowhere.tif does not exist")


def wrapped_twice() -> None:
    try:
        try:
            raise UserError("No weights.")
        except UserError as error:
            raise UserError("No weights: train from scratch.") from error
    except UserError as error:
        raise KeyError("class `Net`") from error


def test_the_last_word_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever knows more says more, and a registry may have wrapped it."""
    with pytest.raises(SystemExit), exit_with_a_sentence():
        wrapped_twice()
    assert capsys.readouterr().err == "error: No weights: train from scratch.\n"


def test_other_errors_keep_their_traceback() -> None:
    with pytest.raises(ValueError, match="invalid literal"), exit_with_a_sentence():
        int("x")
