from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from driftwatch.cli.verbs._arguments import moment_of, trail_to
from driftwatch.cli.verbs._completion import window_ends
from driftwatch.cli.verbs._options import CONFIG, FORMAT, THE_MONITOR, guarded, say
from driftwatch.core.clock import SystemClock
from driftwatch.errors import ConfigError, StoreForgot

if TYPE_CHECKING:
    from driftwatch.config.models import MonitorConfig, RetentionConfig
    from driftwatch.monitor.explain import Explanation
    from driftwatch.results.evidence_trail import Trail
    from driftwatch.store.history import History

_DAY = 86400


@click.command()
@CONFIG
@THE_MONITOR
@click.option("--window", metavar="END", required=True, help="End of the window.", shell_complete=window_ends)
@click.option("--segment", metavar="S", help="The segment; default: all rows.")
@click.option(
    "--part", metavar="N", type=click.IntRange(min=1), help="A part of the window's late rows; default: none."
)
@FORMAT
@guarded
def explain(
    config: Path, monitor: str, window: str, segment: str | None, part: int | None, output_format: str
) -> int:
    """Show the working behind one verdict, recomputed from the store.

    Rows that came after a window was decided are judged in parts of their own, which its verdict lists.

    Where retention has deleted what it needs, the verdict is shown as it was stored, with exit code 3. In
    JSON "recomputed" and "equal" are then null, and "error" says which retention would have kept it.

    \b
    Examples:
      driftwatch explain driftwatch.yaml --monitor test --window 2026-03-01
      driftwatch explain driftwatch.yaml --monitor test --window 2026-03-01 --format json
    """
    from driftwatch.cli.output import show_explanation, show_json

    explanation, trail = explain_window(config, monitor, window, segment, part or 0)
    if output_format == "json":
        show_json(explanation.to_json())
        if explanation.gone is not None:
            say(f"driftwatch: {explanation.gone}")
    else:
        show_explanation(explanation, trail)
    return 0 if explanation.gone is None else explanation.gone.exit_code


def explain_window(
    path: Path, name: str, window: str, segment: str | None, part: int = 0
) -> tuple[Explanation, Trail]:
    from driftwatch.config.load import load
    from driftwatch.monitor.explain import explain as explain_verdict
    from driftwatch.monitor.session import select_monitors
    from driftwatch.results.text_format import format_count
    from driftwatch.store.database import Database
    from driftwatch.store.history import History

    config = load(path)
    (monitor,) = select_monitors(config, name)
    end = moment_of(window, "--window")
    database = Database(config.storage.path, read_only=True)
    try:
        history = History(database)
        if history.verdicts.decided_at(name, segment, end) is None:
            if _was_decided(monitor, history, segment, end):
                raise StoreForgot(_forgotten_text(name, window, end, config.retention))
            raise ConfigError(_no_window_text(history, name, segment, window))
        if part > (n_parts := history.late_parts.newest_part(name, segment, end)):
            count = format_count(n_parts, "part") if n_parts else "none"
            raise ConfigError(
                f"--part: expected a part of the late rows of that window. Got {part}; it has {count}."
            )
        explanation = explain_verdict(monitor, history, segment, end, part)
        if explanation.gone is not None:
            explanation = replace(explanation, gone=_with_retention(explanation.gone, config.retention))
        return explanation, trail_to(database, explanation.stored)
    finally:
        database.close()


def _was_decided(config: MonitorConfig, history: History, segment: str | None, end: int) -> bool:
    """Return whether the window is one between the first that was judged and the oldest that is stored."""
    from driftwatch.core.schema import NANOSECONDS
    from driftwatch.core.windows import window_at

    window = config.window
    first_commit = history.configurations.first_commit(config.name)
    oldest_end = history.verdicts.oldest_end(config.name, segment)
    if first_commit is None or oldest_end is None:
        return False
    # The first window that is judged is the newest one that is closed.
    first_end = first_commit - (window.lag + window.length) * NANOSECONDS
    is_boundary = window_at(end - 1, window.length, config.timezone).end == end
    return is_boundary and first_end < end < oldest_end


def _forgotten_text(name: str, window: str, end: int, retention: RetentionConfig) -> str:
    from driftwatch.core.settings import format_duration

    return (
        f"{name}: expected the verdict of the window ending {window}. It is past retention.verdicts, "
        f"{format_duration(retention.verdicts)}: {_days_since(end)} would have kept it."
    )


def _with_retention(gone: StoreForgot, retention: RetentionConfig) -> StoreForgot:
    from driftwatch.core.settings import format_duration

    text = f"{gone} The verdict is shown as it was stored, not recomputed."
    if gone.start is None:
        return StoreForgot(text)
    tiles = format_duration(retention.tiles)
    return StoreForgot(
        f"{text} retention.tiles is {tiles}; {_days_since(gone.start)} would have kept them.",
        start=gone.start,
    )


def _days_since(moment: int) -> str:
    from driftwatch.core.schema import NANOSECONDS

    return f"{math.ceil((SystemClock().now() - moment) / (_DAY * NANOSECONDS))}d"


def _no_window_text(history: History, name: str, segment: str | None, window: str) -> str:
    from driftwatch.core.schema import iso
    from driftwatch.results.stored_verdict import verdict_from_json

    monitor = name if segment is None else f'{name}, segment "{segment}"'
    ends = [verdict_from_json(row).window.end for row in history.verdicts.newest(name, segment, limit=5)]
    newest = ", ".join(iso(end) for end in ends) or "none"
    return (
        f'--window: expected the end of a stored window of {monitor}. Got "{window}". Newest: {newest}. '
        "`check` and `run` store windows; `backtest` and `check --at` do not."
    )
