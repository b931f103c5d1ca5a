"""What every verb shares: notes, errors as exit codes, options, and what a shell may complete."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec

import click
from click.shell_completion import CompletionItem

from driftwatch.errors import ConfigError, DriftwatchError

if TYPE_CHECKING:
    from driftwatch.config.models import Config

P = ParamSpec("P")


def say(text: str) -> None:
    """A note for people."""
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
            _keep_traceback()
            sys.exit(4)

    return run


def _keep_traceback() -> None:
    import os
    import traceback

    if os.environ.get("DRIFTWATCH_TRACEBACK"):
        traceback.print_exc()


def config_of(context: click.Context) -> Config | None:
    """The configuration that stands on the line; None where it cannot be loaded."""
    from driftwatch.config.load import load

    # Of a line that ends with an option whose value is still to come, click leaves the words unparsed.
    written = context.params.get("config")
    path = written or next((Path(word) for word in context.args if Path(word).is_file()), None)
    if path is None:
        return None
    try:
        return load(path)
    except (DriftwatchError, OSError):
        return None


def monitor_names(context: click.Context, _option: click.Parameter, begun: str) -> list[CompletionItem]:
    """Monitors of the configuration that stands on the line."""
    config = config_of(context)
    return [
        CompletionItem(item.name, help=item.model.name or None)
        for item in (config.monitors if config else ())
        if item.name.startswith(begun)
    ]


def detector_names(_context: click.Context, _option: click.Parameter, begun: str) -> list[CompletionItem]:
    """Detectors, each with what it measures."""
    from driftwatch.core import plugins

    return [
        CompletionItem(name, help=(plugins.load("detectors", name).__doc__ or "").partition("\n")[0])
        for name in plugins.names("detectors")
        if name.startswith(begun)
    ]


def files(_context: click.Context, _argument: click.Parameter, begun: str) -> list[CompletionItem]:
    """Whatever the shell finds: a path may also be a glob, so it is no ``click.Path``."""
    return [CompletionItem(begun, type="file")]


CONFIG = click.argument("config", type=click.Path(path_type=Path))
FORMAT = click.option(
    "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True,
    help="table: for people. json: for scripts, alone on standard output.",
)  # fmt: skip
MONITOR = click.option("--monitor", metavar="M", help="Only this monitor.", shell_complete=monitor_names)
THE_MONITOR = click.option(
    "--monitor", metavar="M", required=True, help="The monitor.", shell_complete=monitor_names
)
