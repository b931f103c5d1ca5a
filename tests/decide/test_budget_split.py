"""However streams differ, a window bets its budget and never more."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.decide.baseline.share_history import shares_seen
from driftwatch.decide.budget import log_weights
from driftwatch.decide.evalues.e_values import ALTERNATIVES, CALIBRATORS
from driftwatch.decide.evalues.policy import COMBINED_BUDGET_SHARE, TOLERANCE_SHARE, Policy
from driftwatch.decide.evalues.stream_index import COMBINED_SCORE, COMMON_SHIFT, owner_of
from driftwatch.decide.share_terms import terms_of
from driftwatch.decide.state import SegmentState
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


def _apart(streams: list[Shares] | list[Score]) -> list[Shares] | list[Score]:
    return list({(item.detector, item.column, getattr(item, "label", "")): item for item in streams}.values())


@given(
    st.lists(shares(), min_size=1, max_size=8).map(_apart),
    st.lists(scores(), min_size=1, max_size=8).map(_apart),
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
    together = [
        Score(detector=detector, column=None, label=label, value=0.0, floor=0.1)
        for detector, _, label in (COMBINED_SCORE, COMMON_SHIFT)[:joint]
    ]
    streams = Streams.of([*some_shares, *some_scores, *together])
    segment_state = SegmentState(reference="r", configuration="c").expecting(streams)
    of_shares, of_scores = (np.exp(part) for part in log_weights(segment_state, policy, WINDOW))

    book = segment_state.shares
    terms = terms_of(book, shares_seen(book, streams), policy, np.full(len(book.keys), effect or np.nan))
    each = of_shares[book.which][:, None] * np.exp(terms.stakes) * len(ALTERNATIVES)
    looked_at = terms.odds.any(axis=(0, 3))
    assert (each[~looked_at] == 0).all()
    spent = np.add.reduceat(each.sum(axis=1), book.starts)
    given = of_shares * book.sizes * 2 * len(ALTERNATIVES)
    open_labels = np.minimum.reduceat(looked_at.any(axis=1), book.starts)
    assert spent[open_labels] == pytest.approx(given[open_labels])
    assert (spent <= given * (1 + 1e-9)).all()
    assert given.sum() == pytest.approx(TOLERANCE_SHARE * total)

    sides = np.where(segment_state.scores.signed, 2, 1)
    parts = of_scores * sides * CALIBRATORS
    all_columns = np.array([key in (COMBINED_SCORE, COMMON_SHIFT) for key in segment_state.scores.keys])
    assert parts[all_columns] == pytest.approx(np.full(joint, COMBINED_BUDGET_SHARE / 2 * total))
    assert parts[~all_columns].sum() == pytest.approx((1 - TOLERANCE_SHARE - COMBINED_BUDGET_SHARE) * total)
    # Owners have what the user's weights say, whatever the number of their streams.
    for keys, held in ((book.keys, given), (segment_state.scores.keys, np.where(all_columns, 0.0, parts))):
        of: dict[str, float] = {}
        for key, part in zip(keys, held.tolist(), strict=True):
            if part:
                of[owner_of(key)] = of.get(owner_of(key), 0.0) + part
        one = [part / weights.get(name, 1.0) for name, part in of.items()]
        assert one == pytest.approx([one[0]] * len(one))
