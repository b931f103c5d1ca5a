"""Sets a corrupt file of the history aside, so that the daemon starts with a new one.

Before the file is moved, what must be told of it is noted in a file of its own, which is dropped when the new
history has it: a crash in between repeats a step and loses nothing.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from driftwatch.store.database import FILE, uri_of
from driftwatch.store.disk import CORRUPT_ERRORS, CORRUPT_MARK, mark_corrupt, open_error
from driftwatch.store.migrations import MIGRATIONS
from driftwatch.store.recovery.ledger import (
    LEDGER_FILE,
    LOST_FILE,
    LedgerContent,
    merged,
    read_ledger,
    sync_folder,
    write_ledger,
)
from driftwatch.store.recovery.salvage import salvaged

log = logging.getLogger(__name__)

#: How long a start may search a large file for corruption; corruption beyond that shows when it is read.
_SEARCH_SECONDS = 3.0
#: Instructions of SQLite between two looks at the clock.
_STEPS_PER_LOOK = 10_000


class CorruptFiles:
    """Looks at the file before each opening: on a full disk it cannot be set aside, and is later."""

    def __init__(self, folder: Path, clock: Callable[[], int]) -> None:
        self._folder, self._clock = folder, clock
        #: Files that were set aside.
        self.count = 0

    def set_aside(self) -> None:
        self.count += set_aside_if_corrupt(self._folder, self._clock()) is not None


def set_aside_if_corrupt(folder: Path, now: int) -> LedgerContent | None:
    """Move a corrupt file away and return what was lost with it; None when the file is sound or new.

    Only the holder of ``DaemonLock`` may call it. ``now`` is in nanoseconds. Raises ``StoreError``.
    """
    path = folder / FILE
    try:
        reason = _loss_of(folder, path)
        if reason:
            return set_aside(folder, reason, now)
        mark = folder / CORRUPT_MARK
        # A disk that is read-only refuses to delete also what is not there.
        if mark.exists():
            mark.unlink(missing_ok=True)
    except OSError as error:
        raise open_error(path, error) from error
    return None


def set_aside(folder: Path, reason: str, now: int, suffix: str = "corrupt") -> LedgerContent:
    """Move the history's file away, whatever it is, and note what is lost with it."""
    path = folder / FILE
    # A start that ends amid the move does not search again, and so does not find less than this one.
    mark_corrupt(path)
    renamed = path.with_name(f"{FILE}.{suffix}-{now // 1_000_000_000}")
    while renamed.exists():
        renamed = renamed.with_name(f"{renamed.name}-2")
    content = read_ledger(folder / LEDGER_FILE) or salvaged(path)
    lost = replace(content, reason=reason, lost_at=now, file=str(renamed) if path.exists() else "")
    earlier = read_ledger(folder / LOST_FILE)
    write_ledger(folder / LOST_FILE, lost if earlier is None else merged([earlier, lost]))
    (folder / LEDGER_FILE).unlink(missing_ok=True)
    # The file itself goes last: until then the next start finds it again.
    for part_suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + part_suffix)
        if part.exists():
            part.rename(renamed.with_name(renamed.name + part_suffix))
    (folder / CORRUPT_MARK).unlink(missing_ok=True)
    sync_folder(folder)
    log.critical("the history was set aside", extra={"reason": reason, "file": str(renamed)})
    return lost


def _loss_of(folder: Path, path: Path) -> str:
    """Return what happened to the file, for people; empty when it is sound or new."""
    has_ledger = (folder / LEDGER_FILE).exists()
    if not path.exists():
        return "its file is gone" if has_ledger else ""
    if path.stat().st_size == 0:
        return "its file was emptied" if has_ledger else ""
    if _is_marked(folder, path):
        return "its file turned out to be corrupt while it was in use"
    return "its file is corrupt" if is_corrupt(path, _SEARCH_SECONDS) else ""


def _is_marked(folder: Path, path: Path) -> bool:
    try:
        mark, stat = (folder / CORRUPT_MARK).read_text(encoding="ascii"), path.stat()
    except (OSError, ValueError):
        return False
    # Another file stands in its place by now.
    return mark == f"{stat.st_dev} {stat.st_ino}"


def is_corrupt(path: Path, seconds: float) -> bool:
    """Search a file for corruption of its structure for so long."""
    deadline = time.monotonic() + seconds
    try:
        with closing(sqlite3.connect(uri_of(path, "rw"), uri=True, isolation_level=None)) as link:
            if not _has_all_tables(link):
                return True
            link.set_progress_handler(lambda: int(time.monotonic() > deadline), _STEPS_PER_LOOK)
            return bool(link.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok")
    except sqlite3.DatabaseError as error:
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in CORRUPT_ERRORS


def _has_all_tables(link: sqlite3.Connection) -> bool:
    version = int(link.execute("PRAGMA user_version").fetchone()[0])
    tables = {row[0] for row in link.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    statements = [text for step in MIGRATIONS[: min(version, len(MIGRATIONS))] for text in step]
    required = {text.split()[2] for text in statements if text.startswith("CREATE TABLE")}
    # Tables without a version: its number is damaged, and a new one would be built over them.
    return required <= tables and (version > 0 or not tables)
