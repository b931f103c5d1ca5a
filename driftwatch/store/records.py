"""Rows of the database as frozen dataclasses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from driftwatch.core.schema import Span
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

#: Begins the kind of a message that pages under the key of an incident that is open.
AGAIN = "again-"
#: A reference's own blocks of a segment, oldest first.
Blocks = Callable[[str | None], Sequence[Summary]]


def again_kind(window_end: int) -> str:
    """Return the kind of a further page under an incident's key: one of a window is queued once.

    >>> again_kind(1_700_000_000_000_000_000)
    'again-1700000000000000000'
    """
    return f"{AGAIN}{window_end}"


class StoreState(StrEnum):
    """What the store's file is to its daemon: the values of the metric's label."""

    OK = "ok"
    FULL = "full"
    READ_ONLY = "read_only"
    GONE = "gone"
    REPLACED = "replaced"
    CORRUPT = "corrupt"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTile:
    """The stored summary of one aligned time slice of a segment."""

    segment: str | None
    start: int
    #: Grows when the data of the slice changed after it was stored.
    version: int
    source_version: str
    summary: Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveReference:
    reference: Reference
    #: Hash of the data and settings that it was built from.
    source_key: str
    #: Nanoseconds.
    since: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredIncident:
    key: str
    monitor: str
    segment: str | None
    kind: str
    columns: tuple[str, ...]
    opened_at: int
    onset: int
    resolved_at: int | None
    resolution: str | None
    muted_until: int | None
    #: JSON for the messages of the incident.
    content: str
    #: Where it is open, or was at its end, if that is not ``segment`` alone; that one leads to its messages.
    segments: tuple[str | None, ...] = ()

    @property
    def all_segments(self) -> tuple[str | None, ...]:
        return self.segments or (self.segment,)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTrial:
    """An ended trial of the self-test."""

    #: Times are window edges in nanoseconds.
    begun_at: int
    ended_at: int
    column: str
    fault: str
    #: In the unit of ``fault``.
    size: float
    within: int
    outcome: str
    #: In windows.
    delay: int | None
    #: Whether the page named the column.
    named: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSelftest:
    """A monitor's running trial, and counts of ended trials, which retention never reduces."""

    #: Start of the newest trial.
    begun_at: int | None = None
    detected: int = 0
    missed: int = 0
    false_alarm: int = 0
    abandoned: int = 0
    #: Sum of the delays of detected trials.
    delay_windows: int = 0
    #: End of the newest trial that was not abandoned.
    measured_at: int | None = None
    #: The running trial, encoded.
    trial: bytes | None = None
    #: The trial that the current window ended.
    ended: StoredTrial | None = None

    @property
    def trials(self) -> int:
        return self.detected + self.missed + self.false_alarm + self.abandoned


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCut:
    """What a decided window was cut by: its settings, its reference and its tiles."""

    window: Span
    configuration: str
    reference: str
    #: (start, version).
    tiles: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwedWindow:
    """A closed window whose rows nobody could look at, and that is judged when they come."""

    window: Span
    #: Nanoseconds in which the source answered without its rows.
    waited: int = 0
    #: Time of the source's last answer; None when the last attempt failed.
    answered_at: int | None = None
    #: That of its verdict; empty when there is none.
    state: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReading:
    """A time that was believed; all in nanoseconds."""

    #: Names a run of the steady clock.
    boot: str
    #: The wall clock's time minus that of the steady clock.
    offset: int
    read_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRecord:
    """Everything that one check changes, written in one transaction."""

    monitor: str
    now: int
    tiles: Sequence[StoredTile] = ()
    #: Of rows that came late the number of the part; 0 is the window itself.
    part: int = 0
    #: The verdicts may be replaced, since their window stays owed.
    owed: OwedWindow | None = None
    #: (segment, window end, JSON object).
    verdicts: Sequence[tuple[str | None, int, Mapping[str, Any]]] = ()
    #: (segment, decided until, bytes).
    segment_states: Sequence[tuple[str | None, int, bytes]] = ()
    opened: Sequence[StoredIncident] = ()
    #: Open ones, as they are now.
    updated: Sequence[StoredIncident] = ()
    resolved: Sequence[tuple[str, str]] = ()
    #: (sink, key, "firing", "resolved" or an ``again_kind``, segment, JSON text).
    messages: Sequence[tuple[str, str, str, str | None, str]] = ()
    checkpoint: bool = False
    acknowledged: Sequence[tuple[int, str]] = ()
    muted: Sequence[tuple[str, int | None]] = ()
    reference: tuple[Reference, str] | None = None
    #: Fingerprint of the reference that ``reference`` was rebased from, and the states until then: what an
    #: undo goes back to.
    parent: str | None = None
    former_states: Sequence[tuple[str | None, int, bytes]] = ()
    #: Fingerprint of a stored reference that comes into force again, and keys of incidents that reopen.
    activated: str | None = None
    reopened: Sequence[str] = ()
    selftest: StoredSelftest | None = None
    #: (hash, JSON text without secrets).
    configuration: tuple[str, str] | None = None
