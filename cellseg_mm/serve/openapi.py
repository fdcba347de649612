"""The interface as an OpenAPI document."""

from __future__ import annotations

from typing import Any

_Json = dict[str, Any]


def document() -> _Json:
    """OpenAPI 3.1; a test compares it with the routes."""
    return {}
