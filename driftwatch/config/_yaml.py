"""YAML as a configuration needs it: strict, bounded, and every value knows its line.

A subset of YAML 1.2: no anchors, aliases, tags or second documents, no duplicate keys, no base 60, and yes,
no, on, off stay text (an option that is true or false understands them). ``${NAME}`` in a text is replaced
by the environment's value. Built from parse events, so that nothing is constructed that was not asked for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from driftwatch.config._document import Document, Problem, Where, show

MAX_BYTES = 10 << 20
MAX_DEPTH = 20
MAX_VALUES = 200_000

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
# A leading zero is more often an identifier than an octal number: it stays text, as absurdly long ones do.
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,30})", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:[0-9]{1,30}\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?", re.ASCII)
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_FORBIDDEN = re.compile(r"[^\x09\x0A\x0D\x20-\x7E\x85\xA0-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")


def read(path: Path) -> Document:
    """Read a file. Never raises: whatever is wrong with it is in ``problems``."""
    document = Document()
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError("is larger than 10 MB. Split it over several daemons")
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        document.problems.append(Problem(line=line, where=(), text="must be UTF-8 text. Got other bytes."))
    except ValueError as error:
        document.problems.append(Problem(line=1, where=(), text=f"{error}."))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        document.problems.append(Problem(line=1, where=(), text=f"cannot be read. Got {show(reason)}."))
    else:
        _parse(text, document)
    return document


def _parse(text: str, document: Document) -> None:
    unprintable = _FORBIDDEN.search(text)
    if unprintable is not None:
        line = text.count("\n", 0, unprintable.start()) + 1
        got = f"U+{ord(unprintable[0]):04X}"
        document.problems.append(
            Problem(line=line, where=(), text=f"must hold no control characters. Got {got}.")
        )
        return
    try:
        _Builder(yaml.parse(text, Loader=_LOADER), document).build()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 1 if mark is None else mark.line + 1
        found = (error.problem or "something else").rstrip(".")
        document.problems.append(
            Problem(line=line, where=(), text=f"expected YAML. Got a syntax error: {found}.{_hint(found)}")
        )
    except yaml.YAMLError as error:
        found = show(str(error).splitlines()[0] if str(error) else type(error).__name__)
        document.problems.append(Problem(line=1, where=(), text=f"expected YAML. Got {found}."))
    except _TooMuch as error:
        document.problems.append(
            Problem(line=error.line, where=(), text=f"expected at most {error}. Got more.")
        )


def _hint(found: str) -> str:
    if "\\t" in found or "cannot start any token" in found:
        return " Indent with spaces, not tabs; quote texts that begin with a special character."
    return " Look at the indentation, colons and quotes here and just above."


def _line(event: Any) -> int:
    line: int = event.start_mark.line + 1
    return line


class _TooMuch(Exception):
    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line


class _Builder:
    def __init__(self, events: Iterator[Any], document: Document) -> None:
        self._events = events
        self._document = document

    def build(self) -> None:
        next(self._events)
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
            if documents > 1:
                self._complain(event, (), "expected one YAML document. Got a second one after ---.")
                return
            if isinstance(event, yaml.NodeEvent):
                self._document.lines[()] = _line(event)
                self._document.value = self._node(event, ())

    def _complain(self, event: Any, where: Where, text: str) -> None:
        problem = Problem(line=_line(event), where=where, text=text)
        self._document.problems.append(problem)

    def _node(self, event: Any, where: Where) -> Any:
        if len(where) > MAX_DEPTH:
            raise _TooMuch(_line(event), f"{MAX_DEPTH} levels")
        if len(self._document.lines) > MAX_VALUES:
            raise _TooMuch(_line(event), f"{MAX_VALUES} values")
        if isinstance(event, yaml.AliasEvent):
            self._complain(event, where, f"must be written out; aliases are refused. Got {_cut('*', event)}.")
            return None
        if event.anchor is not None:
            self._complain(event, where, f"must have no anchor. Got {_cut('&', event)}.")
        if event.tag is not None:
            self._complain(event, where, f"must have no tag. Got {show(event.tag)}.")
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(where)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(where)
        return self._scalar(event, where)

    def _mapping(self, where: Where) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            if not isinstance(event, yaml.ScalarEvent):
                self._complain(event, where, "must have keys of plain text. Got something else as a key.")
                self._skip(event, where)
                continue
            if event.anchor is not None or event.tag is not None:
                self._complain(
                    event, where, f"must have keys without anchor and tag. Got {show(event.value)}."
                )
            below = (*where, event.value)
            if event.value in result:
                first = self._document.lines[below]
                self._complain(event, below, f"duplicate key; it already stands on line {first}. Keep one.")
                self._skip(None, where)
                continue
            self._document.lines[below] = _line(event)
            result[event.value] = None
            result[event.value] = self._node(next(self._events), below)
        return result

    def _skip(self, key: Any, where: Where) -> None:
        """Read past a key that is a collection, and past its value, remembering nothing."""
        aside = _Builder(self._events, Document())
        if key is not None:
            aside._node(key, where)
        aside._node(next(self._events), where)

    def _sequence(self, where: Where) -> list[Any]:
        result: list[Any] = []
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            below = (*where, len(result))
            self._document.lines[below] = _line(event)
            result.append(self._node(event, below))
        return result

    def _scalar(self, event: Any, where: Where) -> Any:
        text: str = event.value
        if event.implicit[0]:
            value = _resolve(text)
            if not isinstance(value, str):
                return value
        if "${" not in text:
            return text
        for name in dict.fromkeys(_VARIABLE.findall(text)):
            if name not in os.environ:
                self._complain(
                    event, where, f"expected the environment to have {name}. Got no such variable."
                )
        expanded = _VARIABLE.sub(lambda match: os.environ.get(match[1], ""), text)
        self._document.written[where] = text
        return expanded


def _cut(mark: str, event: Any) -> str:
    return show(mark + str(event.anchor))


def _resolve(text: str) -> Any:
    """The value of a plain scalar.

    >>> [_resolve(text) for text in ("1e3", "12:30:00", "no", "2013-01-01", "007", "~")]
    [1000.0, '12:30:00', 'no', '2013-01-01', '007', None]
    """
    if text in _NULL:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and text.strip("+-0123456789"):
        return float(text)
    return text
