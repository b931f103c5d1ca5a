"""Completes arguments and option values for a shell."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
from click.shell_completion import CompletionItem

from driftwatch.errors import ConfigError, DriftwatchError

if TYPE_CHECKING:
    from driftwatch.config.models import Config
    from driftwatch.store.database import Database
    from driftwatch.store.records import StoredIncident

T = TypeVar("T")

#: Windows in one list of completions: nobody chooses from a longer one.
_MAX_WINDOWS = 30


def files(_context: click.Context, _argument: click.Parameter, prefix: str) -> list[CompletionItem]:
    # The argument may be a glob, so it is no ``click.Path``, and the shell finds the files.
    return [CompletionItem(prefix, type="file")]


def monitor_names(context: click.Context, _option: click.Parameter, prefix: str) -> list[CompletionItem]:
    config = _config_of(context)
    return [
        CompletionItem(monitor.name, help=monitor.model.name or None)
        for monitor in (config.monitors if config else ())
        if monitor.name.startswith(prefix)
    ]


def detector_names(_context: click.Context, _option: click.Parameter, prefix: str) -> list[CompletionItem]:
    from driftwatch.core import plugins

    names = [name for name in plugins.names("detectors") if name.startswith(prefix)]
    return [CompletionItem(name, help=_first_line("detectors", name)) for name in names]


def _first_line(package: str, name: str) -> str:
    from driftwatch.core import plugins

    try:
        return (plugins.load(package, name).__doc__ or "").partition("\n")[0]
    except ConfigError as error:
        return str(error)


def window_ends(context: click.Context, _option: click.Parameter, prefix: str) -> list[CompletionItem]:
    from driftwatch.results import text_format
    from driftwatch.store.browsing import Browsing

    monitor, segment = _option_value(context, "monitor"), _option_value(context, "segment")
    if monitor is None:
        return []
    windows = _query_store(
        context, lambda store: Browsing(store).windows(monitor, segment, limit=_MAX_WINDOWS)
    )
    state_words = {str(state): text for state, text in text_format.STATE_WORDS.items()}
    items = [
        CompletionItem(_window_end(window.end), help=state_words.get(window.state)) for window in windows
    ]
    return [item for item in items if item.value.startswith(prefix)]


def incident_keys(context: click.Context, _option: click.Parameter, prefix: str) -> list[CompletionItem]:
    return _incident_items(context, prefix, lambda item: item.resolved_at is None)


def accepted_keys(context: click.Context, _option: click.Parameter, prefix: str) -> list[CompletionItem]:
    return _incident_items(context, prefix, lambda item: item.resolution == "accepted")


def _incident_items(
    context: click.Context, prefix: str, is_offered: Callable[[StoredIncident], bool]
) -> list[CompletionItem]:
    from driftwatch.monitor.column_labels import column_labels
    from driftwatch.results import text_format
    from driftwatch.store.tables.incident_table import IncidentTable

    monitor = _option_value(context, "monitor")
    if monitor is None:
        return []
    incidents = _query_store(context, lambda store: IncidentTable(store).of_monitor(monitor, only_open=False))
    return [
        CompletionItem(
            item.key,
            help=text_format.escape_invisible(", ".join(column_labels(item.columns))[:60]) or item.kind,
        )
        for item in reversed(incidents)
        if item.key.startswith(prefix) and is_offered(item)
    ]


def _window_end(end: int) -> str:
    from driftwatch.core.schema import iso

    # A bare day where possible: bash breaks words at colons.
    return iso(end).removesuffix("T00:00:00Z")


def _option_value(context: click.Context, option: str) -> str | None:
    value = context.params.get(option)
    if value is not None:
        return str(value)
    # The words that click left unparsed.
    for word, next_word in zip(context.args, [*context.args[1:], None], strict=True):
        if word == f"--{option}":
            return next_word
        if word.startswith(f"--{option}="):
            return word.partition("=")[2]
    return None


def _config_of(context: click.Context) -> Config | None:
    from driftwatch.config.load import load

    # click leaves the words unparsed when the line ends with an option that has no value yet.
    argument = context.params.get("config")
    path = argument or next((Path(word) for word in context.args if Path(word).is_file()), None)
    if path is None:
        return None
    try:
        return load(path)
    except (DriftwatchError, OSError):
        return None


def _query_store(context: click.Context, query: Callable[[Database], list[T]]) -> list[T]:
    from driftwatch.store.database import Database

    config = _config_of(context)
    if config is None:
        return []
    try:
        with closing(Database(config.storage.path, read_only=True)) as database:
            return query(database)
    except DriftwatchError:
        return []
