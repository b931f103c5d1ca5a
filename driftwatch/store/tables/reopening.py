"""Incidents that reopen under their key, because their acceptance was undone."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

#: Why a page that was delivered is not sent again to a receiver that refreshes.
RESOLVED_THERE = "its receiver was told of an end that was undone"


def reopen(connection: sqlite3.Connection, keys: Sequence[str]) -> None:
    """Reopen incidents; nobody is told.

    A receiver that was not told of the end yet never is, and goes on firing. One that was told does not fire
    again, also where it is sent again what is open; it is told of the real end.
    """
    for key in keys:
        connection.execute("UPDATE incidents SET resolved_at = NULL, resolution = NULL WHERE key = ?", (key,))
        # An end that was tried may have arrived.
        connection.execute(
            "UPDATE outbox SET state = 'dead', reason = ? WHERE key = ? AND kind <> 'resolved' AND sink IN"
            " (SELECT sink FROM outbox WHERE key = ? AND kind = 'resolved' AND attempts > 0)",
            (RESOLVED_THERE, key, key),
        )
        # There is one end of each key; that of now is still to come.
        connection.execute("DELETE FROM outbox WHERE key = ? AND kind = 'resolved'", (key,))
