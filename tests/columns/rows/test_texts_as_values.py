"""Texts that are numbers, times in declared formats, and the index of pandas."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftwatch.columns.arrow.levels import levels
from driftwatch.columns.rows.formatted_times import parse_times
from driftwatch.columns.rows.index_columns import index_columns
from driftwatch.columns.rows.number_cells import parse_numbers
from driftwatch.columns.rows.number_texts import NumberStyle, number_texts
from driftwatch.columns.rows.time_formats import format_pattern

GERMAN = NumberStyle(decimal=",", thousands=".")
ENGLISH = NumberStyle(thousands=",")


@pytest.mark.parametrize(
    ("text", "style", "number"),
    [
        ("1,234.50", ENGLISH, 1234.5), ("1.234,50", GERMAN, 1234.5), ("-12", GERMAN, -12.0),
        ("1\u202f234,5", NumberStyle(decimal=",", thousands=" "), 1234.5), ("+7", ENGLISH, 7.0),
        ("1\u2019234.5", NumberStyle(thousands="'"), 1234.5), ("12,34,567.5", ENGLISH, 1234567.5),
        ("€ 12.5", NumberStyle(unit="€"), 12.5), ("12.5 %", NumberStyle(unit="%"), 12.5),
        ("-$3", NumberStyle(unit="$"), -3.0), ("1,5e3", NumberStyle(decimal=","), 1500.0),
        (" 1,234 ", ENGLISH, 1234.0), (",5", GERMAN, 0.5),
    ],
)  # fmt: skip
def test_a_text_is_the_number_it_spells(text: str, style: NumberStyle, number: float) -> None:
    assert parse_numbers(pa.array([text, None]), style).to_pylist() == [number, None]
    dictionary = pa.array([text, None]).dictionary_encode()
    assert parse_numbers(dictionary, style).to_pylist() == [number, None]


@pytest.mark.parametrize(
    ("text", "style"),
    [
        ("1.234.5", GERMAN), ("12,34", ENGLISH), ("007", GERMAN), ("1.23", GERMAN), ("ERR", GERMAN),
        ("12.5", NumberStyle(unit="€")), ("$ 12.5", NumberStyle(unit="€")), ("1.2.3", ENGLISH), ("", GERMAN),
    ],
)  # fmt: skip
def test_other_texts_stay_texts(text: str, style: NumberStyle) -> None:
    assert parse_numbers(pa.array([text]), style).to_pylist() == [text]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.integers(-(10**7), 10**7), min_size=1), st.sampled_from(["ERR", "x", None]))
def test_levels_do_not_depend_on_the_texts_beside(cents: list[int], odd: str | None) -> None:
    texts = [f"{cent / 100:,.2f}".translate(str.maketrans(",.", ".,")) for cent in cents]
    alone = levels(parse_numbers(pa.array(texts), GERMAN))
    beside = levels(parse_numbers(pa.array([*texts, odd]), GERMAN))
    assert [alone.levels[code] for code in alone.codes] == [
        beside.levels[code] for code in beside.codes[: len(texts)]
    ]


def test_what_could_be_read_in_two_ways_is_not_decided() -> None:
    both = number_texts(["1,234", "5,678"])
    assert both is not None
    assert both.reason == "numbers written as texts: set decimal or thousands"
    settled = number_texts(["1,234", "5,678", "999"])
    assert settled is not None
    assert [style.thousands for style in settled.styles] == [","]
    mixed = number_texts(["€ 12.5", "€ 3"])
    assert mixed is not None
    assert mixed.reason == "numbers written as texts with '€': set units"


@pytest.mark.parametrize(
    "texts",
    [["a"], ["1.2.3"], ["10.0.0.1"], ["12", "13"], ["A12", "A13"], ["INV 10", "INV 11"], ["12:30"],
     ["2026-03-01"], ["03/01/2026"], ["€ 1", "$ 1"], []],
)  # fmt: skip
def test_names_and_codes_are_no_numbers(texts: list[str]) -> None:
    assert number_texts(texts) is None


FORMATS = ("%m/%d/%Y %I:%M:%S %p", "%d.%m.%Y %H:%M:%S,%f", "%Y%m%d-%H%M%S", "%a, %d %b %Y %H:%M:%S",
           "%d-%B-%y %H:%M", "%d/%b/%Y:%H:%M:%S %z", "%Y/%m/%dT%H:%M:%S%z")  # fmt: skip


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.datetimes(datetime(1970, 1, 1), datetime(2068, 1, 1)),
    st.integers(-14 * 60, 14 * 60),
    st.sampled_from(FORMATS),
)
def test_formats_mean_what_python_means(moment: datetime, offset: int, text: str) -> None:
    written = moment.replace(tzinfo=timezone(timedelta(minutes=offset))).strftime(text)
    expected = datetime.strptime(written, text)
    if expected.tzinfo is None:
        expected = expected.replace(tzinfo=ZoneInfo("UTC"))
    assert parse_times(pa.array([written]), [text], "UTC").to_pylist() == [expected]


def test_times_without_a_zone_are_local_and_what_is_no_time_is_null() -> None:
    texts = pa.array(
        ["03/01/2026 10:00 AM", "13/01/2026 1:00 PM", "02/30/2026 1:00 AM", None, "soon", "2026-03-01"]
    )
    times = parse_times(texts, ["%m/%d/%Y %I:%M %p"], "America/New_York")
    assert [None if time is None else time.isoformat() for time in times.to_pylist()] == [
        "2026-03-01T15:00:00+00:00", None, None, None, None, "2026-03-01T05:00:00+00:00",
    ]  # fmt: skip


def test_the_first_format_that_fits_counts() -> None:
    texts = pa.array(["03/04/2026", "13/04/2026"])
    days = [time.day for time in parse_times(texts, ["%m/%d/%Y", "%d/%m/%Y"], "UTC").to_pylist()]
    assert days == [4, 13]


@pytest.mark.parametrize(
    "text", ["%H:%M", "%Y-%m", "%Y-%m-%d %Q", "%Y-%m-%d %Z", "", "%d %d %m %Y", "%Y-%m-%d %"]
)
def test_a_format_without_a_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        format_pattern(text)


def test_an_index_without_a_name_is_no_column() -> None:
    def described(name: str | None) -> dict[bytes, bytes]:
        columns = [{"name": name, "field_name": "idx"}]
        return {b"pandas": json.dumps({"index_columns": ["idx"], "columns": columns}).encode()}

    assert index_columns(["x", "idx"], described(None)) == {"idx"}
    assert index_columns(["x", "idx"], described("ts")) == frozenset()
    assert index_columns(["x", "__index_level_0__", "__index_level_12__"]) == {
        "__index_level_0__", "__index_level_12__",
    }  # fmt: skip
    assert index_columns(["Unnamed: 0.1", "Unnamed: 0", "x", "Unnamed: 3"]) == {"Unnamed: 0.1", "Unnamed: 0"}
    for odd in (b"{", b"[]", b'{"columns": 1}', b'{"index_columns": [{"kind": "range"}], "columns": [3]}'):
        assert index_columns(["x"], {b"pandas": odd}) == frozenset()
