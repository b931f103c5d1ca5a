"""A monitor's settings without secrets, as verdicts store and pages show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from driftwatch.config.models import MonitorConfig, as_json
from driftwatch.core.settings import redact_credentials

#: Keys of a source, an engine or a decoder that are secrets as a whole.
_SECRET_KEYS = ("url", "password")


def redacted_settings(config: MonitorConfig) -> dict[str, Any]:
    """Return a monitor's settings; a variable stays ``${NAME}``, as in the file."""
    data: dict[str, Any] = _with_variables(as_json(config), config.raw_texts, ())
    for section in (data["source"], data.get("engine", {}), data.get("decode", {})):
        for key in _SECRET_KEYS:
            section.pop(key, None)
    for section in (data["source"], data["reference"]):
        if "path" in section:
            section["path"] = _public_path(section["path"])
    return data


def _with_variables(
    value: Any, raw_texts: Mapping[tuple[str | int, ...], str], key_path: tuple[str | int, ...]
) -> Any:
    if key_path in raw_texts:
        return raw_texts[key_path]
    if isinstance(value, dict):
        return {key: _with_variables(item, raw_texts, (*key_path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_variables(item, raw_texts, (*key_path, index)) for index, item in enumerate(value)]
    return value


def _public_path(path: Any) -> Any:
    return [_public_path(item) for item in path] if isinstance(path, list) else redact_credentials(str(path))
