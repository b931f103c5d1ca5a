"""Checks a history as a whole: its structure, every row, and what rows say of each other."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from driftwatch.decide.state_codec import decode as decode_state
from driftwatch.errors import StoreDamaged, StoreError, StoreTooNew, StoreUnusable
from driftwatch.results.results import State
from driftwatch.results.stored_verdict import verdict_from_json
from driftwatch.store.damage import SEALS, decoded
from driftwatch.store.database import FILE, uri_of
from driftwatch.store.disk import open_error
from driftwatch.store.migrations import MIGRATIONS
from driftwatch.store.outbox import message_from_json
from driftwatch.summary.serial import decode_reference, decode_summary

#: Problems of the structure that are listed.
_MAX_PROBLEMS = 20
_SENDING_STATES = frozenset({"pending", "sending", "delivered", "dead"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    table: str
    #: The row's key, for people.
    key: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCheck:
    path: Path
    schema: int
    #: What is wrong with the structure; such a file is unusable.
    structure: tuple[str, ...] = ()
    #: (table, rows that were read).
    rows: tuple[tuple[str, int], ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def is_sound(self) -> bool:
        return not self.structure and not self.faults


def _verdict(row: Any) -> object:
    verdict = verdict_from_json(json.loads(row["content"]))
    if State(row["state"]) is not verdict.state or bool(row["page"]) is not verdict.page:
        raise ValueError("its columns say something else than its content")
    return verdict


def _incident(row: Any) -> object:
    json.loads(row["columns"])
    return message_from_json(row["content"])


def _sending(row: Any) -> object:
    if row["state"] not in _SENDING_STATES:
        raise ValueError(f"state {row['state']!r}")
    return message_from_json(row["message"])


def _trial(row: Any) -> object:
    return (decode_summary if row["part"] else decode_reference)(row["content"])


def _summary(row: Any) -> object:
    return decode_summary(row["content"])


def _state(row: Any) -> object:
    return decode_state(row["content"])


_DECODERS: Mapping[str, Callable[[Any], object]] = MappingProxyType({
    "reference_versions": lambda row: decode_reference(row["content"]),
    "blocks": _summary,
    "tiles": _summary,
    "trial_references": _trial,
    "tracks": _state,
    "checkpoints": _state,
    "beginnings": _state,
    "verdicts": _verdict,
    "late_parts": _verdict,
    "incidents": _incident,
    "outbox": _sending,
    "configurations": lambda row: json.loads(row["content"]),
})  # fmt: skip


def check_folder(folder: Path, tiles_since: int) -> StoreCheck:
    """Check the history of a folder; see ``check_file``."""
    path = folder / FILE
    if not path.exists():
        raise StoreUnusable(f"{path}: expected the history. There is none; run a check first.")
    return check_file(path, tiles_since)


def check_file(path: Path, tiles_since: int) -> StoreCheck:
    """Check a file without changing it, also beside a running daemon.

    Tiles that begin before ``tiles_since`` (nanoseconds) may be past retention. Raises ``StoreTooNew``, and
    ``StoreError`` when the file cannot be opened at all.
    """
    try:
        link = sqlite3.connect(uri_of(path, "ro"), uri=True, isolation_level=None)
    except sqlite3.Error as error:
        raise open_error(path, error) from error
    with closing(link):
        link.row_factory = sqlite3.Row
        link.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
        try:
            return _check(link, path, tiles_since)
        except sqlite3.DatabaseError as error:
            return StoreCheck(path=path, schema=0, structure=(str(error),))


def _check(link: sqlite3.Connection, path: Path, tiles_since: int) -> StoreCheck:
    schema = int(link.execute("PRAGMA user_version").fetchone()[0])
    if schema > len(MIGRATIONS):
        raise too_new(path, schema)
    # One moment for all that follows.
    link.execute("BEGIN")
    problems = tuple(row[0] for row in link.execute(f"PRAGMA integrity_check({_MAX_PROBLEMS})"))
    tables = {row[0] for row in link.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if problems != ("ok",) or not tables:
        structure = problems if problems != ("ok",) else ("it has no tables",)
        return StoreCheck(path=path, schema=schema, structure=structure)
    search = _Search(link=link, tables=tables, tiles_since=tiles_since)
    faults = tuple(search.faults())
    return StoreCheck(path=path, schema=schema, rows=tuple(search.rows.items()), faults=faults)


def too_new(path: Path, schema: int) -> StoreTooNew:
    return StoreTooNew(
        f"{path}: expected schema {len(MIGRATIONS)} or older. Got {schema}: a newer driftwatch wrote it. "
        "Install that version; or go back to a backup of this one with `driftwatch store restore`, or use "
        "another storage.path."
    )


@dataclass(slots=True, kw_only=True)
class _Search:
    link: sqlite3.Connection
    tables: set[str]
    tiles_since: int
    rows: Counter[str] = field(default_factory=Counter)
    #: Keys of readable rows, for what other rows say of them.
    _tiles: set[tuple[str, str, int, int]] = field(default_factory=set)
    _incidents: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    def faults(self) -> Iterator[Fault]:
        # Tiles and states come before the verdicts and incidents that name them.
        for table in sorted(SEALS, key=lambda name: (name in ("verdicts", "incidents"), name)):
            if table in self.tables:
                yield from self._table(table)
        yield from self._references()

    def _table(self, table: str) -> Iterator[Fault]:
        seal, decode = SEALS[table], _DECODERS.get(table, lambda row: row)
        names = {row[1] for row in self.link.execute(f"PRAGMA table_info({table})")}
        columns = "*" if "checksum" in names else "*, NULL AS checksum"
        for row in self.link.execute(f"SELECT {columns} FROM {table}"):  # noqa: S608 - constants
            self.rows[table] += 1
            try:
                content = decoded(seal, row, decode)
            except (StoreDamaged, StoreTooNew) as error:
                yield Fault(table=table, key=seal.key_of(row), detail=str(error))
                continue
            for detail in self._contradictions(table, row, content):
                yield Fault(table=table, key=seal.key_of(row), detail=detail)

    def _contradictions(self, table: str, row: Any, content: Any) -> Iterator[str]:
        if table == "tiles":
            self._tiles.add((row["monitor"], row["segment"], row["start"], row["version"]))
        elif table == "tracks":
            keys = {item.key for item in content.incidents}
            self._incidents[row["monitor"], row["segment"]] = keys
        elif table == "verdicts":
            missing = [
                start
                for start, version in content.tiles
                if start >= self.tiles_since
                and (row["monitor"], row["segment"], start, version) not in self._tiles
            ]
            if missing:
                yield f"{len(missing)} of its {len(content.tiles)} tiles are not stored, or damaged."
        elif table == "incidents" and row["resolved_at"] is None:
            keys = self._incidents.get((row["monitor"], row["segment"]), set())
            if row["key"] not in keys:
                yield "It is open and on no state of its segment, so that nothing would end it."

    def _references(self) -> Iterator[Fault]:
        rows = self.link.execute(
            "SELECT a.monitor FROM active_references a LEFT JOIN reference_versions r ON"
            " r.monitor = a.monitor AND r.fingerprint = a.fingerprint WHERE r.fingerprint IS NULL"
        )
        for row in rows:
            key = f"monitor {row['monitor']}"
            yield Fault(table="active_references", key=key, detail="The reference in force is not stored.")


def last_windows(path: Path) -> list[tuple[str, int]]:
    """Return each monitor's newest decided window in a sound file, by its end. Raises ``StoreError``."""
    try:
        with closing(sqlite3.connect(uri_of(path, "ro"), uri=True)) as link:
            rows = link.execute("SELECT monitor, max(window_end) FROM verdicts GROUP BY monitor ORDER BY 1")
            return [(row[0], row[1]) for row in rows]
    except sqlite3.Error as error:
        raise StoreError(f"{path}: expected to read. Got {error}.") from error
