from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from driftwatch.cli.verbs._completion import files
from driftwatch.cli.verbs._options import CONFIG, FORMAT, guarded, say
from driftwatch.core.clock import SystemClock
from driftwatch.errors import DataError, StoreDamaged, StoreError, StoreTooNew, StoreUnusable

if TYPE_CHECKING:
    from driftwatch.config.models import Config
    from driftwatch.store.database import Database
    from driftwatch.store.recovery.backup import Replaced
    from driftwatch.store.recovery.integrity import StoreCheck


@click.group()
def store() -> None:
    """The history in storage.path: check it, back it up, restore it."""


@store.command("check")
@CONFIG
@FORMAT
@guarded
def store_check(config: Path, output_format: str) -> int:
    """Check the history: its structure, every row, and what rows say of each other.

    Changes nothing and runs beside a daemon. Exit code 0 is sound, 3 damaged rows, 2 unusable.

    \b
    Examples:
      driftwatch store check driftwatch.yaml
      driftwatch store check driftwatch.yaml --format json
    """
    from driftwatch.cli.output.store_checks import show_check
    from driftwatch.config.load import load
    from driftwatch.store.recovery.integrity import check_folder

    loaded = load(config)
    try:
        check = check_folder(loaded.storage.path, _tiles_since(loaded))
    except StoreTooNew:
        raise
    except StoreError as error:
        raise StoreUnusable(str(error)) from error
    show_check(check, as_json=output_format == "json")
    if check.structure:
        return StoreUnusable.exit_code
    return StoreDamaged.exit_code if check.faults else 0


@store.command("backup")
@CONFIG
@click.argument("target", type=click.Path(path_type=Path), shell_complete=files)
@click.option("--force", is_flag=True, help="Replace TARGET if it is there.")
@guarded
def store_backup(config: Path, target: Path, force: bool) -> int:
    """Copy the history to TARGET, also beside a running daemon, and check the copy.

    \b
    Examples:
      driftwatch store backup driftwatch.yaml backup.sqlite
      driftwatch store backup driftwatch.yaml backup.sqlite --force
    """
    from driftwatch.config.load import load
    from driftwatch.store.recovery.backup import back_up

    loaded = load(config)
    check = back_up(loaded.storage.path, target, force=force, tiles_since=_tiles_since(loaded))
    click.echo(f"{target}: {sum(count for _, count in check.rows):,} rows, {target.stat().st_size:,} bytes")
    return _warn_of_faults(check)


@store.command("restore")
@CONFIG
@click.argument("source", type=click.Path(path_type=Path), shell_complete=files)
@click.option("--force", is_flag=True, help="Restore a backup with damaged rows too.")
@guarded
def store_restore(config: Path, source: Path, force: bool) -> int:
    """Put the backup SOURCE in place of the history, which is set aside and never deleted.

    No daemon and no check may run. Incidents that opened or ended since the backup are told to their
    receivers as ended, unknown, when the daemon starts.

    \b
    Examples:
      driftwatch store restore driftwatch.yaml backup.sqlite
    """
    for line in restore_backup(config, source, force=force):
        click.echo(line)
    return 0


def restore_backup(path: Path, source: Path, *, force: bool) -> list[str]:
    from contextlib import closing

    from driftwatch.config.load import load
    from driftwatch.monitor.succession.restored_history import end_unknown
    from driftwatch.notify.base import minute_text
    from driftwatch.store.database import Database
    from driftwatch.store.history import History
    from driftwatch.store.locks import DaemonLock
    from driftwatch.store.recovery.backup import restore
    from driftwatch.store.recovery.integrity import check_file, last_windows

    config, now, ended_keys = load(path), SystemClock().now(), list[str]()
    folder, sinks = config.storage.path, [item.sink for item in config.notify]
    lock = DaemonLock(folder, wait=0.0)
    try:
        if not source.is_file():
            raise DataError(f"{source}: expected a backup made by `driftwatch store backup`. Got no file.")
        check = check_file(source, _tiles_since(config))
        if check.structure:
            raise StoreUnusable(f"{source}: expected a sound backup. Got {check.structure[0]}.")
        if _warn_of_faults(check) and not force:
            raise StoreDamaged(f"{source}: expected a sound backup. Give --force to restore it all the same.")

        def prepare(database: Database, replaced: Replaced) -> None:
            ended_keys.extend(end_unknown(database, replaced, sinks, now))

        renamed = restore(folder, source, now, prepare)
        with closing(Database(folder)) as database:
            History(database).ledger.refresh()
        lines = [f"{folder}: restored from {source}"]
        if renamed is not None:
            lines.append(f"what was there is now {renamed}")
        lines += [f"{name}: ends with the window to {minute_text(end)}" for name, end in last_windows(source)]
        return lines + [f"{key}: told as ended, unknown, when the daemon starts" for key in ended_keys]
    finally:
        lock.release()


def _warn_of_faults(check: StoreCheck) -> int:
    if not check.faults:
        return 0
    first = check.faults[0]
    say(f"{len(check.faults):,} damaged rows, the first: {first.table}, {first.key}: {first.detail}")
    return StoreDamaged.exit_code


def _tiles_since(config: Config) -> int:
    from driftwatch.core.schema import NANOSECONDS

    return SystemClock().now() - config.retention.tiles * NANOSECONDS
