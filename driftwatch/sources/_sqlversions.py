"""Versions of spans of a SQL source: sums of hashes of their rows, so that the order of rows is none.

A sum of 128 bits over hashes of rows stays the same by chance alone in one of 2^128 changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from driftwatch.core.arrays import Int64Array, UInt64Array
from driftwatch.core.schema import Span
from driftwatch.sources._sqlhashes import LANES, row_hashes
from driftwatch.sources._sqlrows import ALIAS, SqlRows
from driftwatch.sources._sqltime import Bounds, is_time_value, merged_bounds, value_array

#: Spans of one statement: each adds bounds to it, and databases limit parameters.
_MAX_SPANS = 200
_MODULUS = 1 << 64


@dataclass(slots=True)
class _Content:
    """The number of rows, and the sums of their hashes, which are independent of each other."""

    rows: int = 0
    first: int = 0
    second: int = 0

    def add(self, rows: int, first: int, second: int) -> None:
        self.rows += rows
        self.first, self.second = (self.first + first) % _MODULUS, (self.second + second) % _MODULUS

    @property
    def version(self) -> str:
        return hashlib.sha256(f"{self.rows} {self.first} {self.second}".encode()).hexdigest()


#: By number of a piece of time: its rows and both sums.
_Pieces = Mapping[int, tuple[int, int, int]]


def row_versions(rows: SqlRows, spans: Sequence[Span | None]) -> list[str]:
    unique = list(dict.fromkeys(spans))
    versions: dict[Span | None, str] = {}
    size = len(unique) if _is_read_at_once(rows, unique) else _MAX_SPANS
    for first in range(0, len(unique), size or 1):
        part = unique[first : first + size]
        contents = _contents(rows, part)
        versions |= {span: content.version for span, content in zip(part, contents, strict=True)}
    return [versions[span] for span in spans]


def _is_read_at_once(rows: SqlRows, spans: Sequence[Span | None]) -> bool:
    # Thousands of neighbours have the bounds of one.
    if rows.connection.dialect.name == "postgresql":
        return False
    bounds = [rows.bounds(span) for span in spans]
    return (
        None in bounds or len(merged_bounds([pair for item in bounds for pair in item or ()])) <= _MAX_SPANS
    )


def _contents(rows: SqlRows, spans: Sequence[Span | None]) -> list[_Content]:
    updated = rows.settings.updated_column
    columns = None if updated is None else [rows.settings.column, updated]
    if rows.connection.dialect.name == "postgresql":
        contents = _server_contents(rows, spans, columns)
        if contents is None and _has_hash(rows):
            columns = _columns_with_text(rows, columns or rows.names)
            contents = _server_contents(rows, spans, columns)
        if contents is not None:
            return contents
    return _read_contents(rows, spans, columns)


def _server_contents(
    rows: SqlRows, spans: Sequence[Span | None], columns: Sequence[str] | None
) -> list[_Content] | None:
    """Let PostgreSQL add up the rows between neighbouring bounds; None where it cannot."""
    import sqlalchemy as sa

    bounds = [rows.bounds(span) for span in spans]
    ranges = [pair for item in bounds for pair in item or ()]
    edges = sorted({edge for pair in ranges for edge in pair})
    row = (
        sa.literal_column(ALIAS) if columns is None else sa.func.row(*(rows.rows.c[name] for name in columns))
    )
    texts = sa.select(
        _piece_of(rows.rows.c[rows.settings.column], edges).label("piece"),
        sa.cast(row, sa.Text).label("content"),
    ).select_from(rows.rows)
    if None not in bounds:
        texts = rows.within(texts, merged_bounds(ranges))
    # Without the offset each hash would make the text again.
    content = texts.offset(sa.literal_column("0")).subquery("driftwatch_texts")
    sums = [sa.func.sum(sa.func.hashtextextended(content.c.content, lane)) for lane in range(LANES)]
    statement = sa.select(content.c.piece, sa.func.count(), *sums).group_by(content.c.piece)
    answer = _unless_refused(rows, statement)
    if answer is None:
        return None
    pieces = {int(piece): (int(count), int(first), int(second)) for piece, count, first, second in answer}
    return [_sum_of(pieces, edges, item) for item in bounds]


def _piece_of(column: Any, edges: Sequence[Any]) -> Any:
    """Return, as SQL, how many edges are not above the value; -1 for null."""
    import sqlalchemy as sa

    def number(low: int, high: int) -> Any:
        if low == high:
            return sa.literal_column(str(low))
        middle = (low + high) // 2
        edge: Any = sa.bindparam(None, edges[middle], unique=True)
        return sa.case((column < edge, number(low, middle)), else_=number(middle + 1, high))

    return sa.case((column.is_(None), sa.literal_column("-1")), else_=number(0, len(edges)))


def _sum_of(pieces: _Pieces, edges: Sequence[Any], bounds: Sequence[Bounds] | None) -> _Content:
    """Add up the pieces within any of the bounds, which are edges; None: all pieces."""
    content, places = _Content(), {edge: place for place, edge in enumerate(edges)}
    ranges = None if bounds is None else [(places[low], places[high]) for low, high in bounds]
    for piece, sums in pieces.items():
        if ranges is None or any(low < piece <= high for low, high in ranges):
            content.add(*sums)
    return content


def _has_hash(rows: SqlRows) -> bool:
    # And this user may call it: what else the server refuses costs scans to find.
    import sqlalchemy as sa

    return _unless_refused(rows, sa.select(sa.func.hashtextextended("", 0))) is not None


def _columns_with_text(rows: SqlRows, names: Sequence[str]) -> list[str]:
    """Return the columns all of whose values have a text: without one they cannot be read either."""
    import sqlalchemy as sa

    def longest(name: str) -> Any:
        text = sa.cast(rows.rows.c[name], sa.Text)
        return sa.select(sa.func.max(sa.func.length(text))).select_from(rows.rows)

    return [name for name in names if _unless_refused(rows, longest(name)) is not None]


def _unless_refused(rows: SqlRows, statement: Any) -> Sequence[Any] | None:
    """Return the answer, or None if the statement asks for what the database cannot do."""
    import sqlalchemy as sa

    try:
        with rows.connection.begin_nested():
            return rows.connection.execute(statement).all()
    except sa.exc.OperationalError:
        # It is away, or the time is up.
        raise
    except sa.exc.DBAPIError:
        return None


def _read_contents(
    rows: SqlRows, spans: Sequence[Span | None], columns: Sequence[str] | None
) -> list[_Content]:
    """Read the rows, and add them up between neighbouring edges of spans."""
    import sqlalchemy as sa

    edges = sorted({edge for span in spans if span is not None for edge in (span.start, span.end)})
    row = [sa.text(f"{ALIAS}.*")] if columns is None else [rows.rows.c[name] for name in columns]
    statement = sa.select(rows.time, *row).select_from(rows.rows)
    bounds = [rows.bounds(span) for span in spans]
    if None not in bounds:
        statement = rows.within(statement, merged_bounds([pair for item in bounds for pair in item or ()]))
    # One more for rows without a usable time.
    counts = np.zeros(len(edges) + 2, dtype=np.int64)
    sums = np.zeros((len(edges) + 2, LANES), dtype=np.uint64)

    def add(page: Sequence[Any]) -> tuple[None, int]:
        times, *values = zip(*page, strict=True)
        hashes, weight = row_hashes(values)
        pieces = _pieces(rows, times, edges)
        np.add.at(counts, pieces, 1)
        np.add.at(sums, pieces, hashes.T)
        return None, weight

    for _ in rows.pages(statement, add):
        pass
    totals = np.cumsum(counts), np.cumsum(sums, axis=0)
    places = {edge: place for place, edge in enumerate(edges)}
    ends = [
        (-1, len(edges) + 1) if span is None else (places[span.start], places[span.end]) for span in spans
    ]
    return [_content_between(*totals, low, high) for low, high in ends]


def _content_between(counts: Int64Array, sums: UInt64Array, low: int, high: int) -> _Content:
    """Return the content after one piece, or -1, and up to another, from totals."""
    content = _Content(rows=int(counts[high]), first=int(sums[high, 0]), second=int(sums[high, 1]))
    if low >= 0:
        content.add(-int(counts[low]), -int(sums[low, 0]), -int(sums[low, 1]))
    return content


def _pieces(rows: SqlRows, values: Sequence[Any], edges: Sequence[int]) -> Int64Array:
    """Return how many edges are not above each time, and one more than there are edges for no usable time."""
    pieces = np.full(len(values), len(edges) + 1, dtype=np.int64)
    if not edges:
        return pieces
    # In SQLite values of one column may have several types.
    kinds = list(map(type, values))
    for kind in set(kinds):
        places = np.array([place for place, item in enumerate(kinds) if item is kind])
        if not is_time_value(values[places[0]]):
            continue
        times, usable = rows.event_times(value_array([values[place] for place in places]))
        pieces[places[usable]] = np.searchsorted(np.array(edges, np.int64), times[usable], side="right")
    return pieces
