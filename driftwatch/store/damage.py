"""Tells damaged rows from sound ones, and remembers those that were skipped.

A row carries a checksum over its cells that never change. CRC-32 is for accidents: it finds every damage
within 32 bits in a row, and misses one in four billion others. A row of an older version carries none: such a
row is damaged when its content cannot be decoded.
"""

from __future__ import annotations

import logging
import struct
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from types import MappingProxyType
from typing import Any, TypeVar

from driftwatch.errors import StoreDamaged, StoreError, StoreTooNew

log = logging.getLogger(__name__)
T = TypeVar("T")

#: What decoding may raise on damaged content without a checksum.
DECODE_ERRORS = (
    StoreError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError,
    struct.error, zlib.error,
)  # fmt: skip
#: Damaged rows that are remembered by their key; further ones are counted.
_MAX_ROWS = 1000


def checksum(*cells: object) -> int:
    """Return the checksum of a row's cells; the last one, its content, may be bytes."""
    *short, content = cells
    data = content if isinstance(content, bytes) else _bytes(str(content))
    return zlib.crc32(data, zlib.crc32(_bytes("\x1f".join(map(str, short)))))


def _bytes(text: str) -> bytes:
    # Bytes that are no UTF-8 were read as halves of surrogate pairs.
    return text.encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """Which cells of a table's rows the checksum covers."""

    table: str
    #: Columns that name the row to people.
    key: tuple[str, ...]
    #: Columns that never change; the content is the last one.
    cells: tuple[str, ...]
    #: Takes all cells out of a row at once: history pages verify hundreds of rows.
    _take: Callable[[Any], tuple[object, ...]]

    @property
    def columns(self) -> str:
        return ", ".join((*self.cells, "checksum"))

    def of(self, alias: str) -> str:
        return ", ".join(f"{alias}.{name}" for name in (*self.cells, "checksum"))

    def insert(self, *unsealed: str, verb: str = "INSERT") -> str:
        """Return the statement that writes what ``values`` returns."""
        names = (*self.cells, "checksum", *unsealed)
        marks = ", ".join("?" * len(names))
        return f"{verb} INTO {self.table} ({', '.join(names)}) VALUES ({marks})"

    @staticmethod
    def values(*cells: object, unsealed: Sequence[object] = ()) -> tuple[object, ...]:
        return (*cells, checksum(*cells), *unsealed)

    def key_of(self, row: Any) -> str:
        return ", ".join(f"{name} {_short(row[name])}" for name in self.key)

    def verify(self, row: Any) -> None:
        """Raise ``StoreDamaged`` if the row carries a checksum that is not that of its cells."""
        stored = row["checksum"]
        if stored is not None and stored != checksum(*self._take(row)):
            raise StoreDamaged(
                f"{self.table}, {self.key_of(row)}: expected the row as it was written. Its checksum is "
                "another one: the store is damaged."
            )


def _short(cell: object) -> str:
    text = repr(cell) if isinstance(cell, bytes) else str(cell)
    return "".join(char if char.isprintable() else "?" for char in text[:80]) or "(all rows)"


def _seal(table: str, key: str, cells: str) -> Seal:
    names = tuple(cells.split())
    return Seal(table=table, key=tuple(key.split()), cells=names, _take=itemgetter(*names))


#: Every table of rows that decide or tell something. The order of cells is stored: never change it.
SEALS: Mapping[str, Seal] = MappingProxyType({item.table: item for item in (
    _seal("reference_versions", "monitor fingerprint", "fingerprint monitor source_key stored_at content"),
    _seal("active_references", "monitor", "monitor fingerprint since"),
    _seal("blocks", "monitor fingerprint segment start", "monitor fingerprint segment start content"),
    _seal(
        "tiles", "monitor segment start version",
        "monitor segment start version plan source_version rows content",
    ),
    _seal(
        "verdicts", "monitor segment window_end",
        "monitor segment window_end state evidence page decided_at judged content",
    ),
    _seal("tracks", "monitor segment", "monitor segment content"),
    _seal("checkpoints", "monitor segment decided_until", "monitor segment decided_until judged content"),
    _seal("incidents", "monitor key", "key monitor segment kind columns opened_at onset content"),
    _seal("outbox", "sink key kind", "sink key kind monitor segment created_at message"),
    _seal("acknowledgements", "monitor id", "monitor incident verdict until note who asked_at"),
    _seal("trial_references", "monitor part", "monitor part source_key segment content"),
    _seal("beginnings", "monitor fingerprint segment", "monitor fingerprint segment content"),
    _seal(
        "selftests", "monitor",
        "monitor begun_at detected missed false_alarm abandoned delay_windows measured_at trial",
    ),
    _seal(
        "selftest_trials", "monitor begun_at",
        "monitor begun_at ended_at column_name fault size within outcome delay named",
    ),
    _seal("configurations", "monitor fingerprint", "monitor fingerprint first_at content"),
    _seal("owed_windows", "monitor window_end", "monitor window_end window_start"),
    _seal(
        "late_parts", "monitor segment window_end part",
        "monitor segment window_end part state page decided_at judged content",
    ),
)})  # fmt: skip
TABLES = tuple(SEALS)


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedRow:
    table: str
    #: Its key, for people.
    key: str
    detail: str


@dataclass(slots=True, kw_only=True)
class DamageLog:
    """Rows that were skipped since the store was opened, each counted once. Thread-safe."""

    #: Told of each row once; set by the daemon.
    on_row: Callable[[DamagedRow], None] = lambda _: None
    _rows: dict[tuple[str, str], DamagedRow] = field(default_factory=dict)
    _counts: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(TABLES, 0)))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, table: str, key: str, detail: str) -> None:
        row = DamagedRow(table=table, key=key, detail=detail)
        with self._lock:
            if (table, key) in self._rows:
                return
            if len(self._rows) < _MAX_ROWS:
                self._rows[table, key] = row
            self._counts[table] += 1
        log.error("a damaged row was skipped", extra={"table": table, "key": key, "error": detail})
        self.on_row(row)

    def forget(self, table: str, key: str) -> None:
        """A sound row was written in its place: another damage of it counts again."""
        with self._lock:
            self._rows.pop((table, key), None)

    def rows(self) -> tuple[DamagedRow, ...]:
        with self._lock:
            return tuple(self._rows.values())

    def counts(self) -> tuple[tuple[str, int], ...]:
        """Return the number of damaged rows by table, at once."""
        with self._lock:
            return tuple(self._counts.items())

    def readable(self, seal: Seal, row: Any, decode: Callable[[Any], T]) -> T | None:
        """Return the decoded row; a damaged one is noted and None. Raises ``StoreTooNew``."""
        try:
            return decoded(seal, row, decode)
        except StoreDamaged as error:
            self.note(seal.table, seal.key_of(row), str(error))
            return None

    def all_readable(self, seal: Seal, rows: Sequence[Any], decode: Callable[[Any], T]) -> list[T]:
        items = [self.readable(seal, row, decode) for row in rows]
        return [item for item in items if item is not None]


def decoded(seal: Seal, row: Any, decode: Callable[[Any], T]) -> T:
    """Verify and decode a row. Raises ``StoreDamaged``, or ``StoreTooNew`` if its checksum is right."""
    seal.verify(row)
    try:
        return decode(row)
    except StoreTooNew:
        raise
    except DECODE_ERRORS as error:
        raise unreadable(seal, row, error) from error


def unreadable(seal: Seal, row: Any, error: Exception) -> StoreError:
    """Return what it means that the content of a row cannot be decoded, which its seal did not refuse."""
    text = f"{seal.table}, {seal.key_of(row)}: expected content that can be read. Got {error!s:.200}."
    if row["checksum"] is None:
        return StoreDamaged(f"{text} The store is damaged.")
    return StoreTooNew(
        f"{text} Its checksum is right: a newer driftwatch wrote it. Install that version, or go back to a "
        "backup of this one with `driftwatch store restore`."
    )
