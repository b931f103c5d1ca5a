"""State of a monitor segment between windows: histories, evidence, score model, incidents.

The state is immutable; ``decide`` returns the next one. Names in stored bytes never change.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from driftwatch.core.codec import Arrays, pack, unpack
from driftwatch.core.memo import NO_MEMO, Memo
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
    """A cause that moved some columns; each of ``columns`` is suspended until it is quiet again.

    ``quiet`` counts the consecutive quiet windows of each column. Field names are stored.
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
    """State between windows, valid only for its ``reference`` and ``configuration``."""

    reference: str
    configuration: str
    healthy_windows: int = 0
    decided_until: int | None = None
    #: Start of the first window after the last page.
    evidence_start: int | None = None
    #: Carried-over rows: the sum of windows that had too few rows each, judged once there are enough.
    carried_over: Summary | None = None
    shares: ShareHistory = field(default_factory=ShareHistory.empty)
    scores: ScoreHistory = field(default_factory=ScoreHistory.empty)
    score_model: ScoreModel | None = None
    #: (column, reason) of breakages that healthy windows have too (all null on some days).
    healthy_breakages: frozenset[tuple[str, str]] = frozenset()
    incidents: tuple[Incident, ...] = ()

    @property
    def suspended(self) -> frozenset[str]:
        return frozenset(column for incident in self.incidents for column in incident.columns)

    def log_evidence(self, memo: Memo = NO_MEMO) -> float:
        """Return the log of the evidence summed over all streams, -inf without evidence."""
        arrays = self.shares.log_m, self.scores.log_m
        return memo.last("log evidence", arrays, lambda: log_sum(*arrays))

    def with_streams(self, streams: Streams, memo: Memo = NO_MEMO) -> SegmentState:
        """Add streams that are new; they have a part of the budget from the next window on."""
        shares, scores = self.shares.with_streams(streams, memo), self.scores.with_streams(streams, memo)
        if shares is self.shares and scores is self.scores:
            return self
        return replace(self, shares=shares, scores=scores)

    def reset(self) -> SegmentState:
        """Clear all evidence, as a page does."""
        return replace(self, shares=self.shares.reset(), scores=self.scores.reset(), evidence_start=None)


def encode(segment_state: SegmentState) -> bytes:
    arrays: Arrays = {
        f"shares.{name}": getattr(segment_state.shares, attribute) for name, attribute in SHARE_ARRAYS.items()
    }
    arrays |= {
        f"scores.{name}": getattr(segment_state.scores, attribute) for name, attribute in SCORE_ARRAYS.items()
    }
    # Lossless, because values are rounded to single precision when they are learned.
    arrays["scores.values"] = segment_state.scores.values.astype(np.float32)
    if segment_state.carried_over is not None:
        arrays["held"] = np.frombuffer(encode_summary(segment_state.carried_over), dtype=np.uint8)
    if segment_state.score_model is not None:
        arrays |= {
            f"usual.{name}": getattr(segment_state.score_model, attribute)
            for name, attribute in MODEL_ARRAYS.items()
        }
    header = {
        "reference": segment_state.reference,
        "configuration": segment_state.configuration,
        "healthy_windows": segment_state.healthy_windows,
        "decided_until": segment_state.decided_until,
        "since": segment_state.evidence_start,
        "shares": [list(key) for key in segment_state.shares.keys],
        "scores": [list(key) for key in segment_state.scores.keys],
        "windows": [segment_state.scores.windows, segment_state.scores.level_end],
        "usual": None
        if segment_state.score_model is None
        else [len(segment_state.score_model.keys), segment_state.score_model.windows],
        "ordinary": sorted(list(item) for item in segment_state.healthy_breakages),
        "incidents": [asdict(item) for item in segment_state.incidents],
    }
    return pack(header, arrays)


def decode(data: bytes) -> SegmentState:
    """Decode a state that this or an older version stored."""
    header, arrays = unpack(data)
    arrays["scores.values"] = arrays["scores.values"].astype(np.float64)
    arrays["scores.signed"] = arrays["scores.signed"].astype(np.bool_)
    # States stored before the common shift existed.
    arrays.setdefault("scores.lean", np.zeros(len(header["scores"])))
    # States stored before rows were: every window counts as one with the mean rows.
    arrays.setdefault("scores.rows", np.full(len(arrays["scores.ends"]), np.nan))
    # States stored before the fourth calibrator, which has no evidence yet.
    for name, initial in (("log_m", -np.inf), ("run", 0), ("onset", 0)):
        stored = arrays[f"scores.{name}"]
        padding = ((0, 0), (0, 0), (0, CALIBRATORS - stored.shape[2]))
        arrays[f"scores.{name}"] = np.pad(stored, padding, constant_values=initial)
    scores, score_model = _stream_index(header["scores"]), None
    # Models stored before they flagged scores that have ranks only are fitted again.
    if header["usual"] is not None and "usual.ranked" in arrays:
        arrays["usual.ranked"] = arrays["usual.ranked"].astype(np.bool_)
        count, fit_windows = header["usual"]
        parameters = {attribute: arrays[f"usual.{name}"] for name, attribute in MODEL_ARRAYS.items()}
        score_model = ScoreModel(keys=StreamIndex(scores[:count]), windows=fit_windows, **parameters)
    windows, level_end = header["windows"]
    return SegmentState(
        reference=header["reference"],
        configuration=header["configuration"],
        healthy_windows=header["healthy_windows"],
        decided_until=header["decided_until"],
        evidence_start=header["since"],
        carried_over=decode_summary(arrays["held"].tobytes()) if "held" in arrays else None,
        shares=ShareHistory.from_arrays(
            _stream_index(header["shares"]),
            {attribute: arrays[f"shares.{name}"] for name, attribute in SHARE_ARRAYS.items()},
        ),
        scores=ScoreHistory(
            keys=scores,
            windows=windows,
            level_end=level_end,
            **{attribute: arrays[f"scores.{name}"] for name, attribute in SCORE_ARRAYS.items()},
        ),
        score_model=score_model,
        healthy_breakages=frozenset((column, reason) for column, reason in header["ordinary"]),
        incidents=tuple(
            Incident(**{**item, "columns": tuple(item["columns"]), "quiet": tuple(item["quiet"])})
            for item in header["incidents"]
        ),
    )


def _stream_index(stored: list[list[Any]]) -> StreamIndex:
    return StreamIndex((detector, column, label) for detector, column, label in stored)
