"""Parses a strict, bounded subset of YAML 1.2 and records the line of every value.

Anchors, aliases, tags, second documents and duplicate keys are refused. Base-60 numbers, yes, no, on, off
stay text (boolean options accept the last four). ``${NAME}`` is replaced by the environment's value.
Built from parse events, so that YAML constructs no objects.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from driftwatch.config._document import Document, KeyPath, Problem, value_text

#: Bounds against files that would fill the memory or the stack.
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
    """Read a file; errors are in the document's ``problems`` and never raised."""
    document = Document()
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError("is larger than 10 MB. Split it over several daemons")
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        document.problems.append(Problem(line=line, key_path=(), text="must be UTF-8 text. Got other bytes."))
    except ValueError as error:
        document.problems.append(Problem(line=1, key_path=(), text=f"{error}."))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        document.problems.append(
            Problem(line=1, key_path=(), text=f"cannot be read. Got {value_text(reason)}.")
        )
    else:
        _parse(text, document)
    return document


def _parse(text: str, document: Document) -> None:
    match = _FORBIDDEN.search(text)
    if match is not None:
        line = text.count("\n", 0, match.start()) + 1
        code_point = f"U+{ord(match[0]):04X}"
        document.problems.append(
            Problem(line=line, key_path=(), text=f"must hold no control characters. Got {code_point}.")
        )
        return
    try:
        _Builder(yaml.parse(text, Loader=_LOADER), document).build()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 1 if mark is None else mark.line + 1
        message = (error.problem or "something else").rstrip(".")
        document.problems.append(
            Problem(
                line=line, key_path=(), text=f"expected YAML. Got a syntax error: {message}.{_hint(message)}"
            )
        )
    except yaml.YAMLError as error:
        message = value_text(str(error).splitlines()[0] if str(error) else type(error).__name__)
        document.problems.append(Problem(line=1, key_path=(), text=f"expected YAML. Got {message}."))
    except _BoundExceeded as error:
        document.problems.append(
            Problem(line=error.line, key_path=(), text=f"expected at most {error}. Got more.")
        )


def _hint(message: str) -> str:
    if "\\t" in message or "cannot start any token" in message:
        return " Indent with spaces, not tabs; quote texts that begin with a special character."
    return " Look at the indentation, colons and quotes here and just above."


def _line(event: Any) -> int:
    line: int = event.start_mark.line + 1
    return line


class _BoundExceeded(Exception):
    def __init__(self, line: int, bound: str) -> None:
        super().__init__(bound)
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
                self._add_problem(event, (), "expected one YAML document. Got a second one after ---.")
                return
            if isinstance(event, yaml.NodeEvent):
                self._document.lines[()] = _line(event)
                self._document.value = self._node(event, ())

    def _add_problem(self, event: Any, key_path: KeyPath, text: str) -> None:
        problem = Problem(line=_line(event), key_path=key_path, text=text)
        self._document.problems.append(problem)

    def _node(self, event: Any, key_path: KeyPath) -> Any:
        if len(key_path) > MAX_DEPTH:
            raise _BoundExceeded(_line(event), f"{MAX_DEPTH} levels")
        if len(self._document.lines) > MAX_VALUES:
            raise _BoundExceeded(_line(event), f"{MAX_VALUES} values")
        if isinstance(event, yaml.AliasEvent):
            self._add_problem(
                event, key_path, f"must be written out; aliases are refused. Got {_anchor_text('*', event)}."
            )
            return None
        if event.anchor is not None:
            self._add_problem(event, key_path, f"must have no anchor. Got {_anchor_text('&', event)}.")
        if event.tag is not None:
            self._add_problem(event, key_path, f"must have no tag. Got {value_text(event.tag)}.")
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(key_path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(key_path)
        return self._scalar(event, key_path)

    def _mapping(self, key_path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            if not isinstance(event, yaml.ScalarEvent):
                self._add_problem(
                    event, key_path, "must have keys of plain text. Got something else as a key."
                )
                self._skip(event, key_path)
                continue
            if event.anchor is not None or event.tag is not None:
                self._add_problem(
                    event, key_path, f"must have keys without anchor and tag. Got {value_text(event.value)}."
                )
            value_path = (*key_path, event.value)
            if event.value in result:
                first_line = self._document.lines[value_path]
                text = f"duplicate key; it already stands on line {first_line}. Keep one."
                self._add_problem(event, value_path, text)
                self._skip(None, key_path)
                continue
            self._document.lines[value_path] = _line(event)
            result[event.value] = None
            result[event.value] = self._node(next(self._events), value_path)
        return result

    def _skip(self, key: Any, key_path: KeyPath) -> None:
        discarding_builder = _Builder(self._events, Document())
        # A key that is a collection is discarded too.
        if key is not None:
            discarding_builder._node(key, key_path)
        discarding_builder._node(next(self._events), key_path)

    def _sequence(self, key_path: KeyPath) -> list[Any]:
        result: list[Any] = []
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            item_path = (*key_path, len(result))
            self._document.lines[item_path] = _line(event)
            result.append(self._node(event, item_path))
        return result

    def _scalar(self, event: Any, key_path: KeyPath) -> Any:
        text: str = event.value
        if event.implicit[0]:
            value = _plain_value(text)
            if not isinstance(value, str):
                return value
        if "${" not in text:
            return text
        for name in dict.fromkeys(_VARIABLE.findall(text)):
            if name not in os.environ:
                self._add_problem(
                    event, key_path, f"expected the environment to have {name}. Got no such variable."
                )
        expanded_text = _VARIABLE.sub(lambda match: os.environ.get(match[1], ""), text)
        self._document.raw_texts[key_path] = text
        return expanded_text


def _anchor_text(sign: str, event: Any) -> str:
    return value_text(sign + str(event.anchor))


def _plain_value(text: str) -> Any:
    """Return the value of an unquoted scalar.

    >>> [_plain_value(text) for text in ("1e3", "12:30:00", "no", "2013-01-01", "007", "~")]
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
