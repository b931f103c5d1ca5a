"""The page rate that a history predicts: exact intervals, shares of windows, segments counted once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from driftwatch.backtest.page_rate import QUARTER_SECONDS, predict
from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.core.settings import Budget
from driftwatch.results.results import NamedColumn, Reason, State, Verdict

DAY = 86400 * NANOSECONDS


def verdict(day: int, state: State, *, page: bool = False, segment: str | None = None) -> Verdict:
    named = (NamedColumn(column="c", detector="ks", share=1.0, effect="", onset=0),)
    return Verdict(
        monitor="m", segment=segment, window=Span(start=day * DAY, end=(day + 1) * DAY), rows=1, state=state,
        reason=Reason.NOTHING_MOVED, page=page, named=named if page and state is State.DRIFTING else (),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("pages", "low", "high"),
    # Garwood's 95 % limits of a Poisson mean, as printed in Ulm 1990 and in R's poisson.test.
    [(0, 0.0, 3.6889), (1, 0.0253, 5.5716), (5, 1.6235, 11.6683), (10, 4.7954, 18.3904)],
)
def test_the_interval_of_a_quarter(pages: int, low: float, high: float) -> None:
    prediction = predict(
        [verdict(day, State.DRIFTING if day < pages else State.OK, page=day < pages) for day in range(90)],
        Budget(pages=2, period=180 * 86400),
    )
    assert prediction.seconds == QUARTER_SECONDS
    assert prediction.per_quarter == pages
    assert prediction.interval == pytest.approx((low, high), abs=1e-4)
    assert prediction.budget == 1.0


def test_shares_are_of_windows_of_all_rows_and_pages_of_every_segment() -> None:
    prediction = predict(
        [
            verdict(0, State.CALIBRATING), verdict(0, State.INSUFFICIENT, segment="x"),
            verdict(1, State.NO_DATA), verdict(2, State.BROKEN, page=True), verdict(3, State.OK),
            verdict(3, State.DRIFTING, page=True, segment="x"),
        ],
        Budget(pages=1, period=QUARTER_SECONDS),
    )  # fmt: skip
    json_object = prediction.to_json()
    assert (
        json_object["windows"],
        json_object["days"],
        json_object["pages"],
        json_object["broken_pages"],
    ) == (4, 4.0, 2, 1)
    assert json_object["states"]["insufficient"] == 0
    assert json_object["states"]["calibrating"] == json_object["could_not_look"] == 0.25
    assert json_object["per_quarter"]["pages"] == 45


def test_a_silence_is_no_time_in_which_it_could_have_paged() -> None:
    windows = [verdict(0, State.OK), verdict(90, State.DRIFTING, page=True)]
    silence = [replace(verdict(day, State.NO_DATA), rows=0) for day in range(1, 90)]
    budget = Budget(pages=1, period=QUARTER_SECONDS)
    prediction, same = predict([windows[0], *silence, windows[1]], budget), predict(windows, budget)
    assert (prediction.seconds, prediction.interval) == (2 * 86400, same.interval)
    assert prediction.per_quarter == 45
    assert (prediction.windows, prediction.could_not_look) == (91, 89 / 91)


def test_no_window_predicts_nothing() -> None:
    json_object = predict([], Budget(pages=1, period=QUARTER_SECONDS)).to_json()
    assert json_object["per_quarter"] == {"pages": None, "low": None, "high": None, "level": 0.95}
    assert json_object["could_not_look"] is None
    assert set(json_object["states"].values()) == {None}
