"""Line files, plain or gzip: bytes in bounded pieces, and whether the last line has its end."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from driftwatch.sources._request import BadFile
from driftwatch.summary.result import FileProblem

_PIECE = 4 << 20
#: A line longer than this is not read: it would have to be held whole.
LONGEST_LINE = 64 << 20
_UNFINISHED = "the last line has no end: the file is still being written."


class Tail:
    """A readable stream of decompressed bytes that remembers the last one.

    A compressed file ends where its stream ends, so its last line is known only when all was read.
    """

    closed = False

    def __init__(self, stream: pa.NativeFile) -> None:
        self._stream = stream
        self._last = b"\n"

    def read(self, size: int = -1) -> bytes:
        """The next bytes; empty at the end."""
        data = bytes(self._stream.read(_PIECE if size is None or size < 0 else size))
        if data:
            self._last = data[-1:]
        return data

    def check(self) -> None:
        """Turn the file away when its last line has no end."""
        if self._last != b"\n":
            raise BadFile(FileProblem.HALF_WRITTEN, _UNFINISHED)

    def close(self) -> None:
        """Let go of the stream."""
        self.closed = True
        self._stream.close()

    def readable(self) -> bool:
        """Always: pyarrow asks."""
        return True

    def writable(self) -> bool:
        """Never."""
        return False

    def seekable(self) -> bool:
        """Never: it is read once."""
        return False


def tail_of(file: pa.NativeFile, size: int, *, gzipped: bool) -> Tail:
    """The file's bytes. A plain file without a final newline is turned away before a row is read."""
    if gzipped:
        return Tail(pa.CompressedInputStream(file, "gzip"))
    file.seek(size - 1)
    if bytes(file.read(1)) != b"\n":
        raise BadFile(FileProblem.HALF_WRITTEN, _UNFINISHED)
    file.seek(0)
    return Tail(file)


def line_blocks(tail: Tail, *, first: int = 1 << 16) -> Iterator[bytes]:
    """Whole lines in blocks of a few MiB; the first block is small, so that types are known cheaply."""
    size = first
    rest: list[bytes] = []
    held = 0
    while piece := tail.read(size):
        size = _PIECE
        cut = piece.rfind(b"\n") + 1
        if cut:
            yield b"".join((*rest, piece[:cut]))
            rest, held = [], 0
        rest.append(piece[cut:])
        held += len(piece) - cut
        if held > LONGEST_LINE:
            raise BadFile(
                FileProblem.TOO_LARGE,
                f"expected lines of at most {LONGEST_LINE >> 20} MiB. Got a longer one.",
            )
    tail.check()
