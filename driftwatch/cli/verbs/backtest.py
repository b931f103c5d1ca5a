"""`backtest`, without printing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from driftwatch.backtest.run import Backtest, backtest, with_faults
from driftwatch.cli.verbs._arguments import Progress, as_one_or_many, moment
from driftwatch.config.load import load
from driftwatch.config.models import MonitorConfig
from driftwatch.core.clock import SystemClock
from driftwatch.errors import ConfigError, DataError
from driftwatch.monitor.session import Say, Session, chosen, opened


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtests:
    """The backtest of each monitor whose data could be read, and why that of others could not."""

    results: tuple[Backtest, ...]
    failures: tuple[DataError, ...] = ()

    def to_json(self) -> Any:
        """One object when one monitor was asked for, else a list of those that could be had."""
        objects = [item.to_json() for item in self.results]
        return objects if self.failures else as_one_or_many(objects)


def run_backtests(
    path: Path,
    name: str | None,
    start: str | None,
    end: str | None,
    say: Say,
    progress: Progress,
    *,
    inject: bool = True,
    gauges: bool = True,
) -> Backtests:
    """Backtest each monitor, and inject faults into its history. ``progress`` shows a named piece of work.

    Without ``gauges`` only the verdicts of pages carry any.

    One whose data cannot be read leaves the others. Raises its ``DataError`` when it was the only one.
    """
    config = load(path)
    first = None if start is None else moment(start, "--from")
    last = None if end is None else moment(end, "--to")
    if first is not None and last is not None and last <= first:
        raise ConfigError(f'--to: expected a time after --from, which is "{start}". Got "{end}".')
    picked = chosen(config, name)
    found: list[Backtest] = []
    failures: list[DataError] = []
    with opened(config, SystemClock(), say) as session:
        for item in picked:
            try:
                found.append(_backtest(session, item, first, last, progress, inject=inject, gauges=gauges))
            except DataError as error:
                failures.append(error)
    if len(picked) == 1 and failures:
        raise failures[0]
    return Backtests(results=tuple(found), failures=tuple(failures))


def _backtest(
    session: Session,
    item: MonitorConfig,
    first: int | None,
    last: int | None,
    progress: Progress,
    *,
    inject: bool,
    gauges: bool,
) -> Backtest:
    reference, blocks = session.references().for_a_look(item, rebased=False)
    with progress(f"{item.name}: windows") as advance:
        result = backtest(
            item, reference, blocks, session.readers,
            start=first, end=last, gauges=gauges, progress=advance,
        )  # fmt: skip
    if inject:
        with progress(f"{item.name}: columns injected") as advance:
            result = with_faults(result, item, reference, advance)
    return result
