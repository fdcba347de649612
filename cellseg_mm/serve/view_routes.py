"""Answers to requests that look at a job: its image, its cells, its files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route

from cellseg_mm.inference.results.formats import FORMATS
from cellseg_mm.serve.job import DONE, Job
from cellseg_mm.serve.region_count import count_in_region
from cellseg_mm.serve.request_error import RequestError
from cellseg_mm.serve.request_values import json_body, min_score, services_and_job
from cellseg_mm.serve.result_archive import archive

_LASTS = {"Cache-Control": "private, max-age=86400, immutable"}
"""The tiles and cells of an id never change."""

_BYTES = "application/octet-stream"
_MOST_BYTES = 1_000_000
"""Of the JSON of a polygon."""


async def _tile(request: Request) -> Response:
    services, job = services_and_job(request)
    place = request.path_params

    def jpeg() -> bytes:
        with services.views.view(job.image_path) as view:
            return view.tile(place["level"], place["x"], place["y"])

    return Response(await run_sync(jpeg), media_type="image/jpeg", headers=_LASTS)


async def _points(request: Request) -> Response:
    services, job = services_and_job(request)
    cells = await run_sync(services.cells.of, job)
    return FileResponse(cells.points_file, media_type=_BYTES, headers=_LASTS)


async def _polygons(request: Request) -> Response:
    services, job = services_and_job(request)
    place = request.path_params

    def outlines() -> bytes:
        return services.cells.of(job).polygons(place["column"], place["row"])

    return Response(await run_sync(outlines), media_type=_BYTES, headers=_LASTS)


async def _cell(request: Request) -> Response:
    services, job = services_and_job(request)
    number = request.path_params["cell"]
    return await _json(lambda: services.cells.of(job).details(number))


async def _count(request: Request) -> Response:
    services, job = services_and_job(request)
    least = min_score(request)
    body = await json_body(request, _MOST_BYTES)
    corners = body.get("polygon") if isinstance(body, Mapping) else None
    return await _json(lambda: count_in_region(job, services.cells.of(job), corners, least))


async def _agreement(request: Request) -> Response:
    services, a = services_and_job(request)
    b = services.store.get(request.path_params["other"])
    least = min_score(request)
    if a.image != b.image:
        raise RequestError(400, f"The jobs are of different images, {a.name} and {b.name}.")

    def content() -> dict[str, Any]:
        cells_a, cells_b = services.cells.of(a), services.cells.of(b)
        return services.agreements.between((a.id, b.id), cells_a, cells_b, least)

    return await _json(content)


async def _all_results(request: Request) -> Response:
    _, job = services_and_job(request)
    _require_results(job)
    headers = FileResponse(job.image_path, filename=f"{job.title}_cells.zip").headers
    disposition = {"Content-Disposition": headers["content-disposition"]}
    return StreamingResponse(archive(job), media_type="application/zip", headers=disposition)


async def _result(request: Request) -> Response:
    _, job = services_and_job(request)
    name = request.path_params["format"]
    _require_results(job)
    if name not in job.formats():
        raise RequestError(404, f"There is no {name}: choose from {', '.join(job.formats())}.")
    return FileResponse(job.result(name), filename=job.title + FORMATS[name].ending)


def _require_results(job: Job) -> None:
    if job.state != DONE:
        raise RequestError(409, f"There are no results yet: the job is {job.state}.")


async def _json(content: Callable[[], Any]) -> Response:
    """JSON that takes a while to find out, and to write: not in the thread of all requests."""
    return Response(
        await run_sync(lambda: json.dumps(content(), allow_nan=False).encode()),
        media_type="application/json",
    )


VIEW_ROUTES = [
    Route("/jobs/{job}/tiles/{level:int}/{x:int}_{y:int}.jpg", _tile, methods=["GET"]),
    Route("/jobs/{job}/points.bin", _points, methods=["GET"]),
    Route("/jobs/{job}/polygons/{column:int}_{row:int}.bin", _polygons, methods=["GET"]),
    Route("/jobs/{job}/cells/{cell:int}", _cell, methods=["GET"]),
    Route("/jobs/{job}/count", _count, methods=["POST"]),
    Route("/jobs/{job}/agreement/{other}", _agreement, methods=["GET"]),
    Route("/jobs/{job}/results/all.zip", _all_results, methods=["GET"]),
    Route("/jobs/{job}/results/{format}", _result, methods=["GET"]),
]
