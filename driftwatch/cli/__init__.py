"""The command line: verbs only. Results go to standard output, progress and notes to standard error."""

from __future__ import annotations

import click

from driftwatch import __version__
from driftwatch.cli.verbs.inspect import backtest, check, compare, explain
from driftwatch.cli.verbs.operate import ack, run
from driftwatch.cli.verbs.setup import check_config, completion, demo, init, reference


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="driftwatch", message="%(prog)s %(version)s")
def main() -> None:
    """Watch the inputs of deployed models against their test distribution.

    Exit codes: 2 configuration or usage, 3 data could not be read, 4 internal. `check`: 0 ok, 1 drifting or
    broken, 3 could not look, 5 calibrating or insufficient.

    Results go to standard output, progress and notes to standard error; colour only to a terminal, and none
    where NO_COLOR is set. `driftwatch completion --help` says how a shell completes verbs, options, monitors.

    \b
    Examples:
      driftwatch demo
      driftwatch init test.parquet --current 'production/*.parquet' -o driftwatch.yaml
      driftwatch backtest driftwatch.yaml
      driftwatch run driftwatch.yaml
    """


for _verb in (demo, init, check_config, backtest, run, check, explain, ack, compare, reference, completion):
    main.add_command(_verb)
