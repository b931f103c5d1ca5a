from __future__ import annotations

from pathlib import Path

import click

from driftwatch.cli.verbs._options import CONFIG, MONITOR, guarded, say
from driftwatch.core.clock import SystemClock
from driftwatch.errors import ConfigError


@click.group()
def reference() -> None:
    """The reference test distribution."""


@reference.command("build")
@CONFIG
@MONITOR
@guarded
def reference_build(config: Path, monitor: str | None) -> None:
    """Build and store the reference of each monitor.

    \b
    Examples:
      driftwatch reference build driftwatch.yaml
      driftwatch reference build driftwatch.yaml --monitor test
    """
    build_references(config, monitor)


def build_references(path: Path, name: str | None) -> None:
    """Build and store references. Raises ``ConfigError`` while a daemon, which uses them, is running."""
    from driftwatch.cli.output import progress
    from driftwatch.config.load import load
    from driftwatch.monitor.session import open_session, select_monitors
    from driftwatch.store.locks import deciding

    config = load(path)
    monitors = select_monitors(config, name)
    with deciding(config.storage.path, say) as has_lock:
        if not has_lock:
            raise ConfigError(
                f"{config.storage.path}: expected no daemon on this storage. One is running, and its "
                "references must not change behind its back. Reload it (SIGHUP): it builds those whose data "
                "or settings changed. To build one anew all the same, stop it first."
            )
        with open_session(config, SystemClock(), say) as session, progress("references built") as advance:
            for number, monitor in enumerate(monitors, start=1):
                session.monitor(monitor, force=True)
                advance(number, len(monitors))
