"""Says which scores are only learned after an acceptance, and until when."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from driftwatch.config.models import MonitorConfig
from driftwatch.core.windows import boundary_after
from driftwatch.decide.baseline.score_model import MIN_HISTORY_WINDOWS
from driftwatch.decide.decision import Decision
from driftwatch.decide.evalues.stream_index import owner_of
from driftwatch.decide.measurement import Measurement
from driftwatch.monitor.column_labels import column_labels
from driftwatch.results.results import Verdict
from driftwatch.results.text_format import format_time, listing
from driftwatch.summary.reference import Reference

#: Columns and joint detectors that the note names.
_MAX_NAMES = 5


def with_learning_note(
    verdict: Verdict,
    decision: Decision,
    measurement: Measurement,
    reference: Reference,
    joint_owners: frozenset[str],
    config: MonitorConfig,
) -> Verdict:
    """Add what draws no evidence yet since the reference was rebased; ``joint_owners`` learn from it too."""
    spans = reference.provenance.accepted
    if not spans or decision.fit is None or verdict.calibrating_until is not None:
        return verdict
    owners = joint_owners | {column for span in spans for column in span.columns}
    owners -= decision.segment_state.incident_columns
    positions = decision.segment_state.scores.keys.positions
    learned = {
        owner_of(key): int(decision.fit.n_all_slots[positions[key]])
        for key in measurement.streams.score_keys
        if owner_of(key) in owners and decision.fit.n_all_slots[positions[key]] < MIN_HISTORY_WINDOWS
    }
    if not learned:
        return verdict
    # The windows after this one that are only learned.
    n_windows = MIN_HISTORY_WINDOWS - 1 - int(np.min(list(learned.values())))
    until = boundary_after(verdict.window.end, n_windows, config.window.length, config.timezone)
    names = listing(column_labels(learned), _MAX_NAMES)
    text = f"since what was accepted became the reference, scores of {names} are only learned until "
    text += f"{format_time(until)}, and shares of rows page already"
    return replace(verdict, detail="; ".join(filter(None, (verdict.detail, text))))
