"""A configuration file as values that know their lines, and how they are shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Where = tuple[str | int, ...]

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,63}")
_ADDRESS = re.compile(r"(?P<scheme>\w[\w+.-]*://)(?P<host>[^/?#@]*)(?P<rest>.*)", re.DOTALL)
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong at one place; ``text`` ends with a full stop."""

    line: int
    where: Where
    text: str


@dataclass(slots=True, kw_only=True)
class Document:
    """The file as plain values, with the line of every key and item and what was wrong with the YAML itself.

    ``written`` holds the texts in which a variable was replaced, as they stand in the file: errors show
    these, so that a secret from the environment is never printed.
    """

    value: Any = None
    lines: dict[Where, int] = field(default_factory=dict)
    written: dict[Where, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, where: Where) -> int:
        """Line of the nearest thing at or above ``where`` that stands in the file."""
        for length in range(len(where), -1, -1):
            if where[:length] in self.lines:
                return self.lines[where[:length]]
        return 1

    def at(self, where: Where) -> Any:
        """The value at ``where``, None when there is none."""
        value = self.value
        for part in where:
            inside = isinstance(value, list) and isinstance(part, int) and part < len(value)
            if not inside and not (isinstance(value, dict) and part in value):
                return None
            value = value[part]
        return value

    def got(self, where: Where) -> str:
        """The value at ``where`` as it may be shown."""
        return show(self.written.get(where, self.at(where)))

    def path(self, where: Where) -> str:
        """``monitors.fraud.window.length``: list items by their name where they have a plain one."""
        text = ""
        for index, part in enumerate(where):
            if isinstance(part, int):
                item = self.at(where[: index + 1])
                name = item.get("name") if index == 1 and isinstance(item, dict) else None
                hidden = (*where[: index + 1], "name") in self.written
                plain = isinstance(name, str) and not hidden and _PLAIN_NAME.fullmatch(name)
                text += f".{name}" if plain else f"[{part}]"
            else:
                text += "." + (part if _PLAIN_KEY.fullmatch(part) else show(part))
        return text.lstrip(".")

    def problem(self, where: Where, text: str) -> Problem:
        """A problem at ``where``."""
        return Problem(line=self.line(where), where=where, text=text)

    def walk(self, where: Where = ()) -> Iterator[tuple[Where, Any]]:
        """Every place and its value, outermost first."""
        value = self.at(where)
        yield where, value
        keys: Any = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        for key in keys:
            yield from self.walk((*where, key))


def _public(host: str, rest: str) -> str:
    if "@" in rest:
        return "…"
    return host + ("/…" if rest.strip("/") else "")


def show(value: Any) -> str:
    """A value on one short printable line; of an address only whom it names, for the rest may be a secret."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if isinstance(value, str):
        address = _ADDRESS.fullmatch(value)
        if address is not None:
            value = address["scheme"] + _public(address["host"], address["rest"])
        cut = value if len(value) <= 60 else value[:59] + "…"
        quoted = json.dumps(cut, ensure_ascii=False)
        return "".join(mark if mark.isprintable() else "�" for mark in quoted)
    return json.dumps(value)
