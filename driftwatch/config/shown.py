"""A monitor's settings fit for a page: they are stored beside verdicts and shown to whoever may look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from driftwatch.config.models import MonitorConfig, as_json
from driftwatch.core.settings import without_credentials

_Where = tuple[str | int, ...]
_SECRETS = ("url", "password")


def as_shown(config: MonitorConfig) -> dict[str, Any]:
    """The settings as plain JSON values without secrets; a variable stands as ``${NAME}``, as in the file."""
    data: dict[str, Any] = _as_written(as_json(config), config.written, ())
    for secret in _SECRETS:
        data["source"].pop(secret, None)
    for part in (data["source"], data["reference"]):
        if "path" in part:
            part["path"] = _public(part["path"])
    return data


def _as_written(
    value: Any, written: Mapping[tuple[str | int, ...], str], where: tuple[str | int, ...]
) -> Any:
    if where in written:
        return written[where]
    if isinstance(value, dict):
        return {key: _as_written(item, written, (*where, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_written(item, written, (*where, place)) for place, item in enumerate(value)]
    return value


def _public(path: Any) -> Any:
    return [_public(one) for one in path] if isinstance(path, list) else without_credentials(str(path))
