"""Loading a configuration: all that is wrong with it at once, each with its line.

Relative paths in the file start at the working directory of the process, as they would in a shell, not at
the file's folder: ``./driftwatch-data`` is where ``driftwatch`` was started.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from driftwatch.config._checks import cross_problems
from driftwatch.config._document import Document, Problem, Where, show
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
    """The configuration in a file.

    Raises ``ConfigError`` with every problem, one line each: ``file:line: path: what was expected. Got X.``
    Opens nothing but the file itself and looks at the secret files it names.
    """
    file = Path(path)
    document = read(file)
    problems = list(document.problems)
    config: Config | None = None
    if document.value is None and not problems:
        problems.append(document.problem((), "expected a configuration. Got an empty file."))
    elif document.value is not None and not isinstance(document.value, dict):
        problems.append(document.problem((), f"expected a mapping. Got {show(document.value)}."))
    elif document.value is not None:
        fill_empty(document, Config)
        config, found = _validate(document)
        problems += found
        problems += cross_problems(document)
    lines = _lines(file, document, problems)
    if lines or config is None:
        raise ConfigError(lines)
    return config


def check(path: Path | str) -> list[str]:
    """Every problem of a file, one line each; empty when ``load`` would succeed."""
    try:
        load(path)
    except ConfigError as error:
        return error.problems
    return []


def _lines(file: Path, document: Document, problems: list[Problem]) -> list[str]:
    """Sorted by line, one problem per place: the first to speak, YAML before types before values."""
    kept: list[Problem] = []
    seen: set[Where] = set()
    for problem in problems:
        if not problem.where or problem.where not in seen:
            kept.append(problem)
        seen.add(problem.where)
    texts = []
    for problem in sorted(kept, key=lambda item: item.line):
        path = f"{document.path(problem.where)}: " if problem.where else ""
        texts.append(f"{file}:{problem.line}: {path}{problem.text}")
    return texts


def _validate(document: Document) -> tuple[Config | None, list[Problem]]:
    problems: list[Problem] = []
    data = dict(document.value)
    _each(document, data, "monitors", problems)
    _each(document, data, "notify", problems)
    config, found = _model(document, Config, data, ())
    for index, monitor in enumerate(config.monitors if config is not None else ()):
        own = ("monitors", index)
        monitor.remember({where[2:]: text for where, text in document.written.items() if where[:2] == own})
    return config, problems + found


def _model(document: Document, model: type[S], data: Any, where: Where) -> tuple[S | None, list[Problem]]:
    bent = list(type_problems(document, model, where))
    try:
        return model.model_validate(data), bent
    except ValidationError as error:
        return None, [*model_problems(document, error, model, where), *bent]


def _each(document: Document, data: dict[str, Any], key: str, problems: list[Problem]) -> None:
    """Put validated plugin settings in the place of their mappings."""
    items = data.get(key)
    if not isinstance(items, list):
        return
    data[key] = changed = list(items)
    for index, item in enumerate(items):
        if key == "notify" and isinstance(item, dict):
            changed[index] = _plugin(document, (key, index), problems)
        elif key == "monitors" and isinstance(item, dict) and isinstance(item.get("source"), dict):
            changed[index] = {**item, "source": _plugin(document, (key, index, "source"), problems)}


def _plugin(document: Document, where: Where, problems: list[Problem]) -> Settings:
    """The plugin's own settings; a stand-in when they are wrong, so that the rest is still looked at."""
    package, what = ("notify", "notifier") if where[0] == "notify" else ("sources", "source")
    stand_in = NotifierConfig if package == "notify" else SourceConfig
    placeholder = stand_in.model_construct(type="")
    wrong = name_problem(document, (*where, "type"), what, plugins.names(package))
    if wrong is not None:
        problems.append(wrong)
        return placeholder
    name = str(document.at((*where, "type")))
    try:
        model: type[Settings] = plugins.load(package, name).CONFIG
    except (ImportError, AttributeError, DriftwatchError) as error:
        text = f"{what} {show(name)} cannot be used: {' '.join(str(error).split())}"
        problems.append(document.problem((*where, "type"), text.rstrip(".") + "."))
        return placeholder
    settings, found = _model(document, model, document.at(where), where)
    problems += found
    return placeholder if settings is None else settings
