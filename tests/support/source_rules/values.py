"""Which columns come, and which values."""

from __future__ import annotations

import pyarrow as pa
from source_stands import Stand
from source_tables import HOUR, NAMES, START, VALUES, hours, repeated, rows_in, rows_of, rows_of_table, table

from source_rules.rule import filled, mismatch, rule


@rule("otherwise these and the time column come")
def only_the_columns_asked_for_come(stand: Stand) -> None:
    content = hours(0, 1, 2, c=["a", "b", "a"], d=[1.5, 2.5, 3.5])
    source = filled(stand, content)
    for columns in (["x"], ["c", "d"], ["d", "x", "c"], ["x", "x", "t", "x"], ["t"], []):
        batches = list(source.read(None, columns).batches)
        assert sum(batch.num_rows for batch in batches) == 3
        for batch in batches:
            assert sorted(batch.schema.names) == sorted({*columns, "t"})
        assert rows_in(batches, None) == rows_of_table(
            content.select(["t", *sorted({*columns} - {"t"})]), None
        )
    for batch in source.read(None, None).batches:
        assert {"t", "x", "c", "d"} <= set(batch.schema.names), "None reads all"


@rule("without those that the data lacks")
def a_column_that_is_not_there_is_left_out(stand: Stand) -> None:
    content = hours(0, 1, 2)
    source = filled(stand, content)
    for missing in ("absent", "X ", "", "a\udcff", *NAMES):
        assert rows_of(source.read(None, [missing, "x"]), None) == rows_of_table(content, None), missing


@rule("or no requested column at all")
def none_of_the_columns_there_is_a_mismatch(stand: Stand) -> None:
    """Rows without any value would pass for rows of nulls."""
    source = filled(stand, hours(0, 1, 2))
    assert "'gone'" in mismatch(source, None, ["gone", "lost"])


@rule("Rows come with times and values as they are stored")
def values_come_as_they_are_stored(stand: Stand) -> None:
    for name in sorted(stand.values):
        # Alone, so that no other column's values or types help, and twice, so that the order is free.
        values = VALUES[name]
        content = table(
            [START + place * HOUR for place in range(2 * len(values))], c=repeated(values, 2 * len(values))
        )
        rows = rows_of(filled(stand, content).read(None, ["c"]), None)
        assert rows == rows_of_table(content.select(["t", "c"]), None), name


@rule("Rows come with times and values as they are stored")
def names_of_columns_come_as_they_are(stand: Stand) -> None:
    columns: dict[str, pa.Array] = {name: pa.array([place, 1, 2]) for place, name in enumerate(NAMES)}
    content = hours(0, 1, 2, **columns)
    source = filled(stand, content)
    assert rows_of(source.read(None, list(NAMES)), None) == rows_of_table(content.select(["t", *NAMES]), None)
    for name in NAMES:
        assert rows_of(source.read(None, [name]), None) == rows_of_table(content.select(["t", name]), None), (
            name
        )


@rule("A structure comes as columns of its fields", needs=lambda stand: stand.structures)
def a_structure_comes_as_its_fields(stand: Stand) -> None:
    request = pa.array([{"age": 1, "in": {"z": "a"}}, None, {"age": 3, "in": None}])
    content = hours(0, 1, 2, request=request, **{"a.b": pa.array([7, 8, 9])})
    fields = {"request.age": pa.array([1, None, 3]), "request.in.z": pa.array(["a", None, None])}
    flat = hours(0, 1, 2, **fields, **{"a.b": pa.array([7, 8, 9])})
    source = filled(stand, content)
    assert rows_of(source.read(None, None), None, columns=list(flat.column_names[1:])) == rows_of_table(
        flat, None
    )
    for columns in (["request.age"], ["request.in.z", "a.b"], ["x", "request.age", "request.gone"]):
        wanted = flat.select(["t", *sorted({*columns} & {*flat.column_names})])
        assert rows_of(source.read(None, columns), None) == rows_of_table(wanted, None), columns
