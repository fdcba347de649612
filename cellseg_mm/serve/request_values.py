"""What requests say in their address and body, checked."""

from __future__ import annotations

import json
import math
from typing import Any

from starlette.requests import Request

from cellseg_mm.serve.job import Job
from cellseg_mm.serve.request_error import RequestError
from cellseg_mm.serve.services import Services


def services_of(request: Request) -> Services:
    """What the answer is made with."""
    services: Services = request.app.state.services
    return services


def services_and_job(request: Request) -> tuple[Services, Job]:
    """The same, and the job of the address.

    Raises:
        RequestError: There is no such job.
    """
    services = services_of(request)
    return services, services.store.get(request.path_params["job"])


def number(request: Request, name: str, low: float, high: float) -> float | None:
    """A number of the query; None if it is not stated.

    Raises:
        RequestError: It is no number, or beyond the limits.
    """
    text = request.query_params.get(name)
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise RequestError(400, f"{name} must be a number from {low:g} to {high:g}.")
    return value


def min_score(request: Request) -> float:
    """The least score of the query; 0 if it is not stated."""
    return number(request, "min_score", 0, 1) or 0.0


async def json_body(request: Request, most: int) -> Any:
    """The body as JSON.

    Raises:
        RequestError: It is none, or has too many bytes.
    """
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise RequestError(413, f"The body has more than {most:,} bytes.")
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise RequestError(400, "The body is not JSON.") from None
