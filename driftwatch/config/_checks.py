"""What no single key can know: names that must differ, sockets that need a lock, secrets on disk."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from driftwatch.config._document import Document, Problem, Where, show
from driftwatch.config._messages import name_problem
from driftwatch.config.models import WebConfig
from driftwatch.core import plugins
from driftwatch.core.schema import Role

_PUBLIC_FILES = ("cert_file", "ca_file")
_HIGHEST_PORT = 65535


def cross_problems(document: Document) -> Iterator[Problem]:
    """Problems between keys. Reads raw values, so that it also works beside other errors."""
    yield from _twice(document, "monitors", ("name",), "a name of its own")
    yield from _twice(document, "notify", ("name", "type"), "a name of its own (key: name)")
    yield from _listening(document)
    yield from _secrets(document)
    for where in _items(document, "monitors"):
        yield from _detectors(document, where)
        yield from _said_twice(document, where)
        yield from _untimed(document, where)
        yield from _untested(document, where)


def _items(document: Document, key: str) -> Iterator[Where]:
    items = document.at((key,))
    if isinstance(items, list):
        yield from ((key, index) for index, item in enumerate(items) if isinstance(item, dict))


def _twice(document: Document, key: str, names: tuple[str, ...], what: str) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for where in _items(document, key):
        place = next(((*where, name) for name in names if document.at((*where, name))), None)
        name = None if place is None else document.at(place)
        if place is None or not isinstance(name, str):
            continue
        if name in seen:
            text = f"must be {what}; line {seen[name]} has the same. Got {document.got(place)}."
            yield document.problem(place, text)
        seen.setdefault(name, document.line(place))


def _listening(document: Document) -> Iterator[Problem]:
    web: Any = document.at(("web",))
    where = ("web", "listen")
    try:
        listen = (
            WebConfig(listen=document.at(where)) if isinstance(web, dict) and "listen" in web else WebConfig()
        )
    except ValidationError:
        return
    if listen.port > _HIGHEST_PORT:
        yield document.problem(
            where, f"must end in a port of 0 to {_HIGHEST_PORT}. Got {document.got(where)}."
        )
    if listen.loopback or (isinstance(web, dict) and (web.get("tls") or web.get("auth"))):
        return
    text = "must be a loopback address such as 127.0.0.1:9877, or web.auth or web.tls must be set"
    yield document.problem(where, f"{text}. Got {document.got(where)}.")


def _secrets(document: Document) -> Iterator[Problem]:
    for where, value in document.walk():
        if where and isinstance(value, str) and str(where[-1]).endswith("_file"):
            text = _secret_problem(value, secret=where[-1] not in _PUBLIC_FILES)
            if text:
                yield document.problem(where, f"{text}. Got {document.got(where)}.")


def _secret_problem(name: str, *, secret: bool) -> str:
    try:
        status = Path(name).stat()
        readable = os.access(name, os.R_OK)
    except (OSError, ValueError):
        return "must name a file that exists (relative paths start at the working directory)"
    if not stat.S_ISREG(status.st_mode):
        return "must name a file, not a directory or device"
    if not readable:
        return "must name a file that this user may read"
    if status.st_size == 0:
        return "must name a file that is not empty"
    if secret and status.st_mode & stat.S_IROTH:
        mode = stat.S_IMODE(status.st_mode)
        return f"must not be readable by everybody (its mode is {mode:04o}); run chmod 600 on it"
    return ""


def _detectors(document: Document, where: Where) -> Iterator[Problem]:
    place = (*where, "detectors")
    listed = document.at(place)
    if not isinstance(listed, list):
        return
    if not listed:
        yield document.problem(
            place, "must name at least one detector, or be left out for all. Got an empty list."
        )
    known = plugins.names("detectors")
    for index, name in enumerate(listed):
        problem = name_problem(document, (*place, index), "detector", known)
        if problem is not None:
            yield problem
        elif name in listed[:index]:
            yield document.problem((*place, index), f"must be listed once. Got {show(name)} again.")
    if listed and all(name in known and not _evidence(name) for name in listed):
        telling = ", ".join(name for name in known if _evidence(name))
        measured = ", ".join(dict.fromkeys(listed))
        text = f"must name at least one detector that can page ({telling})"
        yield document.problem(place, f"{text}. Got only {measured}, which measure and can never page.")


def _evidence(name: str) -> bool:
    """True when a page can come of the detector. One that cannot be imported says so where it is used."""
    try:
        return bool(plugins.load("detectors", name).DETECTOR.evidence)
    except (ImportError, AttributeError):
        return True


def _untimed(document: Document, where: Where) -> Iterator[Problem]:
    """Without event time a file that nobody writes any more would be new traffic in every window."""
    place = (*where, "source", "time_column")
    if isinstance(document.at(place[:-1]), dict) and document.at(place) in (None, ""):
        text = (
            "is required: production is cut into windows of event time. Name the column that holds it; a "
            "folder key such as date (date=2026-01-31) will do."
        )
        yield document.problem(place, text)


def _untested(document: Document, where: Where) -> Iterator[Problem]:
    """A self-test of a column that the file itself says not to watch would never find anything."""
    place = (*where, "selftest", "column")
    name = document.at(place)
    role = document.at((*where, "columns", name, "role")) if isinstance(name, str) else None
    if role in [item.value for item in Role if not item.watched]:
        line = document.line((*where, "columns", name, "role"))
        text = f"must be a column that is watched; line {line} gives it the role {role}"
        yield document.problem(place, f"{text}. Got {document.got(place)}.")


def _said_twice(document: Document, where: Where) -> Iterator[Problem]:
    alarm = document.at((*where, "alarm"))
    for key in ("tolerance", "min_effect"):
        if isinstance(alarm, dict) and key in alarm and document.at((*where, key)) is not None:
            line = document.line((*where, "alarm", key))
            text = f"must be set once; line {line} sets alarm.{key}. Got {document.got((*where, key))}."
            yield document.problem((*where, key), text)
