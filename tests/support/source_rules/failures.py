"""What is raised, and what is rejected."""

from __future__ import annotations

import itertools

from source_stands import SECRET, Stand
from source_tables import START, hours, rows_in, rows_of, rows_of_table, span

from driftwatch.core.schema import Span
from driftwatch.errors import ConfigError, DriftwatchError, SchemaMismatch, SourceUnavailable
from source_rules.rule import calls, days, filled, opened, raising, rule


@rule("``SourceUnavailable`` says that a retry can help")
def an_outage_is_retryable_and_passes(stand: Stand) -> None:
    content = hours(0, 1, 2)
    source = filled(stand, content)
    part = span(0, 24)
    version = source.version(part)
    for outage, begin in stand.outages().items():
        with begin() as values:
            failing = opened(stand, values)
            for call, ask in calls(failing, part).items():
                with raising(SourceUnavailable, f"{outage}, {call}") as texts:
                    ask()
                assert any(place in texts[0] for place in stand.places), f"{outage}, {call}: {texts[0]}"
        for again in (source, opened(stand)):
            assert again.version(part) == version, f"{outage}: over"
            assert rows_of(again.read(part, ["x"]), part) == rows_of_table(content, part), f"{outage}: over"
            assert again.extent() is not None


@rule("What cannot be read is never left out silently", needs=lambda stand: stand.interrupt is not None)
def a_reading_that_is_interrupted_says_so(stand: Stand) -> None:
    content = days(8, per_day=1000)
    source = filled(stand, content)
    expected = rows_of_table(content, None)
    reading = source.read(None, ["x", "c"])
    batches = [next(reading.batches)]
    assert stand.interrupt is not None
    stand.interrupt()
    try:
        batches += reading.batches
    except SourceUnavailable:
        pass
    else:
        assert reading.rejected, "rows are missing, and nothing says so"
    rows = rows_in(batches, None)
    assert rows != expected, "the stand did not interrupt it"
    assert not rows - expected, "rows came that are none"
    stand.put(content)
    assert rows_of(source.read(None, ["x", "c"]), None) == expected


@rule("any other that none can")
def a_mistake_is_fatal(stand: Stand) -> None:
    stand.put(hours(0, 1, 2))
    for mistake, changes in stand.mistakes().items():
        source = opened(stand, {**stand.settings(), **changes})
        for call, ask in calls(source, span(0, 24)).items():
            with raising((ConfigError, SchemaMismatch), f"{mistake}, {call}"):
                ask()


@rule("named in ``rejected`` and the others are read", needs=lambda stand: stand.spoil is not None)
def a_piece_that_cannot_be_read_is_named_and_the_others_are_read(stand: Stand) -> None:
    content = days(3)
    source = filled(stand, content)
    extent = source.extent()
    assert stand.spoil is not None
    name = stand.spoil()
    for part in (None, span(0, 72)):
        reading = source.read(part, ["x", "c"])
        assert rows_in(reading.batches, part) == rows_of_table(content, part)
        assert len(reading.rejected) == 1, reading.rejected
        rejected = reading.rejected[0]
        assert rejected.name.endswith(name)
        assert rejected.name.isprintable()
        assert rejected.detail.isprintable()
        assert SECRET not in rejected.detail, "it quotes what is in the piece"
        assert rejected.detail.endswith(".")
    assert source.extent() == extent


@rule("and without secrets")
def no_secret_is_shown(stand: Stand) -> None:
    stand.put(hours(0, 1))
    for what, changes in stand.secretive().items():
        values = {**stand.settings(), **changes}
        values = {key: value for key, value in values.items() if value is not None}
        source = opened(stand, values)
        for call, ask in calls(source, span(0, 24)).items():
            with raising((ConfigError, SourceUnavailable), f"{what}, {call}"):
                ask()
        assert SECRET not in repr(source), f"{what}: repr"
        assert SECRET not in str(source), f"{what}: str"


@rule("which reads nothing")
def opening_reads_nothing(stand: Stand) -> None:
    stand.put(hours(0, 1))
    for begin in stand.outages().values():
        with begin() as values:
            opened(stand, values)


@rule("Errors are those of ``driftwatch.errors``")
def nothing_else_is_raised(stand: Stand) -> None:
    """For spans and columns of every shape, and settings that point elsewhere."""
    stand.put(hours(0, 1, 30))
    edges = (-(1 << 63), -1, 0, 1, START, (1 << 63) - 1)
    widths = [Span(start=low, end=high) for low, high in itertools.combinations(edges, 2)]
    wanted = (None, [], ["x"], ["t"], ["gone"], ["x" * 10_000, "x"], ["a\0b", "x"], ["\ud800", "x"])
    spans = (None, span(0, 1), span(900, 901), *widths)
    asked = [(part, columns) for part in spans for columns in wanted if part is None or columns == ["x"]]
    zones = [{"timezone": zone} for zone in ("Pacific/Kiritimati", "America/St_Johns")]
    for changes in ({}, *zones, *({"time_column": name} for name in ("x", "'", "a\0b", "x" * 10_000))):
        source = opened(stand, **changes)
        for part, columns in asked:
            try:
                list(source.read(part, columns).batches)
            except DriftwatchError:
                continue
        try:
            source.extent()
        except DriftwatchError:
            continue
