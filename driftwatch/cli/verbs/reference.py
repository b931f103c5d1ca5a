from __future__ import annotations

from pathlib import Path

import click

from driftwatch.cli.verbs._each_monitor import MonitorFailure, exit_code_of, failures_in, for_each_monitor
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
def reference_build(config: Path, monitor: str | None) -> int:
    """Build and store the reference of each monitor.

    A line on standard output names a monitor whose reference could not be built; the others are built.

    \b
    Examples:
      driftwatch reference build driftwatch.yaml
      driftwatch reference build driftwatch.yaml --monitor test
    """
    from driftwatch.cli.output import show_failure

    failures = build_references(config, monitor)
    for item in failures:
        show_failure(item.monitor, item.error)
    return exit_code_of(item.exit_code for item in failures)


def build_references(path: Path, name: str | None) -> list[MonitorFailure]:
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
            results = for_each_monitor(
                monitors, lambda monitor: session.monitor(monitor, force=True), advance
            )
            return failures_in(results)
