"""An outbox in memory with the contract of ``driftwatch.daemon.sink_worker.Outbox``; it can fail."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from driftwatch.errors import StoreError
from driftwatch.notify.base import IncidentKind, Message
from driftwatch.store.outbox import OutboxRow

SECOND = 1_000_000_000


def message(key: str = "k1", **changes: object) -> Message:
    """A page of an invented monitor."""
    values: dict[str, object] = {
        "key": key,
        "kind": IncidentKind.DRIFT,
        "monitor": "credit-risk",
        "segment": None,
        "resolved": False,
        "title": "credit-risk (model credit-xgb 14): inputs drifted, 3 of 41 columns",
        "lines": (
            "since 2026-11-23 03:00Z, 12,480 rows",
            "age: median 41 → 29 (61% of the evidence)",
            'region: "north" 22 % → 41 % (30% of the evidence)',
        ),
        "unchanged": "Did not change: income: at most 3.1 %, tenure: at most 2 %.",
        "window_start": 1_795_402_800 * SECOND,
        "window_end": 1_795_424_400 * SECOND,
        "onset": 1_795_402_800 * SECOND,
        "opened_at": 1_795_424_460 * SECOND,
        "resolved_at": None,
        "state": "drifting",
        "reason": "evidence_complete",
        "model_name": "credit-xgb",
        "model_version": "14",
        "url": "https://drift.example.org/monitors/credit-risk/windows/2026-11-23T09:00:00Z",
    }
    return Message(**{**values, **changes})  # type: ignore[arg-type]


@dataclass
class Entry:
    row: OutboxRow
    next_at: int
    state: str
    reason: str = ""


class MemoryOutbox:
    """``broken`` makes every write raise, as a full disk does; ``muted`` is by key."""

    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {}
        self.broken = False
        self.muted: dict[str, int] = {}
        self._lock = threading.Lock()

    def put(self, sink: str, content: Message, *, at: int | None = None, state: str = "pending") -> int:
        with self._lock:
            number = len(self.entries) + 1
            row = OutboxRow(id=number, sink=sink, message=content, attempts=0, state="pending", queued_at=at)
            self.entries[number] = Entry(row=row, next_at=at or 0, state=state)
            return number

    def due(self, now: int) -> list[OutboxRow]:
        with self._lock:
            blocked_queues: set[tuple[str, str | None, str]] = set()
            rows = []
            for entry in self.entries.values():
                queue = (entry.row.message.monitor, entry.row.message.segment, entry.row.sink)
                if entry.state in ("delivered", "dead") or queue in blocked_queues:
                    continue
                blocked_queues.add(queue)
                if entry.state == "sending":
                    rows.append(replace(entry.row, state="sending"))
                elif not entry.row.attempts or entry.next_at <= now or entry.next_at > now + 3600 * SECOND:
                    rows.append(entry.row)
            return rows

    def _change(
        self, number: int, state: str, *, next_at: int = 0, reason: str = "", attempts: int = 0
    ) -> None:
        if self.broken:
            raise StoreError("database or disk is full")
        with self._lock:
            entry = self.entries[number]
            entry.state, entry.next_at, entry.reason = state, next_at, reason
            entry.row = replace(entry.row, attempts=entry.row.attempts + attempts, reason=reason)

    def begin_attempt(self, number: int, now: int) -> None:
        self._change(number, "sending", attempts=1)

    def delivered(self, number: int, now: int) -> None:
        self._change(number, "delivered")

    def retry(self, number: int, next_at: int, reason: str) -> None:
        self._change(number, "pending", next_at=next_at, reason=reason)

    def dead(self, number: int, reason: str) -> None:
        self._change(number, "dead", reason=reason)

    def firing(self, sink: str) -> list[OutboxRow]:
        with self._lock:
            entries = [entry for entry in self.entries.values() if entry.row.sink == sink]
            resolved_keys = {entry.row.message.key for entry in entries if entry.row.message.resolved}
            return [
                replace(entry.row, message=replace(entry.row.message, muted_until=self.muted.get(key)))
                for entry in entries
                for key in (entry.row.message.key,)
                if entry.state == "delivered" and key not in resolved_keys
            ]

    def waiting(self, sink: str) -> int:
        with self._lock:
            states = (entry.state for entry in self.entries.values() if entry.row.sink == sink)
            return sum(state in ("pending", "sending") for state in states)
