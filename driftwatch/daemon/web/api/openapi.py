"""Generates the OpenAPI 3.1 document from endpoints and response types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from driftwatch.daemon.web.api.types import ErrorJson
from driftwatch.daemon.web.http.links import REFERENCE
from driftwatch.daemon.web.http.query import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    MAX_OFFSET,
    MAX_SEARCH_CHARS,
    MAX_TIME_CHARS,
)

_SCHEMA_REFERENCE = "#/components/schemas/{model}"
#: A text of this form that is no time, such as 30 February, is answered with 400 or 404.
_TIME_SCHEMA = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_TIME_CHARS,
    "pattern": r"^([0-9]+|[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.,]+(Z|[+-][0-9:]+)?)?)$",
}
_EMPTY_SCHEMA = {"type": "string", "maxLength": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    name: str
    description: str
    #: JSON Schema.
    schema: Mapping[str, Any]
    location: str = "query"
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    path: str
    #: A method of ``Api``.
    handler: str
    summary: str
    response: type
    parameters: tuple[Parameter, ...] = ()


def integer_parameter(name: str, description: str, default: int, minimum: int, maximum: int) -> Parameter:
    schema = {"type": "integer", "minimum": minimum, "maximum": maximum, "default": default}
    return Parameter(name=name, description=description, schema=schema)


NAME = Parameter(
    name="name",
    description="Name of the monitor.",
    schema={"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"},
    location="path",
    required=True,
)
END = Parameter(
    name="end",
    description="End of the window, ISO 8601 or nanoseconds since 1970.",
    schema=_TIME_SCHEMA,
    location="path",
    required=True,
)
SEGMENT = Parameter(name="segment", description="Segment; left out: all rows.", schema={"type": "string"})
LIMIT = integer_parameter("limit", "Most items in the answer.", DEFAULT_LIMIT, 1, MAX_LIMIT)
OFFSET = integer_parameter("offset", "Items to pass over.", 0, 0, MAX_OFFSET)
SEARCH = Parameter(
    name="q",
    description="Only names or models that contain this, whatever the case.",
    schema={"type": "string", "maxLength": MAX_SEARCH_CHARS},
)
END_BELOW = Parameter(
    name="before",
    description="Only windows that end earlier, ISO 8601 or nanoseconds since 1970; empty is as left out.",
    schema={"anyOf": [_TIME_SCHEMA, _EMPTY_SCHEMA]},
)
COLUMN = Parameter(name="column", description="Name of the column.", schema={"type": "string"}, required=True)


def side_parameter(name: str) -> Parameter:
    description = 'The end of a window, ISO 8601 or nanoseconds since 1970, or "reference".'
    schema = {"anyOf": [_TIME_SCHEMA, {"type": "string", "enum": [REFERENCE]}]}
    return Parameter(name=name, description=description, schema=schema, required=True)


def openapi_document(version: str, operations: Sequence[Operation], *, secured: bool) -> dict[str, Any]:
    """Generate the document; ``secured`` says that requests need the token."""
    schemas: dict[str, Any] = {}
    error = _schema_reference(ErrorJson, schemas)
    paths = {item.path: {"get": _operation(item, schemas, error, secured)} for item in operations}
    document: dict[str, Any] = {
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
        document["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "basic": {"type": "http", "scheme": "basic"},
        }
        document["security"] = [{"bearer": []}, {"basic": []}]
    return document


def _operation(
    operation: Operation, schemas: dict[str, Any], error: dict[str, Any], secured: bool
) -> dict[str, Any]:
    responses = {"200": _response("The answer.", _schema_reference(operation.response, schemas))}
    if operation.parameters:
        responses["400"] = _response("A parameter is not as expected.", error)
        responses["404"] = _response("There is no such thing.", error)
    if secured:
        responses["401"] = _response("The token is missing or wrong.", error)
        responses["503"] = _response("The token file cannot be read.", error)
    return {
        "operationId": operation.handler,
        "summary": operation.summary,
        "parameters": [
            {
                "name": parameter.name,
                "in": parameter.location,
                "required": parameter.required,
                "description": parameter.description,
                "schema": parameter.schema,
            }
            for parameter in operation.parameters
        ],
        "responses": responses,
    }


def _response(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _schema_reference(response: type, schemas: dict[str, Any]) -> dict[str, Any]:
    schema = TypeAdapter(response).json_schema(mode="serialization", ref_template=_SCHEMA_REFERENCE)
    schemas.update(schema.pop("$defs", {}))
    if "$ref" not in schema:
        schemas[response.__name__] = schema
    return {"$ref": _SCHEMA_REFERENCE.format(model=response.__name__)}
