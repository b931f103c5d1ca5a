"""The alarm bench is right: distributions of the worlds, likelihood ratios, rivals, tables, resumed runs.

Seeds are fixed. Means of random quantities may differ by five of their standard errors: a right distribution
fails one in a million times.
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
from alarms.path import Monitor, Rows, altered_columns, configure, plan_of, size
from alarms.run import code_fingerprint
from alarms.shifts import K_MOVED, LINES, MODE_SHARE
from alarms.worlds import WORLDS, small_shift, small_shift_counts
from scipy.spatial.distance import jensenshannon
from scipy.special import ndtr
from scipy.stats import ks_2samp

from driftwatch.summary.batch import Levels

BUDGET = "1 per 90d"
KINDS = [1, USER]
#: Windows of two users, so small that the mean of a likelihood ratio can be measured.
TWO_USERS = {burst: Setting(rows=2 * burst, length="1d", burst=burst) for burst in KINDS}
MANY_USERS = {burst: Setting(rows=20_000, length="1d", burst=burst) for burst in KINDS}


def assert_mean(values: list[float] | np.ndarray, expected: float) -> None:
    sample = np.asarray(values, dtype=np.float64)
    assert abs(sample.mean() - expected) <= 5 * sample.std(ddof=1) / math.sqrt(len(sample)) + 1e-12


def change_rows(setting: Setting, rows: Rows, line: str, t: int) -> Rows:
    return LINES[line].change(setting, rows, t, np.random.default_rng([t, 77]))


@pytest.mark.parametrize("burst", KINDS)
def test_gains_are_log_likelihood_ratios(burst: int) -> None:
    """The ratio has mean 1 under the healthy distribution, its inverse under the changed one.

    With bursts that holds where the rows' sum is a sufficient statistic; otherwise the mean is at most 1.
    """
    setting = TWO_USERS[burst]
    windows = [setting.draw((1,), t) for t in range(1200)]
    sums = ("mean .1", "mean .25", "ramp .02", "level 5-15 %", "segment 3 %")
    # Healthy ratios of the others have no variance, or next to none that a mean could show.
    for line in (*sums, "scale 1.25", "mode 5 %", "tail t3"):
        t, spec = (9 if line == "ramp .02" else 0), LINES[line]
        if line in sums or burst == 1:
            changed_windows = [
                spec.change(setting, rows, t, np.random.default_rng([n])) for n, rows in enumerate(windows)
            ]
            assert_mean([math.exp(-spec.gain(setting, rows, t)) for rows in changed_windows], 1.0)
        ratios = np.exp([spec.gain(setting, rows, t) for rows in windows])
        if line in sums or (line == "scale 1.25" and burst == 1):
            assert_mean(ratios, 1.0)
        else:
            assert ratios.mean() <= 1 + 5 * ratios.std(ddof=1) / math.sqrt(len(ratios))


@pytest.mark.parametrize("burst", KINDS)
def test_gross_gains_have_their_divergence(burst: int) -> None:
    """Ratios have no usable mean here: the mean gain is the divergence of the two normal distributions."""
    setting = TWO_USERS[burst]
    windows = [setting.draw((2,), t) for t in range(600)]
    variance = (ICC + (1 - ICC) / burst) if burst > 1 else 1.0
    for line, expected in (
        ("mean 1", 0.5 / variance),
        ("x1000", math.log(1000) ** 2 / 2 / variance),
        ("flip", setting.weight * burst * 2 * PAIR**2 / (1 - PAIR**2)),
        ("all .1", 45 * 0.1**2 / 2 / variance),
    ):
        gain = LINES[line].gain
        assert_mean(
            [
                gain(setting, change_rows(setting, rows, line, 0), 0) / (size(rows) / burst)
                for rows in windows
            ],
            expected,
        )


@pytest.mark.parametrize("burst", KINDS)
def test_rates_and_volume_gain_what_they_should(burst: int) -> None:
    setting = MANY_USERS[burst]
    rows = setting.draw((3,), 0)
    users, base_rate = size(rows) // burst, 1 / (setting.users + 2)
    null_rows = change_rows(setting, rows, "nulls 50 %", 0)
    share = np.isnan(numbers(null_rows, "n3")).mean()
    expected = users * (share * math.log(0.5 / base_rate) + (1 - share) * math.log(0.5 / (1 - base_rate)))
    assert LINES["nulls 50 %"].gain(setting, null_rows, 0) == pytest.approx(expected)
    assert LINES["unseen 10 %"].gain(setting, change_rows(setting, rows, "unseen 10 %", 0), 0) > 0
    gains = [LINES["volume halved"].gain(setting, change_rows(setting, r, "volume halved", 0), 0)
             for r in (setting.draw((3,), t) for t in range(8))]  # fmt: skip
    assert_mean(gains, (math.log(0.5) / 0.1) ** 2 / 2)


@pytest.mark.parametrize("burst", KINDS)
def test_changes_have_the_size_they_claim(burst: int) -> None:
    setting = MANY_USERS[burst]
    rows = setting.draw((4,), 0)
    assert altered_columns(rows, change_rows(setting, rows, "all .1", 0)) == {f"n{i}" for i in range(45)}
    assert (
        numbers(change_rows(setting, rows, "ramp .02", 9), "n3") - numbers(rows, "n3")
    ).mean() == pytest.approx(0.2)
    users = size(rows) / burst
    error = 5 * math.sqrt(0.25 / users)
    code = codes(change_rows(setting, rows, "level 5-15 %", 0), "k")[0]
    assert np.abs(np.bincount(code) / size(rows) - K_MOVED).max() < error
    for line, expected in (("unseen 1 %", 0.01), ("unseen 10 %", 0.1)):
        assert (
            abs((codes(change_rows(setting, rows, line, 0), "k")[0] == len(K_MOVED)).mean() - expected)
            < error
        )
    for line, expected in (("nulls 5 %", 0.05), ("nulls 50 %", 0.5)):
        assert abs(np.isnan(numbers(change_rows(setting, rows, line, 0), "n3")).mean() - expected) < error
    jumps = numbers(change_rows(setting, rows, "mode 5 %", 0), "n3") - numbers(rows, "n3")
    assert abs((jumps > 1).mean() - MODE_SHARE) < error
    tail = numbers(change_rows(setting, rows, "tail t3", 0), "n3")
    assert abs((np.abs(tail) > 3).mean() - 0.0138) < error  # P(|t3| > 3 sqrt(3)) = .0138, normal .0027
    flip_rows = change_rows(setting, rows, "flip", 0)
    assert np.corrcoef(numbers(flip_rows, "a"), numbers(flip_rows, "b"))[0, 1] == pytest.approx(
        -PAIR, abs=0.02
    )
    segment_rows = change_rows(setting, rows, "segment 3 %", 0)
    shifts = numbers(segment_rows, "n3") - numbers(rows, "n3")
    assert set(np.unique(codes(rows, "s")[0][shifts > 0.5])) == {len(S_SHARES) - 1}
    assert size(change_rows(setting, rows, "volume halved", 0)) == size(rows) // burst // 2 * burst


def test_healthy_rows_are_the_same_again_and_come_by_user() -> None:
    setting = MANY_USERS[USER]
    rows, same_rows = setting.draw((5,), 3), setting.draw((5,), 3)
    assert np.array_equal(numbers(rows, "n7"), numbers(same_rows, "n7"))
    assert not np.array_equal(numbers(rows, "n7"), numbers(setting.draw((5,), 4), "n7"))
    user_values = np.concatenate([numbers(rows, f"n{i}").reshape(-1, USER) for i in range(45)])
    assert np.corrcoef(user_values[:, 0], user_values[:, 5])[0, 1] == pytest.approx(ICC, abs=0.01)
    assert (codes(rows, "s")[0].reshape(-1, USER).std(axis=1) == 0).all()
    assert np.corrcoef(numbers(rows, "a"), numbers(rows, "b"))[0, 1] == pytest.approx(PAIR, abs=0.02)


def means(world: str, count: int, column: str = "c0") -> np.ndarray:
    rng = np.random.default_rng(6)
    draw = WORLDS[world].make(rng)
    return np.array([numbers(draw(rng, t), column).mean() for t in range(count)])


@pytest.mark.parametrize(("world", "rho"), [("window_effect", 0.0), ("autocorrelated_8", 0.8)])
def test_window_effects_have_their_memory(world: str, rho: float) -> None:
    window_means = means(world, 4000)
    effect, noise = 0.15**2, 1 / 500
    assert np.corrcoef(window_means[1:], window_means[:-1])[0, 1] == pytest.approx(
        rho * effect / (effect + noise), abs=0.08
    )
    assert window_means.var() == pytest.approx(effect + noise, rel=0.25)


def test_null_worlds_have_the_law_they_name() -> None:
    rng = np.random.default_rng(7)
    names = ("users_10", "traffic_20_5000", "ties")
    rows_by_world = {name: [WORLDS[name].make(rng)(rng, t) for t in range(60)] for name in names}
    person = np.concatenate([numbers(rows, "c1").reshape(-1, 10) for rows in rows_by_world["users_10"]])
    assert np.corrcoef(person[:, 0], person[:, 9])[0, 1] == pytest.approx(0.8, abs=0.03)
    rows = np.array([size(part) for part in rows_by_world["traffic_20_5000"]])
    assert rows.min() < 60
    assert rows.max() > 2500
    assert len(np.unique(np.concatenate([numbers(part, "c0") for part in rows_by_world["ties"]]))) < 12
    wide = WORLDS["columns_200_correlated"].make(rng)(rng, 0)
    assert np.corrcoef(numbers(wide, "c0"), numbers(wide, "c199"))[0, 1] == pytest.approx(0.6, abs=0.15)
    week = WORLDS["hourly_week"].make(rng)
    days = np.array([np.mean([size(week(rng, 24 * day + hour)) for hour in range(24)]) for day in range(7)])
    # Time 0 is a Thursday.
    assert set(np.flatnonzero(days < 0.8 * days.max())) == {2, 3}
    assert means("hourly_day_night", 24).argmax() in range(3, 10)


def test_counts_drawn_per_cell_have_the_law_of_rows() -> None:
    rng = np.random.default_rng(8)
    draw, rows = small_shift(0.02, columns=2)(rng), 50_000
    plan = plan_of([draw(rng, t) for t in range(-20, 0)], 200)
    extra = small_shift_counts(0.02, rows)(rng)
    for t, first_mean in ((-1, 0.0), (0, 0.02)):
        column_counts = extra(plan, t)
        for column, mean in (("c0", first_mean), ("c1", 0.0)):
            counts, edges = column_counts[column], plan.grids[column].edges  # type: ignore[union-attr]
            assert counts.rows == rows
            difference = counts.cells.cumsum()[::2][:-1] / rows - ndtr(edges - mean)
            # Kolmogorov: above 2.2 / sqrt(n) once in eight thousand.
            assert np.abs(difference).max() < 2.2 / math.sqrt(rows)


def test_a_changed_window_is_measured_as_if_it_were_new() -> None:
    setting = Setting(rows=200, length="1d")
    monitor = Monitor.learn(configure("1d", BUDGET), [setting.draw((9,), t) for t in range(-8, 0)])
    base = monitor.base(setting.draw((9,), 0), 0)
    for line in ("mean 1", "unseen 10 %", "nulls 5 %", "volume halved"):
        rows = change_rows(setting, base.rows, line, 0)
        changed_window, new_window = monitor.change(base, rows), monitor.measure(rows, 0)
        assert changed_window.summary.counts == new_window.summary.counts
        texts = [
            [repr(item) for item in window.streams if item.column is not None or item.detector == "volume"]
            for window in (changed_window, new_window)
        ]
        assert texts[0] == texts[1]
    with pytest.raises(ValueError, match=r"base\(\)"):
        monitor.recount(monitor.measure(base.rows, 0), change_rows(setting, base.rows, "mean 1", 0))


def test_the_oracle_pays_the_budget_and_nothing_else() -> None:
    assert oracle.delay([0.0, 3.0, 3.0], math.log(0.01)) == 3
    # Evidence gathered before counts: M = w e + w e e.
    assert oracle.delay([1.0, 1.0], -math.log(math.e + math.e**2) + 1e-9) == 2
    assert oracle.delay([1.0, 1.0], -math.log(math.e + math.e**2) - 1e-9) is None
    assert oracle.reachable([1] * 9 + [None], 30)
    assert not oracle.reachable([1] * 8 + [31, None], 30)


def test_who_learned_what_is_usual_gains_as_much_as_two_means_differ() -> None:
    shift, n_healthy, n_changed = 0.7, 38, 30
    gains = oracle.learned_gains([shift**2 / 2] * n_changed, n_healthy)
    assert sum(gains) == pytest.approx(shift**2 / 2 / (1 / n_changed + 1 / n_healthy))


def test_the_rules_read_what_their_tools_read() -> None:
    rng = np.random.default_rng(10)
    parts: list[Rows] = [
        {"x": rng.poisson(3.0, 400).astype(np.float64), "y": rng.normal(size=400)} for _ in range(12)
    ]
    monitor = Monitor.learn(configure("1d", BUDGET), parts)
    window: Rows = {"x": rng.poisson(3.3, 300).astype(np.float64), "y": rng.normal(size=300)}
    column_gauges = rivals.gauges(monitor.reference, monitor.measure(window, 0).summary)
    ks_test = ks_2samp(
        np.concatenate([numbers(part, "x") for part in parts]), numbers(window, "x"), method="asymp"
    )
    assert column_gauges["x"].ks == pytest.approx(ks_test.statistic)
    assert column_gauges["x"].log_p == pytest.approx(math.log10(ks_test.pvalue), abs=0.1)
    left, right = np.array([5, 3, 2]), np.array([2, 2, 6])
    assert rivals.js(left, right) == pytest.approx(jensenshannon(left, right, base=2))
    assert rivals.psi(np.array([50, 50]), np.array([100, 0])) == pytest.approx(
        0.5 * math.log(2) + (1e-4 - 0.5) * math.log(1e-4 / 0.5)
    )
    panel = rivals.Panel.learn(monitor, parts, rng)
    chunks = [rivals.gauges(monitor.reference, block)["y"].ks for block in monitor.blocks]
    assert panel.centre["y"].ks == pytest.approx(np.mean(chunks))
    assert panel.deviation["y"].ks == pytest.approx(np.std(chunks))
    scores = panel.scores(window, column_gauges, rng)
    widest = max((column_gauges["y"].ks - np.mean(chunks)) / np.std(chunks), -9.0)
    assert scores["mean_3sd"] >= widest
    assert scores["ks_bonferroni"] == pytest.approx(
        -min(item.log_p for item in column_gauges.values()) - math.log10(2)
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
    quiet_panel, moved_panel = panel.fork(), panel.fork()
    quiet_alarms = [
        quiet_panel.feed({"x": rng.normal(size=200), "y": rng.normal(size=200)}, rng) for _ in range(5)
    ]
    moved_alarms = [
        moved_panel.feed({"x": rng.normal(size=200) + 2, "y": rng.normal(size=200)}, rng) for _ in range(5)
    ]
    assert not any(quiet_alarms)
    assert any(moved_alarms)


def null_result(world: str, pages: int, top: list[float]) -> dict[str, object]:
    return {
        "kind": "null", "world": world, "budget": BUDGET, "number": 0, "pages": pages, "windows": 90,
        "calibrating": 9, "calibrating_settled": 0, "settled": 30, "named": {"c0/ks": pages} if pages else {},
        "rivals": {"alarms": {"psi": 4}, "top": {"psi": top}},
    }  # fmt: skip


def test_tables_say_who_kept_the_budget_and_who_was_sooner() -> None:
    null_results = [null_result("independent", 0, [0.3, 0.1]) for _ in range(10)]
    null_results += [null_result("autocorrelated_9", 3, [9.0]) for _ in range(10)]
    assert report.upper95(10, 1) == pytest.approx(16.96, abs=0.01)  # Garwood's table
    text = "\n".join(report.nulls(null_results, BUDGET))
    assert "OVER, outside the proof" in text
    assert "c0/ks 30" in text
    # Worlds outside the proof do not count: .3 may page once a quarter, .1 may not.
    assert report.tune_threshold(null_results, "psi", 1.0) == math.nextafter(0.3, math.inf)
    assert report.tune_threshold(null_results, "psi", 2.0) == math.nextafter(0.1, math.inf)
    result = {
        "kind": "shift", "setting": "1d_1000_independent", "line": "mean .5", "budget": BUDGET, "number": 0,
        "delay": 5, "evidence": [0.01, 0.2, 0.4, 0.9, 1.0], "right": True, "wrong": 0, "onset_error": 0,
        "oracle": 2, "learned": 2, "needed": 12.0, "rivals": {"psi": [[1, 0.1], [3, 0.5]]},
    }  # fmt: skip
    assert report.our_delay_at(result, 1) == 5
    assert report.our_delay_at(result, 3) == 3
    assert report.delay_of(result, "psi", 0.2) == 3
    comparison_text = "\n".join(report.compare_rules(null_results, [result], BUDGET, 30))
    assert "ours    5  SOONER: psi tuned to 0.3 3" in comparison_text
    assert "SOONER: always" not in comparison_text.split("at 3 pages")[0]
    # A rule that pages the setting's healthy windows is not sooner, it always pages.
    healthy = {**result, "line": "nothing", "delay": None}
    comparison_text = "\n".join(report.compare_rules(null_results, [result, healthy], BUDGET, 30))
    assert "SOONER: psi tuned to 0.3" not in comparison_text
    calm = {**healthy, "rivals": {"psi": [[1, 0.1]]}}
    assert "SOONER: psi tuned to 0.3" in "\n".join(
        report.compare_rules(null_results, [result, calm], BUDGET, 30)
    )
    table = "\n".join(report.shifts([{**result, "delay": None}, calm], BUDGET, 30))
    assert "MISSED" in table
    assert "quiet" in table
    assert "FALSE PAGES" in "\n".join(report.shifts([{**healthy, "delay": 5}], BUDGET, 30))


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(
        json.dumps({"kind": "null", "world": "ties", "number": 0, "budget": BUDGET}) + "\n" + '{"kind": "nu'
    )
    options = argparse.Namespace(
        quarters=2, hourly_quarters=1, repeats=1, worlds=["ties", "hourly"], settings=["1d_1000_bursty"],
        lines=["mean 1", "flip"], budget=BUDGET, within=30, no_rivals=True, late=[], sequences=[], open=[],
    )  # fmt: skip
    results = run.read(path)
    assert len(results) == 1
    with run.open_to_append(path) as file:
        file.write(json.dumps({"kind": "null"}) + "\n")
    assert len(run.read(path)) == 2
    results.append(
        {"kind": "shift", "setting": "1d_1000_bursty", "number": 0, "line": "flip", "budget": BUDGET}
    )
    pieces = [(function.__name__, arguments[:2]) for function, arguments in run.pieces(options, results)]
    assert pieces == [("quarter", ("hourly", 0)), ("repeat", ("1d_1000_bursty", 0)), ("quarter", ("ties", 1))]
    assert list(run.pieces(options, results))[1][1][3] == ["mean 1"]


def test_one_of_each_through_the_real_path() -> None:
    result = nulls.quarter("reference_500", 0, BUDGET, rivals=True)
    assert result["windows"] == 90
    assert result["pages"] <= 1
    assert result["rivals"]["alarms"]["mean_3sd"] > 0
    gross_result, slow_result = delays.repeat(
        "1d_1000_independent", 0, BUDGET, ["mean 1", "mean .25"], 5, rivals=True
    )
    assert (
        gross_result["delay"],
        gross_result["right"],
        gross_result["wrong"],
        gross_result["onset_error"],
    ) == (1, True, 0, 0)
    assert gross_result["oracle"] == 1
    assert 10 < gross_result["needed"] < 20
    assert gross_result["rivals"]["psi"][0][1] > rivals.PSI
    assert slow_result["rivals"]["psi"][0][1] < gross_result["rivals"]["psi"][0][1]
    assert set(SETTINGS) >= {"1h_100_bursty", "1h_10000_independent", "1d_1000_bursty"}
    assert isinstance(SETTINGS["1h_100_bursty"].draw((0,), 0)["k"], Levels)


def test_the_code_under_test_has_a_fingerprint() -> None:
    assert len(code_fingerprint()) == 12
