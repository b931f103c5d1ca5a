"""What versions of spans say."""

from __future__ import annotations

import pyarrow as pa
from source_stands import Stand
from source_tables import DAY, HOUR, START, VALUES, digest, hours, rows_of, span, table

from driftwatch.core.schema import Span
from driftwatch.sources.base import Source
from source_rules.rule import child, days, filled, opened, rule

_DAY_ONE = span(0, 24)


@rule("The same data has the same version")
def the_same_data_has_the_same_version(stand: Stand) -> None:
    source = filled(stand, days(3))
    for part in (None, _DAY_ONE, span(-90, -80)):
        version = source.version(part)
        rows_of(source.read(part, ["x"]), part)
        source.version(span(30, 40))
        assert version == source.version(part) == opened(stand).version(part)
        assert 0 < len(version) < 200


@rule("The same data has the same version in every process", slow=True)
def another_process_reads_the_same(stand: Stand) -> None:
    content = days(3)
    source = filled(stand, content)
    versions, rows = child(
        "from driftwatch.core.schema import Span\n"
        "from source_tables import digest, rows_of\n"
        "part = Span(start=int(sys.argv[3]), end=int(sys.argv[4]))\n"
        "rows = digest(rows_of(source.read(part, ['x', 'c']), part))\n"
        "print(json.dumps([source.versions([part, None]), rows]))\n",
        stand, str(_DAY_ONE.start), str(_DAY_ONE.end),
    )  # fmt: skip
    assert versions == source.versions([_DAY_ONE, None])
    assert rows == digest(rows_of(source.read(_DAY_ONE, ["x", "c"]), _DAY_ONE))


@rule("changes with the data of ``span``")
def the_version_notices_a_change(stand: Stand) -> None:
    """Of a row in the middle of a span, with rows on both sides and in other days."""
    content = days(3)
    source = filled(stand, content)
    middle = 3
    changed = content.set_column(1, "x", pa.array([99 if x == middle else x for x in range(len(content))]))
    older = table([_DAY_ONE.start + DAY // 12], c=["level 0"])
    changes = {
        "added": pa.concat_tables([content.slice(0, 2), older, content.slice(2)]),
        "removed": pa.concat_tables([content.slice(0, middle), content.slice(middle + 1)]),
        "changed": changed,
    }
    for what, change in changes.items():
        _check_noticed(stand, source, content, change, what)


def _check_noticed(stand: Stand, source: Source, before: pa.Table, after: pa.Table, what: str) -> None:
    stand.put(before)
    first = source.versions([None, _DAY_ONE])
    stand.put(after)
    second = source.versions([None, _DAY_ONE])
    assert first[0] != second[0], f"{what}: the version of all rows stays"
    assert first[1] != second[1], f"{what}: the version of the span stays"


@rule("a value changed in place")
def any_value_changed_in_place_changes_the_version(stand: Stand) -> None:
    """Of every type, with the same number of rows and the same times."""
    for name in sorted(stand.values):
        values = VALUES[name]
        distinct = {repr(value.as_py()): place for place, value in enumerate(values)}.values()
        versions = [
            filled(stand, hours(0, 5, 23, c=values.take(pa.array([0, place, 0])))).versions([None, _DAY_ONE])
            for place in distinct
        ]
        for versions_of_span in zip(*versions, strict=True):
            assert len(set(versions_of_span)) == len(distinct), name


@rule("values that change places")
def values_that_change_places_change_the_version(stand: Stand) -> None:
    """In one column, which then has the same values as before, and in one row."""
    content = days(3)
    swapped = content.set_column(1, "x", content.column("x").take(pa.array([0, 2, 1, *range(3, 18)])))
    _check_noticed(stand, filled(stand, content), content, swapped, "in a column")
    before, after = (hours(0, 3, 5, y=[0, y, 2], z=[0, 15 - y, 2]) for y in (7, 8))
    _check_noticed(stand, filled(stand, before), before, after, "in a row")


@rule("a row moved to another time")
def a_row_that_moves_changes_the_version(stand: Stand) -> None:
    """By a millisecond, to a time that the span had, or out of the span."""
    for what, hour in {"a little": 5 + 1 / 3_600_000, "to another row": 3, "away": 30}.items():
        before, after = hours(0, 3, 5, 23), table([START + int(at * HOUR) for at in (0, 3, hour, 23)])
        _check_noticed(stand, filled(stand, before), before, after, what)


@rule("rows removed and added again with other values")
def rows_removed_and_added_again_change_the_version(stand: Stand) -> None:
    """At the end, with the same times, also when the rows are equal to each other."""
    for values in ([1, 2], [1, 1]):
        before = hours(0, 3, 5, 5, 23, c=[0, 0, *values, 0]).drop_columns("x")
        again = hours(5, 5, c=[value + 7 for value in values]).drop_columns("x")
        after = pa.concat_tables([before.slice(0, 2), before.slice(4), again])
        _check_noticed(stand, filled(stand, before), before, after, str(values))


@rule("Where rows have no order, none changes it", needs=lambda stand: not stand.ordered)
def the_order_of_rows_changes_no_version(stand: Stand) -> None:
    content = days(3)
    source = filled(stand, content)
    versions = source.versions([None, _DAY_ONE])
    for step in (5, 17):
        stand.put(content.take(pa.array([place * step % len(content) for place in range(len(content))])))
        assert source.versions([None, _DAY_ONE]) == versions


@rule("Data far from the span does not change it", needs=lambda stand: stand.margin is not None)
def rows_far_from_a_span_do_not_change_its_version(stand: Stand) -> None:
    near = hours(0, 5, 23)
    source = filled(stand, near)
    first, all_rows = source.versions([_DAY_ONE, None])
    for way in (1, -1):
        far = table([_DAY_ONE.start + way * (DAY + (stand.margin or 0))])
        stand.put(pa.concat_tables([near, far]))
        assert source.version(_DAY_ONE) == first
        assert source.version(None) != all_rows


@rule("the version of each span, in their order")
def versions_are_those_of_each_span(stand: Stand) -> None:
    source = filled(stand, days(5))
    parts: list[Span | None] = [
        span(48, 72),
        None,
        _DAY_ONE,
        span(48, 72),
        span(0, 72),
        span(900, 901),
        span(24, 48),
    ]
    for wanted in (parts, parts[::-1], [part for part in parts if part is not None], parts[:1], []):
        assert source.versions(wanted) == [source.version(part) for part in wanted]
    if stand.margin is not None:
        assert len(set(source.versions(parts))) > 2


@rule("as it was before the rows were read")
def a_reading_has_the_version_from_before_its_rows(stand: Stand) -> None:
    content = days(3)
    source = filled(stand, content)
    late = pa.concat_tables([content, table([_DAY_ONE.start + DAY // 12], c=["late"])])
    for part in (None, _DAY_ONE):
        for is_asked in (True, False):
            stand.put(content)
            first = source.version(part)
            reading = source.read(part, ["x"])
            if is_asked:
                assert reading.version == first
            stand.put(late)
            # Whether the late row comes or not, the next look must find another version than this reading's.
            for _ in reading.batches:
                pass
            assert reading.version in ((first,) if is_asked else (first, ""))
            assert source.version(part) not in (first, "")
