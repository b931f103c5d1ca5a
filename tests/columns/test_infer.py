"""Kinds and roles, each with a reason in plain words."""

from __future__ import annotations

import uuid
from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from reference_worlds import flights

from driftwatch.columns.infer import find_time_column, infer
from driftwatch.columns.profile import profile
from driftwatch.core.schema import Column, Kind, Role, Unwatched
from driftwatch.errors import ConfigError

ROWS = 3000
RANDOM = np.random.default_rng(3)
START = datetime(2026, 1, 1)
TIMES = [START + timedelta(minutes=20 * row) for row in range(ROWS)]


def _uuids() -> list[str]:
    return [str(uuid.UUID(int=int(number))) for number in RANDOM.integers(0, 2**62, ROWS)]


CASES = {
    "price": (RANDOM.lognormal(size=ROWS), Kind.NUMERIC, Role.FEATURE),
    "children": (RANDOM.poisson(1.5, ROWS), Kind.NUMERIC, Role.FEATURE),
    "tens": (RANDOM.integers(0, 8, ROWS) * 10, Kind.NUMERIC, Role.FEATURE),
    "whole_floats": (RANDOM.choice([1.0, 50.0, 900.0], ROWS), Kind.NUMERIC, Role.FEATURE),
    "branch": (RANDOM.choice([101, 205, 311, 999], ROWS), Kind.CATEGORICAL, Role.FEATURE),
    "zip": (RANDOM.integers(10_000, 10_900, ROWS), Kind.CATEGORICAL, Role.FEATURE),
    "store_id": (RANDOM.integers(0, 40, ROWS), Kind.CATEGORICAL, Role.FEATURE),
    "binary": (RANDOM.integers(0, 2, ROWS), Kind.CATEGORICAL, Role.FEATURE),
    "flag": (RANDOM.random(ROWS) < 0.3, Kind.BOOLEAN, Role.FEATURE),
    "city": (RANDOM.choice(["a", "b", "c"], ROWS), Kind.CATEGORICAL, Role.FEATURE),
    "remark": ([f"the {n} quick foxes of {n * 7}" for n in range(ROWS)], Kind.TEXT, Role.FEATURE),
    "request": (_uuids(), Kind.CATEGORICAL, Role.ID),
    "counter": (RANDOM.permutation(ROWS), Kind.NUMERIC, Role.ID),
    "userId": (RANDOM.integers(0, 10**9, ROWS), Kind.NUMERIC, Role.ID),
    "snowflake": (RANDOM.permutation(ROWS) * 4096 + 2**60, Kind.NUMERIC, Role.ID),
    "snowflake_float": ((RANDOM.permutation(ROWS) * 4096 + 2**60).astype(float), Kind.NUMERIC, Role.ID),
    "huge": (RANDOM.normal(size=ROWS) * 1e20, Kind.NUMERIC, Role.FEATURE),
    "large": (RANDOM.normal(size=ROWS) * 1e17, Kind.NUMERIC, Role.FEATURE),
    "huge_with_gaps": (
        np.where(RANDOM.random(ROWS) < 0.1, np.nan, RANDOM.choice([1e20, 2e20, 5e20], ROWS)),
        Kind.NUMERIC,
        Role.FEATURE,
    ),
    "same": (np.full(ROWS, 7), Kind.CATEGORICAL, Role.FEATURE),
    "empty": (pa.nulls(ROWS, pa.float64()), Kind.CATEGORICAL, Role.FEATURE),
    "nested": ([{"a": 1}] * ROWS, Kind.CATEGORICAL, Role.FEATURE),
    "embedding": (list(RANDOM.normal(size=(ROWS, 4))), Kind.VECTOR, Role.FEATURE),
    "event_time": (TIMES, Kind.DATETIME, Role.TIME),
    "received": ([t + timedelta(seconds=9) for t in TIMES], Kind.DATETIME, Role.IGNORE),
    "birth_date": (
        [date(1950 + int(y), 5, 1) for y in RANDOM.integers(0, 60, ROWS)],
        Kind.DATETIME,
        Role.FEATURE,
    ),
    "month": ([t.month for t in TIMES], Kind.NUMERIC, Role.IGNORE),
    "mday": ([t.day for t in TIMES], Kind.NUMERIC, Role.IGNORE),
    "weekday": ([t.weekday() for t in TIMES], Kind.NUMERIC, Role.IGNORE),
    "hour": ([t.hour for t in TIMES], Kind.NUMERIC, Role.FEATURE),
    "sequence": (np.arange(ROWS) * 3 + RANDOM.integers(0, 3, ROWS), Kind.NUMERIC, Role.ID),
    "prediction": (RANDOM.random(ROWS), Kind.NUMERIC, Role.PREDICTION),
    "score": (RANDOM.random(ROWS), Kind.NUMERIC, Role.SCORE),
    "label": (RANDOM.integers(0, 2, ROWS), Kind.CATEGORICAL, Role.LABEL),
    "y_pred": (RANDOM.random(ROWS), Kind.NUMERIC, Role.FEATURE),
    "humid": (RANDOM.integers(0, 10**6, ROWS) * 7, Kind.NUMERIC, Role.FEATURE),
}


@pytest.fixture(scope="module")
def inferred() -> dict[str, Column]:
    table = pa.table({name: pa.array(values) for name, (values, _, _) in CASES.items()})
    return {column.name: column for column in infer(profile(table.to_batches(max_chunksize=700)))}


@pytest.mark.parametrize("name", CASES)
def test_prepared_columns(inferred: dict[str, Column], name: str) -> None:
    _, kind, role = CASES[name]
    column = inferred[name]
    assert (column.kind, column.role) == (kind, role), column.reason
    assert column.reason


def test_hour_is_a_part_of_the_calendar_when_windows_are_hours() -> None:
    table = pa.table({"event_time": TIMES, "hour": [t.hour for t in TIMES], "x": RANDOM.normal(size=ROWS)})
    data_profile = profile(table.to_batches())
    roles = {window: infer(data_profile, window=window)[1].role for window in (3600, 86400, 7 * 86400)}
    assert roles == {3600: Role.IGNORE, 86400: Role.FEATURE, 7 * 86400: Role.FEATURE}


def test_what_changes_daily_but_is_no_calendar_stays_a_feature() -> None:
    rates = RANDOM.integers(0, 30, 60)
    states = RANDOM.integers(0, 2, 60)
    days = [(t - START).days for t in TIMES]
    table = pa.table(
        {
            "event_time": TIMES,
            "rate": [int(rates[day]) for day in days],
            "promotion": [int(states[day]) for day in days],
        }
    )
    assert [column.role for column in infer(profile(table.to_batches()))[1:]] == [Role.FEATURE] * 2


@pytest.mark.parametrize(
    "form",
    ["%d/%m/%Y", "%m/%d/%y", "%m/%d/%Y %H:%M", "%d.%m.%Y", "%d-%m-%Y %H:%M:%S", "%Y/%m/%d", "%d-%b-%y",
     "%d %B %Y", "%b %d, %Y", "%A, %d %b %Y %H:%M:%S GMT", "%d/%b/%Y:%H:%M:%S +0000", "%m/%d/%Y %I:%M %p"],
)  # fmt: skip
def test_dates_in_other_forms_cannot_be_watched_without_event_time(form: str) -> None:
    texts = [(START + timedelta(days=row // 30)).strftime(form) for row in range(ROWS)]
    (column,) = infer(profile(pa.table({"booked": texts}).to_batches()))
    assert (column.role, column.unwatched) == (Role.FEATURE, Unwatched.TYPE)
    assert "ISO 8601" in column.reason


@pytest.mark.parametrize(
    "form",
    ["%d/%m/%Y", "%m/%d/%y", "%m/%d/%Y %H:%M", "%d.%m.%Y", "%d-%m-%Y %H:%M:%S", "%Y/%m/%d", "%d-%b-%y",
     "%d %B %Y", "%b %d, %Y", "%A, %d %b %Y %H:%M:%S GMT", "%d/%b/%Y:%H:%M:%S +0000", "%m/%d/%Y %I:%M %p",
     "%Y-%m-%d", "batch_%Y%m%d", "%Y%m%d", "%Y%m%d%H%M%S", "s3://x/dt=%Y-%m-%d/part-0", "W%V-%G", "%G-W%V",
     "%Y-%m", "%Y%m", "%Y_%m_%d", "run %Y.%m.%d"],
)  # fmt: skip
def test_dates_in_any_writing_that_advance_with_event_time_are_set_aside(form: str) -> None:
    texts = [t.strftime(form) for t in TIMES]
    table = pa.table({"event_time": TIMES, "batch": texts})
    column = infer(profile(table.to_batches()))[1]
    assert (column.role, column.unwatched) == (Role.IGNORE, None), column.reason
    assert "event_time" in column.reason


@pytest.mark.parametrize("form", ["%Y%m%d", "%Y%m", "%Y%j", "%Y%m%d%H%M%S", "%Y", "%G%V"])
@pytest.mark.parametrize("days", [1, 3, 40])
@pytest.mark.parametrize("gaps", [False, True])
def test_dates_as_numbers_are_set_aside(form: str, days: int, gaps: bool) -> None:
    times = [START + timedelta(days=days) * row / ROWS for row in range(ROWS)]
    numbers = np.array([int(t.strftime(form)) for t in times])
    values = pa.array(np.where(np.arange(ROWS) % 7 == 0, np.nan, numbers)) if gaps else pa.array(numbers)
    name = "year" if form == "%Y" else "snapshot"
    table = pa.table({"event_time": times, name: values})
    column = infer(profile(table.to_batches()))[1]
    if form == "%G%V" and days < 40:
        return  # Week 1 of 2026 alone reads as the month 202601, or as a number.
    assert column.role in (Role.IGNORE, Role.ID), column.reason


MONTH_FORMS = ["%b %Y", "%b-%y", "%B", "%b", "FY%y-M%m", "Q1 M%m", "M%m", "Q1", "Q1 %Y", "%Y-%m-01",
               "%m/%Y", "%B %Y"]  # fmt: skip


@pytest.mark.parametrize("form", MONTH_FORMS)
@pytest.mark.parametrize("days", [1, 28])
def test_the_month_of_each_row_in_any_writing_is_set_aside(form: str, days: int) -> None:
    times = [START + timedelta(days=days) * row / ROWS for row in range(ROWS)]
    texts = [t.strftime(form) for t in times]
    columns: dict[str, list[str] | list[date]] = {"month": texts}
    if form == "%Y-%m-01":
        columns["trunc"] = [t.date().replace(day=1) for t in times]
        columns["quarter"], columns["year"] = [[date(2026, 1, 1)] * ROWS] * 2
        columns["week"] = [t.date() - timedelta(days=t.weekday()) for t in times]
        columns["month_end"] = [date(2026, 1, 31)] * ROWS
    for column in infer(profile(pa.table({"event_time": times, **columns}).to_batches()))[1:]:
        assert column.role is Role.IGNORE, (column.name, column.reason)
        assert "event_time" in column.reason


@pytest.mark.parametrize("form", MONTH_FORMS)
def test_the_month_of_something_else_stays_a_feature(form: str) -> None:
    other = [START + timedelta(days=700 + int(day)) for day in RANDOM.integers(0, 300, ROWS)]
    table = pa.table({"event_time": TIMES, "due": [t.strftime(form.replace("Q1", "Q4")) for t in other]})
    assert infer(profile(table.to_batches()))[1].role is Role.FEATURE


@pytest.mark.parametrize("text", ["may", "Jan 2025", "January sale", "Q3", "26", "M1A", "march"])
def test_a_constant_text_that_names_no_month_of_its_rows_stays_a_feature(text: str) -> None:
    times = [START + timedelta(days=20) * row / ROWS for row in range(ROWS)]
    column = infer(profile(pa.table({"event_time": times, "plan": [text] * ROWS}).to_batches()))[1]
    assert (column.role, column.unwatched) == (Role.FEATURE, None)


def test_what_names_each_day_is_set_aside() -> None:
    days = [(t - START).days for t in TIMES]
    keys, names = 4711 + np.cumsum(RANDOM.integers(1, 5000, 60)), _uuids()
    table = pa.table(
        {
            "event_time": TIMES,
            "load_key": [int(keys[day]) for day in days],
            "batch": [names[day] for day in days],
        }
    )
    assert [column.role for column in infer(profile(table.to_batches()))[1:]] == [Role.IGNORE, Role.IGNORE]


def test_a_feature_of_each_day_stays_a_feature() -> None:
    days = np.array([(t - START).days for t in TIMES])
    weather = np.array(["sun", "rain", "snow", "fog", "wind"])[RANDOM.integers(0, 5, 60)]
    temperature, price = RANDOM.integers(-50, 350, 60), np.cumsum(RANDOM.integers(-20, 25, 60)) + 900
    few = days < 3
    table = pa.table(
        {
            "event_time": TIMES,
            "weather": weather[days],
            "temperature": temperature[days],
            "temperature_float": temperature[days] / 10.0,
            "price": price[days],
            "born": [int(f"{year}{month:02}15") for year, month in
                     zip(RANDOM.integers(1940, 2005, ROWS), RANDOM.integers(1, 13, ROWS), strict=True)],
            "car": [f"model {year}" for year in RANDOM.integers(2000, 2026, ROWS)],
        }
    )  # fmt: skip
    for rows in (table, table.filter(pa.array(few))):
        columns = infer(profile(rows.to_batches()))[1:]
        assert {column.name: str(column.role) for column in columns} == dict.fromkeys(
            (column.name for column in columns), "feature"
        )
        assert not any(column.unwatched for column in columns)


def test_a_column_of_iso_dates_with_a_few_other_texts_cannot_be_watched() -> None:
    texts = [(START + timedelta(days=row // 30)).strftime("%Y-%m-%d") for row in range(ROWS)]
    (column,) = infer(profile(pa.table({"booked": [*texts, "never"]}).to_batches()))
    assert (column.role, column.unwatched) == (Role.FEATURE, Unwatched.TYPE)
    overrides = {"booked": (Kind.CATEGORICAL, None)}
    (column,) = infer(profile(pa.table({"booked": [*texts, "never"]}).to_batches()), overrides=overrides)
    assert (column.role, column.unwatched) == (Role.FEATURE, None)


@pytest.mark.parametrize(
    "texts",
    [["1.2.10", "3.11.9", "2.0.1"], ["10.0.0.1", "10.0.0.2"], ["12-34-5678", "98-76-5432"], ["1/2", "3/4"],
     ["may", "june", "july"], ["99/88/2026", "77/66/2025"], ["03/2026", "04/2026"], ["a", "b"]],
)  # fmt: skip
def test_what_only_resembles_dates_stays_a_feature(texts: list[str]) -> None:
    (column,) = infer(profile(pa.table({"version": texts * 100}).to_batches()))
    assert column.role is Role.FEATURE


def test_several_times_and_no_telling_name_choose_none() -> None:
    table = pa.table({"a": TIMES, "b": TIMES, "x": RANDOM.normal(size=ROWS)})
    data_profile = profile(table.to_batches())
    time_column = find_time_column(data_profile)
    assert time_column.name is None
    assert "a, b" in time_column.reason
    columns = infer(data_profile)
    assert [column.role for column in columns] == [Role.FEATURE] * 3
    assert [column.unwatched for column in columns] == [Unwatched.TYPE, Unwatched.TYPE, None]
    assert "time_column" in columns[0].reason
    watched = infer(data_profile, overrides={"a": (None, Role.FEATURE)})[0]
    assert (watched.kind, watched.unwatched) == (Kind.DATETIME, None)


def test_a_telling_name_or_a_declaration_chooses() -> None:
    data_profile = profile(pa.table({"shipped": TIMES, "created_at": TIMES}).to_batches())
    assert find_time_column(data_profile).name == "created_at"
    assert find_time_column(data_profile, "shipped").name == "shipped"


def test_times_as_texts_are_found_and_digits_are_not() -> None:
    table = pa.table(
        {
            "day": [t.date().isoformat() for t in TIMES],
            "zip": [f"{n:05}" for n in RANDOM.integers(0, 500, ROWS)],
        }
    )
    data_profile = profile(table.to_batches())
    assert find_time_column(data_profile).name == "day"
    assert infer(data_profile)[1].kind is Kind.CATEGORICAL


def test_a_birth_date_is_never_event_time() -> None:
    data_profile = profile(pa.table({"date_of_birth": TIMES}).to_batches())
    assert find_time_column(data_profile).name is None


def test_overrides_win_and_unknown_ones_are_named() -> None:
    data_profile = profile(pa.table({"counter": np.arange(100), "x": RANDOM.normal(size=100)}).to_batches())
    columns = infer(data_profile, overrides={"counter": (Kind.CATEGORICAL, None), "x": (None, Role.IGNORE)})
    assert [(column.kind, column.role) for column in columns] == [
        (Kind.CATEGORICAL, Role.FEATURE),
        (Kind.NUMERIC, Role.IGNORE),
    ]
    with pytest.raises(ConfigError, match=r'Did you mean "counter"') as error:
        infer(data_profile, overrides={"countr": (None, Role.IGNORE), "z": (None, None)})
    assert len(error.value.problems) == 2


def test_flights() -> None:
    table = flights((1, 2, 3))
    columns = {column.name: column for column in infer(profile(table.to_batches()))}
    ignored_names = {name for name, column in columns.items() if not column.role.watched}
    assert ignored_names == {"year", "month", "day", "time_hour"}
    assert columns["time_hour"].role is Role.TIME
    categorical_names = {name for name, column in columns.items() if column.kind is Kind.CATEGORICAL}
    assert categorical_names == {"carrier", "tailnum", "origin", "dest"}
    assert "calendar" in columns["day"].reason


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (
            [f"{t:%Y-%m-%dT%H:%M:%SZ}" for t in TIMES],
            "the only texts that are times, 5 of 3,005 are no times",
        ),
        ([f"{t:%Y%m%dT%H%M%SZ}" for t in TIMES], "the only texts that are times, 5 of 3,005 are no times"),
        ([str(1_767_225_640 + 60 * row) for row in range(ROWS)], "are times, 5 of 3,005 are no times"),
    ],
)
def test_a_few_values_that_are_no_times_do_not_hide_the_event_time(texts: list[str], reason: str) -> None:
    values = [*texts, "ts", "NaT", "", "garbage", "2026-02-31T00:00:00Z"]
    table = pa.table({"ts": values, "code": [f"{row:06}" for row in range(len(values))]})
    chosen = find_time_column(profile(table.to_batches()), numbers=True)
    assert chosen.name == "ts"
    assert chosen.reason.endswith(reason)
    worse = pa.table({"ts": [*texts, *["garbage"] * (ROWS // 15)]})
    assert find_time_column(profile(worse.to_batches()), numbers=True).name is None


def test_texts_of_digits_are_event_time_only_by_their_name() -> None:
    digits = [str(1_767_225_640 + 60 * row) for row in range(ROWS)]
    (chosen, other) = (
        find_time_column(profile(pa.table({name: digits}).to_batches()), numbers=True)
        for name in ("epoch_ms", "order")
    )
    assert (chosen.name, other.name) == ("epoch_ms", None)


def test_dates_that_ask_for_a_format_say_so() -> None:
    texts = [f"{t:%a, %d %b %Y %H:%M:%S GMT}" for t in TIMES]
    chosen = find_time_column(profile(pa.table({"ts": texts}).to_batches()), numbers=True)
    assert (chosen.name, chosen.candidates) == (None, ("ts",))
    assert "set time_format" in chosen.reason
