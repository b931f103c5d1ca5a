"""Encode and decode segment states, also those that older versions stored.

Names in stored bytes never change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from driftwatch.core.arrays import Int64Array
from driftwatch.core.codec import Arrays
from driftwatch.core.schema import Span
from driftwatch.core.stored_format import Header, Migration, StoredFormat
from driftwatch.decide.baseline.recent_shares import RecentShares, ShareBlock
from driftwatch.decide.baseline.score_history import CENTRE_ARRAYS, SCORE_ARRAYS, ScoreHistory
from driftwatch.decide.baseline.score_model import MODEL_ARRAYS, ScoreModel
from driftwatch.decide.baseline.share_history import SHARE_ARRAYS, ShareHistory
from driftwatch.decide.evalues.stream_index import StreamIndex
from driftwatch.decide.segment_state import BROKEN, Incident, PastIncident, SegmentState
from driftwatch.errors import StoreError
from driftwatch.summary.serial import decode_summary, encode_summary

VERSION = 2
#: Fields of an incident that every state has.
_FIRST_INCIDENT_FIELDS = ("key", "kind", "columns", "opened_at", "onset", "quiet", "muted_until")
#: Calibrators of version 1.
_CALIBRATORS = 4


def _from_version_0(header: Header, arrays: Arrays) -> tuple[Header, Arrays]:
    """Complete a state without a number, as 0.1.0 and development versions before it stored them."""
    if "shares.effect" not in arrays:
        raise StoreError(
            "stored segment state: expected one of driftwatch 0.1.0 or newer. Got one of a development "
            "version before it, which cannot be read. Use another storage.path."
        )
    header, arrays = dict(header), dict(arrays)
    # States stored before the common shift existed.
    arrays.setdefault("scores.lean", np.zeros(len(header["scores"])))
    # States stored before rows were: every window counts as one with the mean rows.
    arrays.setdefault("scores.rows", np.full(len(arrays["scores.ends"]), np.nan))
    # States stored before the fourth calibrator, which has no evidence yet.
    for name, initial in (("log_m", -np.inf), ("run", 0), ("onset", 0)):
        stored = arrays[f"scores.{name}"]
        padding = ((0, 0), (0, 0), (0, _CALIBRATORS - stored.shape[2]))
        arrays[f"scores.{name}"] = np.pad(stored, padding, constant_values=initial)
    # Models stored before they flagged scores that have ranks only are fitted again.
    if "usual.ranked" not in arrays:
        header["usual"] = None
    return header, arrays


def _from_version_1(header: Header, arrays: Arrays) -> tuple[Header, Arrays]:
    # Drift and broken incidents had no columns in common.
    incidents = [
        {**item, "broken": item["columns"], "only_broken": item["columns"]}
        if item["kind"] == BROKEN
        else item
        for item in header["incidents"]
    ]
    return {**header, "incidents": incidents}, arrays


#: The step at index ``n`` begins with version ``n``; steps are appended, never edited.
MIGRATIONS: tuple[Migration, ...] = (_from_version_0, _from_version_1)
SEGMENT_STATE = StoredFormat(name="segment state", version=VERSION, migrations=MIGRATIONS)


def encode(segment_state: SegmentState) -> bytes:
    arrays: Arrays = {
        f"shares.{name}": getattr(segment_state.shares, attribute) for name, attribute in SHARE_ARRAYS.items()
    }
    arrays |= {
        f"scores.{name}": getattr(segment_state.scores, attribute) for name, attribute in SCORE_ARRAYS.items()
    }
    # Lossless, because values are rounded to single precision when they are learned.
    arrays["scores.values"] = segment_state.scores.values.astype(np.float32)
    if segment_state.scores.late.any():
        arrays["scores.late"] = segment_state.scores.late
    if segment_state.scores.centred.any():
        arrays |= {
            f"scores.{name}": getattr(segment_state.scores, attribute)
            for name, attribute in CENTRE_ARRAYS.items()
        }
    if segment_state.shares.centre.any():
        arrays |= {
            "shares.centre": segment_state.shares.centre,
            "shares.paged": segment_state.shares.paged_change,
        }
    if segment_state.carried_over is not None:
        arrays["held"] = np.frombuffer(encode_summary(segment_state.carried_over), dtype=np.uint8)
    if segment_state.carried_silence:
        arrays["held_silence"] = np.array([segment_state.carried_silence])
    if segment_state.carried_spans is not None:
        arrays["held_spans"] = _span_array(segment_state.carried_spans)
        arrays["silent"] = _span_array(segment_state.silent_spans)
    if segment_state.score_model is not None:
        arrays |= {
            f"usual.{name}": getattr(segment_state.score_model, attribute)
            for name, attribute in MODEL_ARRAYS.items()
        }
    blocks = segment_state.recent_shares.blocks
    if blocks:
        arrays["recent"] = segment_state.recent_shares.to_array(len(segment_state.shares.log_m))
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
        "incidents": [_incident_json(item) for item in segment_state.incidents],
    }
    if segment_state.production_windows is not None:
        header["production_windows"] = segment_state.production_windows
    if segment_state.past_incidents:
        header["past_incidents"] = [asdict(item) for item in segment_state.past_incidents]
    if segment_state.unwatched:
        header["unwatched"] = sorted(segment_state.unwatched)
    if blocks:
        header["recent"] = [[block.start, block.windows] for block in blocks]
    return SEGMENT_STATE.pack(header, arrays)


def decode(data: bytes) -> SegmentState:
    """Decode a state of this or an older version. Raises ``StoreError``."""
    header, arrays = SEGMENT_STATE.unpack(data)
    arrays["scores.values"] = arrays["scores.values"].astype(np.float64)
    arrays["scores.signed"] = arrays["scores.signed"].astype(np.bool_)
    scores, score_model = _stream_index(header["scores"]), None
    if header["usual"] is not None:
        arrays["usual.ranked"] = arrays["usual.ranked"].astype(np.bool_)
        count, fit_windows = header["usual"]
        parameters = {attribute: arrays[f"usual.{name}"] for name, attribute in MODEL_ARRAYS.items()}
        score_model = ScoreModel(keys=StreamIndex(scores[:count]), windows=fit_windows, **parameters)
    windows, level_end = header["windows"]
    return SegmentState(
        reference=header["reference"],
        configuration=header["configuration"],
        healthy_windows=header["healthy_windows"],
        production_windows=header.get("production_windows"),
        decided_until=header["decided_until"],
        evidence_start=header["since"],
        carried_over=decode_summary(arrays["held"].tobytes()) if "held" in arrays else None,
        carried_silence=float(arrays["held_silence"][0]) if "held_silence" in arrays else 0.0,
        carried_spans=_spans(arrays["held_spans"]) if "held_spans" in arrays else None,
        silent_spans=_spans(arrays["silent"]) if "silent" in arrays else (),
        shares=ShareHistory.from_arrays(
            _stream_index(header["shares"]),
            {
                **{attribute: arrays[f"shares.{name}"] for name, attribute in SHARE_ARRAYS.items()},
                **_share_centres(arrays),
            },
        ),
        scores=ScoreHistory(
            keys=scores,
            windows=windows,
            level_end=level_end,
            # Stored only where some windows came late.
            late=arrays.get("scores.late", np.zeros(len(arrays["scores.ends"]), dtype=np.int64)),
            **{attribute: arrays[f"scores.{name}"] for name, attribute in SCORE_ARRAYS.items()},
            **_score_centres(arrays, len(scores)),
        ),
        score_model=score_model,
        healthy_breakages=frozenset((column, reason) for column, reason in header["ordinary"]),
        incidents=tuple(_incident(item) for item in header["incidents"]),
        past_incidents=tuple(
            PastIncident(**{**item, "columns": tuple(item["columns"])})
            for item in header.get("past_incidents", ())
        ),
        unwatched=frozenset(header.get("unwatched", ())),
        recent_shares=_recent_shares(header.get("recent", ()), arrays),
    )


def _incident_json(incident: Incident) -> dict[str, Any]:
    data = asdict(incident)
    for item in fields(Incident):
        # Stored as before there were such fields.
        if item.name not in _FIRST_INCIDENT_FIELDS and data[item.name] == item.default:
            del data[item.name]
    return data


def _incident(data: dict[str, Any]) -> Incident:
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in data.items()
    }
    return Incident(**values)


def _share_centres(arrays: Arrays) -> Arrays:
    labels = len(arrays["shares.log_m"])
    return {
        "centre": arrays.get("shares.centre", np.zeros((2, labels), dtype=np.int64)),
        "paged_change": arrays.get("shares.paged", np.zeros(labels)),
    }


def _score_centres(arrays: Arrays, count: int) -> Arrays:
    stored = {attribute: arrays.get(f"scores.{name}") for name, attribute in CENTRE_ARRAYS.items()}
    return {
        attribute: np.full(count, np.nan if attribute == "centre" else 0.0) if array is None else array
        for attribute, array in stored.items()
    }


def _span_array(spans: Sequence[Span]) -> Int64Array:
    return np.array([[span.start, span.end] for span in spans], dtype=np.int64).reshape(-1, 2)


def _spans(stored: Int64Array) -> tuple[Span, ...]:
    return tuple(Span(start=start, end=end) for start, end in stored.tolist())


def _recent_shares(stored: Sequence[Sequence[int]], arrays: Arrays) -> RecentShares:
    # States stored before there were any begin without.
    return RecentShares(
        blocks=tuple(
            ShareBlock(start=start, windows=windows, counts=arrays["recent"][position])
            for position, (start, windows) in enumerate(stored)
        )
    )


def _stream_index(stored: list[list[Any]]) -> StreamIndex:
    return StreamIndex((detector, column, label) for detector, column, label in stored)
