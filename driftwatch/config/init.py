"""Writes a commented first configuration from the data; it runs as it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import yaml

from driftwatch.config._side import (
    LENGTHS,
    MAX_ROWS,
    Side,
    Window,
    choose_window,
    history_of,
    read_side,
    times_of,
)
from driftwatch.core.schema import Column, Role, iso
from driftwatch.core.settings import format_duration
from driftwatch.errors import NoFeatures, ReferenceUnusable

if TYPE_CHECKING:
    import pyarrow as pa

_PLAIN = re.compile(r"[A-Za-z_/.][A-Za-z0-9_/.*-]*", re.ASCII)
#: Texts that YAML 1.1 or 1.2 reads as something else.
_YAML_WORDS = frozenset(("null", "true", "false", "yes", "no", "on", "off", "y", "n"))
#: Reference windows below which the file warns that they are too few to learn a baseline from.
_MIN_REFERENCE_WINDOWS = 14
#: Columns that a refusal lists, and those of production that the file lists as not watched.
_MAX_LISTED, _MAX_EXTRA = 20, 50


def write_config(
    reference_path: str,
    current: str,
    *,
    read: Callable[[str], Iterable[pa.RecordBatch]],
    options: Callable[[str], Mapping[str, Any]] = lambda _path: {},
    say: Callable[[str], object] = lambda _line: None,
) -> str:
    """Return a commented configuration; ``options`` maps a path to settings that its files need.

    Columns that production lacks get ``role: ignore``. ``say`` gets a line on the columns that are not
    watched. Raises ``ReferenceUnusable`` without rows, ``NoFeatures`` without a feature that can be watched,
    and whatever ``read`` raises.
    """
    from driftwatch.columns.infer import infer
    from driftwatch.columns.set_aside import set_aside_lines

    reference, source = (read_side(path, read, options(path)) for path in (reference_path, current))
    if not reference.profile.rows:
        raise ReferenceUnusable(f"{reference_path}: expected rows. Got none. Name a file of test data.")
    window = choose_window(source if times_of(source) is not None else reference)
    columns = infer(reference.profile, time=reference.time, window=window.length)
    _require_features(columns, reference, source)
    for line in set_aside_lines(columns):
        say(line)
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


def _require_features(columns: Iterable[Column], reference: Side, source: Side) -> None:
    source_names = {column.name for column in source.profile.columns}
    refusals = []
    for column in columns:
        is_absent = bool(source_names) and column.name not in source_names
        if column.role.is_feature and column.unwatched is None and not is_absent:
            return
        is_watched = column.role.watched and column.unwatched is None
        refusals.append(
            f"{scalar(column.name)}: {'not in the production inputs' if is_watched else column.reason}"
        )
    reasons = "; ".join(map(_comment, refusals[:_MAX_LISTED]))
    rest = f"; and {len(refusals) - _MAX_LISTED} more" if len(refusals) > _MAX_LISTED else ""
    raise NoFeatures(
        f"{reference.path}: expected at least one feature that can be watched. Got none ({reasons}{rest}). "
        "Name data that holds the inputs, or give columns a role in a configuration of your own."
    )


def scalar(text: str) -> str:
    """Format a text as a YAML scalar on one line of ASCII.

    >>> print(scalar("time_hour"), scalar("no"), scalar("a: b\\n"))
    time_hour "no" "a: b\\n"
    """
    if _PLAIN.fullmatch(text) and text.lower().strip(".") not in (*_YAML_WORDS, "inf", "nan", ""):
        return text
    scalar_text: str = yaml.safe_dump(text, default_style='"', allow_unicode=False, width=1 << 30)
    return scalar_text.rstrip("\n")


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
    # The last part of the path without wildcards.
    for part in reversed(PurePath(path).parts):
        if any(character in part for character in "*?["):
            continue
        stem = part.split(".")[0] if not part.startswith(".") else ""
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")
        if name:
            return name[:63]
    return "model"


def _reference_lines(side: Side) -> list[str]:
    lines = [
        f"    # The test distribution: {_extent(side)}",
        "    reference:",
        f"      path: {scalar(side.path)}",
        *_option_lines(side),
    ]
    if side.time.name is not None:
        return [*lines, f"      time_column: {scalar(side.time.name)}   # {_comment(side.time.reason)}"]
    return [
        *lines,
        f"      # No event time: {_comment(side.time.reason)}.",
        "      # With one, its own days teach what is usual; without, the first production windows do.",
        *(f"      # time_column: {scalar(name)}" for name in side.time.candidates or ("NAME",)),
    ]


def _option_lines(side: Side) -> list[str]:
    return [
        f"      {key}: {_mapping(value) if isinstance(value, Mapping) else scalar(value)}"
        for key, value in side.options.items()
        if key != "time_column"
    ]


def _mapping(values: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{scalar(key)}: {scalar(value)}" for key, value in values.items()) + "}"


def _source_lines(side: Side) -> list[str]:
    lines = [
        f"    # Production inputs: {_extent(side)}",
        "    source:",
        "      type: files",
        f"      path: {scalar(side.path)}",
        *_option_lines(side),
    ]
    if side.time.name is not None:
        timezone_line = "      # timezone: UTC                       # of times that do not name one"
        return [
            *lines,
            f"      time_column: {scalar(side.time.name)}   # {_comment(side.time.reason)}",
            timezone_line,
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
    if side.profile.rows >= MAX_ROWS:
        rows = f"the first {rows} were looked at"
    history = history_of(side)
    return rows if history is None else f"{rows}, {iso(history.start)} to {iso(history.end - 1)}"


def _window_lines(window: Window, reference: Side) -> list[str]:
    lines = [
        f"    # One window: {window.reason}.",
        "    window:",
        f"      length: {'7d' if window.length == LENGTHS[-1] else format_duration(window.length)}",
        f"      min_rows: {window.min_rows}                       # fewer rows: insufficient, never ok",
        "      # every: 1h                          # look more often (evidence stays with whole windows)",
        "      # lag: 0s                            # how late rows usually come",
    ]
    history = history_of(reference)
    if history is not None:
        count = history.seconds / window.length
        if count < _MIN_REFERENCE_WINDOWS:
            lines.append(
                f"      # The reference holds about {count:.0f} such windows: too few to know what is usual; "
                "the first ones of production add to them."
            )
    return lines


def _column_lines(columns: Iterable[Column], reference: Side, source: Side) -> list[str]:
    source_names = {column.name for column in source.profile.columns}
    watched_columns = [column for column in columns if column.role.watched]
    missing_columns = [
        column for column in watched_columns if source_names and column.name not in source_names
    ]
    lines = ["    # What each column is taken for (change it under columns, with kind and role):"]
    lines += [
        f"    #   {_column_text(column)}"
        for column in watched_columns
        if column not in missing_columns and column.unwatched is None
    ]
    unwatched_columns = [
        column for column in watched_columns if column.unwatched and column not in missing_columns
    ]
    if unwatched_columns:
        lines += [
            "    # Cannot be watched yet: never ok while more than a tenth of the features is like this.",
            "    # A column that the model does not read gets {role: ignore} below.",
            *(f"    #   {_column_text(column)}" for column in unwatched_columns),
        ]
    aside_columns = [column for column in columns if not column.role.watched and column.role is not Role.TIME]
    if aside_columns:
        lines += ["    # Set aside:", *(f"    #   {_column_text(column)}" for column in aside_columns)]
    reference_names = {column.name for column in reference.profile.columns} | {source.time.name}
    extra_names = [column.name for column in source.profile.columns if column.name not in reference_names]
    if extra_names:
        lines.append(
            "    # Only in production, so not watched: " + ", ".join(map(scalar, extra_names[:_MAX_EXTRA]))
        )
    if not missing_columns:
        return [*lines, "    # columns: {NAME: {kind: categorical, role: feature}}"]
    lines += [
        "    columns:",
        "      # Not in the production inputs: watched, they would always be broken.",
    ]
    return [*lines, *(f"      {scalar(column.name)}: {{role: ignore}}" for column in missing_columns)]


def _column_text(column: Column) -> str:
    kind = column.kind.value if column.role is Role.FEATURE else f"{column.kind.value}, {column.role.value}"
    return f"{scalar(column.name)}: {kind} ({_comment(column.reason)})"


def _comment(text: str) -> str:
    """Escape a text so that it cannot end its comment line."""
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
