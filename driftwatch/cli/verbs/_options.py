"""Options, notes and exit codes that verbs share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

from driftwatch.cli.verbs._completion import monitor_names
from driftwatch.errors import ConfigError, DriftwatchError

P = ParamSpec("P")
T = TypeVar("T")
INTERNAL_ERROR = DriftwatchError.exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    #: One per problem.
    lines: tuple[str, ...]
    exit_code: int
    #: Of each line on standard error; a problem of a configuration begins with its own file and line.
    prefix: str = "driftwatch: "


def say(text: str) -> None:
    """Print a note; a name in it must not control the terminal."""
    click.echo("".join(char if char.isprintable() or char == "\n" else "?" for char in text), err=True)


def attempt(work: Callable[[], T]) -> T | Failure:
    """Return the result, or the error as a value; interrupts and those of click are raised."""
    try:
        return work()
    except ConfigError as error:
        return Failure(lines=tuple(error.problems), exit_code=error.exit_code, prefix="")
    except DriftwatchError as error:
        return Failure(lines=(str(error),), exit_code=error.exit_code)
    except (BrokenPipeError, click.ClickException, click.Abort):
        raise
    except Exception as error:  # noqa: BLE001 - supervisor: people get a message, not a traceback
        _print_traceback()
        text = f"internal error. {type(error).__name__}: {error}. Please report it."
        return Failure(lines=(text,), exit_code=INTERNAL_ERROR)


def guarded(verb: Callable[P, int | None]) -> Callable[P, None]:
    """Turn errors into messages and exit codes: 2 configuration, 3 data, 4 internal; never a traceback."""

    @wraps(verb)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            result = attempt(lambda: verb(*args, **kwargs))
        except (KeyboardInterrupt, BrokenPipeError):
            sys.exit(130)
        if not isinstance(result, Failure):
            sys.exit(result or 0)
        for line in result.lines:
            say(f"{result.prefix}{line}")
        sys.exit(result.exit_code)

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
