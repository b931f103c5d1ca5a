"""``driftwatch init``: the configuration it writes is read back, says why, and survives hostile names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftwatch.config.init import scalar, write_config
from driftwatch.config.load import check, load
from driftwatch.config.models import Config, MonitorConfig
from driftwatch.core.schema import Role
from driftwatch.errors import ReferenceUnusable

START = datetime(2026, 3, 2)
_OPTION = re.compile(r"^(\s*)# ((?:[a-z_]+: |- )\S.*)$")
_VALUE_KEYS = (
    "every",
    "lag",
    "timezone",
    "tolerance",
    "min_effect",
    "detectors",
    "season",
    "burn_in",
    "exclude",
)
_SECTION_KEYS = ("segment_by", "groups", "weights", "model", "limits", "columns", "export", "retention")


def table(rows: int, minutes: float, **extra: object) -> pa.Table:
    random = np.random.default_rng(rows)
    data: dict[str, object] = {
        "event_time": [START + timedelta(minutes=minutes * row) for row in range(rows)],
        "amount": random.lognormal(size=rows),
        "city": random.choice(["a", "b"], rows),
        "order_id": random.permutation(rows),
    }
    return pa.table({name: values for name, values in {**data, **extra}.items() if values is not None})


def reader(**tables: pa.Table) -> Callable[[str], Iterable[pa.RecordBatch]]:
    return lambda path: tables[re.sub(r"\W", "", path.split(".")[0].split("/")[0])].to_batches()


def written_config(tmp_path: Path, reference: pa.Table, current: pa.Table) -> tuple[str, Config]:
    text = write_config("ref.parquet", "cur/*.parquet", read=reader(ref=reference, cur=current))
    file = tmp_path / "driftwatch.yaml"
    file.write_text(text, encoding="utf-8")
    return text, load(file)


def untimed(tmp_path: Path, reference: pa.Table, current: pa.Table) -> str:
    """The text; the one thing wrong with it is the event time that has to be filled in."""
    text = write_config("ref.parquet", "cur/*.parquet", read=reader(ref=reference, cur=current))
    file = tmp_path / "driftwatch.yaml"
    file.write_text(text, encoding="utf-8")
    line = 1 + next(index for index, line in enumerate(text.splitlines()) if "time_column:   #" in line)
    (problem,) = check(file)
    assert problem.startswith(f"{file}:{line}: monitors.ref.source.time_column: is required: ")
    file.write_text(text.replace("time_column:   #", "time_column: t   #"), encoding="utf-8")
    assert only_monitor(load(file)).source.time_column == "t"
    return text


def only_monitor(config: Config) -> MonitorConfig:
    return config.monitors[0]


def test_it_is_read_back(tmp_path: Path) -> None:
    text, config = written_config(tmp_path, table(4000, 5), table(3000, 5))
    monitor = only_monitor(config)
    assert (monitor.name, monitor.reference.path) == ("ref", "ref.parquet")
    assert monitor.reference.time_column == monitor.source.time_column == "event_time"
    assert monitor.columns == {}
    assert "order_id: numeric, id (every whole number is met once: an identifier)" in text
    assert "city: categorical" in text


@pytest.mark.parametrize(
    ("minutes", "length", "min_rows"),
    [(0.2, 3600, 200), (5, 86400, 200), (30, 604800, 200), (300, 604800, 20)],
)
def test_the_window_follows_the_traffic(tmp_path: Path, minutes: float, length: int, min_rows: int) -> None:
    text, config = written_config(tmp_path, table(3000, minutes), table(3000, minutes))
    window = only_monitor(config).window
    assert (window.length, window.min_rows) == (length, min_rows)
    assert re.search(r"# One window: .*rows", text)


def at_days(*days: range) -> list[datetime]:
    return [
        START + timedelta(days=day, minutes=5 * row) for part in days for day in part for row in range(288)
    ]


@pytest.mark.parametrize(
    ("times", "length"),
    [
        (at_days(range(8), range(100, 108)), 86400),
        (at_days(range(-365, -362), range(8)), 86400),
        # Weekends without traffic.
        (at_days(range(5), range(7, 12), range(14, 19)), 86400),
        # All of a day's rows within an hour: most hours would be empty.
        ([START + timedelta(days=day, seconds=12 * row) for day in range(9) for row in range(290)], 86400),
    ],
    ids=["silence", "backfill", "weekends", "nightly"],
)
def test_a_silence_leaves_the_window_as_it_is(tmp_path: Path, times: list[datetime], length: int) -> None:
    side = table(len(times), 1, event_time=times)
    assert only_monitor(written_config(tmp_path, side, side)[1]).window.length == length


def test_every_optional_line_can_be_switched_on(tmp_path: Path) -> None:
    text, _ = written_config(tmp_path, table(3000, 5), table(3000, 5))
    lines = text.splitlines()
    n_options = 0
    for index, line in enumerate(lines):
        match = _OPTION.match(line)
        if match is None or not match[2].startswith(
            tuple(f"{key}: " for key in (*_VALUE_KEYS, *_SECTION_KEYS))
        ):
            continue
        switched_lines = [*lines]
        switched_lines[index] = match[1] + match[2]
        file = tmp_path / "one.yaml"
        file.write_text("\n".join(switched_lines), encoding="utf-8")
        load(file)
        n_options += 1
    assert n_options == len(_VALUE_KEYS) + len(_SECTION_KEYS) + 2


def test_defaults_in_comments_are_the_defaults(tmp_path: Path) -> None:
    text, config = written_config(tmp_path, table(3000, 5), table(3000, 5))
    monitor = only_monitor(config)
    assert f"# tolerance: {monitor.alarm.tolerance}" in text
    assert f"# min_effect: {monitor.alarm.min_effect}" in text
    assert f"false_pages: {monitor.alarm.false_pages}" in text
    assert f"catch_up: {config.limits.catch_up}}}" in text
    assert f"max_series: {config.export.max_series}}}" in text


def test_without_event_time_it_says_what_to_do(tmp_path: Path) -> None:
    text = untimed(tmp_path, table(3000, 5), table(3000, 5, event_time=None))
    assert "TO DO: no event time is known" in text
    assert "      time_column:   # NAME" in text
    assert "      time_column: event_time" in text
    reference_text, config = written_config(tmp_path, table(500, 5, event_time=None), table(3000, 5))
    assert only_monitor(config).reference.time_column is None
    assert "# No event time: no column holds timestamps" in reference_text


@pytest.mark.parametrize("unit", [1, 1000, 1_000_000_000])
def test_numbers_since_1970_are_event_time_by_their_name(tmp_path: Path, unit: int) -> None:
    seconds = [1_772_409_600 + 300 * row for row in range(3000)]
    data = table(3000, 5, event_time=None, ts=[second * unit for second in seconds], until_ts=seconds)
    text, config = written_config(tmp_path, data, data)
    assert only_monitor(config).source.time_column == only_monitor(config).reference.time_column == "ts"
    assert "numbers since 1970" in text
    assert "3,000 rows, 2026-03-02T00:00:00Z to " in text
    assert only_monitor(config).window.length == 86400
    timestamp_data = table(3000, 5, ts=seconds)
    assert (
        only_monitor(written_config(tmp_path, timestamp_data, timestamp_data)[1]).source.time_column
        == "event_time"
    )
    count_data = table(3000, 5, event_time=None, time=np.arange(3000) % 50)
    untimed(tmp_path, count_data, count_data)
    ambiguous_data = table(3000, 5, event_time=None, ts=seconds, timestamp=seconds)
    assert "time_column:   # ts or timestamp" in untimed(tmp_path, ambiguous_data, ambiguous_data)


def test_several_candidates_are_offered(tmp_path: Path) -> None:
    times = [START + timedelta(minutes=row) for row in range(3000)]
    data = table(3000, 5, event_time=None, b=times, a=times)
    text = untimed(tmp_path, data, data)
    assert "      time_column:   # b or a" in text
    assert "      # time_column: b\n      # time_column: a" in text


def test_columns_only_one_side_has(tmp_path: Path) -> None:
    text, config = written_config(
        tmp_path, table(3000, 5, outcome=np.arange(3000) % 2), table(3000, 5, extra=np.ones(3000))
    )
    assert only_monitor(config).columns["outcome"].role is Role.IGNORE
    assert "Only in production, so not watched: extra" in text


def test_an_empty_reference_is_refused() -> None:
    with pytest.raises(ReferenceUnusable, match="expected rows"):
        write_config("ref.csv", "cur.csv", read=reader(ref=table(0, 1), cur=table(5, 1)))


def test_an_empty_source_still_gives_a_configuration(tmp_path: Path) -> None:
    assert "0 rows" in untimed(tmp_path, table(3000, 5), pa.table({}))


def test_nothing_to_watch_is_refused_with_every_reason() -> None:
    unwatchable = table(3000, 5, amount=None, city=None, request=[{"age": 1.0}] * 3000)
    with pytest.raises(ReferenceUnusable, match="at least one feature") as refusal:
        write_config("ref.csv", "cur.csv", read=reader(ref=unwatchable, cur=unwatchable))
    for words in (
        "event_time: event time",
        "order_id: every whole number",
        "request: type struct<age: double> cannot be counted",
    ):
        assert words in str(refusal.value)
    assert refusal.value.exit_code == 2
    renamed = table(3000, 5).rename_columns(["event_time", "b", "c", "d"])
    with pytest.raises(ReferenceUnusable, match="amount: not in the production inputs"):
        write_config("ref.csv", "cur.csv", read=reader(ref=table(3000, 5), cur=renamed))


HOSTILE = [
    "a\nmonitors: []",
    "${HOME}",
    "no",
    "1e3",
    "#x",
    "a: b",
    "'",
    '"',
    "\u2028",
    "é\x85",
    "*",
    "",
    "- a",
]


def test_hostile_column_names(tmp_path: Path) -> None:
    columns = {name: np.random.default_rng(1).normal(size=3000) for name in HOSTILE}
    _, config = written_config(tmp_path, table(3000, 5, **columns), table(3000, 5))
    assert set(only_monitor(config).columns) == set(HOSTILE)
    _, config = written_config(tmp_path, table(3000, 5), table(3000, 5, **columns))
    assert only_monitor(config).columns == {}


def test_a_hostile_time_column(tmp_path: Path) -> None:
    times = [START + timedelta(minutes=row) for row in range(3000)]
    name = "time\n    alarm: {false_pages: 9 per 1d}"
    data = table(3000, 5, event_time=None, **{name: times}, month=[t.month for t in times])
    _, config = written_config(tmp_path, data, data)
    assert only_monitor(config).source.time_column == name
    assert str(only_monitor(config).alarm.false_pages) == "1 per 90d"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
@settings(max_examples=200, deadline=None)
def test_a_scalar_is_read_back_and_keeps_its_line(text: str) -> None:
    import yaml

    line = scalar(text)
    assert line.isascii()
    assert line.isprintable()
    assert yaml.safe_load(f"[{line}]") == [text] if line.startswith('"') else line == text
    assert yaml.safe_load(f"key: {line}   # comment")["key"] == text


@pytest.mark.parametrize("form", ["%Y%m%d", "%Y%m%d%H%M%S"])
def test_numbers_that_spell_dates_are_event_time(tmp_path: Path, form: str) -> None:
    times = [int((START + timedelta(minutes=5 * row)).strftime(form)) for row in range(4000)]
    rows = table(4000, 5, event_time=None, ts=times)
    text, config = written_config(tmp_path, rows, rows)
    assert only_monitor(config).source.time_column == "ts"
    assert "2026-03-02T00:00:00Z to 2026-03-15" in text
