from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from driftwatch.cli.verbs._arguments import as_one_or_many, moment_of
from driftwatch.cli.verbs._each_monitor import (
    MonitorFailure,
    MonitorResult,
    exit_code_of,
    failures_in,
    for_each_monitor,
    report,
)
from driftwatch.cli.verbs._options import CONFIG, FORMAT, MONITOR, guarded, say
from driftwatch.core.clock import SystemClock
from driftwatch.errors import ConfigError

if TYPE_CHECKING:
    from driftwatch.backtest.run import Backtest
    from driftwatch.config.models import MonitorConfig
    from driftwatch.monitor.session import Say, Session

#: Opens the progress bar of a piece of work by its name; the function it yields takes (done, total).
Progress = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtests:
    monitors: tuple[MonitorResult[Backtest], ...]

    @property
    def results(self) -> tuple[Backtest, ...]:
        contents = (item.content for item in self.monitors)
        return tuple(item for item in contents if not isinstance(item, MonitorFailure))

    @property
    def failures(self) -> list[MonitorFailure]:
        return failures_in(self.monitors)

    def exit_code(self, *, fail_on_drift: bool) -> int:
        has_pages = any(result.pages for result in self.results)
        return exit_code_of([int(fail_on_drift and has_pages), *(item.exit_code for item in self.failures)])

    def to_json(self) -> Any:
        # An array unless one monitor was selected.
        return as_one_or_many([item.content.to_json() for item in self.monitors])


@click.command()
@CONFIG
@MONITOR
@click.option("--from", "start", metavar="T", help="First moment; default: of the history.")
@click.option("--to", "end", metavar="T", help="Last moment; default: of the history.")
@click.option(
    "--fail-on-drift",
    is_flag=True,
    help="Exit with 1 when there was a page, though another monitor could not be read.",
)
@click.option(
    "--inject/--no-inject",
    default=True,
    show_default=True,
    help="Measure which sizes of faults would have paged.",
)
@click.option(
    "--picture", metavar="FILE.svg", type=click.Path(path_type=Path), help="Draw the backtest to this file."
)
@FORMAT
@guarded
def backtest(
    config: Path,
    monitor: str | None,
    start: str | None,
    end: str | None,
    fail_on_drift: bool,
    inject: bool,
    picture: Path | None,
    output_format: str,
) -> int:
    """Replay history: every window's verdict, the pages there would have been, and what they predict.

    \b
    Examples:
      driftwatch backtest driftwatch.yaml
      driftwatch backtest driftwatch.yaml --from 2026-02-26 --to 2026-03-01 --no-inject --format json
      driftwatch backtest driftwatch.yaml --picture backtest.svg --fail-on-drift
    """
    from driftwatch.cli.output import progress, show_backtest, show_failure, show_json
    from driftwatch.core.memory import retain_freed_memory

    retain_freed_memory()
    if picture is not None and not picture.parent.is_dir():
        raise ConfigError(f"--picture: expected a folder that exists. Got {picture.parent}.")
    json_wanted = output_format == "json"
    backtests = run_backtests(config, monitor, start, end, say, progress, inject=inject, gauges=json_wanted)
    if picture is not None:
        from driftwatch.cli.output.backtest_figure import write_figure

        write_figure(backtests.results, picture)
        say(f"wrote {picture}")
    if json_wanted:
        show_json(backtests.to_json())
        report(backtests.failures)
    else:
        for item in backtests.monitors:
            if isinstance(item.content, MonitorFailure):
                show_failure(item.monitor, item.content.error)
            else:
                show_backtest(item.content)
    return backtests.exit_code(fail_on_drift=fail_on_drift)


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
    """Backtest one monitor or all; without ``gauges`` only verdicts that page have them.

    Raises the error of a monitor only if there is no other one.
    """
    from driftwatch.config.load import load
    from driftwatch.monitor.session import open_session, select_monitors

    config = load(path)
    first = None if start is None else moment_of(start, "--from")
    last = None if end is None else moment_of(end, "--to")
    if first is not None and last is not None and last <= first:
        raise ConfigError(f'--to: expected a time after --from, which is "{start}". Got "{end}".')
    monitors = select_monitors(config, name)
    with open_session(config, SystemClock(), say) as session:
        return Backtests(
            monitors=for_each_monitor(
                monitors,
                lambda monitor: _backtest(
                    session, monitor, first, last, progress, inject=inject, gauges=gauges
                ),
            )
        )


def _backtest(
    session: Session,
    config: MonitorConfig,
    first: int | None,
    last: int | None,
    progress: Progress,
    *,
    inject: bool,
    gauges: bool,
) -> Backtest:
    from driftwatch.backtest.run import backtest as replay_history
    from driftwatch.backtest.run import with_sensitivity

    reference, blocks = session.references().for_replay(config, rebased=False)
    with progress(f"{config.name}: windows") as advance:
        result = replay_history(
            config, reference, blocks, session.readers,
            start=first, end=last, now=session.clock.now(), gauges=gauges, progress=advance,
        )  # fmt: skip
    if inject:
        with progress(f"{config.name}: columns injected") as advance:
            result = with_sensitivity(result, config, reference, advance)
    return result
