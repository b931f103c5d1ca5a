from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from driftwatch.cli.verbs._arguments import moment_of, trail_to
from driftwatch.cli.verbs._completion import window_ends
from driftwatch.cli.verbs._options import CONFIG, FORMAT, THE_MONITOR, guarded
from driftwatch.errors import ConfigError

if TYPE_CHECKING:
    from driftwatch.monitor.explain import Explanation
    from driftwatch.results.evidence_trail import Trail
    from driftwatch.store.history import History


@click.command()
@CONFIG
@THE_MONITOR
@click.option("--window", metavar="END", required=True, help="End of the window.", shell_complete=window_ends)
@click.option("--segment", metavar="S", help="The segment; default: all rows.")
@FORMAT
@guarded
def explain(config: Path, monitor: str, window: str, segment: str | None, output_format: str) -> None:
    """Show the working behind one verdict, recomputed from the store.

    \b
    Examples:
      driftwatch explain driftwatch.yaml --monitor test --window 2026-03-01
      driftwatch explain driftwatch.yaml --monitor test --window 2026-03-01 --format json
    """
    from driftwatch.cli.output import show_explanation, show_json

    explanation, trail = explain_window(config, monitor, window, segment)
    if output_format == "json":
        show_json(explanation.to_json())
    else:
        show_explanation(explanation, trail)


def explain_window(path: Path, name: str, window: str, segment: str | None) -> tuple[Explanation, Trail]:
    from driftwatch.config.load import load
    from driftwatch.monitor.explain import explain as explain_verdict
    from driftwatch.monitor.session import select_monitors
    from driftwatch.store.database import Database
    from driftwatch.store.history import History

    config = load(path)
    (monitor,) = select_monitors(config, name)
    end = moment_of(window, "--window")
    database = Database(config.storage.path, read_only=True)
    try:
        history = History(database)
        if history.verdicts.get(name, segment, end) is None:
            raise ConfigError(_no_window_text(history, name, segment, window))
        explanation = explain_verdict(monitor, history, segment, end)
        return explanation, trail_to(database, explanation.recomputed)
    finally:
        database.close()


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
