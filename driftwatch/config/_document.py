"""A configuration file's values with line numbers, and their form in errors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

#: Keys and list indices from the top of the file.
KeyPath = tuple[str | int, ...]

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,63}")
_URL = re.compile(r"(?P<scheme>\w[\w+.-]*://)(?P<host>[^/?#@]*)(?P<rest>.*)", re.DOTALL)
#: Characters of a text in an error.
_MAX_TEXT_CHARS = 60
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    line: int
    key_path: KeyPath
    #: Ends with a full stop.
    text: str


@dataclass(slots=True, kw_only=True)
class Document:
    """A file's values, the line of every key and item, and the errors of its YAML.

    Errors show ``raw_texts``, where variables are not replaced, so that no secret from the environment is
    printed.
    """

    value: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    raw_texts: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, key_path: KeyPath) -> int:
        """Return the line of a key path, or of its nearest parent in the file."""
        for length in range(len(key_path), -1, -1):
            if key_path[:length] in self.lines:
                return self.lines[key_path[:length]]
        return 1

    def value_at(self, key_path: KeyPath) -> Any:
        value = self.value
        for part in key_path:
            is_item = isinstance(value, list) and isinstance(part, int) and part < len(value)
            if not is_item and not (isinstance(value, dict) and part in value):
                return None
            value = value[part]
        return value

    def text_at(self, key_path: KeyPath) -> str:
        return value_text(self.raw_texts.get(key_path, self.value_at(key_path)))

    def path_text(self, key_path: KeyPath) -> str:
        """Format a key path as ``monitors.fraud.window.length``; list items appear by name or index."""
        text = ""
        for index, part in enumerate(key_path):
            if isinstance(part, int):
                item = self.value_at(key_path[: index + 1])
                name = item.get("name") if index == 1 and isinstance(item, dict) else None
                has_variable = (*key_path[: index + 1], "name") in self.raw_texts
                is_plain = isinstance(name, str) and not has_variable and _PLAIN_NAME.fullmatch(name)
                text += f".{name}" if is_plain else f"[{part}]"
            else:
                text += "." + (part if _PLAIN_KEY.fullmatch(part) else value_text(part))
        return text.lstrip(".")

    def problem(self, key_path: KeyPath, text: str) -> Problem:
        return Problem(line=self.line(key_path), key_path=key_path, text=text)

    def walk(self, key_path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
        """Yield the key path and value of everything below a key path, parents before children."""
        value = self.value_at(key_path)
        yield key_path, value
        keys: Any = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        for key in keys:
            yield from self.walk((*key_path, key))


def _public_part(host: str, rest: str) -> str:
    if "@" in rest:
        return "…"
    return host + ("/…" if rest.strip("/") else "")


def value_text(value: Any) -> str:
    """Format a value as a short printable line; a URL is cut to scheme and host: the rest may be secret."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if isinstance(value, str):
        match = _URL.fullmatch(value)
        if match is not None:
            value = match["scheme"] + _public_part(match["host"], match["rest"])
        head = value if len(value) <= _MAX_TEXT_CHARS else value[: _MAX_TEXT_CHARS - 1] + "…"
        quoted = json.dumps(head, ensure_ascii=False)
        return "".join(char if char.isprintable() else "�" for char in quoted)
    return json.dumps(value)
