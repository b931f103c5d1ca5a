from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from driftwatch.cli.verbs._options import CONFIG, guarded

if TYPE_CHECKING:
    from driftwatch.config.models import Config

#: Columns that a line lists.
_MAX_LISTED = 5


@click.command()
@CONFIG
@guarded
def check_config(config: Path) -> None:
    """Report every error of a configuration at once, with file and line.

    \b
    Examples:
      driftwatch check-config driftwatch.yaml
    """
    from driftwatch.config.load import load
    from driftwatch.errors import StoreError

    loaded_config = load(config)
    monitors = loaded_config.monitors
    names = ", ".join(monitor.name for monitor in monitors)
    click.echo(f"{config}: good. {len(monitors)} monitor(s): {names}")
    try:
        for line in _never_ok(loaded_config):
            click.echo(line)
    except StoreError as error:
        click.echo(f"The stored references were not looked at. {error}")


def _never_ok(config: Config) -> Iterator[str]:
    """Name the monitors whose stored reference has too many columns that cannot be looked at."""
    from driftwatch.decide.outcomes.column_outcomes import is_always_unwatched
    from driftwatch.monitor.evaluation.features import features_of
    from driftwatch.results.text_format import UNWATCHED_WORDS, listing
    from driftwatch.store.database import FILE, Database
    from driftwatch.store.history import History

    if not (config.storage.path / FILE).exists():
        return
    database = Database(config.storage.path, read_only=True)
    try:
        references = History(database).references
        for monitor in config.monitors:
            active = references.active(monitor.name)
            features = None if active is None else features_of(active.reference, monitor)
            if features is None or not is_always_unwatched(features):
                continue
            columns = [
                f"{name} ({UNWATCHED_WORDS[reason]})" for name, reason in sorted(features.unwatched.items())
            ]
            yield (
                f"{monitor.name}: its windows will be insufficient (columns_unwatched), not ok: "
                f"{len(columns)} of {features.n_columns} columns cannot be looked at: "
                f"{listing(columns, _MAX_LISTED)}. Write them as columns of their own, or say under columns "
                "what shall not be watched: role: ignore, or watch: norm for a vector."
            )
    finally:
        database.close()
