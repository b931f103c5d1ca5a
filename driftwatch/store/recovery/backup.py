"""Copies a history beside its daemon, and puts a copy back in its place."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from driftwatch.errors import ConfigError, StoreError, StoreUnusable
from driftwatch.store.database import FILE, Database, uri_of
from driftwatch.store.disk import open_error
from driftwatch.store.recovery.integrity import StoreCheck, check_file
from driftwatch.store.recovery.ledger import LEDGER_FILE as LEDGER
from driftwatch.store.recovery.ledger import LedgerContent, ledger_of, read_ledger, sync_folder
from driftwatch.store.recovery.salvage import salvaged

#: What the open history of a folder was, read before it is set aside.
Prepare = Callable[[Database, "Replaced"], None]
_NOTHING_SENT: frozenset[tuple[str, str, str]] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """What the history that a backup replaces says of itself, as far as it can be read."""

    content: LedgerContent
    #: (sink, key, kind) of messages that need not leave again.
    sent: frozenset[tuple[str, str, str]]
    #: Keys of incidents that ended in it.
    ended: frozenset[str]


def back_up(folder: Path, target: Path, *, force: bool, tiles_since: int) -> StoreCheck:
    """Copy the history to ``target`` and check the copy. Raises ``ConfigError`` and ``StoreError``."""
    if target.exists() and not force:
        raise ConfigError(f"{target}: expected a file that is not there yet. Give --force to replace it.")
    if target.is_dir() or (target.exists() and target.samefile(folder / FILE)):
        raise ConfigError(f"{target}: expected a file other than the history itself.")
    draft = target.with_name(f".{target.name}.draft")
    try:
        draft.unlink(missing_ok=True)
        copy_file(folder / FILE, draft)
        check = check_file(draft, tiles_since)
        if check.structure:
            raise StoreUnusable(f"{folder / FILE}: expected a sound history. Got {check.structure[0]}.")
        draft.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        raise StoreError(f"{target}: expected to write the backup. Got {error}.") from error
    finally:
        draft.unlink(missing_ok=True)
    return check


def copy_file(source: Path, target: Path) -> None:
    """Copy a history as it is at one moment; other processes go on writing. Raises ``StoreError``."""
    if not source.exists():
        raise StoreUnusable(f"{source}: expected a history. There is none.")
    try:
        target.touch(mode=0o600)
        with (
            closing(sqlite3.connect(uri_of(source, "ro"), uri=True)) as old,
            closing(sqlite3.connect(target, isolation_level=None)) as new,
        ):
            # In one step: a writer in between would begin the copy anew.
            old.backup(new, pages=-1)
            # One file, without one of what is not in it yet.
            new.execute("PRAGMA journal_mode = DELETE")
        with target.open("rb") as file:
            os.fsync(file.fileno())
    except sqlite3.Error as error:
        raise open_error(source, error) from error


def replaced_history(folder: Path) -> Replaced:
    path = folder / FILE
    try:
        database = Database(folder, read_only=True)
    except StoreError:
        content = read_ledger(folder / LEDGER) or salvaged(path)
        return Replaced(content=content, sent=_NOTHING_SENT, ended=frozenset())
    with closing(database):
        try:
            sent = database.query("SELECT sink, key, kind FROM outbox WHERE state IN ('delivered', 'dead')")
            ended = database.query("SELECT key FROM incidents WHERE resolved_at IS NOT NULL")
            return Replaced(
                content=ledger_of(database),
                sent=frozenset((row[0], row[1], row[2]) for row in sent),
                ended=frozenset(row[0] for row in ended),
            )
        except StoreError:
            content = read_ledger(folder / LEDGER) or salvaged(path)
            return Replaced(content=content, sent=_NOTHING_SENT, ended=frozenset())


def restore(folder: Path, source: Path, now: int, prepare: Prepare) -> Path | None:
    """Put a backup in place of the history, and return where that is now; None when there was none.

    ``prepare`` changes the copy before it is in place. Only the holder of ``DaemonLock`` may call it. Raises
    ``StoreError``.
    """
    path = folder / FILE
    replaced = replaced_history(folder)
    try:
        draft_folder = Path(tempfile.mkdtemp(prefix=".restore-", dir=folder))
        try:
            copy_file(source, draft_folder / FILE)
            with closing(Database(draft_folder, checkpoints=True)) as database:
                prepare(database, replaced)
            _take_in_log(path)
            renamed = _set_aside(path, now)
            (draft_folder / FILE).replace(path)
        finally:
            shutil.rmtree(draft_folder, ignore_errors=True)
        sync_folder(folder)
    except OSError as error:
        raise open_error(path, error) from error
    return renamed


def _take_in_log(path: Path) -> None:
    """Bring a killed daemon's newest commits into the file: a crash amid the move must not part them."""
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(uri_of(path, "rw"), uri=True, isolation_level=None)) as link:
            link.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error:
        # A history that cannot be read is set aside as it is.
        return


def _set_aside(path: Path, now: int) -> Path | None:
    if not path.exists():
        return None
    renamed = path.with_name(f"{FILE}.replaced-{now // 1_000_000_000}")
    while renamed.exists():
        renamed = renamed.with_name(f"{renamed.name}-2")
    for suffix in ("-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(renamed.with_name(renamed.name + suffix))
    # A second name: at no moment is there no history.
    os.link(path, renamed)
    return renamed
