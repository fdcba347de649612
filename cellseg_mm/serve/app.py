"""The server as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from cellseg_mm.errors import MissingFileError, UserError
from cellseg_mm.serve.guard import Guard
from cellseg_mm.serve.job_routes import JOB_ROUTES
from cellseg_mm.serve.openapi import document
from cellseg_mm.serve.request_error import RequestError
from cellseg_mm.serve.request_values import services_of
from cellseg_mm.serve.services import Services
from cellseg_mm.serve.view_routes import VIEW_ROUTES

STATIC = Path(__file__).parent / "static"

_HOUR = 3600.0


def build_app(
    services: Services, host: str = "127.0.0.1", port: int = 8000, token: str | None = None
) -> Guard:
    """Make the application. The worker begins with its lifespan and ends with it.

    Args:
        services: What answers are made with.
        host: The address that the server listens on.
        port: Its port.
        token: What must be known to ask; None = nothing.
    """
    app = Starlette(
        routes=ROUTES,
        exception_handlers={
            UserError: _tell,
            OSError: _tell_of_disk,
            ClientDisconnect: _tell_nobody,
            HTTPException: _tell_http,
            Exception: _tell_of_fault,
        },
        lifespan=_lifespan,
    )
    app.router.redirect_slashes = False
    app.state.services = services
    return Guard(app, host, port, token)  # outermost: answers to faults are guarded, too


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    services: Services = app.state.services
    services.start()
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_clean, services)
            yield
            tasks.cancel_scope.cancel()
    finally:
        services.stop()


async def _clean(services: Services) -> None:
    while True:
        await anyio.sleep(_HOUR)
        await run_sync(services.clean)


async def _page(request: Request) -> Response:
    return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})


async def _document(request: Request) -> Response:
    return JSONResponse(document())


async def _tell(request: Request, error: Exception) -> Response:
    status = 404 if isinstance(error, MissingFileError) else 400
    if isinstance(error, RequestError):
        status = error.status
    return JSONResponse({"error": _without_paths(request, str(error))}, status)


async def _tell_of_disk(request: Request, error: Exception) -> Response:
    reason = getattr(error, "strerror", None) or type(error).__name__
    return JSONResponse({"error": f"The server's disk: {reason}."}, 507)


async def _tell_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentence = f"{request.method} {request.url.path}: {error.detail}."
    return JSONResponse({"error": sentence}, error.status_code, error.headers)


async def _tell_of_fault(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "A fault of this program, which its output tells."}, 500)


async def _tell_nobody(request: Request, error: Exception) -> Response:
    return Response(status_code=400)


def _without_paths(request: Request, sentence: str) -> str:
    """A sentence that names the image of a job as its user does."""
    services = services_of(request)
    job_id = request.path_params.get("job")
    if job_id is None:
        return sentence
    try:
        job = services.store.get(job_id)
    except RequestError:
        return sentence
    return job.shown(sentence).replace(f"{job.folder}/", "")


class _PageFiles(StaticFiles):
    """The page's files; a browser asks whether they are still the same."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


ROUTES = [
    Route("/", _page, methods=["GET"]),
    Route("/openapi.json", _document, methods=["GET"]),
    *JOB_ROUTES,
    *VIEW_ROUTES,
    Mount("/static", _PageFiles(directory=STATIC)),
]
