"""The command line. Results go to standard output, progress and notes to standard error."""

from __future__ import annotations

from importlib import import_module

import click

from driftwatch import __version__

#: Each verb and the first line of its help; ``verbs/<verb>.py`` defines the command of that name.
VERBS = {
    "demo": "Run the whole daemon on New York's flights of 2013, replayed fast.",
    "init": "Look at the data and write a commented configuration that runs.",
    "check-config": "Report every error of a configuration at once, with file and line.",
    "backtest": (
        "Replay history: every window's verdict, the pages there would have been, and what they predict."
    ),
    "run": "Run the daemon until it is told to stop.",
    "check": "Check the newest closed window of each monitor, now.",
    "explain": "Show the working behind one verdict, from the store or by replaying where it is not stored.",
    "ack": "Close, accept or mute an incident, or take its acceptance back; kept as an audit record.",
    "compare": "Compare two files or globs once, with every detector that runs by default.",
    "reference": "The reference test distribution.",
    "store": "The history in storage.path: check it, back it up, restore it.",
    "completion": "Print the script that lets a shell complete verbs, options, files, monitors, detectors.",
}


def load_verb(name: str) -> click.Command:
    identifier = name.replace("-", "_")
    command: click.Command = getattr(import_module(f"driftwatch.cli.verbs.{identifier}"), identifier)
    return command


class LazyGroup(click.Group):
    """A group that imports a verb only when the command line names it.

    Its ``commands`` are stubs of a name and a line of help: all that ``--help`` and completing a verb need.
    """

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and load_verb(name or ""), rest


@click.group(
    cls=LazyGroup,
    commands={name: click.Command(name, help=line) for name, line in VERBS.items()},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="driftwatch", message="%(prog)s %(version)s")
def main() -> None:
    """Watch the inputs of deployed models against their test distribution.

    Exit codes: 2 configuration or usage, 3 data could not be read, 4 internal. `check`: 0 ok, 1 drifting or
    broken, 3 could not look, 5 calibrating or insufficient. Of several monitors the first that applies of 4,
    1, 3, 5, 0: one that fails is an error in its place, and the others get their results.

    Results go to standard output, progress and notes to standard error; colour only to a terminal, and none
    where NO_COLOR is set. `driftwatch completion --help` says how a shell completes verbs, options, monitors.

    \b
    Examples:
      driftwatch demo
      driftwatch init test.parquet --current 'production/*.parquet' -o driftwatch.yaml
      driftwatch backtest driftwatch.yaml
      driftwatch run driftwatch.yaml
    """
