"""The OpenAPI 3.1 document, generated from the operations and from the types of their answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from driftwatch.daemon.web.api.types import ErrorJson
from driftwatch.daemon.web.http.query import LONGEST_SEARCH, MOST, MOST_OFFSET, USUAL

_REFERENCES = "#/components/schemas/{model}"
_TIME = {"type": "string", "minLength": 1, "maxLength": 40}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a request. ``schema`` is JSON Schema."""

    name: str
    about: str
    schema: dict[str, Any]
    where: str = "query"
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One answer of the API: ``path`` with its parameters in braces, ``handler`` names who answers it."""

    path: str
    handler: str
    about: str
    answer: type
    parameters: tuple[Parameter, ...] = ()


def number(name: str, about: str, usual: int, least: int, most: int) -> Parameter:
    """A whole number within bounds."""
    schema = {"type": "integer", "minimum": least, "maximum": most, "default": usual}
    return Parameter(name=name, about=about, schema=schema)


NAME = Parameter(
    name="name",
    about="Name of the monitor.",
    schema={"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"},
    where="path",
    required=True,
)
END = Parameter(
    name="end",
    about="End of the window, ISO 8601 or nanoseconds since 1970.",
    schema=_TIME,
    where="path",
    required=True,
)
SEGMENT = Parameter(name="segment", about="Segment; left out: all rows.", schema={"type": "string"})
LIMIT = number("limit", "Most items in the answer.", USUAL, 1, MOST)
OFFSET = number("offset", "Items to pass over.", 0, 0, MOST_OFFSET)
SEARCH = Parameter(
    name="q",
    about="Only names or models that contain this, whatever the case.",
    schema={"type": "string", "maxLength": LONGEST_SEARCH},
)
BEFORE = Parameter(
    name="before",
    about="Only windows that end earlier, ISO 8601 or nanoseconds since 1970.",
    schema=_TIME,
)
COLUMN = Parameter(name="column", about="Name of the column.", schema={"type": "string"}, required=True)


def side(name: str) -> Parameter:
    """A side of a comparison."""
    about = 'The end of a window, ISO 8601 or nanoseconds since 1970, or "reference".'
    return Parameter(name=name, about=about, schema=_TIME, required=True)


def document(version: str, operations: Sequence[Operation], *, secured: bool) -> dict[str, Any]:
    """The whole document. ``secured``: requests carry the token of ``web.auth``."""
    schemas: dict[str, Any] = {}
    error = _reference(ErrorJson, schemas)
    paths = {item.path: {"get": _operation(item, schemas, error, secured)} for item in operations}
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "driftwatch",
            "version": version,
            "description": "What the pages show, as JSON. Times are ISO 8601 in UTC; what is not known is "
            "null, never 0. More keys may be added, none is removed.",
        },
        "paths": paths,
        "components": {"schemas": dict(sorted(schemas.items()))},
    }
    if secured:
        found["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "basic": {"type": "http", "scheme": "basic"},
        }
        found["security"] = [{"bearer": []}, {"basic": []}]
    return found


def _operation(
    item: Operation, schemas: dict[str, Any], error: dict[str, Any], secured: bool
) -> dict[str, Any]:
    answers = {"200": _answer("The answer.", _reference(item.answer, schemas))}
    if item.parameters:
        answers["400"] = _answer("A parameter is not as expected.", error)
        answers["404"] = _answer("There is no such thing.", error)
    if secured:
        answers["401"] = _answer("The token is missing or wrong.", error)
        answers["503"] = _answer("The token file cannot be read.", error)
    return {
        "operationId": item.handler,
        "summary": item.about,
        "parameters": [
            {
                "name": each.name,
                "in": each.where,
                "required": each.required,
                "description": each.about,
                "schema": each.schema,
            }
            for each in item.parameters
        ],
        "responses": answers,
    }


def _answer(about: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": about, "content": {"application/json": {"schema": schema}}}


def _reference(answer: type, schemas: dict[str, Any]) -> dict[str, Any]:
    """A reference to a type's schema; it and what it holds are put among ``schemas``."""
    made = TypeAdapter(answer).json_schema(mode="serialization", ref_template=_REFERENCES)
    schemas.update(made.pop("$defs", {}))
    if "$ref" not in made:
        schemas[answer.__name__] = made
    return {"$ref": _REFERENCES.format(model=answer.__name__)}
