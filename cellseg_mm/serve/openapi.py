"""The interface as an OpenAPI document."""

from __future__ import annotations

from cellseg_mm import __version__
from cellseg_mm.inference.results.formats import FORMATS
from cellseg_mm.serve.openapi_parts import (
    COUNT,
    INTEGER,
    NUMBER,
    STRING,
    Json,
    answer,
    bytes_answer,
    bytes_body,
    content,
    json_answer,
    list_of,
    number,
    object_of,
    operation,
    or_null,
    query,
    ref,
    refusals,
    with_path_parameters,
)

_ABOUT = """\
Errors are `{"error": "one sentence"}`. Requests other than GET need the header `X-Cellseg: 1`. If \
the server has a token, every request needs it: `Authorization: Bearer TOKEN`, or the cookie that \
`/?token=TOKEN` sets. Coordinates are pixels of the full image."""


def document() -> Json:
    """OpenAPI 3.1; a test compares it with the routes."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "cellseg serve", "version": __version__, "description": _ABOUT},
        "paths": {
            path: {method: with_path_parameters(path, stated) for method, stated in methods.items()}
            for path, methods in (_pages() | _jobs() | _views()).items()
        },
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "cellseg-PORT"},
            },
        },
        "security": [{}, {"bearer": []}, {"cookie": []}],
    }


def _pages() -> Json:
    page = answer(200, "The page", "text/html", STRING)
    return {
        "/": {"get": operation("The page", page)},
        "/openapi.json": {"get": operation("This document", json_answer(200, {"type": "object"}))},
        "/models": {
            "get": operation("Models to choose from", json_answer(200, list_of(ref("Model"))))
        },
    }


def _jobs() -> Json:
    choices = [
        query("model", STRING, "A name of /models; the default one if absent"),
        query("mpp", number(0.05, 5), "µm per pixel; what the file says if absent"),
        query("min_score", number(0.001, 1), "Least score; the model's own, by class, if absent"),
    ]
    name = query("name", STRING, "What the file is called; becomes part of no path")
    return {
        "/segment": {
            "post": operation(
                "Segment an image",
                json_answer(202, ref("Job")) | refusals(400, 413, 429),
                [name, *choices],
                bytes_body("The image's bytes"),
            )
        },
        "/jobs": {
            "get": operation("All jobs, newest first", json_answer(200, list_of(ref("Job"))))
        },
        "/jobs/{job}": {
            "get": operation("A job", json_answer(200, ref("Job")) | refusals(400, 404)),
            "delete": operation(
                "Cancel a job that waits or runs; remove one that is over",
                {"204": {"description": "Done"}} | refusals(404),
            ),
        },
        "/jobs/{job}/segment": {
            "post": operation(
                "Segment the image of a job again",
                json_answer(202, ref("Job")) | refusals(400, 404, 413, 429),
                choices,
            )
        },
        "/jobs/{job}/truth": {
            "post": operation(
                "Cells that a person drew in the image of a job, as a job of their own",
                json_answer(201, ref("Job")) | refusals(400, 404, 413),
                [name],
                bytes_body("GeoJSON, polygons in pixels of the full image", "application/geo+json"),
            )
        },
    }


def _views() -> Json:
    least = query("min_score", number(0, 1), "Leaves out cells below it")
    of_cells = refusals(400, 404, 409)
    corners = list_of(list_of(NUMBER, 2, 2), 3, 10_000)
    return {
        "/jobs/{job}/tiles/{level}/{x}_{y}.jpg": {
            "get": operation(
                "A Deep Zoom tile of the image",
                answer(200, "JPEG", "image/jpeg", {}) | refusals(400, 404),
            )
        },
        "/jobs/{job}/points.bin": {
            "get": operation("All cells, 16 bytes each (docs/serve.md)", bytes_answer() | of_cells)
        },
        "/jobs/{job}/polygons/{column}_{row}.bin": {
            "get": operation("Outlines of a square (docs/serve.md)", bytes_answer() | of_cells)
        },
        "/jobs/{job}/cells/{cell}": {
            "get": operation("All of a cell", json_answer(200, ref("Cell")) | of_cells)
        },
        "/jobs/{job}/count": {
            "post": operation(
                "Cells whose centre lies in a polygon",
                json_answer(200, ref("Count")) | refusals(400, 404, 409, 413),
                [least],
                content("application/json", object_of({"polygon": corners}), "The polygon"),
            )
        },
        "/jobs/{job}/agreement/{other}": {
            "get": operation(
                "Cells that two jobs on one image have in common, from an IoU of 0.5 on",
                json_answer(200, ref("Agreement")) | of_cells,
                [least],
            )
        },
        "/jobs/{job}/results/all.zip": {
            "get": operation(
                "All files", answer(200, "ZIP", "application/zip", {}) | refusals(404, 409)
            )
        },
        "/jobs/{job}/results/{format}": {
            "get": operation("A file, as `cellseg segment` writes it", bytes_answer() | of_cells)
        },
    }


def _schemas() -> Json:
    kind = object_of({"name": STRING, "color": {"type": "string", "pattern": "^#[0-9a-f]{6}$"}})
    counted = object_of({**kind["properties"], "count": or_null(COUNT)})
    job = {
        "id": STRING,
        "name": STRING,
        "image": {"type": "string", "description": "Equal for jobs on the same image"},
        "model": or_null(STRING),
        "truth": or_null(STRING),
        "state": {"enum": ["queued", "running", "done", "failed", "cancelled"]},
        "position": or_null(COUNT),
        "tiles_done": COUNT,
        "tiles": COUNT,
        "error": or_null(STRING),
        "warnings": list_of(STRING),
        "created": {"type": "string", "format": "date-time"},
        "width": or_null(COUNT),
        "height": or_null(COUNT),
        "mpp": or_null(list_of(NUMBER, 2, 2)),
        "classes": list_of(counted),
        "cells": or_null(COUNT),
        "min_score": or_null(NUMBER),
        "formats": list_of({"enum": list(FORMATS)}),
        "tile_size": COUNT,
        "max_level": or_null(COUNT),
        "polygon_tile": COUNT,
    }
    numbers = {"type": "object", "additionalProperties": NUMBER}
    cell = {"id": COUNT, "class": STRING, "score": NUMBER, "probabilities": numbers}
    count = {"cells": COUNT, "classes": numbers}
    count |= {"area_px": NUMBER, "area_mm2": or_null(NUMBER)}
    agreement = dict.fromkeys(("matched", "only_a", "only_b", "same_class"), COUNT)
    ids = list_of(INTEGER)
    agreement |= {"f1": or_null(NUMBER), "pairs": list_of(list_of(INTEGER, 2, 2))}
    agreement |= {"only_a_ids": ids, "only_b_ids": ids}
    model = {"name": STRING, "classes": list_of(kind), "mpp": or_null(NUMBER)}
    model |= {"licence": STRING, "default": {"type": "boolean"}}
    return {
        "Model": object_of(model),
        "Job": object_of(job),
        "Cell": object_of(cell),
        "Count": object_of(count),
        "Agreement": object_of(agreement),
        "Error": object_of({"error": STRING}),
    }
