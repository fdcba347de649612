"""Parts of an OpenAPI document."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

STRING, NUMBER, INTEGER = {"type": "string"}, {"type": "number"}, {"type": "integer"}
COUNT = {"type": "integer", "minimum": 0}


def operation(
    summary: str, responses: Json, query: list[Json] | None = None, body: Json | None = None
) -> Json:
    """An operation; every one may be refused for want of a token or a header."""
    found: Json = {"summary": summary, "responses": responses | refusals(401, 403)}
    if query:
        found["parameters"] = query
    if body:
        found["requestBody"] = {"required": True, **body}
    return found


def with_path_parameters(path: str, operation: Json) -> Json:
    """An operation that says what the braces of its path stand for."""
    names = [part.partition("}")[0] for part in path.split("{")[1:]]
    kinds = {name: STRING if name in ("job", "other", "format") else COUNT for name in names}
    stated = [
        {"name": name, "in": "path", "required": True, "schema": kind}
        for name, kind in kinds.items()
    ]
    asked = [*stated, *operation.get("parameters", [])]
    return {**operation, **({"parameters": asked} if asked else {})}


def query(name: str, schema: Json, text: str) -> Json:
    """A parameter of the query, which may be absent."""
    return {"name": name, "in": "query", "schema": schema, "description": text}


def json_answer(status: int, schema: Json) -> Json:
    """An answer as JSON."""
    return answer(status, "JSON", "application/json", schema)


def bytes_answer() -> Json:
    """An answer as bytes."""
    return answer(200, "Bytes", "application/octet-stream", {})


def answer(status: int, text: str, kind: str, schema: Json) -> Json:
    """An answer of some kind."""
    return {str(status): content(kind, schema, text)}


def content(kind: str, schema: Json, text: str) -> Json:
    """What a body or an answer holds."""
    return {"description": text, "content": {kind: {"schema": schema}}}


def bytes_body(text: str, kind: str = "application/octet-stream") -> Json:
    """A body that is a file."""
    return content(kind, {}, text)


def refusals(*statuses: int) -> Json:
    """Answers with a sentence."""
    return {
        str(status): content("application/json", ref("Error"), "Why not") for status in statuses
    }


def ref(name: str) -> Json:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def object_of(properties: Json) -> Json:
    """An object that has all of these."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def list_of(items: Json, least: int | None = None, most: int | None = None) -> Json:
    """A list, with its least and most length if there are any."""
    limits = {"minItems": least, "maxItems": most}
    return {"type": "array", "items": items, **{k: v for k, v in limits.items() if v is not None}}


def number(low: float, high: float) -> Json:
    """A number between two others."""
    return {"type": "number", "minimum": low, "maximum": high}


def or_null(schema: Json) -> Json:
    """A value, or null."""
    return {"anyOf": [schema, {"type": "null"}]}
