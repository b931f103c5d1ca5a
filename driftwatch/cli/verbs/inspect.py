"""Verbs that look at data and print what they found."""

from __future__ import annotations

from pathlib import Path

import click

from driftwatch.cli.verbs._completion import window_ends
from driftwatch.cli.verbs._options import (
    CONFIG,
    FORMAT,
    MONITOR,
    THE_MONITOR,
    detector_names,
    files,
    guarded,
    say,
)
from driftwatch.errors import ConfigError, DataError


def _level(_context: click.Context, _option: click.Parameter, value: float) -> float:
    if not 0 < value < 1:
        raise click.BadParameter(f"expected a number above 0 and below 1. Got {value:g}.")
    return value


@click.command()
@click.argument("reference", shell_complete=files)
@click.argument("current", shell_complete=files)
@FORMAT
@click.option("--time-column", metavar="C", help="Column to leave out of the comparison.")
@click.option(
    "--detector",
    "also",
    metavar="NAME",
    multiple=True,
    help="Run this one too, such as mmd_exact.",
    shell_complete=detector_names,
)
@click.option("--fail-on-drift", is_flag=True, help="Exit with 1 when any p-value is below alpha / count.")
@click.option("--alpha", default=0.01, show_default=True, callback=_level, help="Over all p-values together.")
@guarded
def compare(
    reference: str,
    current: str,
    form: str,
    time_column: str | None,
    also: tuple[str, ...],
    fail_on_drift: bool,
    alpha: float,
) -> int:
    """Compare two files or globs once, with every detector that runs by default.

    \b
    Examples:
      driftwatch compare test.parquet 'production/*.parquet'
      driftwatch compare test.parquet 'production/*.parquet' --time-column when --detector mmd_exact
      driftwatch compare test.parquet 'production/*.parquet' --fail-on-drift --format json
    """
    from driftwatch.cli.output import progress, show_comparison, show_json
    from driftwatch.cli.verbs._one_off_files import file_batches
    from driftwatch.comparison import compare_files

    with progress("columns") as advance:
        result = compare_files(
            reference, current, time_column=time_column, also=also, read=file_batches, progress=advance
        )
    if not result.current_rows:
        raise DataError(f"{current}: expected rows. Got none.")
    if form == "json":
        show_json(result.to_json())
    else:
        show_comparison(result, alpha)
    return int(fail_on_drift and result.drifted(alpha))


@click.command()
@CONFIG
@MONITOR
@click.option("--at", metavar="TIME", help="As if it were this time; writes and sends nothing.")
@FORMAT
@guarded
def check(config: Path, monitor: str | None, at: str | None, form: str) -> int:
    """Check the newest closed window of each monitor, now.

    \b
    Examples:
      driftwatch check driftwatch.yaml
      driftwatch check driftwatch.yaml --monitor test --at 2026-03-01 --format json
    """
    from driftwatch.cli.output import progress, show_checked, show_json
    from driftwatch.cli.verbs.check import check_now, exit_code

    verdicts = check_now(config, monitor, at, say, progress)
    if form == "json":
        show_json(verdicts.to_json())
    else:
        show_checked(verdicts.newest, verdicts.trails)
    return exit_code(verdicts.newest)


@click.command()
@CONFIG
@MONITOR
@click.option("--from", "start", metavar="T", help="First moment; default: the oldest row.")
@click.option("--to", "end", metavar="T", help="Last moment; default: the newest row.")
@click.option("--fail-on-drift", is_flag=True, help="Exit with 1 when there was a page.")
@click.option(
    "--inject/--no-inject", default=True, show_default=True, help="Which sizes of faults would have paged."
)
@click.option("--picture", metavar="FILE.svg", type=click.Path(path_type=Path), help="Draw it.")
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
    form: str,
) -> int:
    """Replay history: every window's verdict, the pages there would have been, and what they predict.

    \b
    Examples:
      driftwatch backtest driftwatch.yaml
      driftwatch backtest driftwatch.yaml --from 2026-02-26 --to 2026-03-01 --no-inject --format json
      driftwatch backtest driftwatch.yaml --picture backtest.svg --fail-on-drift
    """
    from driftwatch.cli.output import progress, show_backtest, show_json
    from driftwatch.cli.verbs.backtest import run_backtests
    from driftwatch.core.memory import keep_some

    keep_some()

    if picture is not None and not picture.parent.is_dir():
        raise ConfigError(f"--picture: expected a folder that exists. Got {picture.parent}.")
    done = run_backtests(config, monitor, start, end, say, progress, inject=inject, gauges=form == "json")
    if picture is not None:
        from driftwatch.cli.output.backtest_figure import draw

        draw(done.results, picture)
        say(f"wrote {picture}")
    if form == "json":
        show_json(done.to_json())
    else:
        for item in done.results:
            show_backtest(item)
    for failure in done.failures:
        say(f"driftwatch: {failure}")
    moved = fail_on_drift and any(item.pages for item in done.results)
    return 1 if moved else DataError.exit_code if done.failures else 0


@click.command()
@CONFIG
@THE_MONITOR
@click.option("--window", metavar="END", required=True, help="End of the window.", shell_complete=window_ends)
@click.option("--segment", metavar="S", help="The segment; default: all rows.")
@FORMAT
@guarded
def explain(config: Path, monitor: str, window: str, segment: str | None, form: str) -> None:
    """Show the working behind one verdict, recomputed from the store.

    \b
    Examples:
      driftwatch explain driftwatch.yaml --monitor test --window 2026-03-01
      driftwatch explain driftwatch.yaml --monitor test --window 2026-03-01 --format json
    """
    from driftwatch.cli.output import show_explanation, show_json
    from driftwatch.cli.verbs.explain import explain_window

    explained = explain_window(config, monitor, window, segment)
    if form == "json":
        show_json(explained.working.to_json())
    else:
        show_explanation(explained.working, explained.trail)
