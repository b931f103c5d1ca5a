"""Keys of every model of settings that hashes of configurations cover."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from driftwatch.config.models import MonitorConfig
from driftwatch.core import plugins
from driftwatch.core.settings import Settings


def hashed_models() -> dict[str, type[Settings]]:
    """The monitor's model, those within it, and those of all sources, by name."""
    models: dict[str, type[Settings]] = {}
    waiting = [MonitorConfig, *(plugins.load("sources", name).CONFIG for name in plugins.names("sources"))]
    while waiting:
        model = waiting.pop()
        if model.__name__ not in models:
            models[model.__name__] = model
            waiting += [
                part for field in model.model_fields.values() for part in _models_in(field.annotation)
            ]
    return models


def hashed_keys() -> dict[str, list[str]]:
    return {name: sorted(model.model_fields) for name, model in sorted(hashed_models().items())}


def _models_in(annotation: Any) -> Iterator[type[Settings]]:
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)
