"""Loads a configuration and reports all its errors at once, each with its line.

Relative paths start at the working directory, not at the file's folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import ValidationError

from driftwatch.config._checks import cross_problems
from driftwatch.config._document import Document, KeyPath, Problem, value_text
from driftwatch.config._messages import (
    fill_empty,
    model_problems,
    name_problem,
    type_only_problem,
    type_problems,
)
from driftwatch.config._receivers import unlisted_receivers
from driftwatch.config._yaml import read
from driftwatch.config.models import Config
from driftwatch.core import plugins
from driftwatch.core.settings import Settings
from driftwatch.decoders.base import DecoderConfig
from driftwatch.engines.base import EngineConfig
from driftwatch.errors import ConfigError, DriftwatchError
from driftwatch.notify.base import NotifierConfig
from driftwatch.sources.base import SourceConfig

S = TypeVar("S", bound=Settings)


@dataclass(frozen=True, slots=True)
class _Room:
    """A package of plugins whose settings are part of the configuration."""

    package: str
    noun: str
    #: Takes the place of wrong settings, so that the rest is validated.
    placeholder: Settings


_NOTIFIER = _Room("notify", "notifier", NotifierConfig.model_construct(type=""))
#: By key of a monitor.
_MONITOR_ROOMS = {
    "source": _Room("sources", "source", SourceConfig.model_construct(type="")),
    "engine": _Room("engines", "engine", EngineConfig.model_construct(type="")),
    "decode": _Room("decoders", "decoder", DecoderConfig.model_construct(type="", column="")),
}


def load(path: Path | str) -> Config:
    """Load a configuration. Opens nothing but the file; secret files are only checked.

    Raises ``ConfigError`` with every problem, one line each: ``file:line: path: what was expected. Got X.``
    """
    file = Path(path)
    document = read(file)
    problems = list(document.problems)
    config: Config | None = None
    if document.value is None and not problems:
        problems.append(document.problem((), "expected a configuration. Got an empty file."))
    elif document.value is not None and not isinstance(document.value, dict):
        problems.append(document.problem((), f"expected a mapping. Got {value_text(document.value)}."))
    elif document.value is not None:
        fill_empty(document, Config)
        config, model_errors = _validate(document, file)
        problems += model_errors
        problems += cross_problems(document)
        problems += () if config is None else unlisted_receivers(document, config)
    lines = _problem_lines(file, document, problems)
    if lines or config is None:
        raise ConfigError(lines)
    return config


def check(path: Path | str) -> list[str]:
    """Return every problem of a configuration, one line each."""
    try:
        load(path)
    except ConfigError as error:
        return error.problems
    return []


def _problem_lines(file: Path, document: Document, problems: list[Problem]) -> list[str]:
    # The first problem of each key path: YAML before types before values.
    first_problems: list[Problem] = []
    key_paths: set[KeyPath] = set()
    for problem in problems:
        if not problem.key_path or problem.key_path not in key_paths:
            first_problems.append(problem)
        key_paths.add(problem.key_path)
    lines = []
    for problem in sorted(first_problems, key=lambda item: item.line):
        path = f"{document.path_text(problem.key_path)}: " if problem.key_path else ""
        lines.append(f"{file}:{problem.line}: {path}{problem.text}")
    return lines


def _validate(document: Document, file: Path) -> tuple[Config | None, list[Problem]]:
    problems: list[Problem] = []
    data = dict(document.value)
    _validate_plugins(document, data, problems)
    config, model_errors = _validate_model(document, Config, data, ())
    for index, monitor in enumerate(config.monitors if config is not None else ()):
        base = ("monitors", index)
        monitor.set_raw_texts(
            {key_path[2:]: text for key_path, text in document.raw_texts.items() if key_path[:2] == base}
        )
        columns = (*base, "columns")
        monitor.set_places(
            {
                key_path[2:]: f"{file}:{line}: {document.path_text(key_path)}"
                for key_path, line in document.lines.items()
                if key_path[:3] == columns
            }
        )
    return config, problems + model_errors


def _validate_model(
    document: Document, model: type[S], data: Any, key_path: KeyPath
) -> tuple[S | None, list[Problem]]:
    type_errors = list(type_problems(document, model, key_path))
    try:
        return model.model_validate(data), type_errors
    except ValidationError as error:
        return None, [*model_problems(document, error, model, key_path), *type_errors]


def _validate_plugins(document: Document, data: dict[str, Any], problems: list[Problem]) -> None:
    """Replace the settings of plugins in ``data`` by their models."""
    for key in ("monitors", "notify"):
        items = data.get(key)
        if not isinstance(items, list):
            continue
        data[key] = settings = list(items)
        for index, item in enumerate(items):
            if key == "notify" and isinstance(item, dict):
                settings[index] = _plugin_settings(document, (key, index), _NOTIFIER, problems)
            elif key == "monitors" and isinstance(item, dict):
                settings[index] = {**item, **_monitor_plugins(document, (key, index), item, problems)}


def _monitor_plugins(
    document: Document, key_path: KeyPath, monitor: dict[str, Any], problems: list[Problem]
) -> dict[str, Settings]:
    settings = {}
    for key, room in _MONITOR_ROOMS.items():
        if isinstance(monitor.get(key), dict):
            settings[key] = _plugin_settings(document, (*key_path, key), room, problems)
        elif isinstance(monitor.get(key), str):
            problems.append(type_only_problem(document, (*key_path, key), plugins.names(room.package)))
            settings[key] = room.placeholder
    return settings


def _plugin_settings(document: Document, key_path: KeyPath, room: _Room, problems: list[Problem]) -> Settings:
    problem = name_problem(document, (*key_path, "type"), room.noun, plugins.names(room.package))
    if problem is not None:
        problems.append(problem)
        return room.placeholder
    name = str(document.value_at((*key_path, "type")))
    try:
        model = _plugin_model(room.package, name, type(room.placeholder))
    except (ImportError, DriftwatchError) as error:
        text = " ".join(str(error).split())
        problems.append(document.problem((*key_path, "type"), text.rstrip(".") + "."))
        return room.placeholder
    settings, model_errors = _validate_model(document, model, document.value_at(key_path), key_path)
    problems += model_errors
    return room.placeholder if settings is None else settings


def _plugin_model(package: str, name: str, base_model: type[S]) -> type[S]:
    model: object = plugins.load(package, name).CONFIG
    if (
        isinstance(model, type)
        and issubclass(model, base_model)
        and get_args(model.model_fields["type"].annotation) == (name,)
    ):
        return model
    text = f'expected CONFIG to be a subclass of {base_model.__name__} with type: Literal["{name}"].'
    raise plugins.unusable(package, name, text)
