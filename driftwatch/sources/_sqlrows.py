"""The rows of a SQL source within one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar

import pyarrow as pa

from driftwatch.columns.arrow.event_time import event_times
from driftwatch.columns.rows.formatted_times import parse_times
from driftwatch.columns.rows.nested import object_arrays
from driftwatch.core.arrays import BoolArray, Int64Array
from driftwatch.core.schema import Span
from driftwatch.errors import SchemaMismatch
from driftwatch.sources._sqlquery import one_select
from driftwatch.sources._sqltime import (
    WIDEST,
    Bounds,
    end_bounds,
    is_number,
    is_time_value,
    predicates,
    usable_times,
    value_array,
)

if TYPE_CHECKING:
    import sqlalchemy as sa

#: The name of the table or query in every statement.
ALIAS = "driftwatch_rows"
#: Rows of the first fetch and of the largest, and how many times the rows of the last one a fetch may take.
_FIRST_ROWS = 100
_MAX_ROWS = 20_000
_GROWTH = 8
#: Bytes of one fetch in Arrow; as Python objects they take about three times as much.
_FETCH_BYTES = 8 << 20
#: Values of the time column that tell how times are written.
_EXAMPLES = 20

_Page = TypeVar("_Page")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSettings:
    """The time column, and how its times are written."""

    column: str
    timezone: str
    #: Declared formats; with one, the database cannot compare times.
    formats: tuple[str, ...] = ()
    #: A column that changes with every change of its row.
    updated_column: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlRows:
    connection: sa.Connection
    #: The name of the table or query in errors.
    name: str
    #: A table or subquery of SQLAlchemy, named ``ALIAS``.
    rows: Any
    settings: TimeSettings
    #: The time column, its values as the driver gives them.
    time: Any
    #: Usable values of the time column; none where formats are declared.
    examples: tuple[Any, ...]

    @classmethod
    def of_table(cls, connection: sa.Connection, table: str, settings: TimeSettings) -> Self:
        """Open a table, which may be ``schema.table``. Raises ``SchemaMismatch``."""
        import sqlalchemy as sa

        schema, _, name = table.rpartition(".")
        columns = sa.select(sa.text("*")).select_from(sa.table(name, schema=schema or None))
        names = list(connection.execute(columns.limit(0)).keys())
        table_rows = sa.table(name, *(sa.column(column) for column in names), schema=schema or None)
        rows = table_rows.alias(ALIAS)
        return cls._of(connection, f"table {table!r}", rows, settings)

    @classmethod
    def of_query(cls, connection: sa.Connection, query: str, settings: TimeSettings) -> Self:
        """Open a SELECT. Raises ``SchemaMismatch``, and ``ConfigError`` for another number of statements."""
        import sqlalchemy as sa

        text = one_select(query, connection.dialect.name).replace(":", "\\:") + "\n"
        columns = sa.select(sa.text("*")).select_from(sa.text(f"(\n{text}) AS {ALIAS}"))
        names = list(connection.execute(columns.limit(0)).keys())
        rows = sa.text(text).columns(*(sa.column(name) for name in names)).subquery(ALIAS)
        return cls._of(connection, "the query", rows, settings)

    @classmethod
    def _of(cls, connection: sa.Connection, name: str, rows: Any, settings: TimeSettings) -> Self:
        import sqlalchemy as sa

        time_column = settings.column

        for key, column, is_for in (
            ("time column", time_column, "event times"),
            ("updated_column", settings.updated_column, "times of change"),
        ):
            if column is not None and column not in rows.c:
                raise SchemaMismatch(
                    f"{name}: expected the {key} {column[:60]!r}. Got {_listed(list(rows.c.keys()))}. "
                    f"Name the column of {is_for} under source."
                )
        time = sa.type_coerce(rows.c[time_column], sa.types.NullType())
        sample = sa.select(time).select_from(rows).where(time.is_not(None)).limit(_EXAMPLES)
        examples = list(connection.execute(sample).scalars())
        if connection.dialect.name == "sqlite" or any(map(is_number, examples)):
            # Numbers may have several units. In SQLite any row may have any type: numbers are least, texts
            # greatest.
            ends = [sa.select(end(time)).select_from(rows) for end in (sa.func.min, sa.func.max)]
            values = [connection.execute(end).scalar() for end in ends]
            examples += [value for value in values if value is not None]
        if examples and not any(map(is_time_value, examples)):
            raise SchemaMismatch(
                f"{name}: expected times in column {time_column[:60]!r}. Got {type(examples[0]).__name__}. "
                "Name the column of event times under source."
            )
        return cls(
            connection=connection,
            name=name,
            rows=rows,
            settings=settings,
            time=time,
            # Once, for all spans: each costs a conversion.
            examples=() if settings.formats else usable_times(examples, settings.timezone),
        )

    def extent(self) -> Span | None:
        """Return the span of times by MIN and MAX, and by rows where values are not in the order of times."""
        import sqlalchemy as sa

        # Apart: SQLite finds either by the index, but not both at once.
        ends = [sa.select(end(self.time)).select_from(self.rows) for end in (sa.func.min, sa.func.max)]
        low, high = (self.connection.execute(self._in_span(end, WIDEST)).scalar() for end in ends)
        if low is None:
            return None
        times = self._times(value_array([low, high]))
        bounds = None if self.settings.formats else end_bounds(low, high)
        if bounds != [] or len(times) < 2:
            near = self._in_span(sa.select(self.time).select_from(self.rows), WIDEST)
            for (arrays,) in self._arrays(self.within(near, bounds) if bounds else near):
                times += self._times(arrays[-1])
                times = [min(times), max(times)] if times else []
        return Span(start=min(times), end=max(times) + 1) if times else None

    @property
    def names(self) -> list[str]:
        return list(self.rows.c.keys())

    def batches(
        self, span: Span | None, columns: Sequence[str] | None, exploded: str | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the columns as they are stored: of ``request.age`` the whole ``request``, also twice.

        A column of objects among other values comes as two of one name.
        """
        import sqlalchemy as sa

        names, time_column = self.names, self.settings.column
        selected = names if columns is None else [name for name in names if _serves(name, columns)]
        required = set(columns or ()) - {time_column}
        if required and not any(_serves(name, list(required)) for name in selected):
            raise SchemaMismatch(
                f"{self.name}: expected any of the columns {_listed(sorted(required))}. Got none of them."
            )
        lists = [name for name in names if exploded is not None and _serves(name, [exploded])]
        selected = list(dict.fromkeys((*selected, *lists, time_column)))
        statement = self._in_span(sa.select(*(self.rows.c[name] for name in selected)), span)
        for columns_of_arrays in self._arrays(statement):
            fields = [
                (name, array)
                for name, arrays in zip(selected, columns_of_arrays, strict=True)
                for array in arrays
            ]
            yield pa.RecordBatch.from_arrays(
                [array for _, array in fields], names=[name for name, _ in fields]
            )

    def _arrays(self, statement: Any) -> Iterator[list[list[pa.Array]]]:
        """Yield the columns of some rows at a time."""
        return self.pages(statement, _columns)

    def pages(self, statement: Any, convert: Callable[[Sequence[Any]], tuple[_Page, int]]) -> Iterator[_Page]:
        """Yield as many converted rows as weigh a bounded number of bytes, judged by the rows before.

        ``convert`` also returns the weight of what it made.
        """
        size = _FIRST_ROWS
        streaming = self.connection.execution_options(stream_results=True)
        with streaming.execute(statement) as result:
            while rows := result.fetchmany(size):
                page, weight = convert(rows)
                size = min(_MAX_ROWS, _GROWTH * size, max(_FETCH_BYTES * len(rows) // max(weight, 1), 1))
                del rows
                yield page

    def event_times(self, array: pa.Array) -> tuple[Int64Array, BoolArray]:
        """Return nanoseconds, and which of them are usable."""
        if self.settings.formats:
            array = parse_times(array, self.settings.formats, self.settings.timezone)
        return event_times(array, self.settings.timezone)

    def _times(self, array: pa.Array) -> list[int]:
        times, usable = self.event_times(array)
        return [int(time) for time in times[usable]]

    def bounds(self, span: Span | None) -> list[Bounds] | None:
        """Return bounds such that every row of the span lies within some; None for all rows."""
        if span is None or self.settings.formats:
            return None
        return predicates(self.examples, span, self.settings.timezone)

    def _in_span(self, statement: Any, span: Span | None) -> Any:
        bounds = self.bounds(span)
        return statement if bounds is None else self.within(statement, bounds)

    def within(self, statement: Any, bounds: Sequence[Bounds]) -> Any:
        import sqlalchemy as sa

        column = self.rows.c[self.settings.column]
        ranges = [
            sa.and_(
                column >= sa.bindparam(None, low, unique=True), column < sa.bindparam(None, high, unique=True)
            )
            for low, high in bounds
        ]
        return statement.where(sa.or_(*ranges))


def _columns(rows: Sequence[Any]) -> tuple[list[list[pa.Array]], int]:
    arrays = [object_arrays(values, value_array) for values in zip(*rows, strict=True)]
    return arrays, sum(array.nbytes for parts in arrays for array in parts)


def _serves(name: str, columns: Sequence[str]) -> bool:
    """Whether a stored column is one of the columns or holds one."""
    return any(column == name or column.startswith(f"{name}.") for column in columns)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name[:60]) for name in names[:8])
