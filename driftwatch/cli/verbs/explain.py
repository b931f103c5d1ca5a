from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from driftwatch.cli.verbs._arguments import TRAIL_WINDOWS, moment_of, trail_to
from driftwatch.cli.verbs._completion import window_ends
from driftwatch.cli.verbs._options import CONFIG, FORMAT, THE_MONITOR, guarded, say
from driftwatch.core.clock import SystemClock
from driftwatch.errors import ConfigError, DataError, StoreForgot

if TYPE_CHECKING:
    from driftwatch.config.models import Config, MonitorConfig, RetentionConfig
    from driftwatch.monitor.explain import Explanation
    from driftwatch.results.evidence_trail import Trail
    from driftwatch.store.database import Database
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
@click.option("--from", "start", metavar="T", help="Of a window that is not stored: --from of the backtest.")
@FORMAT
@guarded
def explain(
    config: Path,
    monitor: str,
    window: str,
    segment: str | None,
    part: int | None,
    start: str | None,
    output_format: str,
) -> int:
    """Show the working behind one verdict, from the store or by replaying where it is not stored.

    A replay judges the windows of the source up to this one, as `backtest` does. "from" says which it was.

    Rows that came after a window was decided are judged in parts of their own, which its verdict lists.

    Where retention has deleted what it needs, the verdict is shown as it was stored, with exit code 3. In
    JSON "recomputed" and "equal" are then null, and "error" says which retention would have kept it.

    \b
    Examples:
      driftwatch explain driftwatch.yaml --monitor test --window 2026-03-01
      driftwatch explain driftwatch.yaml --monitor test --window 2026-03-01 --format json
    """
    from driftwatch.cli.output import show_explanation, show_json

    explanation, trail = explain_window(config, monitor, window, segment, part or 0, start)
    if output_format == "json":
        show_json(explanation.to_json())
        if explanation.gone is not None:
            say(f"driftwatch: {explanation.gone}")
    else:
        show_explanation(explanation, trail)
    return 0 if explanation.gone is None else explanation.gone.exit_code


def explain_window(
    path: Path, name: str, window: str, segment: str | None, part: int = 0, start: str | None = None
) -> tuple[Explanation, Trail]:
    from driftwatch.config.load import load
    from driftwatch.monitor.session import select_monitors
    from driftwatch.store.database import FILE, Database
    from driftwatch.store.history import History

    config = load(path)
    (monitor,) = select_monitors(config, name)
    end = moment_of(window, "--window")
    first = None if start is None else moment_of(start, "--from")
    forgotten = None
    if (config.storage.path / FILE).exists():
        database = Database(config.storage.path, read_only=True)
        try:
            history = History(database)
            if history.verdicts.decided_at(name, segment, end) is not None:
                return _stored_explanation(database, history, monitor, config, segment, end, part)
            if _was_decided(monitor, history, segment, end):
                forgotten = StoreForgot(_forgotten_text(name, window, end, config.retention))
        finally:
            database.close()
    if part:
        raise ConfigError(f"--part: expected with the end of a stored window. {window} is not stored.")
    return _replayed(config, monitor, segment, end, first, forgotten)


def _stored_explanation(
    database: Database,
    history: History,
    monitor: MonitorConfig,
    config: Config,
    segment: str | None,
    end: int,
    part: int,
) -> tuple[Explanation, Trail]:
    from driftwatch.monitor.explain import explain as explain_verdict
    from driftwatch.results.text_format import format_count
    from driftwatch.store.acknowledgements import Acknowledgements

    if part > (n_parts := history.late_parts.newest_part(monitor.name, segment, end)):
        count = format_count(n_parts, "part") if n_parts else "none"
        raise ConfigError(
            f"--part: expected a part of the late rows of that window. Got {part}; it has {count}."
        )
    explanation = explain_verdict(monitor, history, segment, end, part)
    if explanation.gone is not None:
        explanation = replace(explanation, gone=_with_retention(explanation.gone, config.retention))
    decided_at = history.verdicts.decided_at(monitor.name, segment, end) or 0
    undone = Acknowledgements(database).undone_at(monitor.name, decided_at)
    return replace(explanation, undone=undone), trail_to(database, explanation.stored)


def _replayed(
    config: Config,
    monitor: MonitorConfig,
    segment: str | None,
    end: int,
    first: int | None,
    forgotten: StoreForgot | None,
) -> tuple[Explanation, Trail]:
    """Explain a window that is not stored as a backtest judges it."""
    from driftwatch.backtest.run import backtest
    from driftwatch.cli.output import progress
    from driftwatch.monitor.evaluation.targets import policy_for
    from driftwatch.monitor.explain import Explanation, Origin, effects_by_stream
    from driftwatch.monitor.session import open_session

    try:
        with open_session(config, SystemClock(), say) as session:
            reference, blocks = session.references().for_replay(monitor, rebased=False)
            with progress(f"{monitor.name}: windows up to it") as advance:
                result = backtest(
                    monitor, reference, blocks, session.readers,
                    start=first, now=session.clock.now(), gauges=False, explained_end=end, progress=advance,
                )  # fmt: skip
    except (DataError, ConfigError) as error:
        # That it was stored tells more than that it cannot be replayed either.
        raise forgotten or error from error
    replayed = next((item for item in result.explained if item.verdict.segment == segment), None)
    if replayed is None:
        names = ", ".join(item.verdict.segment for item in result.explained if item.verdict.segment) or "none"
        raise ConfigError(
            f'--segment: expected a segment of {monitor.name}. Got "{segment}". There are {names}.'
        )
    verdict, state = replayed.verdict, replayed.state_before
    explanation = Explanation(
        stored=verdict,
        recomputed=verdict,
        reference=reference,
        design_effects=effects_by_stream(state, policy_for(monitor, segment, len(reference.plan.segments))),
        healthy_windows=state.healthy_windows,
        window=replayed.summary,
        gone=forgotten,
        origin=Origin.REPLAY,
    )
    trail = [
        (item.window.end, item.evidence, str(item.state), item.page)
        for item in result.verdicts
        if item.segment == segment
    ]
    return explanation, trail[-TRAIL_WINDOWS:]


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
