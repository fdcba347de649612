"""Receiving files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from anyio.to_thread import run_sync
from starlette.requests import Request

from cellseg_mm.serve.request_error import RequestError

_PART = 1 << 20
"""Bytes that are written at once."""


async def receive_file(request: Request, path: Path, max_megabytes: float) -> str:
    """Write the body of a request to a file as it comes.

    Args:
        request: The request.
        path: File to make.
        max_megabytes: More are refused, before or while they come.

    Returns:
        SHA-256 of the bytes, in hexadecimals.

    Raises:
        RequestError: The body is empty or too large.
        ClientDisconnect: The client has left.
    """
    most = max_megabytes * 1e6
    too_large = RequestError(
        413, f"The file has more than the {max_megabytes:g} MB that this server takes."
    )
    if float(request.headers.get("content-length", 0)) > most:
        raise too_large
    digest = hashlib.sha256()
    received = 0

    def write(part: bytes) -> None:
        digest.update(part)
        file.write(part)

    with path.open("wb") as file:
        waiting = bytearray()
        async for chunk in request.stream():
            received += len(chunk)
            if received > most:
                raise too_large
            waiting += chunk
            if len(waiting) >= _PART:
                await run_sync(write, bytes(waiting))
                waiting.clear()
        await run_sync(write, bytes(waiting))
    if not received:
        raise RequestError(400, "The request has no body: send the file's bytes.")
    return digest.hexdigest()
