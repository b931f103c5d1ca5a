from __future__ import annotations

from pathlib import Path

import click

from driftwatch.cli.verbs._options import guarded, say


@click.command()
@click.option("--exit", "exit_after_replay", is_flag=True, help="End after the replay.")
@click.option("--fail-on-drift", is_flag=True, help="Exit with 1 when there was a page.")
@click.option("--listen", default="127.0.0.1:9877", show_default=True, help="Where to serve.")
@click.option("--data", type=click.Path(path_type=Path), help="Folder for the demo's files.")
@click.option("--notify", metavar="URL", help="A webhook of yours that gets the pages after the replay.")
@guarded
def demo(
    exit_after_replay: bool, fail_on_drift: bool, listen: str, data: Path | None, notify: str | None
) -> int:
    """Run the whole daemon on New York's flights of 2013, replayed fast.

    \b
    Examples:
      driftwatch demo
      driftwatch demo --exit --listen 127.0.0.1:0
      driftwatch demo --notify http://127.0.0.1:8080/
    """
    from driftwatch.cli.demo.demo import run_demo

    pages = run_demo(exit_after_replay=exit_after_replay, listen=listen, folder=data, notify=notify, say=say)
    return int(fail_on_drift and pages > 0)
