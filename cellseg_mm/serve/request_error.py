"""What a request is told instead of an answer."""

from __future__ import annotations

from cellseg_mm.errors import UserError


class RequestError(UserError):
    """A request is at fault.

    Args:
        status: Of HTTP, 400 to 499.
        sentence: What is wrong, and what to do.
    """

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
