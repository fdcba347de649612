"""Answers to requests that make, list and remove jobs."""

from __future__ import annotations

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cellseg_mm.readers.scale import LARGEST, SMALLEST
from cellseg_mm.serve.job import Job, plain_name
from cellseg_mm.serve.job_description import describe
from cellseg_mm.serve.new_job import Asked, job_of_job, job_of_truth, job_of_upload
from cellseg_mm.serve.request_values import number, services_and_job, services_of
from cellseg_mm.serve.services import Services


async def _models(request: Request) -> Response:
    return JSONResponse(services_of(request).models.describe())


async def _segment(request: Request) -> Response:
    services = services_of(request)
    name, asked = plain_name(request.query_params.get("name")), _asked(request)
    with services.queue.room():
        job = await job_of_upload(request, services, name, asked)
        return _queued(services, job)


async def _segment_again(request: Request) -> Response:
    services, other = services_and_job(request)
    asked = _asked(request)
    with services.queue.room():
        job = await run_sync(job_of_job, services, other, asked)
        return _queued(services, job)


async def _truth(request: Request) -> Response:
    services, other = services_and_job(request)
    name = plain_name(request.query_params.get("name") or "truth.geojson")
    job = await job_of_truth(request, services, other, name)
    services.store.add([job])
    return JSONResponse(describe(job, services.queue), 201)


async def _jobs(request: Request) -> Response:
    services = services_of(request)

    def content() -> list[dict[str, object]]:
        return [describe(job, services.queue) for job in services.store.newest_first()]

    return JSONResponse(await run_sync(content))


async def _job(request: Request) -> Response:
    services, job = services_and_job(request)
    if job.opened:  # what its image and its cells are is found out when it is looked at
        await run_sync(services.cells.of, job)
    return JSONResponse(await run_sync(describe, job, services.queue))


async def _delete(request: Request) -> Response:
    services, job = services_and_job(request)
    if not await run_sync(services.queue.cancel, job):
        services.cells.forget(job)
        await run_sync(services.store.remove, job)
    return Response(status_code=204)


def _asked(request: Request) -> Asked:
    return Asked(
        services_of(request).models.find(request.query_params.get("model")).name,
        number(request, "mpp", SMALLEST, LARGEST),
        number(request, "min_score", 0.001, 1),
    )


def _queued(services: Services, job: Job) -> Response:
    services.store.add([job])
    services.queue.put(job)
    return JSONResponse(describe(job, services.queue), 202)


JOB_ROUTES = [
    Route("/models", _models, methods=["GET"]),
    Route("/segment", _segment, methods=["POST"]),
    Route("/jobs", _jobs, methods=["GET"]),
    Route("/jobs/{job}", _job, methods=["GET"]),
    Route("/jobs/{job}", _delete, methods=["DELETE"]),
    Route("/jobs/{job}/segment", _segment_again, methods=["POST"]),
    Route("/jobs/{job}/truth", _truth, methods=["POST"]),
]
