"""One row stamped 1970, 2199 or a year early changes nothing but the count of rows outside the history.

In a backtest, in a daemon's checks, in a reference and in what ``init`` writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from driftwatch.cli.verbs.backtest import run_backtests
from driftwatch.config.init import write_config
from driftwatch.config.load import load
from driftwatch.core.clock import ReplayClock
from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.monitor.check import Outcome
from driftwatch.monitor.explain import explain
from driftwatch.monitor.session import open_session
from driftwatch.results.results import State, Verdict
from driftwatch.results.verdict_json import window_json

FIRST = datetime(2026, 3, 1, tzinfo=UTC)
DAY = 86_400 * NANOSECONDS
START = int(FIRST.timestamp()) * NANOSECONDS
REFERENCE_DAYS, DAYS, ROWS = 16, 12, 120
#: A day without rows, and one with very few.
SILENT, THIN, THIN_ROWS = 5, 8, 3
STRAYS = {
    "1970": datetime(1970, 1, 1, tzinfo=UTC),
    "2199": datetime(2199, 1, 1, tzinfo=UTC),
    "a year early": FIRST - timedelta(days=365),
}
CONFIG = """
version: 1
storage: {path: %(folder)s/store}
monitors:
  - name: m
    reference: {path: %(folder)s/reference.parquet, time_column: at}
    source: {type: files, path: %(folder)s/production.%(suffix)s, time_column: at}
    window: {length: 1d, min_rows: 50}
    burn_in: 1d
"""


def rows(first: datetime, days: int, seed: int, *, shift_from: int = 99) -> list[tuple[Any, ...]]:
    random = np.random.default_rng(seed)
    return [
        (
            first + timedelta(days=day, seconds=(row + 1) * 600),
            float(random.normal(2.0 if day >= shift_from else 0.0)),
            str(random.choice(["a", "b", "c"])),
        )
        for day in range(days)
        for row in range(ROWS)
    ]


def table(content: list[tuple[Any, ...]]) -> pa.Table:
    at, x, level = zip(*content, strict=True)
    return pa.table({"at": pa.array(at, pa.timestamp("us", "UTC")), "x": x, "level": level})


def production() -> list[tuple[Any, ...]]:
    silent, thin = (FIRST + timedelta(days=day) for day in (SILENT, THIN))
    content = [row for row in rows(FIRST, DAYS, 2, shift_from=10) if row[0].date() != silent.date()]
    few = [row for row in content if row[0].date() == thin.date()][:THIN_ROWS]
    return [row for row in content if row[0].date() != thin.date()] + few


def write(folder: Path, strays: tuple[str, ...], suffix: str = "parquet") -> Path:
    """The world with rows that no clock wrote, of values as others have them."""
    folder.mkdir()
    extra = [(STRAYS[name], 0.25, "a") for name in strays]
    reference = table([*rows(FIRST - timedelta(days=REFERENCE_DAYS), REFERENCE_DAYS, 1), *extra])
    pq.write_table(reference, folder / "reference.parquet")
    if suffix == "csv":
        pacsv.write_csv(table([*production(), *extra]), folder / "production.csv")
    else:
        # Several row groups: the strays lie in one with rows of the last day.
        pq.write_table(table([*production(), *extra]), folder / "production.parquet", row_group_size=500)
    path = folder / "c.yaml"
    path.write_text(CONFIG % {"folder": folder, "suffix": suffix}, encoding="utf-8")
    return path


@contextmanager
def silent(_what: str) -> Iterator[Callable[[int, int], None]]:
    yield lambda _done, _all: None


def backtest(path: Path) -> Any:
    (result,) = run_backtests(path, None, None, None, lambda _note: None, silent, inject=False).results
    return result


def as_clean(verdict: Verdict) -> Verdict:
    """A verdict but for the counts of rows outside, and what names the files."""
    return replace(verdict, before_history_rows=0, future_rows=0, configuration="", detail="")


def counts(verdict: Verdict) -> tuple[int, int]:
    return verdict.before_history_rows, verdict.future_rows


def early_and_future(strays: tuple[str, ...]) -> tuple[int, int]:
    return sum(name != "2199" for name in strays), sum(name == "2199" for name in strays)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return backtest(write(tmp_path_factory.mktemp("clean") / "w", ()))


def test_every_window_between_is_there_however_thin(clean: Any) -> None:
    assert [verdict.window.start for verdict in clean.verdicts] == [START + day * DAY for day in range(DAYS)]
    states = [verdict.state for verdict in clean.verdicts]
    assert (states[SILENT], states[THIN]) == (State.NO_DATA, State.INSUFFICIENT)
    assert clean.pages
    assert clean.prediction.seconds == (DAYS - 1) * 86_400
    assert {counts(verdict) for verdict in clean.verdicts} == {(0, 0)}


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize("strays", [*((name,) for name in STRAYS), tuple(STRAYS)], ids=" and ".join)
def test_a_backtest_is_the_same(clean: Any, tmp_path: Path, strays: tuple[str, ...], suffix: str) -> None:
    result = backtest(write(tmp_path / "w", strays, suffix))
    assert [as_clean(item) for item in result.verdicts] == [as_clean(item) for item in clean.verdicts]
    assert result.prediction == clean.prediction
    assert max(map(counts, result.verdicts)) == early_and_future(strays)
    shown = window_json(result.verdicts[0])["outside_rows"]
    assert shown == dict(
        zip(("untimed", "before_history", "future"), (0, *early_and_future(strays)), strict=True)
    )


def checks(path: Path) -> list[Outcome]:
    """What a daemon would do from the first window on: each when it is due, and again a day later."""
    outcomes: list[Outcome] = []
    with open_session(load(path), ReplayClock(START), lambda _note: None) as session:
        monitor = session.monitor(session.config.monitors[0])
        for day in range(DAYS):
            window = Span(start=START + day * DAY, end=START + (day + 1) * DAY)
            for now in (window.end, window.end + DAY):
                outcomes.append(monitor.check(window, now))
                if outcomes[-1].failure is None:
                    break
        for outcome in outcomes:
            if outcome.failure is None:
                explanation = explain(monitor.config, session.history, None, outcome.verdicts[0].window.end)
                assert explanation.equal
    return outcomes


@pytest.fixture(scope="module")
def clean_checks(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    return checks(write(tmp_path_factory.mktemp("daemon") / "w", ()))


@pytest.mark.parametrize("strays", [*((name,) for name in STRAYS), tuple(STRAYS)], ids=" and ".join)
def test_the_daemon_s_checks_are_the_same(
    clean_checks: list[Outcome], tmp_path: Path, strays: tuple[str, ...]
) -> None:
    outcomes = checks(write(tmp_path / "w", strays, "csv"))
    assert [[as_clean(item) for item in outcome.verdicts] for outcome in outcomes] == [
        [as_clean(item) for item in outcome.verdicts] for outcome in clean_checks
    ]
    assert [outcome.failure for outcome in outcomes] == [outcome.failure for outcome in clean_checks]
    assert {counts(outcome.verdicts[0]) for outcome in outcomes} == {early_and_future(strays)}


def test_a_silent_day_is_late_and_then_empty_and_its_newest_row_is_of_the_day_before(
    clean_checks: list[Outcome],
) -> None:
    late, empty = (
        outcome.verdicts[0]
        for outcome in clean_checks
        if outcome.verdicts[0].window.start == START + SILENT * DAY
    )
    assert (late.state, empty.state) == (State.STALE, State.NO_DATA)
    assert late.newest_row == START + (SILENT - 1) * DAY + ROWS * 600 * NANOSECONDS
    assert empty.newest_row == START + (SILENT + 1) * DAY + ROWS * 600 * NANOSECONDS


@pytest.mark.parametrize("strays", [*((name,) for name in STRAYS), tuple(STRAYS)], ids=" and ".join)
def test_a_reference_is_the_same_and_says_what_it_left_out(tmp_path: Path, strays: tuple[str, ...]) -> None:
    references = []
    for name, stamps in (("clean", ()), ("stray", strays)):
        with open_session(
            load(write(tmp_path / name, stamps)), ReplayClock(START), lambda _: None
        ) as session:
            references.append(session.monitor(session.config.monitors[0]).reference)
    clean_reference, reference = references
    assert reference.fingerprint == clean_reference.fingerprint
    assert (reference.blocks, reference.block_rows) == (REFERENCE_DAYS, float(ROWS))
    assert reference.provenance.time_range == clean_reference.provenance.time_range
    (note,) = reference.provenance.notes
    assert note.startswith(f"{len(strays)} rows are stamped before 2026-02-13T00:00:00Z or after 2026-03-01")


@pytest.mark.parametrize("strays", [*((name,) for name in STRAYS), tuple(STRAYS)], ids=" and ".join)
def test_init_writes_the_same(strays: tuple[str, ...]) -> None:
    def written(extra: list[tuple[Any, ...]]) -> str:
        sides = {
            "reference": table([*rows(FIRST - timedelta(days=REFERENCE_DAYS), REFERENCE_DAYS, 1), *extra]),
            "production": table([*production(), *extra]),
        }
        return write_config("reference", "production", read=lambda path: sides[path].to_batches())

    content = written([(STRAYS[name], 0.25, "a") for name in strays])
    for rows_of_side in (REFERENCE_DAYS * ROWS, len(production())):
        content = content.replace(f"{rows_of_side + len(strays):,} rows", f"{rows_of_side:,} rows")
    assert content == written([])


def test_a_backfill_of_whole_days_a_year_back_is_history(tmp_path: Path) -> None:
    path = write(tmp_path / "w", ())
    backfill = rows(FIRST - timedelta(days=365), 2, 3)
    pq.write_table(table([*backfill, *production()]), tmp_path / "w" / "production.parquet")
    result = backtest(path)
    assert len(result.verdicts) == 365 + DAYS
    assert result.verdicts[0].window.start == START - 365 * DAY
    states = [str(verdict.state) for verdict in result.verdicts]
    assert states[2:365] == ["no_data"] * 363
    assert result.prediction.seconds == (2 + DAYS - 1) * 86_400
    assert {counts(verdict) for verdict in result.verdicts} == {(0, 0)}


def test_late_rows_of_a_decided_window_are_no_strays(tmp_path: Path) -> None:
    """A folder of each day, and three rows of the day before in that of the second."""
    path = write(tmp_path / "w", ())
    content = rows(FIRST, 2, 2)
    for day, part in enumerate((content[:ROWS], [*content[:3], *content[ROWS:]])):
        place = tmp_path / "w" / "days" / f"date={FIRST + timedelta(days=day):%Y-%m-%d}"
        place.mkdir(parents=True)
        pq.write_table(table(part), place / "a.parquet")
    path.write_text(path.read_text(encoding="utf-8").replace("production.parquet", "days"), encoding="utf-8")
    windows = [Span(start=START + day * DAY, end=START + (day + 1) * DAY) for day in range(2)]
    with open_session(load(path), ReplayClock(START), lambda _note: None) as session:
        monitor = session.monitor(session.config.monitors[0])
        (alone,) = monitor.check(windows[1], windows[1].end, record=False).verdicts
        assert counts(alone) == (3, 0), "the first window of this monitor: they are in none"
        monitor.check(windows[0], windows[1].end)
        (second,) = monitor.check(windows[1], windows[1].end).verdicts
        assert counts(second) == (0, 0)
