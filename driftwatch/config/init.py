"""A first configuration, written from a look at the data: commented, and it runs as it stands."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePath
from typing import TYPE_CHECKING

import yaml

from driftwatch.config._side import LENGTHS, Side, Window, choose_window, times_of
from driftwatch.core.schema import NANOSECONDS, Column, Role, iso
from driftwatch.core.settings import format_duration
from driftwatch.errors import ReferenceUnusable

if TYPE_CHECKING:
    import pyarrow as pa

#: Rows of each side that are looked at.
LOOKED_ROWS = 2_000_000
_PLAIN = re.compile(r"[A-Za-z_/.][A-Za-z0-9_/.*-]*", re.ASCII)
_WORDS = frozenset(("null", "true", "false", "yes", "no", "on", "off", "y", "n"))
_FEW_WINDOWS = 14
#: Columns a refusal lists.
_LISTED = 20


def write_config(
    reference_path: str,
    current: str,
    *,
    read: Callable[[str], Iterable[pa.RecordBatch]],
    delimiter: Callable[[str], str] = lambda _path: ",",
) -> str:
    """A commented configuration (YAML, version 1) for a reference and a path or glob of production inputs.

    ``delimiter`` tells what stands between the values of a path's CSV files. At most ``LOOKED_ROWS`` rows of
    each are looked at. Kinds, roles and what is set aside stand in comments
    with their reasons; what the two sides do not share is set to ``role: ignore``. Raises
    ``ReferenceUnusable`` when the reference has no rows or nothing to watch, and whatever ``read`` raises.
    """
    from driftwatch.columns.infer import infer

    reference, source = (_look(path, read, delimiter(path)) for path in (reference_path, current))
    if not reference.profile.rows:
        raise ReferenceUnusable(f"{reference_path}: expected rows. Got none. Name a file of test data.")
    window = choose_window(source if times_of(source) is not None else reference)
    columns = infer(reference.profile, time=reference.time, window=window.length)
    _refuse_nothing(columns, reference, source)
    return "\n".join(
        (
            *_head(reference, source),
            *_reference_lines(reference),
            *_source_lines(source),
            *_window_lines(window, reference),
            *_column_lines(columns, reference, source),
            *_TAIL,
            "",
        )
    )


def _refuse_nothing(columns: Iterable[Column], reference: Side, source: Side) -> None:
    """Raise ``ReferenceUnusable`` when the configuration could watch no column."""
    there = {column.name for column in source.profile.columns}
    aside = [
        f"{scalar(column.name)}: {'not in the production inputs' if column.role.watched else column.reason}"
        for column in columns
        if not column.role.watched or (there and column.name not in there)
    ]
    if len(aside) == len(reference.profile.columns):
        listed = "; ".join(map(_comment, aside[:_LISTED]))
        more = f"; and {len(aside) - _LISTED} more" if len(aside) > _LISTED else ""
        raise ReferenceUnusable(
            f"{reference.path}: expected at least one column to watch. Got none ({listed}{more}). Name "
            "data that holds the inputs, or give columns a role in a configuration of your own."
        )


def scalar(text: str) -> str:
    """A text as one YAML scalar that is read back as the same text, on one line of ASCII.

    >>> print(scalar("time_hour"), scalar("no"), scalar("a: b\\n"))
    time_hour "no" "a: b\\n"
    """
    if _PLAIN.fullmatch(text) and text.lower().strip(".") not in (*_WORDS, "inf", "nan", ""):
        return text
    quoted: str = yaml.safe_dump(text, default_style='"', allow_unicode=False, width=1 << 30)
    return quoted.rstrip("\n")


def _look(path: str, read: Callable[[str], Iterable[pa.RecordBatch]], delimiter: str) -> Side:
    from driftwatch.columns.profile import profile
    from driftwatch.columns.time_column import find_time

    looked = profile(_first(read(path), LOOKED_ROWS))
    time = find_time(looked, numbers=True)
    column = None if time.name is None else looked.column(time.name)
    if column is not None and column.earliest is None:
        # Numbers are moments only where they are declared to be.
        looked = profile(_first(read(path), LOOKED_ROWS), time_column=time.name)
    return Side(path=path, profile=looked, time=time, delimiter=delimiter)


def _first(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch.slice(0, rows)
        rows -= batch.num_rows
        if rows <= 0:
            return


def _head(reference: Side, source: Side) -> list[str]:
    return [
        "# Written by driftwatch init. Check it:  driftwatch check-config THIS_FILE",
        "# See what it would have done:           driftwatch backtest THIS_FILE",
        "# Paths start where driftwatch is started. Durations: 30s, 15m, 1h, 1d, 2w.",
        "version: 1",
        "storage: {path: ./driftwatch-data}      # history: one SQLite file, no raw rows",
        'web: {listen: "127.0.0.1:9877"}         # pages and /metrics; elsewhere with web.auth or web.tls',
        "monitors:",
        f"  - name: {scalar(_name(reference.path))}",
    ]


def _name(path: str) -> str:
    """A monitor's name from a path or glob: its last part that says something."""
    for part in reversed(PurePath(path).parts):
        if any(character in part for character in "*?["):
            continue
        stem = part.split(".")[0] if not part.startswith(".") else ""
        cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")
        if cleaned:
            return cleaned[:63]
    return "model"


def _reference_lines(side: Side) -> list[str]:
    lines = [
        f"    # The test distribution: {_extent(side)}",
        "    reference:",
        f"      path: {scalar(side.path)}",
        *_delimiter(side),
    ]
    if side.time.name is not None:
        return [*lines, f"      time_column: {scalar(side.time.name)}   # {_comment(side.time.reason)}"]
    return [
        *lines,
        f"      # No event time: {_comment(side.time.reason)}.",
        "      # With one, its own days teach what is usual; without, the first production windows do.",
        *(f"      # time_column: {scalar(name)}" for name in side.time.candidates or ("NAME",)),
    ]


def _delimiter(side: Side) -> list[str]:
    return [] if side.delimiter == "," else [f"      delimiter: {scalar(side.delimiter)}"]


def _source_lines(side: Side) -> list[str]:
    lines = [
        f"    # Production inputs: {_extent(side)}",
        "    source:",
        "      type: files",
        f"      path: {scalar(side.path)}",
        *_delimiter(side),
    ]
    if side.time.name is not None:
        zone = "      # timezone: UTC                       # of times that do not name one"
        return [
            *lines,
            f"      time_column: {scalar(side.time.name)}   # {_comment(side.time.reason)}",
            zone,
        ]
    return [
        *lines,
        f"      # TO DO: no event time is known ({_comment(side.time.reason)}).",
        "      # The daemon cuts production into windows of event time: without it no window can be placed.",
        "      # Log the time of each request in a column of its own (timestamp or ISO 8601 text), and name",
        "      # it here. Until then `driftwatch compare` can hold the two files against each other.",
        f"      time_column:   # {' or '.join(map(scalar, side.time.candidates)) or 'NAME'}",
    ]


def _extent(side: Side) -> str:
    rows = f"{side.profile.rows:,} rows"
    if side.profile.rows >= LOOKED_ROWS:
        rows = f"the first {rows} were looked at"
    column = None if side.time.name is None else side.profile.column(side.time.name)
    if column is None or column.earliest is None or column.latest is None:
        return rows
    return f"{rows}, {iso(column.earliest)} to {iso(column.latest)}"


def _window_lines(window: Window, reference: Side) -> list[str]:
    lines = [
        f"    # One window: {window.why}.",
        "    window:",
        f"      length: {'7d' if window.length == LENGTHS[-1] else format_duration(window.length)}",
        f"      min_rows: {window.min_rows}                       # fewer rows: insufficient, never ok",
        "      # every: 1h                          # look more often (evidence stays with whole windows)",
        "      # lag: 0s                            # how late rows may arrive",
    ]
    column = None if reference.time.name is None else reference.profile.column(reference.time.name)
    if column is not None and column.earliest is not None and column.latest is not None:
        count = (column.latest - column.earliest) / NANOSECONDS / window.length
        if count < _FEW_WINDOWS:
            lines.append(
                f"      # The reference holds about {count:.0f} such windows: too few to know what is usual; "
                "the first ones of production add to them."
            )
    return lines


def _column_lines(columns: Iterable[Column], reference: Side, source: Side) -> list[str]:
    there = {column.name for column in source.profile.columns}
    watched = [column for column in columns if column.role.watched]
    missing = [column for column in watched if there and column.name not in there]
    lines = ["    # What each column is taken for (change it under columns, with kind and role):"]
    lines += [f"    #   {_described(column)}" for column in watched if column not in missing]
    aside = [column for column in columns if not column.role.watched and column.role is not Role.TIME]
    if aside:
        lines += ["    # Set aside:", *(f"    #   {_described(column)}" for column in aside)]
    known = {column.name for column in reference.profile.columns} | {source.time.name}
    extra = [column.name for column in source.profile.columns if column.name not in known]
    if extra:
        lines.append("    # Only in production, so not watched: " + ", ".join(map(scalar, extra[:50])))
    if not missing:
        return [*lines, "    # columns: {NAME: {kind: categorical, role: feature}}"]
    lines += [
        "    columns:",
        "      # Not in the production inputs: watched, they would always be broken.",
    ]
    return [*lines, *(f"      {scalar(column.name)}: {{role: ignore}}" for column in missing)]


def _described(column: Column) -> str:
    what = column.kind.value if column.role is Role.FEATURE else f"{column.kind.value}, {column.role.value}"
    return f"{scalar(column.name)}: {what} ({_comment(column.reason)})"


def _comment(text: str) -> str:
    """A text that cannot end its comment line."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


_TAIL = (
    "    # All columns, detectors and checks together send at most this many false pages.",
    "    alarm:",
    "      false_pages: 1 per 90d",
    "      # tolerance: 0.05                    # share of the traffic that may sit elsewhere",
    "      # min_effect: 0.02                   # smallest effect of a score worth knowing",
    "    # detectors: [ks, psi, chi2, missing, unseen, volume, mmd]   # default: all that fit the column",
    "    # timezone: UTC                        # days begin at its midnight",
    "    # season: [day_of_week]                # or hour_of_day, hour_of_week",
    "    # burn_in: 14d",
    "    # segment_by: {column: NAME, most: 20}",
    "    # groups: {payments: [NAME, NAME]}",
    "    # weights: {NAME: 2.0}",
    "    # exclude: [2026-12-25]",
    '    # model: {name: "", version: ""}       # a new version is a new reference',
    "    # limits: {memory: 4GiB, seconds: 300, rows: 100000000}",
    "# notify:",
    "#   - {type: webhook, url: https://example.org/hook}",
    "# export: {columns: all, top_k: 50, max_series: 100000}",
    "# limits: {workers: 2, shutdown: 10s, catch_up: 400}",
    "# retention: {tiles: 400d, verdicts: 800d}",
)
