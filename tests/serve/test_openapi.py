"""The document against the routes and their answers."""

from __future__ import annotations

import re
from typing import Any

from starlette.routing import Route

from cellseg_mm.serve.app import ROUTES
from cellseg_mm.serve.openapi import document
from tests.serve.conftest import png, wait_for

METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}


def test_every_route_is_in_it_and_no_other(client: Any) -> None:
    routes = {
        (re.sub(r":\w+}", "}", route.path), method)
        for route in ROUTES
        if isinstance(route, Route)
        for method in route.methods & METHODS
    }
    stated = {
        (path, method.upper())
        for path, operations in document()["paths"].items()
        for method in operations
    }
    assert stated == routes
    assert client.get("/openapi.json").json() == document()


def test_references_lead_somewhere_and_path_parameters_are_stated() -> None:
    whole = document()
    known = set(whole["components"]["schemas"])
    assert set(re.findall(r"#/components/schemas/(\w+)", str(whole))) == known
    for path, operations in whole["paths"].items():
        for operation in operations.values():
            asked = [p["name"] for p in operation.get("parameters", []) if p["in"] == "path"]
            assert asked == re.findall(r"{(\w+)}", path)


def test_answers_are_as_stated(client: Any) -> None:
    schemas = document()["components"]["schemas"]

    def check(value: Any, schema: Any) -> None:
        schema = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        if "anyOf" in schema:
            if value is not None:
                check(value, schema["anyOf"][0])
            return
        if "enum" in schema:
            assert value in schema["enum"]
            return
        kinds = {"string": str, "integer": int, "number": (int, float), "boolean": bool}
        kinds |= {"array": list, "object": dict}
        assert isinstance(value, kinds[schema["type"]])
        if schema["type"] == "array":
            for item in value:
                check(item, schema["items"])
        if schema["type"] == "object" and "properties" in schema:
            assert set(schema["required"]) <= set(value)
            for name, part in schema["properties"].items():
                check(value[name], part)

    job = wait_for(client, client.post("/segment", content=png()).json())
    answers = {
        "/models": client.get("/models"),
        "/jobs": client.get("/jobs"),
        "/jobs/{job}": client.get(f"/jobs/{job['id']}"),
        "/jobs/{job}/cells/{cell}": client.get(f"/jobs/{job['id']}/cells/1"),
        "/jobs/{job}/agreement/{other}": client.get(f"/jobs/{job['id']}/agreement/{job['id']}"),
    }
    for path, answer in answers.items():
        stated = document()["paths"][path]["get"]["responses"]["200"]
        check(answer.json(), stated["content"]["application/json"]["schema"])
    assert set(job) == set(schemas["Job"]["properties"])
    region = {"polygon": [[0, 0], [9, 0], [0, 9]]}
    check(client.post(f"/jobs/{job['id']}/count", json=region).json(), {"$ref": "/Count"})
    check(client.get("/jobs/none").json(), {"$ref": "/Error"})
