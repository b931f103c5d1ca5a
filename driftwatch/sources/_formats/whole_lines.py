"""Line files, plain or gzip: bytes in bounded pieces, and what a last line without its end may be.

A line that was cut can look whole: 30 is all there is of 300. So a CSV row without newline counts only when
the file was left alone for a while, and has every value. A JSON object, having its own end, counts at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pyarrow as pa

from driftwatch.results.results import FileProblem
from driftwatch.sources._formats.request import BadFile

_PIECE = 4 << 20
#: A line longer than this is not read: it would have to be held whole.
LONGEST_LINE = 64 << 20


class Tail:
    """A readable stream of decompressed bytes that remembers the last one, and counts quotes.

    A compressed file ends where its stream ends, so its last line is known only when all was read.
    """

    closed = False

    def __init__(self, stream: pa.NativeFile) -> None:
        self._stream = stream
        self._last = b"\n"
        self.quotes = 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes; empty at the end."""
        data = bytes(self._stream.read(_PIECE if size is None or size < 0 else size))
        if data:
            self._last = data[-1:]
            self.quotes += data.count(b'"')
        return data

    def unended(self) -> bool:
        """Read what is left; True when the last line has no newline."""
        while self.read():
            pass
        return self._last != b"\n"

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


def tail_of(file: pa.NativeFile, *, gzipped: bool) -> Tail:
    """The file's bytes."""
    return Tail(pa.CompressedInputStream(file, "gzip") if gzipped else file)


def ends(file: pa.NativeFile, size: int) -> bool:
    """True when a plain file's last line has its newline. Cheap; the file is at its begin again."""
    file.seek(size - 1)
    last = bytes(file.read(1))
    file.seek(0)
    return last == b"\n"


def last_line(file: pa.NativeFile, size: int) -> bytes:
    """The last line of a plain file without newline, at most 64 MiB of it; the file is at its begin again."""
    file.seek(max(0, size - LONGEST_LINE))
    line = bytes(file.read(LONGEST_LINE)).rpartition(b"\n")[2]
    file.seek(0)
    return line


def check_object(line: bytes) -> None:
    """Turn the file away when its last line, which has no newline, is no whole JSON object."""
    try:
        whole = isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        whole = False
    if not whole:
        raise BadFile(
            FileProblem.HALF_WRITTEN,
            "its last line has no newline and is no whole JSON object: it is still being written, or cut.",
        )


def line_blocks(tail: Tail, *, first: int = 1 << 16) -> Iterator[bytes]:
    """Whole lines in blocks of a few MiB; the first block is small, so that types are known cheaply.

    A last line without newline is one of them when it is a whole JSON object.
    """
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
    last = b"".join(rest)
    if last.strip():
        check_object(last)
        yield last + b"\n"
