"""The alarm bench measures what it says: laws of the worlds, likelihood ratios, rivals, tables, going on.

Fixed seeds. Means of random quantities are held to five of their standard errors: a right law fails one in a
million times.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
import pytest
from alarms import delays, nulls, oracle, report, rivals, run
from alarms.healthy import ICC, PAIR, S_SHARES, SETTINGS, USER, Setting, codes, numbers
from alarms.path import Monitor, Rows, altered, configure, plan_of, size
from alarms.shifts import K_MOVED, LINES, MODE_SHARE
from alarms.worlds import WORLDS, counted, harmless
from scipy.spatial.distance import jensenshannon
from scipy.special import ndtr
from scipy.stats import ks_2samp

from driftwatch.summary.batch import Levels

BUDGET = "1 per 90d"
KINDS = [1, USER]
#: Windows of two users: small enough for the mean of a likelihood ratio to be measurable.
TWO = {burst: Setting(rows=2 * burst, length="1d", burst=burst) for burst in KINDS}
MANY = {burst: Setting(rows=20_000, length="1d", burst=burst) for burst in KINDS}


def about(values: list[float] | np.ndarray, wanted: float) -> None:
    found = np.asarray(values, dtype=np.float64)
    assert abs(found.mean() - wanted) <= 5 * found.std(ddof=1) / math.sqrt(len(found)) + 1e-12


def changed(at: Setting, rows: Rows, line: str, t: int) -> Rows:
    return LINES[line].change(at, rows, t, np.random.default_rng([t, 77]))


@pytest.mark.parametrize("burst", KINDS)
def test_gains_are_log_likelihood_ratios(burst: int) -> None:
    """Under the healthy law the ratio has mean 1, under the changed law its inverse has.

    Of bursts that holds where the rows' sum tells all there is; of the others the mean is at most 1.
    """
    at = TWO[burst]
    windows = [at.draw((1,), t) for t in range(1200)]
    sums = ("mean .1", "mean .25", "ramp .02", "level 5-15 %", "segment 3 %")
    # Under the healthy law the ratios of the others have next to no or no variance that a mean could show.
    for line in (*sums, "scale 1.25", "mode 5 %", "tail t3"):
        t, at_line = (9 if line == "ramp .02" else 0), LINES[line]
        if line in sums or burst == 1:
            moved = [
                at_line.change(at, rows, t, np.random.default_rng([n])) for n, rows in enumerate(windows)
            ]
            about([math.exp(-at_line.gain(at, rows, t)) for rows in moved], 1.0)
        ratios = np.exp([at_line.gain(at, rows, t) for rows in windows])
        if line in sums or (line == "scale 1.25" and burst == 1):
            about(ratios, 1.0)
        else:
            assert ratios.mean() <= 1 + 5 * ratios.std(ddof=1) / math.sqrt(len(ratios))


@pytest.mark.parametrize("burst", KINDS)
def test_gross_gains_have_their_divergence(burst: int) -> None:
    """Too far apart for means of ratios: the mean gain is the divergence of the two normal laws."""
    at = TWO[burst]
    windows = [at.draw((2,), t) for t in range(600)]
    spread = (ICC + (1 - ICC) / burst) if burst > 1 else 1.0
    for line, wanted in (
        ("mean 1", 0.5 / spread),
        ("x1000", math.log(1000) ** 2 / 2 / spread),
        ("flip", at.worth * burst * 2 * PAIR**2 / (1 - PAIR**2)),
        ("all .1", 45 * 0.1**2 / 2 / spread),
    ):
        gain = LINES[line].gain
        about([gain(at, changed(at, rows, line, 0), 0) / (size(rows) / burst) for rows in windows], wanted)


@pytest.mark.parametrize("burst", KINDS)
def test_rates_and_volume_gain_what_they_should(burst: int) -> None:
    at = MANY[burst]
    rows = at.draw((3,), 0)
    users, before = size(rows) // burst, 1 / (at.users + 2)
    nulled = changed(at, rows, "nulls 50 %", 0)
    share = np.isnan(numbers(nulled, "n3")).mean()
    wanted = users * (share * math.log(0.5 / before) + (1 - share) * math.log(0.5 / (1 - before)))
    assert LINES["nulls 50 %"].gain(at, nulled, 0) == pytest.approx(wanted)
    assert LINES["unseen 10 %"].gain(at, changed(at, rows, "unseen 10 %", 0), 0) > 0
    gains = [LINES["volume halved"].gain(at, changed(at, r, "volume halved", 0), 0)
             for r in (at.draw((3,), t) for t in range(8))]  # fmt: skip
    about(gains, (math.log(0.5) / 0.1) ** 2 / 2)


@pytest.mark.parametrize("burst", KINDS)
def test_changes_have_the_size_they_claim(burst: int) -> None:
    at = MANY[burst]
    rows = at.draw((4,), 0)
    assert altered(rows, changed(at, rows, "all .1", 0)) == {f"n{i}" for i in range(45)}
    assert (numbers(changed(at, rows, "ramp .02", 9), "n3") - numbers(rows, "n3")).mean() == pytest.approx(
        0.2
    )
    users = size(rows) / burst
    error = 5 * math.sqrt(0.25 / users)
    code = codes(changed(at, rows, "level 5-15 %", 0), "k")[0]
    assert np.abs(np.bincount(code) / size(rows) - K_MOVED).max() < error
    for line, wanted in (("unseen 1 %", 0.01), ("unseen 10 %", 0.1)):
        assert abs((codes(changed(at, rows, line, 0), "k")[0] == len(K_MOVED)).mean() - wanted) < error
    for line, wanted in (("nulls 5 %", 0.05), ("nulls 50 %", 0.5)):
        assert abs(np.isnan(numbers(changed(at, rows, line, 0), "n3")).mean() - wanted) < error
    far = numbers(changed(at, rows, "mode 5 %", 0), "n3") - numbers(rows, "n3")
    assert abs((far > 1).mean() - MODE_SHARE) < error
    tail = numbers(changed(at, rows, "tail t3", 0), "n3")
    assert abs((np.abs(tail) > 3).mean() - 0.0138) < error  # P(|t3| > 3 sqrt(3)) = .0138, normal .0027
    flipped = changed(at, rows, "flip", 0)
    assert np.corrcoef(numbers(flipped, "a"), numbers(flipped, "b"))[0, 1] == pytest.approx(-PAIR, abs=0.02)
    inside = changed(at, rows, "segment 3 %", 0)
    apart = numbers(inside, "n3") - numbers(rows, "n3")
    assert set(np.unique(codes(rows, "s")[0][apart > 0.5])) == {len(S_SHARES) - 1}
    assert size(changed(at, rows, "volume halved", 0)) == size(rows) // burst // 2 * burst


def test_healthy_rows_are_the_same_again_and_come_by_user() -> None:
    at = MANY[USER]
    rows, again = at.draw((5,), 3), at.draw((5,), 3)
    assert np.array_equal(numbers(rows, "n7"), numbers(again, "n7"))
    assert not np.array_equal(numbers(rows, "n7"), numbers(at.draw((5,), 4), "n7"))
    each = np.concatenate([numbers(rows, f"n{i}").reshape(-1, USER) for i in range(45)])
    assert np.corrcoef(each[:, 0], each[:, 5])[0, 1] == pytest.approx(ICC, abs=0.01)
    assert (codes(rows, "s")[0].reshape(-1, USER).std(axis=1) == 0).all()
    assert np.corrcoef(numbers(rows, "a"), numbers(rows, "b"))[0, 1] == pytest.approx(PAIR, abs=0.02)


def means(world: str, count: int, column: str = "c0") -> np.ndarray:
    rng = np.random.default_rng(6)
    draw = WORLDS[world].make(rng)
    return np.array([numbers(draw(rng, t), column).mean() for t in range(count)])


@pytest.mark.parametrize(("world", "rho"), [("window_effect", 0.0), ("autocorrelated_8", 0.8)])
def test_window_effects_have_their_memory(world: str, rho: float) -> None:
    found = means(world, 4000)
    effect, noise = 0.15**2, 1 / 500
    assert np.corrcoef(found[1:], found[:-1])[0, 1] == pytest.approx(
        rho * effect / (effect + noise), abs=0.08
    )
    assert found.var() == pytest.approx(effect + noise, rel=0.25)


def test_null_worlds_have_the_law_they_name() -> None:
    rng = np.random.default_rng(7)
    names = ("users_10", "traffic_20_5000", "ties")
    made = {name: [WORLDS[name].make(rng)(rng, t) for t in range(60)] for name in names}
    person = np.concatenate([numbers(rows, "c1").reshape(-1, 10) for rows in made["users_10"]])
    assert np.corrcoef(person[:, 0], person[:, 9])[0, 1] == pytest.approx(0.8, abs=0.03)
    rows = np.array([size(part) for part in made["traffic_20_5000"]])
    assert rows.min() < 60
    assert rows.max() > 2500
    assert len(np.unique(np.concatenate([numbers(part, "c0") for part in made["ties"]]))) < 12
    wide = WORLDS["columns_200_correlated"].make(rng)(rng, 0)
    assert np.corrcoef(numbers(wide, "c0"), numbers(wide, "c199"))[0, 1] == pytest.approx(0.6, abs=0.15)
    week = WORLDS["hourly_week"].make(rng)
    days = np.array([np.mean([size(week(rng, 24 * day + hour)) for hour in range(24)]) for day in range(7)])
    # Time 0 is a Thursday.
    assert set(np.flatnonzero(days < 0.8 * days.max())) == {2, 3}
    assert means("hourly_day_night", 24).argmax() in range(3, 10)


def test_counts_drawn_per_cell_have_the_law_of_rows() -> None:
    rng = np.random.default_rng(8)
    draw, rows = harmless(0.02, columns=2)(rng), 50_000
    plan = plan_of([draw(rng, t) for t in range(-20, 0)], 200)
    extra = counted(0.02, rows)(rng)
    for t, first in ((-1, 0.0), (0, 0.02)):
        found = extra(plan, t)
        for column, moved in (("c0", first), ("c1", 0.0)):
            counts, edges = found[column], plan.grids[column].edges  # type: ignore[union-attr]
            assert counts.rows == rows
            apart = counts.cells.cumsum()[::2][:-1] / rows - ndtr(edges - moved)
            # Kolmogorov: above 2.2 / sqrt(n) once in eight thousand.
            assert np.abs(apart).max() < 2.2 / math.sqrt(rows)


def test_a_changed_window_is_measured_as_if_it_were_new() -> None:
    at = Setting(rows=200, length="1d")
    monitor = Monitor.learn(configure("1d", BUDGET), [at.draw((9,), t) for t in range(-8, 0)])
    base = monitor.base(at.draw((9,), 0), 0)
    for line in ("mean 1", "unseen 10 %", "nulls 5 %", "volume halved"):
        rows = changed(at, base.rows, line, 0)
        once, anew = monitor.changed(base, rows), monitor.look(rows, 0)
        assert once.summary.counts == anew.summary.counts
        said = [
            [repr(item) for item in seen.streams if item.column is not None or item.detector == "volume"]
            for seen in (once, anew)
        ]
        assert said[0] == said[1]
    with pytest.raises(ValueError, match=r"base\(\)"):
        monitor.recounted(monitor.look(base.rows, 0), changed(at, base.rows, "mean 1", 0))


def test_the_oracle_pays_the_budget_and_nothing_else() -> None:
    assert oracle.delay([0.0, 3.0, 3.0], math.log(0.01)) == 3
    # Evidence gathered before counts: M = w e + w e e.
    assert oracle.delay([1.0, 1.0], -math.log(math.e + math.e**2) + 1e-9) == 2
    assert oracle.delay([1.0, 1.0], -math.log(math.e + math.e**2) - 1e-9) is None
    assert oracle.reachable([1] * 9 + [None], 30)
    assert not oracle.reachable([1] * 8 + [31, None], 30)


def test_who_learned_what_is_usual_gains_as_much_as_two_means_differ() -> None:
    shift, before, after = 0.7, 38, 30
    gains = oracle.learned([shift**2 / 2] * after, before)
    assert sum(gains) == pytest.approx(shift**2 / 2 / (1 / after + 1 / before))


def test_the_rules_read_what_their_tools_read() -> None:
    rng = np.random.default_rng(10)
    before: list[Rows] = [
        {"x": rng.poisson(3.0, 400).astype(np.float64), "y": rng.normal(size=400)} for _ in range(12)
    ]
    monitor = Monitor.learn(configure("1d", BUDGET), before)
    window: Rows = {"x": rng.poisson(3.3, 300).astype(np.float64), "y": rng.normal(size=300)}
    told = rivals.gauges(monitor.reference, monitor.look(window, 0).summary)
    known = ks_2samp(
        np.concatenate([numbers(part, "x") for part in before]), numbers(window, "x"), method="asymp"
    )
    assert told["x"].ks == pytest.approx(known.statistic)
    assert told["x"].log_p == pytest.approx(math.log10(known.pvalue), abs=0.1)
    left, right = np.array([5, 3, 2]), np.array([2, 2, 6])
    assert rivals.js(left, right) == pytest.approx(jensenshannon(left, right, base=2))
    assert rivals.psi(np.array([50, 50]), np.array([100, 0])) == pytest.approx(
        0.5 * math.log(2) + (1e-4 - 0.5) * math.log(1e-4 / 0.5)
    )
    panel = rivals.Panel.learn(monitor, before, rng)
    chunks = [rivals.gauges(monitor.reference, block)["y"].ks for block in monitor.blocks]
    assert panel.centre["y"].ks == pytest.approx(np.mean(chunks))
    assert panel.spread["y"].ks == pytest.approx(np.std(chunks))
    scores = panel.scores(window, told, rng)
    widest = max((told["y"].ks - np.mean(chunks)) / np.std(chunks), -9.0)
    assert scores["mean_3sd"] >= widest
    assert scores["ks_bonferroni"] == pytest.approx(
        -min(item.log_p for item in told.values()) - math.log10(2)
    )


def test_mmd_sees_a_shift_and_keeps_its_level() -> None:
    rng = np.random.default_rng(11)
    reference = rng.normal(size=(100, 3))
    same = [rivals.mmd(reference, rng.normal(size=(100, 3)), rng)[1] for _ in range(40)]
    # Level 5 %: more than 9 of 40 happens less than once in ten thousand.
    assert sum(p <= rivals.ALPHA for p in same) <= 9
    value, p = rivals.mmd(reference, rng.normal(size=(100, 3)) + 1, rng)
    assert p == 0
    assert value > 10


def test_adwin_is_fed_and_can_be_forked() -> None:
    pytest.importorskip("river")
    rng = np.random.default_rng(12)
    parts: list[Rows] = [{"x": rng.normal(size=200), "y": rng.normal(size=200)} for _ in range(10)]
    panel = rivals.Panel.learn(Monitor.learn(configure("1d", BUDGET), parts), parts, rng)
    quiet, moved = panel.fork(), panel.fork()
    healthy = [quiet.feed({"x": rng.normal(size=200), "y": rng.normal(size=200)}, rng) for _ in range(5)]
    gone = [moved.feed({"x": rng.normal(size=200) + 2, "y": rng.normal(size=200)}, rng) for _ in range(5)]
    assert not any(healthy)
    assert any(gone)


def null_result(world: str, pages: int, top: list[float]) -> dict[str, object]:
    return {
        "kind": "null", "world": world, "budget": BUDGET, "number": 0, "pages": pages, "windows": 90,
        "calibrating": 9, "calibrating_settled": 0, "settled": 30, "named": {"c0/ks": pages} if pages else {},
        "rivals": {"alarms": {"psi": 4}, "top": {"psi": top}},
    }  # fmt: skip


def test_tables_say_who_kept_the_budget_and_who_was_sooner() -> None:
    null = [null_result("independent", 0, [0.3, 0.1]) for _ in range(10)]
    null += [null_result("autocorrelated_9", 3, [9.0]) for _ in range(10)]
    assert report.upper95(10, 1) == pytest.approx(16.96, abs=0.01)  # Garwood's table
    text = "\n".join(report.nulls(null, BUDGET))
    assert "OVER, outside the proof" in text
    assert "c0/ks 30" in text
    # Worlds outside the proof do not count: .3 may page once a quarter, .1 may not.
    assert report.tuned(null, "psi", 1.0) == math.nextafter(0.3, math.inf)
    assert report.tuned(null, "psi", 2.0) == math.nextafter(0.1, math.inf)
    run_of = {
        "kind": "shift", "setting": "1d_1000_independent", "line": "mean .5", "budget": BUDGET, "number": 0,
        "delay": 5, "evidence": [0.01, 0.2, 0.4, 0.9, 1.0], "right": True, "wrong": 0, "onset_error": 0,
        "oracle": 2, "learned": 2, "needed": 12.0, "rivals": {"psi": [[1, 0.1], [3, 0.5]]},
    }  # fmt: skip
    assert report.ours_at(run_of, 1) == 5
    assert report.ours_at(run_of, 3) == 3
    assert report.delay_of(run_of, "psi", 0.2) == 3
    said = "\n".join(report.side_by_side(null, [run_of], BUDGET, 30))
    assert "ours    5  SOONER: psi tuned to 0.3 3" in said
    assert "SOONER: always" not in said.split("at 3 pages")[0]
    # A rule that pages the setting's healthy windows is not sooner, it always pages.
    healthy = {**run_of, "line": "nothing", "delay": None}
    said = "\n".join(report.side_by_side(null, [run_of, healthy], BUDGET, 30))
    assert "SOONER: psi tuned to 0.3" not in said
    calm = {**healthy, "rivals": {"psi": [[1, 0.1]]}}
    assert "SOONER: psi tuned to 0.3" in "\n".join(report.side_by_side(null, [run_of, calm], BUDGET, 30))
    missed = "\n".join(report.shifts([{**run_of, "delay": None}, calm], BUDGET, 30))
    assert "MISSED" in missed
    assert "quiet" in missed
    assert "FALSE PAGES" in "\n".join(report.shifts([{**healthy, "delay": 5}], BUDGET, 30))


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    out.write_text(
        json.dumps({"kind": "null", "world": "ties", "number": 0, "budget": BUDGET}) + "\n" + '{"kind": "nu'
    )
    asked = argparse.Namespace(
        quarters=2, hourly_quarters=1, repeats=1, worlds=["ties", "hourly"], settings=["1d_1000_bursty"],
        lines=["mean 1", "flip"], budget=BUDGET, within=30, no_rivals=True,
    )  # fmt: skip
    done = run.read(out)
    assert len(done) == 1
    with run.opened(out) as more:
        more.write(json.dumps({"kind": "null"}) + "\n")
    assert len(run.read(out)) == 2
    done.append({"kind": "shift", "setting": "1d_1000_bursty", "number": 0, "line": "flip", "budget": BUDGET})
    todo = [(function.__name__, arguments[:2]) for function, arguments in run.pieces(asked, done)]
    assert todo == [("quarter", ("hourly", 0)), ("repeat", ("1d_1000_bursty", 0)), ("quarter", ("ties", 1))]
    assert list(run.pieces(asked, done))[1][1][3] == ["mean 1"]


def test_one_of_each_through_the_real_path() -> None:
    found = nulls.quarter("reference_500", 0, BUDGET, rivals=True)
    assert found["windows"] == 90
    assert found["pages"] <= 1
    assert found["rivals"]["alarms"]["mean_3sd"] > 0
    gross, slow = delays.repeat("1d_1000_independent", 0, BUDGET, ["mean 1", "mean .25"], 5, rivals=True)
    assert (gross["delay"], gross["right"], gross["wrong"], gross["onset_error"]) == (1, True, 0, 0)
    assert gross["oracle"] == 1
    assert 10 < gross["needed"] < 20
    assert gross["rivals"]["psi"][0][1] > rivals.PSI
    assert slow["rivals"]["psi"][0][1] < gross["rivals"]["psi"][0][1]
    assert set(SETTINGS) >= {"1h_100_bursty", "1h_10000_independent", "1d_1000_bursty"}
    assert isinstance(SETTINGS["1h_100_bursty"].draw((0,), 0)["k"], Levels)
