"""The command line: verbs only. Results go to standard output, progress and notes to standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import click

from driftwatch import __version__
from driftwatch.errors import ConfigError, DataError, DriftwatchError

P = ParamSpec("P")
_CONFIG = click.argument("config", type=click.Path(path_type=Path))
_FORMAT = click.option(
    "--format", "form", type=click.Choice(["table", "json"]), default="table", help="How to print."
)
_MONITOR = click.option("--monitor", metavar="M", help="Only this monitor.")


def say(text: str) -> None:
    """A note for people."""
    click.echo(text, err=True)


def _level(_context: click.Context, _option: click.Parameter, value: float) -> float:
    if not 0 < value < 1:
        raise click.BadParameter(f"expected a number above 0 and below 1. Got {value:g}.")
    return value


def _guarded(verb: Callable[P, int | None]) -> Callable[P, None]:
    """Turn errors into messages and exit codes: 2 configuration, 3 data, 4 internal; never a traceback."""

    @wraps(verb)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            sys.exit(verb(*args, **kwargs) or 0)
        except ConfigError as error:
            for problem in error.problems:
                say(problem)
            sys.exit(error.exit_code)
        except DriftwatchError as error:
            say(f"driftwatch: {error}")
            sys.exit(error.exit_code)
        except (KeyboardInterrupt, BrokenPipeError):
            sys.exit(130)
        except (click.ClickException, click.Abort):
            raise
        except Exception as error:  # noqa: BLE001 - supervisor: people get a message, not a traceback
            say(f"driftwatch: internal error. {type(error).__name__}: {error}. Please report it.")
            _keep_traceback()
            sys.exit(4)

    return run


def _keep_traceback() -> None:
    import os
    import traceback

    if os.environ.get("DRIFTWATCH_TRACEBACK"):
        traceback.print_exc()


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="driftwatch", message="%(prog)s %(version)s")
def main() -> None:
    """Watch the inputs of deployed models against their test distribution.

    Exit codes: 2 configuration or usage, 3 data could not be read, 4 internal. `check`: 0 ok, 1 drifting or
    broken, 3 could not look, 5 calibrating or insufficient.

    \b
    driftwatch demo
    driftwatch init test.parquet --current 'production/*.parquet' -o driftwatch.yaml
    driftwatch backtest driftwatch.yaml
    driftwatch run driftwatch.yaml
    """


@main.command()
@click.option("--exit", "leave", is_flag=True, help="End after the replay.")
@click.option("--fail-on-drift", is_flag=True, help="Exit with 1 when there was a page.")
@click.option("--listen", default="127.0.0.1:9877", show_default=True, help="Where to serve.")
@click.option("--data", type=click.Path(path_type=Path), help="Folder for the demo's files.")
@_guarded
def demo(leave: bool, fail_on_drift: bool, listen: str, data: Path | None) -> int:
    """Run the whole daemon on New York's flights of 2013, replayed fast."""
    from driftwatch.daemon.demo import run_demo

    pages = run_demo(leave=leave, listen=listen, folder=data, say=say)
    return int(fail_on_drift and pages > 0)


@main.command()
@click.argument("reference")
@click.option("--current", required=True, metavar="PATH_OR_GLOB", help="Production inputs.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write; default: print.")
@_guarded
def init(reference: str, current: str, output: Path | None) -> None:
    """Look at the data and write a commented configuration that runs.

    \b
    driftwatch init test.csv --current 'logs/*.csv' -o driftwatch.yaml
    """
    from driftwatch.config.init import write_config
    from driftwatch.config.load import check
    from driftwatch.frames import delimiter_of, file_batches

    text = write_config(reference, current, read=file_batches, delimiter=delimiter_of)
    if output is None:
        click.echo(text, nl=False)
        return
    if output.exists():
        raise ConfigError(f"{output}: expected a new file. It exists; choose another name or remove it.")
    output.write_text(text, encoding="utf-8")
    to_do = check(output)
    if to_do:
        say("\n".join((f"wrote {output}. Before it can run:", *to_do)))
    else:
        say(f"wrote {output}. Next: driftwatch check-config {output}; driftwatch backtest {output}")


@main.command("check-config")
@_CONFIG
@_guarded
def check_config(config: Path) -> None:
    """Report every error of a configuration at once, with file and line."""
    from driftwatch.config.load import load

    loaded = load(config)
    names = ", ".join(item.name for item in loaded.monitors)
    click.echo(f"{config}: good. {len(loaded.monitors)} monitor(s): {names}")


@main.command()
@click.argument("reference")
@click.argument("current")
@_FORMAT
@click.option("--time-column", metavar="C", help="Column to leave out of the comparison.")
@click.option(
    "--detector", "also", metavar="NAME", multiple=True, help="Run this one too, such as mmd_exact."
)
@click.option("--fail-on-drift", is_flag=True, help="Exit with 1 when any p-value is below alpha / count.")
@click.option("--alpha", default=0.01, show_default=True, callback=_level, help="Over all p-values together.")
@_guarded
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
    driftwatch compare test.parquet 'today/*.parquet' --format json
    """
    from driftwatch.comparison import compare_files
    from driftwatch.frames import file_batches
    from driftwatch.terminal import show_comparison, show_json

    result = compare_files(reference, current, time_column=time_column, also=also, read=file_batches)
    if not result.current_rows:
        raise DataError(f"{current}: expected rows. Got none.")
    if form == "json":
        show_json(result.to_json())
    else:
        show_comparison(result, alpha)
    return int(fail_on_drift and result.drifted(alpha))


@main.group()
def reference() -> None:
    """The reference test distribution."""


@reference.command("build")
@_CONFIG
@_MONITOR
@_guarded
def reference_build(config: Path, monitor: str | None) -> None:
    """Build and store the reference of each monitor."""
    from driftwatch.verbs.check import build_references

    build_references(config, monitor, say)


@main.command()
@_CONFIG
@_MONITOR
@click.option("--at", metavar="TIME", help="As if it were this time; writes and sends nothing.")
@_FORMAT
@_guarded
def check(config: Path, monitor: str | None, at: str | None, form: str) -> int:
    """Check the newest closed window of each monitor, now."""
    from driftwatch.terminal import show_checked, show_json
    from driftwatch.verbs.check import check_now, exit_code

    verdicts = check_now(config, monitor, at, say)
    if form == "json":
        show_json(verdicts.to_json())
    else:
        show_checked(verdicts.newest, verdicts.trails)
    return exit_code(verdicts.newest)


@main.command()
@_CONFIG
@_MONITOR
@click.option("--from", "start", metavar="T", help="First moment; default: the oldest row.")
@click.option("--to", "end", metavar="T", help="Last moment; default: the newest row.")
@click.option("--fail-on-drift", is_flag=True, help="Exit with 1 when there was a page.")
@click.option(
    "--inject/--no-inject", default=True, show_default=True, help="Which sizes of faults would have paged."
)
@click.option("--picture", metavar="FILE.svg", type=click.Path(path_type=Path), help="Draw it.")
@_FORMAT
@_guarded
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
    driftwatch backtest driftwatch.yaml --picture backtest.svg
    """
    from driftwatch.terminal import progress, show_backtest, show_json
    from driftwatch.verbs.backtest import run_backtests

    if picture is not None and not picture.parent.is_dir():
        raise ConfigError(f"--picture: expected a folder that exists. Got {picture.parent}.")
    done = run_backtests(config, monitor, start, end, say, progress, inject=inject)
    if picture is not None:
        from driftwatch.picture import draw

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


@main.command()
@_CONFIG
@click.option("--monitor", metavar="M", required=True, help="The monitor.")
@click.option("--window", metavar="END", required=True, help="End of the window.")
@click.option("--segment", metavar="S", help="The segment; default: all rows.")
@_FORMAT
@_guarded
def explain(config: Path, monitor: str, window: str, segment: str | None, form: str) -> None:
    """Show the working behind one verdict, recomputed from the store."""
    from driftwatch.terminal import show_explanation, show_json
    from driftwatch.verbs.explain import explain_window

    explained = explain_window(config, monitor, window, segment)
    if form == "json":
        show_json(explained.working.to_json())
    else:
        show_explanation(explained.working, explained.trail)


@main.command()
@_CONFIG
@click.option("--monitor", metavar="M", required=True, help="The monitor.")
@click.option("--incident", metavar="KEY", help="The incident; default: every open one.")
@click.option(
    "--as", "verdict", type=click.Choice(["fixed", "accepted", "muted"]), required=True,
    help="fixed: it was mended. accepted: this is normal now, the reference is rebased. muted: quiet until.",
)  # fmt: skip
@click.option("--until", metavar="T", help="With muted: until when; a time, or 2d.")
@click.option("--note", default="", help="Why, for the audit trail.")
@_guarded
def ack(config: Path, monitor: str, incident: str | None, verdict: str, until: str | None, note: str) -> None:
    """Close, accept or mute an incident; the request is kept as an audit record."""
    from driftwatch.verbs.ack import acknowledge

    click.echo(acknowledge(config, monitor, incident, verdict, until, note, say))


@main.command()
@_CONFIG
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@_guarded
def run(config: Path, log_format: str, log_level: str) -> int:
    """Run the daemon until it is told to stop."""
    from driftwatch.daemon.process import run_daemon

    return run_daemon(config, log_format=log_format, log_level=log_level)


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    eval "$(driftwatch completion bash)"
    """
    from click.shell_completion import get_completion_class

    found: Any = get_completion_class(shell)
    click.echo(found(main, {}, "driftwatch", "_DRIFTWATCH_COMPLETE").source())
