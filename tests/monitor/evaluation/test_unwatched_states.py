"""States of windows that nobody could look at wholly, over several windows and a restart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from detector_worlds import reference_of, window_of

from driftwatch.config.models import MonitorConfig
from driftwatch.core.schema import Column, Kind, Span, Unwatched
from driftwatch.decide.segment_state import SegmentState
from driftwatch.decide.state_codec import decode, encode
from driftwatch.monitor.evaluation.evaluator import Evaluator
from driftwatch.results.results import Reason, State, Verdict
from driftwatch.summary.reference import Provenance, Reference

DAY = 86_400 * 10**9
NAMES = ("a", "b", "c")


def config(**settings: Any) -> MonitorConfig:
    return MonitorConfig.model_validate(
        {"name": "m", "reference": {"path": "x"}, "source": {"type": "files"}, **settings}
    )


def world(rng: np.random.Generator, rows: int, missing: dict[str, float]) -> dict[str, np.ndarray]:
    return {
        name: np.where(np.arange(rows) < missing.get(name, 0.0) * rows, np.nan, rng.normal(size=rows))
        for name in NAMES
    }


def reference(*set_aside: Column, missing: dict[str, float] | None = None) -> Reference:
    made_from = reference_of(world(np.random.default_rng(1), 4000, missing or {}))
    provenance = Provenance(source="t", files=0, built_at=0, time_range=None, set_aside=set_aside)
    return replace(made_from, provenance=provenance)


def verdicts(
    test_set: Reference, shares: list[dict[str, float]], settings: MonitorConfig, rows: int = 400
) -> list[Verdict]:
    """One verdict a day, each from a state that was stored before."""
    evaluator, rng = Evaluator.from_config(test_set, settings), np.random.default_rng(2)
    segment_state = SegmentState(reference=test_set.fingerprint, configuration="c")
    results = []
    for day, missing in enumerate(shares):
        window = window_of(test_set, world(rng, rows, missing), salt=day + 3)
        evaluation = evaluator.evaluate(
            replace(window, span=Span(start=day * DAY, end=(day + 1) * DAY)), segment_state
        )
        segment_state = decode(encode(evaluation.segment_state))
        results.append(evaluation.verdict)
    return results


def test_few_values_make_the_second_window_insufficient_and_the_next_full_one_ends_it() -> None:
    settings = config(tolerance=0.49)
    days = verdicts(reference(), [{}, {"a": 0.55}, {"a": 0.55}, {"a": 0.55}, {}], settings)
    reasons = [item.reason for item in days]
    assert reasons[:4] == [
        Reason.BURN_IN,
        Reason.BURN_IN,
        Reason.COLUMNS_UNWATCHED,
        Reason.COLUMNS_UNWATCHED,
    ]
    assert reasons[4] is Reason.BURN_IN
    assert days[1].unwatched[0].reason is Unwatched.TOO_FEW_VALUES
    assert "could not look at 1 of 3 columns: a (too few values)" in days[1].detail


def test_a_window_with_too_few_rows_between_does_not_make_two_in_a_row_one() -> None:
    evaluator, rng = Evaluator.from_config(reference(), config(tolerance=0.49)), np.random.default_rng(5)
    segment_state = SegmentState(reference=evaluator.reference.fingerprint, configuration="c")
    states = []
    for day, (missing, rows) in enumerate([({"a": 0.7}, 400), ({}, 50), ({"a": 0.7}, 400)]):
        window = window_of(evaluator.reference, world(rng, rows, missing), salt=day)
        evaluation = evaluator.evaluate(
            replace(window, span=Span(start=day * DAY, end=(day + 1) * DAY)), segment_state
        )
        segment_state = evaluation.segment_state
        states.append(evaluation.verdict.reason)
        if rows == 50:
            assert evaluation.verdict.watched is not None
            assert evaluation.verdict.watched.drawn == 0
            assert {item.reason for item in evaluation.verdict.unwatched} == {Unwatched.TOO_FEW_VALUES}
    # The rows of the short window are judged with the third.
    assert states == [Reason.BURN_IN, Reason.TOO_FEW_ROWS, Reason.COLUMNS_UNWATCHED]


def test_what_cannot_be_counted_is_insufficient_from_the_first_window() -> None:
    nested = Column(name="z", kind=Kind.CATEGORICAL, unwatched=Unwatched.NESTED)
    (verdict,) = verdicts(reference(nested), [{}], config())
    assert verdict.state is State.INSUFFICIENT
    assert verdict.reason is Reason.COLUMNS_UNWATCHED
    assert verdict.watched is not None
    assert (verdict.watched.drawn, verdict.watched.of) == (3, 4)


@pytest.mark.parametrize(
    "settings",
    [
        {"columns": {"z": {"role": "feature"}}},
        {"weights": {"z": 2.0}},
        {"groups": {"g": ["z", "a"]}},
    ],
)
def test_a_column_that_the_configuration_names_must_be_looked_at(settings: dict[str, Any]) -> None:
    many = tuple(Column(name=f"ignored{k}", kind=Kind.NUMERIC) for k in range(2))
    nested = Column(name="z", kind=Kind.CATEGORICAL, unwatched=Unwatched.NESTED)
    (verdict,) = verdicts(reference(nested, *many), [{}], config(**settings))
    assert verdict.reason is Reason.COLUMNS_UNWATCHED


def test_evidence_of_other_columns_is_not_held_back_and_drift_ranks_above() -> None:
    nested = Column(name="z", kind=Kind.CATEGORICAL, unwatched=Unwatched.NESTED)
    test_set = reference(nested)
    evaluator = Evaluator.from_config(test_set, config(alarm={"design_effect": 1}))
    segment_state = SegmentState(reference=test_set.fingerprint, configuration="c")
    rng = np.random.default_rng(3)
    states = []
    for day in range(3):
        moved = {name: rng.normal(size=2000) + (5 if day else 0) for name in NAMES}
        window = window_of(test_set, moved, salt=day)
        evaluation = evaluator.evaluate(
            replace(window, span=Span(start=day * DAY, end=(day + 1) * DAY)), segment_state
        )
        segment_state = evaluation.segment_state
        states.append((evaluation.verdict.state, evaluation.verdict.page))
    assert states[:2] == [(State.INSUFFICIENT, False), (State.DRIFTING, True)]


def test_no_values_and_a_column_as_thin_in_the_reference() -> None:
    test_set = reference(missing={"a": 0.9})
    (verdict,) = verdicts(test_set, [{"a": 0.9}], config(tolerance=0.49))
    assert verdict.reason is Reason.BURN_IN
    assert verdict.missing_share_columns == ("a",)
    assert "so the missing share speaks for a" in verdict.detail
