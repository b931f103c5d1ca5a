"""Loads a configuration and reports all its errors at once, each with its line.

Relative paths start at the working directory, not at the file's folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import ValidationError

from driftwatch.config._checks import cross_problems
from driftwatch.config._document import Document, KeyPath, Problem, value_text
from driftwatch.config._messages import fill_empty, model_problems, name_problem, type_problems
from driftwatch.config._yaml import read
from driftwatch.config.models import Config
from driftwatch.core import plugins
from driftwatch.core.settings import Settings
from driftwatch.errors import ConfigError, DriftwatchError
from driftwatch.notify.base import NotifierConfig
from driftwatch.sources.base import SourceConfig

S = TypeVar("S", bound=Settings)


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
        config, model_errors = _validate(document)
        problems += model_errors
        problems += cross_problems(document)
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


def _validate(document: Document) -> tuple[Config | None, list[Problem]]:
    problems: list[Problem] = []
    data = dict(document.value)
    _validate_plugins(document, data, "monitors", problems)
    _validate_plugins(document, data, "notify", problems)
    config, model_errors = _validate_model(document, Config, data, ())
    for index, monitor in enumerate(config.monitors if config is not None else ()):
        base = ("monitors", index)
        monitor.set_raw_texts(
            {key_path[2:]: text for key_path, text in document.raw_texts.items() if key_path[:2] == base}
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


def _validate_plugins(document: Document, data: dict[str, Any], key: str, problems: list[Problem]) -> None:
    items = data.get(key)
    if not isinstance(items, list):
        return
    data[key] = settings = list(items)
    for index, item in enumerate(items):
        if key == "notify" and isinstance(item, dict):
            settings[index] = _plugin_settings(document, (key, index), problems)
        elif key == "monitors" and isinstance(item, dict) and isinstance(item.get("source"), dict):
            settings[index] = {**item, "source": _plugin_settings(document, (key, index, "source"), problems)}


def _plugin_settings(document: Document, key_path: KeyPath, problems: list[Problem]) -> Settings:
    package, what = ("notify", "notifier") if key_path[0] == "notify" else ("sources", "source")
    base_model = NotifierConfig if package == "notify" else SourceConfig
    # Takes the place of wrong settings, so that the rest is validated.
    placeholder = base_model.model_construct(type="")
    problem = name_problem(document, (*key_path, "type"), what, plugins.names(package))
    if problem is not None:
        problems.append(problem)
        return placeholder
    name = str(document.value_at((*key_path, "type")))
    try:
        model = _plugin_model(package, name, base_model)
    except (ImportError, DriftwatchError) as error:
        text = " ".join(str(error).split())
        problems.append(document.problem((*key_path, "type"), text.rstrip(".") + "."))
        return placeholder
    settings, model_errors = _validate_model(document, model, document.value_at(key_path), key_path)
    problems += model_errors
    return placeholder if settings is None else settings


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
