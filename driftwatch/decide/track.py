"""What a (monitor, segment) remembers between windows: evidence, what is usual, open incidents.

Immutable; ``decide`` returns the next one. ``encode`` and ``decode`` carry it through the store unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

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

#: What is stored of each part of a track: its arrays, then the numbers of a ``Healthy``.
_EVIDENCE = ("log_m", "run", "onset")
_MOMENTS = ("blocks", "total", "square", "inverse", "open_successes", "open_trials", "open_windows",
            "waiting")  # fmt: skip
_HEALTHY = ("values", "slots")
_NUMBERS = ("waiting", "appended", "level", "last_end")
_USUAL = ("taught", "phi", "phi_variance", "gain", "variance", "tail", "stretch")
_LISTED = ("evidence", "moments", "history")


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
    """Scores of healthy windows, oldest first, with their season slots; the last ``waiting`` teach later.

    ``appended`` counts all there ever were. ``level`` is where the filter of ``prediction.py`` stood after
    the newest window that was judged, which ended at ``last_end``; NaN while it stands nowhere.
    """

    values: Float64Array
    slots: Int64Array
    waiting: int = 0
    appended: int = 0
    level: float = np.nan
    last_end: int = 0

    @classmethod
    def empty(cls) -> Healthy:
        """No healthy window yet."""
        return cls(values=np.empty(0), slots=np.empty(0, dtype=np.int64))

    @property
    def teaching(self) -> int:
        """How many of the values teach."""
        return len(self.values) - self.waiting

    @property
    def taught(self) -> int:
        """How many windows taught so far, the forgotten ones included."""
        return self.appended - self.waiting

    def learn(self, value: float, slot: int) -> Healthy:
        """With one more healthy window; the oldest beyond ``HISTORY`` is forgotten."""
        return replace(
            self,
            values=np.append(self.values, value)[-HISTORY:],
            slots=np.append(self.slots, slot)[-HISTORY:],
            appended=self.appended + 1,
        )

    def wait(self, value: float, slot: int) -> Healthy:
        """With one more window that teaches ``WAIT`` windows later, at once while few have taught."""
        waits = min(self.waiting + 1, WAIT, max(len(self.values) + 1 - TAUGHT, 0))
        return replace(self.learn(value, slot), waiting=waits)

    def forget(self) -> Healthy:
        """Without the windows that still wait."""
        return replace(
            self,
            values=self.values[: self.teaching],
            slots=self.slots[: self.teaching],
            appended=self.taught,
            waiting=0,
        )

    def like(self, slot: int, at_least: int) -> Float64Array:
        """The scores of the same season slot that teach, or all while the slot is thin."""
        same = self.values[: self.teaching][self.slots[: self.teaching] == slot]
        return same if len(same) >= at_least else self.values[: self.teaching]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Usual:
    """The laws of the scores ``keys``, as learned when ``taught[k]`` windows had taught.

    ``phi[k]`` is the level's memory with its ``phi_variance``, ``gain[k]`` of its filter, ``variance[k]`` of
    what it leaves unexplained in squared spreads; ``tail[d, k]`` weighs degrees of freedom, whose scale in
    standard deviations is ``stretch[d, k]``.
    """

    keys: tuple[StreamKey, ...]
    taught: Int64Array
    phi: Float64Array
    phi_variance: Float64Array
    gain: Float64Array
    variance: Float64Array
    tail: Float64Array
    stretch: Float64Array


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
    usual: Usual | None = None
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
    for part, names in (("evidence", _EVIDENCE), ("moments", _MOMENTS), ("history", _HEALTHY)):
        for position, item in enumerate(getattr(track, part).values()):
            arrays |= {f"{part}.{name}.{position}": getattr(item, name) for name in names}
    if track.usual is not None:
        arrays |= {f"usual.{name}": getattr(track.usual, name) for name in _USUAL}
    header = {
        "reference": track.reference,
        "configuration": track.configuration,
        "healthy_windows": track.healthy_windows,
        "decided_until": track.decided_until,
        "keys": {part: [list(key) for key in getattr(track, part)] for part in _LISTED},
        "numbers": [[_json(getattr(item, name)) for name in _NUMBERS] for item in track.history.values()],
        "usual": None if track.usual is None else [list(key) for key in track.usual.keys],
        "ordinary": sorted(list(item) for item in track.ordinary),
        "incidents": [asdict(item) for item in track.incidents],
    }
    return pack(header, arrays)


def _json(number: float) -> float | None:
    return None if number != number else number


def decode(data: bytes) -> Track:
    """The track that ``encode`` was given."""
    header, arrays = unpack(data)
    keys = {part: [_key(key) for key in header["keys"][part]] for part in _LISTED}

    def stored(part: str, names: tuple[str, ...], position: int) -> dict[str, Any]:
        return {name: arrays[f"{part}.{name}.{position}"] for name in names}

    return Track(
        reference=header["reference"],
        configuration=header["configuration"],
        healthy_windows=header["healthy_windows"],
        decided_until=header["decided_until"],
        evidence={
            key: Evidence(**stored("evidence", _EVIDENCE, i)) for i, key in enumerate(keys["evidence"])
        },
        moments={key: Moments(**stored("moments", _MOMENTS, i)) for i, key in enumerate(keys["moments"])},
        history={
            key: Healthy(**stored("history", _HEALTHY, i), **_numbers(header["numbers"][i]))
            for i, key in enumerate(keys["history"])
        },
        usual=None
        if header["usual"] is None
        else Usual(
            keys=tuple(_key(key) for key in header["usual"]),
            **{name: arrays[f"usual.{name}"] for name in _USUAL},
        ),
        ordinary=frozenset((column, reason) for column, reason in header["ordinary"]),
        incidents=tuple(
            Incident(**{**item, "columns": tuple(item["columns"]), "quiet": tuple(item["quiet"])})
            for item in header["incidents"]
        ),
    )


def _key(stored: list[Any]) -> StreamKey:
    return stored[0], stored[1], stored[2]


def _numbers(stored: list[Any]) -> dict[str, Any]:
    return {name: np.nan if value is None else value for name, value in zip(_NUMBERS, stored, strict=True)}
