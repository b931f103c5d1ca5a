"""What a (monitor, segment) remembers between windows: evidence, what is usual, open incidents.

Immutable; ``decide`` returns the next one. ``encode`` and ``decode`` carry it through the store unchanged.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from driftwatch.core.arrays import Float64Array
from driftwatch.core.codec import Arrays, pack, unpack
from driftwatch.decide.baseline.score_history import SCORE_ARRAYS, ScoreHistory
from driftwatch.decide.baseline.score_model import MODEL_ARRAYS, ScoreModel
from driftwatch.decide.baseline.share_history import SHARE_ARRAYS, ShareHistory
from driftwatch.decide.evalues.e_values import CALIBRATORS
from driftwatch.decide.evalues.logspace import log_sum
from driftwatch.decide.evalues.stream_index import StreamIndex
from driftwatch.results.streams import Streams
from driftwatch.summary.serial import decode_summary, encode_summary
from driftwatch.summary.summary import Summary


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
class SegmentState:
    """Everything a (monitor, segment) carries from window to window.

    ``reference`` and ``configuration`` say what it belongs to; it is refused on any other.
    ``since`` is the start of the first window after the last page; ``held`` the sum of windows that had too
    few rows each, to be judged together once they have enough. ``ordinary`` names breakages that healthy
    windows show too (a column that is all null on some days). ``summed`` is evidence and the log of its sum.
    """

    reference: str
    configuration: str
    healthy_windows: int = 0
    decided_until: int | None = None
    since: int | None = None
    held: Summary | None = None
    shares: ShareHistory = field(default_factory=ShareHistory.empty)
    scores: ScoreHistory = field(default_factory=ScoreHistory.empty)
    usual: ScoreModel | None = None
    ordinary: frozenset[tuple[str, str]] = frozenset()
    incidents: tuple[Incident, ...] = ()
    summed: tuple[Float64Array, Float64Array, float] | None = field(default=None, compare=False, repr=False)

    @property
    def aside(self) -> frozenset[str]:
        """Columns whose streams are set aside by an open incident."""
        return frozenset(column for incident in self.incidents for column in incident.columns)

    def log_evidence(self) -> float:
        """Log of the sum over all streams; -inf when there is none. That of the window before is known."""
        if self.summed is not None and self._sums_up(*self.summed[:2]):
            return self.summed[2]
        return log_sum(self.shares.log_m, self.scores.log_m)

    def _sums_up(self, shares: Float64Array, scores: Float64Array) -> bool:
        return shares is self.shares.log_m and scores is self.scores.log_m

    def expecting(self, streams: Streams) -> SegmentState:
        """The track that knows of these streams: each has its part of the budget from the next window on."""
        shares, scores = self.shares.expecting(streams), self.scores.expecting(streams)
        if shares is self.shares and scores is self.scores:
            return self
        return replace(self, shares=shares, scores=scores)

    def reset(self) -> SegmentState:
        """All evidence back to nothing, as a page does."""
        return replace(self, shares=self.shares.reset(), scores=self.scores.reset(), since=None)


def encode(segment_state: SegmentState) -> bytes:
    """A track as bytes."""
    arrays: Arrays = {f"shares.{name}": getattr(segment_state.shares, name) for name in SHARE_ARRAYS}
    arrays |= {f"scores.{name}": getattr(segment_state.scores, name) for name in SCORE_ARRAYS}
    # They were rounded to it when they were learned.
    arrays["scores.values"] = segment_state.scores.values.astype(np.float32)
    if segment_state.held is not None:
        arrays["held"] = np.frombuffer(encode_summary(segment_state.held), dtype=np.uint8)
    if segment_state.usual is not None:
        arrays |= {f"usual.{name}": getattr(segment_state.usual, name) for name in MODEL_ARRAYS}
    header = {
        "reference": segment_state.reference,
        "configuration": segment_state.configuration,
        "healthy_windows": segment_state.healthy_windows,
        "decided_until": segment_state.decided_until,
        "since": segment_state.since,
        "shares": [list(key) for key in segment_state.shares.keys],
        "scores": [list(key) for key in segment_state.scores.keys],
        "windows": [segment_state.scores.windows, segment_state.scores.level_end],
        "usual": None
        if segment_state.usual is None
        else [len(segment_state.usual.keys), segment_state.usual.windows],
        "ordinary": sorted(list(item) for item in segment_state.ordinary),
        "incidents": [asdict(item) for item in segment_state.incidents],
    }
    return pack(header, arrays)


def decode(data: bytes) -> SegmentState:
    """The track that ``encode`` was given."""
    header, arrays = unpack(data)
    arrays["scores.values"] = arrays["scores.values"].astype(np.float64)
    arrays["scores.signed"] = arrays["scores.signed"].astype(np.bool_)
    # Tracks of before there were leans.
    arrays.setdefault("scores.lean", np.zeros(len(header["scores"])))
    # Or before rows were kept: they count as usual.
    arrays.setdefault("scores.rows", np.full(len(arrays["scores.ends"]), np.nan))
    # Or of before there was a fourth calibrator, which has gathered nothing yet.
    for name, nothing in (("log_m", -np.inf), ("run", 0), ("onset", 0)):
        stored = arrays[f"scores.{name}"]
        missing = ((0, 0), (0, 0), (0, CALIBRATORS - stored.shape[2]))
        arrays[f"scores.{name}"] = np.pad(stored, missing, constant_values=nothing)
    scores, usual = _keys(header["scores"]), None
    # What was learned before ranks were kept is learned anew.
    if header["usual"] is not None and "usual.ranked" in arrays:
        arrays["usual.ranked"] = arrays["usual.ranked"].astype(np.bool_)
        count, learned_at = header["usual"]
        known = {name: arrays[f"usual.{name}"] for name in MODEL_ARRAYS}
        usual = ScoreModel(keys=StreamIndex(scores[:count]), windows=learned_at, **known)
    windows, level_end = header["windows"]
    return SegmentState(
        reference=header["reference"],
        configuration=header["configuration"],
        healthy_windows=header["healthy_windows"],
        decided_until=header["decided_until"],
        since=header["since"],
        held=decode_summary(arrays["held"].tobytes()) if "held" in arrays else None,
        shares=ShareHistory(
            keys=_keys(header["shares"]), **{name: arrays[f"shares.{name}"] for name in SHARE_ARRAYS}
        ),
        scores=ScoreHistory(
            keys=scores,
            windows=windows,
            level_end=level_end,
            **{name: arrays[f"scores.{name}"] for name in SCORE_ARRAYS},
        ),
        usual=usual,
        ordinary=frozenset((column, reason) for column, reason in header["ordinary"]),
        incidents=tuple(
            Incident(**{**item, "columns": tuple(item["columns"]), "quiet": tuple(item["quiet"])})
            for item in header["incidents"]
        ),
    )


def _keys(stored: list[list[Any]]) -> StreamIndex:
    return StreamIndex((detector, column, label) for detector, column, label in stored)
