"""Hashes of what a history leaves behind: tables and their columns, fields of verdicts, steps, output."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: What no hash covers, each with its reason. Of the store nothing is left out: its times are the injected
#: clock's, its paths are relative to the run's folder, and all files have one fixed time of change.
LEFT_OUT: Mapping[str, str] = {
    "duration_seconds and read_seconds of the tally": "are wall-clock durations; no table holds them",
    "standard error of verbs": "shows progress, and notes for people",
}
#: Hexadecimal digits of a hash, and of the hash of one step.
DIGITS, STEP_DIGITS = 16, 6
#: Kinds of hashes, as messages name them.
TABLES, FIELDS, VERBS, TALLY = "tables", "fields of verdicts", "output of verbs", "tally"
#: Verbs whose objects are large, so that each key has a hash of its own.
_LARGE = ("backtest", "compare", "explain")

#: What a step leaves in the store; the parameter is the moment of the step before it.
_STEPS: Mapping[str, tuple[str, ...]] = {
    "verdicts": ("SELECT * FROM verdicts WHERE window_end > ? ORDER BY monitor, segment, window_end",),
    "evidence": ("SELECT * FROM tracks WHERE ? >= 0 ORDER BY monitor, segment",),
    "incidents": (
        "SELECT * FROM incidents WHERE ? >= 0 ORDER BY key",
        "SELECT * FROM outbox WHERE ? >= 0 ORDER BY id",
        "SELECT * FROM acknowledgements WHERE ? >= 0 ORDER BY id",
    ),
}
_COUNTS: Mapping[str, str] = {
    "verdicts": "SELECT state, count(*) FROM verdicts GROUP BY state",
    "incidents": "SELECT coalesce(resolution, 'open'), count(*) FROM incidents GROUP BY resolution",
    "values of": "SELECT json_extract(item.value, '$.detector'), count(json_extract(item.value, '$.value'))"
    " FROM verdicts, json_each(verdicts.content, '$.statistics') AS item GROUP BY 1",
}


def digest(values: Iterable[Any], digits: int = DIGITS) -> str:
    """The hash covers SQLite values with their types and lengths, floats and blobs bit for bit."""
    whole = hashlib.sha256()
    for value in values:
        text = value.hex() if isinstance(value, float) else value
        data = text if isinstance(text, bytes) else str(text).encode()
        whole.update(f"{type(value).__name__} {len(data)} ".encode())
        whole.update(data)
    return whole.hexdigest()[:digits]


def json_digest(value: Any, digits: int = DIGITS) -> str:
    """The hash covers a JSON value without the order of its keys."""
    return digest([json.dumps(value, sort_keys=True)], digits)


@dataclass(slots=True, kw_only=True)
class Hashes:
    """One run holds hashes by kind and name, short hashes of each kind of step, and counts for readers."""

    parts: dict[str, dict[str, str]] = field(default_factory=dict)
    moments: list[str] = field(default_factory=list)
    steps: dict[str, list[str]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, kind: str, name: str, value: str) -> None:
        """Keep one hash."""
        self.parts.setdefault(kind, {})[name] = value

    def add_step(self, store: sqlite3.Connection, moment: str, start: int, gauges: Any) -> None:
        """Keep the hashes of what one move of the clock left in the store."""
        self.moments.append(moment)
        for kind, queries in _STEPS.items():
            rows = [row for query in queries for row in store.execute(query, (start,))]
            self.steps.setdefault(kind, []).append(digest(_flat(rows), STEP_DIGITS))
        self.steps.setdefault("gauges", []).append(json_digest(gauges, STEP_DIGITS))

    def add_output(self, line: str, code: int, text: str) -> None:
        """Keep the hash of what a verb printed, and of each key of a large object."""
        self.add(VERBS, line, digest([code, text]))
        if line.startswith(_LARGE):
            for key, value in json.loads(text).items():
                self.add(VERBS, f"{line}: {key}", json_digest(value))

    def add_store(self, store: sqlite3.Connection) -> None:
        """Keep the hashes of the schema, of all tables and their columns, and of all fields of verdicts."""
        schema = store.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name").fetchall()
        texts = [(kind, name, " ".join((sql or "").split())) for kind, name, sql in schema]
        self.add(TABLES, "schema", digest([*_flat(texts), *store.execute("PRAGMA user_version").fetchone()]))
        for kind, name, _ in schema:
            if kind == "table":
                self._add_table(store, name)
        self._add_fields(store)
        for subject, query in _COUNTS.items():
            self.counts |= {f"{subject} {name}": count for name, count in store.execute(query)}

    def _add_table(self, store: sqlite3.Connection, name: str) -> None:
        columns = store.execute("SELECT name, pk FROM pragma_table_info(?) ORDER BY cid", (name,)).fetchall()
        order = ", ".join(column for column, rank in sorted(columns, key=lambda item: item[1]) if rank)
        rows = store.execute(f"SELECT * FROM {name} ORDER BY {order or 'rowid'}").fetchall()
        self.counts[f"rows of {name}"] = len(rows)
        self.add(TABLES, name, digest(_flat(rows)))
        for place, (column, _) in enumerate(columns):
            self.add(TABLES, f"{name}.{column}", digest(row[place] for row in rows))

    def _add_fields(self, store: sqlite3.Connection) -> None:
        query = "SELECT content FROM verdicts ORDER BY monitor, segment, window_end"
        verdicts = [json.loads(text) for (text,) in store.execute(query)]
        for name in sorted({name for verdict in verdicts for name in verdict}):
            self.add(FIELDS, name, json_digest([verdict.get(name) for verdict in verdicts]))

    def to_json(self) -> dict[str, Any]:
        """The object has one hash of all, and what says where two runs differ."""
        steps = {kind: " ".join(hashes) for kind, hashes in self.steps.items()}
        return {
            "whole": json_digest([self.parts, steps]),
            "counts": self.counts,
            "parts": self.parts,
            "steps": steps,
            "moments": self.moments,
        }


def _flat(rows: Iterable[Sequence[Any]]) -> list[Any]:
    return [value for row in rows for value in row]
