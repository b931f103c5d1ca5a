"""`explain`, without printing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from driftwatch.cli.verbs._arguments import moment, trail_to
from driftwatch.config.load import load
from driftwatch.core.schema import iso
from driftwatch.errors import ConfigError
from driftwatch.monitor.explain import Explanation, explain
from driftwatch.monitor.session import chosen
from driftwatch.results.evidence_trail import Trail
from driftwatch.results.verdict_json import verdict_from_json
from driftwatch.store.database import Database
from driftwatch.store.history import History


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """The working behind a verdict, and the windows that led up to it."""

    working: Explanation
    trail: Trail


def explain_window(path: Path, name: str, window: str, segment: str | None) -> Explained:
    """The working behind one stored verdict."""
    config = load(path)
    (item,) = chosen(config, name)
    end = moment(window, "--window")
    database = Database(config.storage.path, read_only=True)
    try:
        history = History(database)
        if history.verdict(name, segment, end) is None:
            raise ConfigError(_no_window(history, name, segment, window))
        found = explain(item, history, segment, end)
        return Explained(working=found, trail=trail_to(database, found.recomputed))
    finally:
        database.close()


def _no_window(history: History, name: str, segment: str | None, window: str) -> str:
    where = name if segment is None else f'{name}, segment "{segment}"'
    known = [verdict_from_json(item).window.end for item in history.verdicts(name, segment, limit=5)]
    listed = ", ".join(iso(end) for end in known) or "none"
    return (
        f'--window: expected the end of a stored window of {where}. Got "{window}". Newest: {listed}. '
        "`check` and `run` store windows; `backtest` and `check --at` do not."
    )
