"""Running the server."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from cellseg_mm.errors import UserError
from cellseg_mm.serve.app import build_app
from cellseg_mm.serve.guard import is_loopback, own_names
from cellseg_mm.serve.job_store import JobStore
from cellseg_mm.serve.opened_results import open_results
from cellseg_mm.serve.options import ServeOptions
from cellseg_mm.serve.served_models import ServedModels
from cellseg_mm.serve.services import Services

TOKEN_VARIABLE = "CELLSEG_TOKEN"
"""Environment variable with the token; without it, each start has a new one."""

_GRACE = 3
"""Seconds that answers may take when the server ends."""


def serve(
    host: str, port: int, options: ServeOptions, models: Sequence[str], results: Sequence[Path]
) -> None:
    """Answer requests until the process is told to end.

    Args:
        host: Address to listen on.
        port: Port to listen on.
        options: What is allowed.
        models: Those that can be asked for, the default first; empty = all installed ones.
        results: Results of ``cellseg segment`` that are shown.

    Raises:
        UserError: A model or results do not exist, or the folder or the port is in use.
    """
    served = ServedModels(models, options.device)
    store = JobStore(options.folder, options.keep_days)
    store.add(open_results(results, options.folder))
    listening = _listen(host, port)
    token = None
    if not is_loopback(host):
        token = os.environ.get(TOKEN_VARIABLE) or secrets.token_urlsafe(24)
    app = build_app(Services(options, served, store), host, port, token)
    print(
        f"{_address(host, port, token)}  (Ctrl-C ends it; jobs lie in {options.folder})", flush=True
    )
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=_GRACE,
    )
    uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise UserError(
            f"Port {port} of {host} cannot be used ({error.strerror or error}): is another server "
            "running? Choose another with --port."
        ) from error


def _address(host: str, port: int, token: str | None) -> str:
    name = min(own_names(), key=len) if host in ("0.0.0.0", "::") else host
    name = f"[{name}]" if ":" in name else name
    return f"http://{name}:{port}/" + (f"?token={token}" if token else "")
