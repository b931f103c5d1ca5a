"""Checks that span several keys: names, addresses, secret files, detectors."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from driftwatch.config._document import Document, KeyPath, Problem, value_text
from driftwatch.config._messages import name_problem
from driftwatch.config.models import StorageConfig, WebConfig
from driftwatch.core import plugins
from driftwatch.core.schema import Role
from driftwatch.engines.base import Capability, EngineConfig
from driftwatch.errors import ConfigError, DriftwatchError

_PUBLIC_FILES = ("cert_file", "ca_file")
_MAX_PORT = 65535


def cross_problems(document: Document) -> Iterator[Problem]:
    """Yield problems that concern several keys, from raw values, so that keys with errors do not matter."""
    yield from _duplicate_names(document, "monitors", ("name",), "a name of its own")
    yield from _duplicate_names(document, "notify", ("name", "type"), "a name of its own (key: name)")
    yield from _listen_problems(document)
    yield from _secret_files(document)
    for key_path in _items(document, "monitors"):
        has_sample = Capability.ROW_SAMPLE in _capabilities(document, (*key_path, "engine"))
        yield from _detectors(document, key_path, has_sample)
        if not has_sample:
            yield from _missing_sample(document, key_path)
        yield from _messages_as_time(document, key_path)
        yield from _duplicate_settings(document, key_path)
        yield from _missing_time_column(document, key_path)
        yield from _format_without_column(document, key_path)
        yield from _unwatched_selftest(document, key_path)


def _items(document: Document, key: str) -> Iterator[KeyPath]:
    items = document.value_at((key,))
    if isinstance(items, list):
        yield from ((key, index) for index, item in enumerate(items) if isinstance(item, dict))


def _duplicate_names(
    document: Document, key: str, name_keys: tuple[str, ...], expected: str
) -> Iterator[Problem]:
    lines: dict[str, int] = {}
    for key_path in _items(document, key):
        name_paths = ((*key_path, name_key) for name_key in name_keys)
        name_path = next((path for path in name_paths if document.value_at(path)), None)
        name = None if name_path is None else document.value_at(name_path)
        if name_path is None or not isinstance(name, str):
            continue
        if name in lines:
            text = f"must be {expected}; line {lines[name]} has the same. Got {document.text_at(name_path)}."
            yield document.problem(name_path, text)
        lines.setdefault(name, document.line(name_path))


def _listen_problems(document: Document) -> Iterator[Problem]:
    web: Any = document.value_at(("web",))
    key_path = ("web", "listen")
    has_listen = isinstance(web, dict) and "listen" in web
    try:
        config = WebConfig(listen=document.value_at(key_path)) if has_listen else WebConfig()
    except ValidationError:
        return
    if config.port > _MAX_PORT:
        yield document.problem(
            key_path, f"must end in a port of 0 to {_MAX_PORT}. Got {document.text_at(key_path)}."
        )
    if config.loopback or (isinstance(web, dict) and (web.get("tls") or web.get("auth"))):
        return
    text = "must be a loopback address such as 127.0.0.1:9877, or web.auth or web.tls must be set"
    yield document.problem(key_path, f"{text}. Got {document.text_at(key_path)}.")


def _secret_files(document: Document) -> Iterator[Problem]:
    for key_path, value in document.walk():
        if key_path and isinstance(value, str) and str(key_path[-1]).endswith("_file"):
            text = _file_problem(value, is_secret=key_path[-1] not in _PUBLIC_FILES)
            if text:
                yield document.problem(key_path, f"{text}. Got {document.text_at(key_path)}.")


def _file_problem(name: str, *, is_secret: bool) -> str:
    try:
        status = Path(name).stat()
        is_readable = os.access(name, os.R_OK)
    except (OSError, ValueError):
        return "must name a file that exists (relative paths start at the working directory)"
    if not stat.S_ISREG(status.st_mode):
        return "must name a file, not a directory or device"
    if not is_readable:
        return "must name a file that this user may read"
    if status.st_size == 0:
        return "must name a file that is not empty"
    if is_secret and status.st_mode & stat.S_IROTH:
        mode = stat.S_IMODE(status.st_mode)
        return f"must not be readable by everybody (its mode is {mode:04o}); run chmod 600 on it"
    return ""


def _capabilities(document: Document, key_path: KeyPath) -> frozenset[Capability]:
    settings = document.value_at(key_path)
    if not isinstance(settings, dict):
        return frozenset(Capability)
    try:
        config: EngineConfig = plugins.load("engines", str(settings.get("type"))).CONFIG.model_validate(
            settings
        )
    except (ImportError, AttributeError, DriftwatchError, ValidationError):
        # The error is reported at the engine itself.
        return frozenset(Capability)
    return config.capabilities


def _missing_sample(document: Document, key_path: KeyPath) -> Iterator[Problem]:
    sample_path = ("storage", "row_sample")
    try:
        wants_sample = StorageConfig(row_sample=document.value_at(sample_path) or False).row_sample
    except ValidationError:
        return
    if wants_sample:
        text = f"must be an engine that keeps a row sample, since line {document.line(sample_path)} sets"
        name = document.text_at((*key_path, "engine", "type"))
        yield document.problem(
            (*key_path, "engine", "type"), f"{text} storage.row_sample. Got {name}, which keeps none."
        )


def _messages_as_time(document: Document, key_path: KeyPath) -> Iterator[Problem]:
    # The source skips rows by their event time, without looking into messages.
    column_path = (*key_path, "decode", "column")
    column = document.value_at(column_path)
    if column is not None and column == document.value_at((*key_path, "source", "time_column")):
        text = "must be another column than source.time_column: the event time stands beside the messages"
        yield document.problem(column_path, f"{text}. Got {document.text_at(column_path)}.")


def _detectors(document: Document, key_path: KeyPath, has_sample: bool) -> Iterator[Problem]:
    list_path = (*key_path, "detectors")
    names = document.value_at(list_path)
    if names is None:
        yield from _unusable_defaults(document, list_path)
    if not isinstance(names, list):
        return
    if not names:
        yield document.problem(
            list_path, "must name at least one detector, or be left out for all. Got an empty list."
        )
    available = plugins.names("detectors")
    for index, name in enumerate(names):
        problem = name_problem(document, (*list_path, index), "detector", available)
        if problem is not None:
            yield problem
        elif name in names[:index]:
            yield document.problem((*list_path, index), f"must be listed once. Got {value_text(name)} again.")
        elif name in plugins.outside_names("detectors") and (text := _unusable(name)):
            yield document.problem((*list_path, index), text)
    if names and all(name in available and not _can_page(name, has_sample) for name in names):
        paging = ", ".join(name for name in available if _can_page(name, has_sample))
        listed = ", ".join(dict.fromkeys(names))
        text = f"must name at least one detector that can page ({paging}). Got only {listed}, which"
        if any(_can_page(name, has_sample=True) for name in names):
            engine = document.text_at((*key_path, "engine", "type"))
            yield document.problem(
                list_path, f"{text} cannot page with the engine {engine}: it keeps no row sample."
            )
        else:
            yield document.problem(list_path, f"{text} measure and can never page.")


def _unusable_defaults(document: Document, list_path: KeyPath) -> Iterator[Problem]:
    texts = [text for name in plugins.outside_names("detectors") if (text := _unusable(name))]
    if texts:
        yield document.problem(
            list_path, f"must name the detectors to run, because all cannot: {' '.join(texts)}"
        )


def _unusable(name: str) -> str:
    # Detectors load slowly, so only a configuration that needs one does it.
    from driftwatch.detectors.base import get

    try:
        get(name)
    except ConfigError as error:
        return str(error)
    return ""


def _can_page(name: str, has_sample: bool) -> bool:
    # A detector that cannot be used is reported already.
    from driftwatch.detectors.base import traits_of

    traits = traits_of(name)
    return not traits.name or (traits.evidence and (has_sample or not traits.sums))


def _missing_time_column(document: Document, key_path: KeyPath) -> Iterator[Problem]:
    # Without event time a file that nobody writes any more would be new traffic in every window.
    column_path = (*key_path, "source", "time_column")
    if isinstance(document.value_at(column_path[:-1]), dict) and document.value_at(column_path) in (None, ""):
        text = (
            "is required: production is cut into windows of event time. Name the column that holds it; a "
            "folder key such as date (date=2026-01-31) will do."
        )
        yield document.problem(column_path, text)


def _format_without_column(document: Document, key_path: KeyPath) -> Iterator[Problem]:
    # Which column has the format is known only if it is named.
    format_path = (*key_path, "reference", "time_format")
    column_path = (*key_path, "reference", "time_column")
    if document.value_at(format_path) and document.value_at(column_path) in (None, ""):
        line = document.line(format_path)
        text = f"is required beside time_format (line {line}), which is the format of its times."
        yield document.problem(column_path, text)


def _unwatched_selftest(document: Document, key_path: KeyPath) -> Iterator[Problem]:
    # A fault in an unwatched column is never detected.
    column_path = (*key_path, "selftest", "column")
    name = document.value_at(column_path)
    role = document.value_at((*key_path, "columns", name, "role")) if isinstance(name, str) else None
    if role in [item.value for item in Role if not item.watched]:
        line = document.line((*key_path, "columns", name, "role"))
        text = f"must be a column that is watched; line {line} gives it the role {role}"
        yield document.problem(column_path, f"{text}. Got {document.text_at(column_path)}.")


def _duplicate_settings(document: Document, key_path: KeyPath) -> Iterator[Problem]:
    alarm = document.value_at((*key_path, "alarm"))
    for key in ("tolerance", "min_effect"):
        if isinstance(alarm, dict) and key in alarm and document.value_at((*key_path, key)) is not None:
            line = document.line((*key_path, "alarm", key))
            text = (
                f"must be set once; line {line} sets alarm.{key}. Got {document.text_at((*key_path, key))}."
            )
            yield document.problem((*key_path, key), text)
