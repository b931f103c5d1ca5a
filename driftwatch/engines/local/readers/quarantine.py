"""Pieces that ended their reader when they were read alone: left out until they change."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Protocol

from driftwatch import __version__
from driftwatch.core.schema import NANOSECONDS
from driftwatch.errors import StoreError
from driftwatch.sources.base import Piece, SourceConfig

#: Nanoseconds until a piece is tried again although nothing changed. What a slow disk or a full machine may
#: have done is no proof for long; the rest also ends what no source names any more.
_PROVED, _SUSPECTED = 30 * 86_400 * NANOSECONDS, 86_400 * NANOSECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedPiece:
    #: Of the source's settings (``source_key``).
    source: str
    piece: Piece
    #: Why, for people.
    detail: str
    #: In nanoseconds since 1970 UTC.
    until: int
    #: Versions and limits under which it ended its reader: with others it is tried again.
    conditions: str


class QuarantineStore(Protocol):
    """Keeps quarantined pieces over restarts. Raises ``StoreError``."""

    def of_source(self, source: str) -> Sequence[QuarantinedPiece]:
        """Return the pieces of a source."""

    def add(self, item: QuarantinedPiece, now: int) -> None:
        """Add a piece, in place of one of the same path, and drop those whose time is over."""


def source_key(source: SourceConfig) -> str:
    return hashlib.sha256(source.model_dump_json().encode()).hexdigest()


class Quarantine:
    """Thread-safe; without a store it holds as long as this process."""

    def __init__(self, store: QuarantineStore | None = None, now: Callable[[], int] = time.time_ns) -> None:
        self._store = store
        self._now = now
        self._lock = threading.Lock()
        #: By source and path.
        self._sources: dict[str, dict[str, QuarantinedPiece]] = {}

    def of(self, source: str, seconds: float, memory: int | None) -> dict[Piece, str]:
        """Return details of the pieces that are left out under these limits."""
        items = self._items(source)
        if not items:
            return {}
        now, conditions = self._now(), _conditions(seconds, memory)
        with self._lock:
            return {
                item.piece: item.detail
                for item in items.values()
                if item.conditions == conditions and now < item.until
            }

    def add(
        self, source: str, piece: Piece, detail: str, seconds: float, memory: int | None, *, is_proved: bool
    ) -> None:
        now = self._now()
        item = QuarantinedPiece(
            source=source,
            piece=piece,
            detail=detail,
            until=now + (_PROVED if is_proved else _SUSPECTED),
            conditions=_conditions(seconds, memory),
        )
        items = self._items(source)
        with self._lock:
            items[piece.path] = item
        if self._store is not None:
            # A store that cannot write must not stop the read: the next process finds the piece anew.
            with contextlib.suppress(StoreError):
                self._store.add(item, now)

    def _items(self, source: str) -> dict[str, QuarantinedPiece]:
        with self._lock:
            if source in self._sources:
                return self._sources[source]
        stored: Sequence[QuarantinedPiece] = ()
        if self._store is not None:
            with contextlib.suppress(StoreError):
                stored = self._store.of_source(source)
        with self._lock:
            return self._sources.setdefault(source, {item.piece.path: item for item in stored})


def _conditions(seconds: float, memory: int | None) -> str:
    return f"{_versions()} {seconds:g} {memory}"


@cache
def _versions() -> str:
    return f"{__version__} {version('pyarrow')}"
