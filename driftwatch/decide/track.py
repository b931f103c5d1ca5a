"""What a (monitor, segment) remembers between windows: evidence, what is usual, open incidents.

Immutable; ``decide`` returns the next one. ``encode`` and ``decode`` carry it through the store unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from driftwatch.decide.usual import TAUGHT, WAIT, Moments
from driftwatch.summary.batch import Float64Array, Int64Array
from driftwatch.summary.codec import Arrays, pack, unpack

#: One detector's streams on one column; None is all columns jointly.
StreamKey = tuple[str, str | None, str]
#: The score of all columns together, made of the others' scores.
TOGETHER: StreamKey = ("together", None, "together")
#: Healthy scores remembered per stream.
HISTORY = 2000

_MOMENTS = ("blocks", "total", "square", "inverse", "open_successes", "open_trials", "open_windows",
            "waiting")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """One block of streams: ``log_m[...]`` and, for saying since when, ``run[...]`` and ``onset[...]``.

    ``run`` is the sum of log e-values since it was last below 0 (Page's CUSUM); ``onset`` is the start
    of the window it began in, the maximum-likelihood estimate of the change.
    """

    log_m: Float64Array
    run: Float64Array
    onset: Int64Array

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> Evidence:
        """No evidence: -inf, the legal empty state."""
        return cls(log_m=np.full(shape, -np.inf), run=np.zeros(shape), onset=np.zeros(shape, dtype=np.int64))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Healthy:
    """Scores of healthy windows, oldest first, with their season slots; the last ``waiting`` teach later."""

    values: Float64Array
    slots: Int64Array
    waiting: int = 0

    @classmethod
    def empty(cls) -> Healthy:
        """No healthy window yet."""
        return cls(values=np.empty(0), slots=np.empty(0, dtype=np.int64))

    def learn(self, value: float, slot: int) -> Healthy:
        """With one more healthy window; the oldest beyond ``HISTORY`` is forgotten."""
        return Healthy(
            values=np.append(self.values, value)[-HISTORY:], slots=np.append(self.slots, slot)[-HISTORY:]
        )

    def wait(self, value: float, slot: int) -> Healthy:
        """With one more window that teaches ``WAIT`` windows later, at once while few have taught."""
        longer = self.learn(value, slot)
        waits = min(self.waiting + 1, WAIT, max(len(self.values) + 1 - TAUGHT, 0))
        return replace(longer, waiting=waits)

    def forget(self) -> Healthy:
        """Without the windows that still wait."""
        kept = len(self.values) - self.waiting
        return Healthy(values=self.values[:kept], slots=self.slots[:kept])

    def like(self, slot: int, at_least: int) -> Float64Array:
        """The scores of the same season slot that teach, or all while the slot is thin."""
        taught = len(self.values) - self.waiting
        same = self.values[:taught][self.slots[:taught] == slot]
        return same if len(same) >= at_least else self.values[:taught]


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One cause that moved something: its ``columns`` are set aside until each is quiet again.

    ``quiet`` counts the quiet windows in a row of each column.
    """

    key: str
    kind: str
    columns: tuple[str, ...]
    opened_at: int
    onset: int
    quiet: tuple[int, ...] = ()
    muted_until: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """Everything a (monitor, segment) carries from window to window.

    ``reference`` and ``configuration`` say what it belongs to; it is refused on any other.
    ``ordinary`` names breakages that healthy windows show too (a column that is all null on some days).
    """

    reference: str
    configuration: str
    healthy_windows: int = 0
    decided_until: int | None = None
    evidence: Mapping[StreamKey, Evidence] = field(default_factory=dict)
    moments: Mapping[StreamKey, Moments] = field(default_factory=dict)
    history: Mapping[StreamKey, Healthy] = field(default_factory=dict)
    ordinary: frozenset[tuple[str, str]] = frozenset()
    incidents: tuple[Incident, ...] = ()

    @property
    def aside(self) -> frozenset[str]:
        """Columns whose streams are set aside by an open incident."""
        return frozenset(column for incident in self.incidents for column in incident.columns)

    def log_evidence(self) -> float:
        """Log of the sum over all streams; -inf when there is none."""
        sums = [np.logaddexp.reduce(item.log_m, axis=None) for item in self.evidence.values()]
        return float(np.logaddexp.reduce(sums)) if sums else -np.inf

    def reset(self) -> Track:
        """All evidence back to nothing, as a page does."""
        return replace(
            self, evidence={key: Evidence.empty(item.log_m.shape) for key, item in self.evidence.items()}
        )


def encode(track: Track) -> bytes:
    """A track as bytes."""
    arrays: Arrays = {}
    keys: dict[str, list[list[str | None]]] = {"evidence": [], "moments": [], "history": []}
    for position, (key, item) in enumerate(track.evidence.items()):
        keys["evidence"].append(list(key))
        arrays[f"m{position}"], arrays[f"r{position}"] = item.log_m, item.run
        arrays[f"o{position}"] = item.onset
    for position, (key, moments) in enumerate(track.moments.items()):
        keys["moments"].append(list(key))
        arrays |= {f"{name}{position}": getattr(moments, name) for name in _MOMENTS}
    for position, (key, healthy) in enumerate(track.history.items()):
        keys["history"].append(list(key))
        arrays[f"values{position}"], arrays[f"slots{position}"] = healthy.values, healthy.slots
        arrays[f"waiting_scores{position}"] = np.array([healthy.waiting])
    header = {
        "reference": track.reference,
        "configuration": track.configuration,
        "healthy_windows": track.healthy_windows,
        "decided_until": track.decided_until,
        "keys": keys,
        "ordinary": sorted(list(item) for item in track.ordinary),
        "incidents": [
            {
                "key": item.key,
                "kind": item.kind,
                "columns": list(item.columns),
                "opened_at": item.opened_at,
                "onset": item.onset,
                "quiet": list(item.quiet),
                "muted_until": item.muted_until,
            }
            for item in track.incidents
        ],
    }
    return pack(header, arrays)


def decode(data: bytes) -> Track:
    """The track that ``encode`` was given."""
    header, arrays = unpack(data)

    def keyed(kind: str) -> list[tuple[int, StreamKey]]:
        return [(i, (key[0], key[1], key[2])) for i, key in enumerate(header["keys"][kind])]

    return Track(
        reference=header["reference"],
        configuration=header["configuration"],
        healthy_windows=header["healthy_windows"],
        decided_until=header["decided_until"],
        evidence={
            key: Evidence(log_m=arrays[f"m{i}"], run=arrays[f"r{i}"], onset=arrays[f"o{i}"])
            for i, key in keyed("evidence")
        },
        moments={
            key: Moments(**{name: arrays[f"{name}{i}"] for name in _MOMENTS}) for i, key in keyed("moments")
        },
        history={
            key: Healthy(
                values=arrays[f"values{i}"],
                slots=arrays[f"slots{i}"],
                waiting=int(arrays[f"waiting_scores{i}"][0]),
            )
            for i, key in keyed("history")
        },
        ordinary=frozenset((column, reason) for column, reason in header["ordinary"]),
        incidents=tuple(
            Incident(**{**item, "columns": tuple(item["columns"]), "quiet": tuple(item["quiet"])})
            for item in header["incidents"]
        ),
    )
