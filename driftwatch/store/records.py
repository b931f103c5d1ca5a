"""What the history takes in and gives out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

#: A reference's own blocks of a segment, oldest first.
Blocks = Callable[[str | None], Sequence[Summary]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTile:
    """One stored summary of one aligned slice; ``version`` grows when its data changed later."""

    segment: str | None
    start: int
    version: int
    source_version: str
    summary: Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredIncident:
    """An incident as the store knows it. ``content`` is JSON for messages."""

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
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTrial:
    """A trial of the self-test that ended. Times are window edges, nanoseconds; ``delay`` is in windows.

    ``size`` is in the unit of its ``fault``; ``named`` says whether the page named the column.
    """

    begun_at: int
    ended_at: int
    column: str
    fault: str
    size: float
    within: int
    outcome: str
    delay: int | None
    named: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSelftest:
    """A monitor's self-test: how many of its trials ended in which way, and the one under way as bytes.

    Counts only ever grow, whatever retention drops. ``begun_at`` is when the newest trial began,
    ``delay_windows`` the sum over those detected, ``measured_at`` the end of the newest one that was not
    abandoned. ``ended`` is the trial that the window at hand ended, to be kept.
    """

    begun_at: int | None = None
    detected: int = 0
    missed: int = 0
    false_alarm: int = 0
    abandoned: int = 0
    delay_windows: int = 0
    measured_at: int | None = None
    trial: bytes | None = None
    ended: StoredTrial | None = None

    @property
    def trials(self) -> int:
        """Trials that ended."""
        return self.detected + self.missed + self.false_alarm + self.abandoned


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRecord:
    """Everything one check changes, for one transaction.

    ``verdicts`` are (segment, window end, JSON object); ``segment_states`` (segment, decided until, bytes).
    ``messages`` are (sink, key, "firing" or "resolved", segment, JSON text). ``configuration`` is (hash,
    JSON text without secrets) of what the verdicts were decided with.
    """

    monitor: str
    now: int
    tiles: Sequence[StoredTile] = ()
    verdicts: Sequence[tuple[str | None, int, dict[str, Any]]] = ()
    segment_states: Sequence[tuple[str | None, int, bytes]] = ()
    opened: Sequence[StoredIncident] = ()
    resolved: Sequence[tuple[str, str]] = ()
    messages: Sequence[tuple[str, str, str, str | None, str]] = ()
    checkpoint: bool = False
    acknowledged: Sequence[tuple[int, str]] = ()
    muted: Sequence[tuple[str, int | None]] = ()
    reference: tuple[Reference, str] | None = None
    selftest: StoredSelftest | None = None
    configuration: tuple[str, str] | None = None
