"""Stores with every kind of row, and ways to damage one of them."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from daemon_world import Inside, World, write_rows

from driftwatch.store.damage import SEALS

#: What may become of a cell. A flipped bit may still decode: of a text, a digit of a number is changed.
DAMAGES = ("truncated", "flipped", "digit", "null", "garbage")
#: The cell that is damaged, where it is not the last one that is sealed.
CELLS = {"active_references": "since", "acknowledgements": "note", "owed_windows": "window_start"}
CELLS |= {"selftests": "detected", "selftest_trials": "named"}


def cell_of(table: str) -> str:
    return CELLS.get(table, SEALS[table].cells[-1])


def damaged_value(value: object, damage: str) -> object:
    if damage == "garbage":
        return b"\xff\x00\xfe garbage"
    if isinstance(value, int | float):
        return value + 1 if damage != "truncated" else 0 if value else -1
    data = value if isinstance(value, bytes) else str(value).encode()
    if damage == "null":
        return b"" if isinstance(value, bytes) else ""
    if damage == "truncated":
        data = data[: len(data) // 2]
    elif damage == "digit":
        place = next((index for index, byte in enumerate(data) if byte in b"12345678"), len(data) - 1)
        data = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
    else:
        place = len(data) // 2
        data = data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]
    return data if isinstance(value, bytes) else data.decode("utf-8", "replace")


def damage_row(store: Path, table: str, damage: str, monitor: str = "m", *, where: str = "1") -> bool:
    """Damage the newest row of a monitor in a table; False when it has none."""
    cell = cell_of(table)
    with closing(sqlite3.connect(store / "driftwatch.sqlite")) as link:
        order = "rowid" if table in ("checkpoints", "outbox", "acknowledgements") else SEALS[table].key[-1]
        names = [row[1] for row in link.execute(f"PRAGMA table_info({table})") if row[5]]
        keys = ", ".join(names)
        row = link.execute(
            f"SELECT {keys}, {cell} FROM {table} WHERE monitor = ? AND {where} ORDER BY {order} DESC LIMIT 1",
            (monitor,),
        ).fetchone()
        if row is None:
            return False
        condition = " AND ".join(f"{name} = ?" for name in names)
        changed = link.execute(
            f"UPDATE {table} SET {cell} = ? WHERE {condition}", (damaged_value(row[-1], damage), *row[:-1])
        )
        assert changed.rowcount == 1
        link.commit()
    return True


#: Where the story of ``RowsOfAllKinds`` ends, in minutes.
END = 14


class RowsOfAllKinds:
    """Monitors ``m`` and ``n``. Of ``m`` there is a row in every table but that of backtests.

    A drift was accepted, another one is open and muted, rows came late, and the newest window has none.
    """

    def __init__(self, folder: Path) -> None:
        self.world = World(
            folder,
            monitors=("m", "n"),
            options={"selftest": {"every": "2m", "within": "1m"}},
            settings={
                "notify": [{"type": "webhook", "url": "http://127.0.0.1:9/"}],
                # One reader process to start.
                "limits": {"workers": 1, "shutdown": "2s"},
            },
        )
        self._write(range(6))
        with self.world.inside(4, deliver=False) as inside:
            for minute in (4, 5, 6):
                inside.to(minute)
            self._late_rows(4)
            self._write(range(6, 11), shift=3.0)
            for minute in (7, 8, 9):
                inside.to(minute)
            self._answer(inside, "accepted")
            for minute in (9.5, 10, 11):
                inside.to(minute)
            self._write(range(11, 13), shift=-3.0)
            for minute in (12, 13):
                inside.to(minute)
            self._answer(inside, "muted", until=inside.clock.now() + (1 << 50))
            inside.to(13.5)
            self.world.minute(13, name="n")
            inside.to(END)
        # What comes next: the rows of the owed window, and two windows.
        self._write(range(13, END + 2))

    def _write(self, minutes: range, shift: float = 0.0) -> None:
        for minute in minutes:
            self.world.minute(minute, name="m", shift=shift)
            self.world.minute(minute, name="n")

    def _late_rows(self, minute: int) -> None:
        begin = self.world.start + minute * self.world.step
        write_rows(self.world.folder / "m" / "late.parquet", begin, begin + self.world.step, 120, seed=77)

    @staticmethod
    def _answer(inside: Inside, verdict: str, until: int | None = None) -> None:
        inside.daemon.session.acknowledgements.ask(
            "m", "", verdict, until=until, note="known", who="somebody", now=inside.clock.now()
        )

    def copy(self, folder: Path) -> Path:
        """A copy of the store; the world's next daemon works on it."""
        store = folder / "store"
        shutil.copytree(self.world.folder / "store", store)
        self.world.write(storage={"path": str(store)})
        return store
