"""Options, notes and exit codes that verbs share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec

import click

from driftwatch.cli.verbs._completion import monitor_names
from driftwatch.errors import ConfigError, DriftwatchError

P = ParamSpec("P")


def say(text: str) -> None:
    click.echo(text, err=True)


def guarded(verb: Callable[P, int | None]) -> Callable[P, None]:
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
            _print_traceback()
            sys.exit(4)

    return run


def _print_traceback() -> None:
    import os
    import traceback

    if os.environ.get("DRIFTWATCH_TRACEBACK"):
        traceback.print_exc()


CONFIG = click.argument("config", type=click.Path(path_type=Path))
FORMAT = click.option(
    "--format", "output_format", type=click.Choice(["table", "json"]), default="table", show_default=True,
    help="table: for people. json: for scripts, alone on standard output.",
)  # fmt: skip
MONITOR = click.option("--monitor", metavar="M", help="Only this monitor.", shell_complete=monitor_names)
THE_MONITOR = click.option(
    "--monitor", metavar="M", required=True, help="The monitor.", shell_complete=monitor_names
)
