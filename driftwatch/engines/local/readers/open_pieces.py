"""Tells a parent which pieces its reader had open, also when the reader is dead.

The reader writes before it opens a piece; a file in memory outlives it and costs no message per piece.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import deque
from dataclasses import dataclass

from driftwatch.sources.base import Piece

#: While one piece is counted, the next is decoded, and some in between may have had no row.
NEWEST = 4
#: Paths have at most 4,096 bytes, six characters each in JSON, twice.
_MAX_BYTES = 1 << 18


def new_board() -> int:
    """Return the descriptor of an empty board."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("open-pieces")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def clear(board: int) -> None:
    os.ftruncate(board, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What a reader opened for one request."""

    count: int = 0
    #: Those opened last, the newest first.
    pieces: tuple[Piece, ...] = ()

    @property
    def has_passed(self) -> bool:
        """Whether some piece was read to its end: of the last ones that is not known."""
        return self.count > NEWEST


def read_board(board: int) -> Opened:
    text = os.pread(board, _MAX_BYTES, 0)
    if not text:
        return Opened()
    try:
        count, items = json.loads(text)
        pieces = tuple(
            Piece(path=str(path), name=str(name), size=int(size), modified=int(modified))
            for path, name, size, modified in items[:NEWEST]
        )
        return Opened(count=int(count), pieces=pieces)
    except (ValueError, TypeError, RecursionError):
        # A reader that foreign bytes took over writes what it likes.
        return Opened()


class OpenPieces:
    """The reader's side of the board."""

    def __init__(self, board: int | None) -> None:
        self._board = board
        self._count = 0
        self._newest: deque[Piece] = deque(maxlen=NEWEST)

    def note(self, piece: Piece) -> None:
        if self._board is None:
            return
        self._count += 1
        self._newest.appendleft(piece)
        items = [[item.path, item.name, item.size, item.modified] for item in self._newest]
        text = json.dumps([self._count, items]).encode()
        os.pwrite(self._board, text, 0)
        # Of a longer text nothing stays.
        os.ftruncate(self._board, len(text))

    def clear(self) -> None:
        self._count = 0
        self._newest.clear()
