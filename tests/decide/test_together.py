"""What a window may teach, who has which part of the budget, and all columns together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from driftwatch.decide.budget import log_weights
from driftwatch.decide.decision import Decision, decide, learn_block
from driftwatch.decide.keys import DIRECTION, TOGETHER
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.policy import Policy
from driftwatch.decide.prediction import past_of
from driftwatch.decide.shares import LONGEST_WAIT, SUSPECTED, WAIT
from driftwatch.decide.smallest import smallest_joint_effect
from driftwatch.decide.together import combined, taught_together
from driftwatch.decide.track import Track
from driftwatch.summary.batch import Float64Array
from driftwatch.summary.drawn import Drawn
from driftwatch.summary.result import Score
from driftwatch.summary.schema import NANOSECONDS, Span

DAY, ROWS = 86400 * NANOSECONDS, 600
POLICY = Policy(monitor="m", segment=None, pages_per_second=1 / (90 * 86400), min_rows=1)
KEYS = [("ks", f"c{number}", "up") for number in range(12)]


def scores(values: Float64Array) -> list[Score]:
    return [
        Score(detector="ks", column=f"c{number}", label="up", value=float(value), floor=0.02)
        for number, value in enumerate(values)
    ]


def seen(day: int, streams: list[Score]) -> Measurement:
    span = Span(start=day * DAY, end=(day + 1) * DAY)
    return Measurement(window=span, rows=ROWS, statistics=(), streams=Drawn.of(streams))


def learned(rng: np.random.Generator) -> Track:
    track = Track(reference="r", configuration="c")
    for day in range(40):
        track = learn_block(track, seen(day, scores(rng.normal(0.05, 0.02, 12))))
    return taught_together(track)


def test_many_columns_that_each_moved_a_little_page_together() -> None:
    rng = np.random.default_rng(1)
    track, decisions = learned(rng), list[Decision]()
    for day in range(100, 104):
        decision = decide(track, seen(day, scores(rng.normal(0.05, 0.02, 12) + 0.045)), POLICY)
        decisions.append(decision)
        track = decision.track
    paged = next(decision for decision in decisions if decision.page)
    assert paged.named[0].column == "joint:together"
    assert paged.named[0].effect.startswith("several columns together")


def test_the_reference_blocks_and_later_windows_have_alike_scores_together() -> None:
    rng = np.random.default_rng(2)
    track = learned(rng)
    past = past_of(track.scores, 0, ROWS)
    later = [
        combined(track, track.scores.seen(Drawn.of(scores(rng.normal(0.05, 0.02, 12)))), 0, past)
        for _ in range(400)
    ]
    values = np.array([item[0][0].value for item in later if item is not None])
    taught = track.scores.values[:, track.scores.keys.index(TOGETHER)]
    error = np.hypot(values.std() / np.sqrt(400), taught.std() / np.sqrt(40))
    # Two normal means differ by 5 standard errors with probability 6e-7.
    assert abs(values.mean() - taught.mean()) < 5 * error


def test_an_absent_stream_leaves_its_part_of_the_budget_unspent() -> None:
    track = Track(reference="r", configuration="c").expecting(Drawn.of(scores(np.zeros(12))))
    window = Span(start=0, end=DAY)
    _, whole = log_weights(track, POLICY, window)
    assert len(whole) == 12
    after = decide(track, seen(0, scores(np.zeros(12))[:3]), POLICY).track
    assert log_weights(after, POLICY, window)[1][:12] == pytest.approx(whole)
    spent = 3 * np.exp(whole).sum()
    assert spent <= POLICY.pages_per_second * window.seconds


def test_a_shift_does_not_teach_before_it_has_waited() -> None:
    rng = np.random.default_rng(3)
    quiet = replace(POLICY, pages_per_second=1e-300)
    track = learned(rng)

    def teaching(known: Track) -> list[float]:
        values = known.scores.healthy.whole()[:, 0]
        return values[~np.isnan(values)].tolist()

    before = teaching(track)
    for day in range(100, 100 + LONGEST_WAIT):
        track = decide(track, seen(day, scores(np.full(12, 0.2))), quiet).track
        assert teaching(track) == before, "it is suspected and goes on waiting"
    track = decide(track, seen(200, scores(np.full(12, 0.2))), quiet).track
    assert max(teaching(track)) == pytest.approx(0.2), "in the end it teaches after all"


def test_what_was_suspected_teaches_once_the_suspicion_is_over() -> None:
    rng = np.random.default_rng(4)
    quiet = replace(POLICY, pages_per_second=1e-300)
    track = learned(rng)
    known = int((~np.isnan(track.scores.healthy.whole()[:, 0])).sum())
    for day in range(100, 103):
        track = decide(track, seen(day, scores(np.full(12, 0.2))), quiet).track
    for day in range(103, 120):
        track = decide(track, seen(day, scores(np.zeros(12))), quiet).track
    assert not (track.scores.run[0] >= SUSPECTED).any()
    healthy = track.scores.healthy.whole()[:, 0]
    assert int((~np.isnan(healthy)).sum()) == known + 20 - WAIT
    assert np.nanmax(healthy) == pytest.approx(0.2)


def located(values: Float64Array) -> list[Score]:
    return [
        Score(
            detector="ks", column=f"c{number}", label="location", value=float(value), floor=0.0, signed=True
        )
        for number, value in enumerate(values)
    ]


def of_locations(
    rng: np.random.Generator, columns: int, common: float = 0.0, windows: int = 60
) -> tuple[Track, list[float]]:
    """A track that 40 blocks and then these windows taught, and the windows' scores along their lean."""
    track = Track(reference="r", configuration="c")
    for day in range(40):
        track = learn_block(track, seen(day, located(drawn(rng, columns, common))))
    track, found = taught_together(track), []
    for day in range(40, 40 + windows):
        streams = located(drawn(rng, columns, common))
        answer = combined(track, track.scores.seen(Drawn.of(streams)), 0, past_of(track.scores, 0, ROWS))
        assert answer is not None
        track = replace(track, scores=replace(track.scores, lean=answer[2])).expecting(Drawn.of(answer[0]))
        value = track.scores.seen(Drawn.of([*streams, *answer[0]]))
        track = replace(track, scores=track.scores.learn(value, 0, (day + 1) * DAY, ROWS))
        found += [score.value for score in answer[0] if score.label == DIRECTION[2]]
    return track, found


def drawn(rng: np.random.Generator, columns: int, common: float) -> Float64Array:
    return np.sqrt(1 - common) * rng.standard_normal(columns) + np.sqrt(common) * rng.standard_normal()


@pytest.mark.parametrize(("columns", "common"), [(12, 0.0), (200, 0.0), (200, 0.6)])
def test_without_a_shift_no_direction_lasts(columns: int, common: float) -> None:
    # 10 independent tracks: the mean of their means against 5 of its standard errors, 6e-7 if it were normal.
    means = []
    for run in range(10):
        _, found = of_locations(np.random.default_rng(run), columns, common)
        assert len(found) == 60
        means.append(float(np.mean(found)))
    assert abs(np.mean(means)) < 5 * np.std(means, ddof=1) / np.sqrt(10)


def test_columns_that_move_a_little_in_any_direction_page_together() -> None:
    rng = np.random.default_rng(5)
    track, _ = of_locations(rng, 40)
    way = np.where(rng.random(40) < 0.5, -0.5, 0.5)
    decisions = list[Decision]()
    for day in range(100, 115):
        decisions.append(decide(track, seen(day, located(drawn(rng, 40, 0.0) + way)), POLICY))
        track = decisions[-1].track
        if decisions[-1].page:
            break
    assert decisions[-1].page
    assert decisions[-1].named[0].column == "joint:together"


def test_one_column_alone_is_no_direction() -> None:
    rng = np.random.default_rng(6)
    track, _ = of_locations(rng, 12)
    lean = track.scores.lean
    track = replace(track, scores=replace(track.scores, lean=np.where(lean == lean[0], 3.0, 0.0)))
    answer = combined(
        track, track.scores.seen(Drawn.of(located(np.full(12, 5.0)))), 0, past_of(track.scores, 0, ROWS)
    )
    assert answer is not None
    assert [score.label for score in answer[0]] == [TOGETHER[2]]


def test_the_smallest_joint_effect_is_where_one_window_begins_to_page() -> None:
    rng = np.random.default_rng(7)
    track, _ = of_locations(rng, 40, windows=300)
    track = decide(track, seen(400, located(drawn(rng, 40, 0.0))), POLICY).track
    held = past_of(track.scores, 0, ROWS).held
    smallest = smallest_joint_effect(track, seen(401, located(np.zeros(40))), POLICY, held)
    assert smallest is not None

    def pages(moved: float) -> int:
        found = 0
        for _ in range(20):
            way = np.where(rng.random(40) < 0.5, -moved, moved)
            found += decide(track, seen(401, located(drawn(rng, 40, 0.0) + way)), POLICY).page
        return found

    # The mean of 40 columns' distances has a standard error of .16 spreads: .8 are five of them.
    assert pages(smallest + 0.8) == 20
    assert pages(smallest - 0.8) == 0
