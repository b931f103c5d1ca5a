"""However streams differ, a window spends at most its budget."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.decide.baseline.share_history import align_shares
from driftwatch.decide.budget import log_weights
from driftwatch.decide.evalues.e_values import ALTERNATIVES, CALIBRATORS
from driftwatch.decide.evalues.policy import COMBINED_BUDGET_SHARE, TOLERANCE_BUDGET_SHARE, Policy
from driftwatch.decide.evalues.stream_index import COMBINED_SCORE, COMMON_SHIFT, owner_of
from driftwatch.decide.segment_state import SegmentState
from driftwatch.decide.share_terms import share_terms
from driftwatch.results.results import Score, Shares
from driftwatch.results.streams import Streams

WINDOW = Span(start=0, end=3600 * NANOSECONDS)
COLUMNS = st.sampled_from([None, "a", "b", "c"])
SHARE = st.one_of(st.floats(0.0, 1.0), st.sampled_from([0.0, 1.0, 0.96, 0.04]))


@st.composite
def shares(draw: st.DrawFn) -> Shares:
    reference = np.sort(draw(st.lists(SHARE, min_size=1, max_size=8)))
    zeros = np.zeros(len(reference), dtype=np.int64)
    return Shares(
        detector=draw(st.sampled_from(["ks", "tv", "missing"])), column=draw(COLUMNS),
        labels=tuple("abcdefgh"[: len(reference)]), successes=zeros, trials=zeros + 10, reference=reference,
        reference_trials=draw(st.sampled_from([1, 100, 10_000])), ordered=draw(st.booleans()),
        tolerance=draw(st.sampled_from([None, 0.0, 0.3, 0.6])),
    )  # fmt: skip


@st.composite
def scores(draw: st.DrawFn) -> Score:
    return Score(
        detector=draw(st.sampled_from(["ks", "tv"])), column=draw(COLUMNS), value=0.0, floor=0.1,
        label=draw(st.sampled_from(["location", "spread"])), signed=draw(st.booleans()),
    )  # fmt: skip


def _distinct(streams: list[Shares] | list[Score]) -> list[Shares] | list[Score]:
    return list({(item.detector, item.column, getattr(item, "label", "")): item for item in streams}.values())


@given(
    st.lists(shares(), min_size=1, max_size=8).map(_distinct),
    st.lists(scores(), min_size=1, max_size=8).map(_distinct),
    st.dictionaries(st.sampled_from(["a", "b", "joint:ks", "nobody"]), st.sampled_from([0.5, 1.0, 7.0])),
    st.sampled_from([0.0, 0.05, 0.4]),
    st.sampled_from([None, 1.0, 40.0]),
    st.sampled_from([0, 1, 2]),
)
def test_the_parts_add_up_to_the_budget(
    some_shares: list[Shares], some_scores: list[Score], weights: dict[str, float], tolerance: float,
    effect: float | None, joint: int,
) -> None:  # fmt: skip
    policy = Policy(
        monitor="m", segment=None, pages_per_second=1e-6, tolerance=tolerance, weights=weights,
        design_effect=effect,
    )  # fmt: skip
    total = policy.pages_per_second * WINDOW.seconds
    joint_scores = [
        Score(detector=detector, column=None, label=label, value=0.0, floor=0.1)
        for detector, _, label in (COMBINED_SCORE, COMMON_SHIFT)[:joint]
    ]
    streams = Streams.from_list([*some_shares, *some_scores, *joint_scores])
    segment_state = SegmentState(reference="r", configuration="c").with_streams(streams)
    budgets = log_weights(segment_state, policy, WINDOW)
    share_weights, score_weights = np.exp(budgets.shares), np.exp(budgets.scores)

    history = segment_state.shares
    terms = share_terms(
        history, align_shares(history, streams), policy, np.full(len(history.keys), effect or np.nan)
    )
    label_budgets = (
        share_weights[history.label_streams][:, None] * np.exp(terms.log_weights) * len(ALTERNATIVES)
    )
    is_tested = terms.log_ratios.any(axis=(0, 3))
    assert (label_budgets[~is_tested] == 0).all()
    spent = np.add.reduceat(label_budgets.sum(axis=1), history.starts)
    stream_budgets = share_weights * history.sizes * 2 * len(ALTERNATIVES)
    open_labels = np.minimum.reduceat(is_tested.any(axis=1), history.starts)
    assert spent[open_labels] == pytest.approx(stream_budgets[open_labels])
    assert (spent <= stream_budgets * (1 + 1e-9)).all()
    assert stream_budgets.sum() == pytest.approx(TOLERANCE_BUDGET_SHARE * total)

    sides = np.where(segment_state.scores.signed, 2, 1)
    score_budgets = score_weights * sides * CALIBRATORS
    is_combined = np.array([key in (COMBINED_SCORE, COMMON_SHIFT) for key in segment_state.scores.keys])
    assert score_budgets[is_combined] == pytest.approx(np.full(joint, COMBINED_BUDGET_SHARE / 2 * total))
    assert score_budgets[~is_combined].sum() == pytest.approx(
        (1 - TOLERANCE_BUDGET_SHARE - COMBINED_BUDGET_SHARE) * total
    )
    # Owners have what the user's weights say, whatever the number of their streams.
    for keys, budgets in (
        (history.keys, stream_budgets),
        (segment_state.scores.keys, np.where(is_combined, 0.0, score_budgets)),
    ):
        owner_budgets: dict[str, float] = {}
        for key, budget in zip(keys, budgets.tolist(), strict=True):
            if budget:
                owner_budgets[owner_of(key)] = owner_budgets.get(owner_of(key), 0.0) + budget
        unweighted = [budget / weights.get(name, 1.0) for name, budget in owner_budgets.items()]
        assert unweighted == pytest.approx([unweighted[0]] * len(unweighted))
