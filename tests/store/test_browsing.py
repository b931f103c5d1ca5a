"""Looking things up: page by page, one column out of many, whatever it is called."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from driftwatch.core.schema import Span
from driftwatch.results.results import Breakage, NamedColumn, Reason, State, Statistic, Verdict
from driftwatch.results.stored_verdict import verdict_to_json
from driftwatch.store.browsing import Browsing
from driftwatch.store.database import Database
from driftwatch.store.history import History
from driftwatch.store.records import CheckRecord

HOSTILE = (
    'x", "value": 7, "column": "y',
    '{"detector": "ks", "column": "x", "value": 9}',
    "\\",
    '\\"',
    "é\u2028\0",
    '"reference": "0"',
)


def verdict(end: int, names: tuple[str, ...], *, state: State = State.OK, reference: str = "ab") -> Verdict:
    """Each column's KS is its place and its PSI undefined; every other text is a name too."""
    return Verdict(
        monitor="m",
        segment=None,
        window=Span(start=end - 10, end=end),
        rows=5,
        state=state,
        reason=Reason.NOTHING_MOVED,
        detail=names[0],
        statistics=tuple(
            item
            for place, name in enumerate(names)
            for item in (
                Statistic(detector="ks", column=name, value=place + end / 1000, unit="u", effect=names[-1]),
                Statistic(detector="psi", column=name, value=None, unit="u", undefined=names[0]),
            )
        ),
        breakages=(Breakage(column=names[0], reason=Reason.COLUMN_MISSING, detail=names[-1]),),
        named=(NamedColumn(column=names[0], detector="ks", share=0.5, effect=names[-1], onset=1),),
        unchanged=names,
        evidence=0.25,
        reference=reference,
        configuration=names[-1],
    )


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "store")
    yield opened
    opened.close()


def commit(database: Database, *verdicts: Verdict, **fields: Any) -> None:
    for item in verdicts:
        end = item.window.end
        record = CheckRecord(
            monitor="m", now=end + 5, verdicts=[(None, end, verdict_to_json(item))], **fields
        )
        assert History(database).commit(record)


def test_windows_come_newest_first_and_page_by_page(database: Database) -> None:
    commit(database, *(verdict(end, ("x",)) for end in range(100, 200)))
    browsing = Browsing(database)
    end_below, ends = None, []
    while windows := browsing.windows("m", None, end_below=end_below, limit=7):
        ends += [item.end for item in windows]
        end_below = windows[-1].end
    assert ends == list(range(199, 99, -1))
    assert [item.end for item in browsing.following("m", None, 150, 3)] == [151, 152, 153]
    assert (browsing.count("m", None), browsing.count("m", "s"), browsing.count("n", None)) == (100, 0, 0)
    (newest,) = browsing.windows("m", None, limit=1)
    assert (newest.state, newest.evidence, newest.page, newest.decided_at) == ("ok", 0.25, False, 204)


def test_listing_reads_no_statistics(database: Database) -> None:
    statements: list[str] = []
    database._connection.set_trace_callback(statements.append)
    browsing = Browsing(database)
    browsing.windows("m", None)
    browsing.following("m", None, 1)
    browsing.count("m", None)
    database._connection.set_trace_callback(None)
    for sql in statements:
        plan = " ".join(row[3] for row in database.query(f"EXPLAIN QUERY PLAN {sql}"))
        table = (
            "verdicts" if " verdicts " in sql else "owed_windows" if " owed_windows " in sql else "late_parts"
        )
        access = {"verdicts": "USING COVERING INDEX verdicts_listed"}.get(table, "USING")
        assert f"SEARCH {table} {access}" in plan


@pytest.mark.parametrize("name", HOSTILE)
def test_a_column_is_found_among_others_whatever_they_are_called(database: Database, name: str) -> None:
    names = ("x", "y", *HOSTILE)
    ends = range(100, 120)
    commit(database, *(verdict(end, names) for end in ends))
    trends = Browsing(database).trend("m", None, [name], limit=15, max_bytes=1 << 30)
    assert [item.end for item in trends] == list(ends)[5:]
    for item in trends:
        assert (item.reference, item.unchanged) == ("ab", {name})
        assert [
            (statistic["column"], statistic["detector"], statistic["value"]) for statistic in item.statistics
        ] == [
            (name, "ks", names.index(name) + item.end / 1000),
            (name, "psi", None),
        ]


def test_large_verdicts_shorten_the_trend(database: Database) -> None:
    names = tuple(f"column {n}" for n in range(200))
    commit(database, *(verdict(end, names) for end in range(100, 120)))
    size = len(database.query("SELECT content FROM verdicts LIMIT 1")[0][0])
    browsing = Browsing(database)
    for max_bytes, windows in ((1, 1), (7 * size // 2, 3), (1 << 30, 20)):
        trends = browsing.trend("m", None, ["column 7", "column 8"], limit=50, max_bytes=max_bytes)
        assert [item.end for item in trends] == list(range(120 - windows, 120))
        assert all(len(item.statistics) == 4 for item in trends)


def test_a_configuration_is_kept_once(database: Database) -> None:
    commit(database, verdict(100, ("x",)), verdict(101, ("x",)), configuration=("abc", '{"name": "m"}'))
    browsing = Browsing(database)
    assert browsing.configuration("m", "abc") == {"name": "m"}
    assert browsing.configuration("m", "abd") is None
    assert database.query("SELECT count(*), min(first_at) FROM configurations")[0][:] == (1, 105)


def test_what_cannot_be_stored_is_not_found(database: Database) -> None:
    commit(database, verdict(100, ("x",)))
    assert Browsing(database).windows("m", "half\ud800") == []
