"""Reads lines, plain or gzip, in bounded pieces, and checks a last line without newline.

A truncated line can look complete: 300 cut to 30. So a CSV row without newline counts only when the file is
unchanged for a while and the row has every value. A JSON object marks its own end and counts at once.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator

import pyarrow as pa

from driftwatch.results.results import FileProblem
from driftwatch.sources._formats.request import BadFile

_PIECE_BYTES = 4 << 20
#: A longer line is refused: it would have to be in memory as a whole.
MAX_LINE_BYTES = 64 << 20


class Tail:
    """A stream of decompressed UTF-8 that remembers the last byte and counts quotation marks."""

    closed = False

    def __init__(self, stream: pa.NativeFile, encoding: str) -> None:
        self._stream = stream
        self._encoding = encoding
        self._decoder = None if is_utf8(encoding) else codecs.getincrementaldecoder(encoding)()
        self._last = b"\n"
        self.quotes = 0

    def read(self, size: int = -1) -> bytes:
        data = self._utf8(_PIECE_BYTES if size is None or size < 0 else size)
        if data:
            self._last = data[-1:]
            self.quotes += data.count(b'"')
        return data

    def _utf8(self, size: int) -> bytes:
        data = bytes(self._stream.read(size))
        if self._decoder is None:
            return data
        try:
            text = self._decoder.decode(data, final=not data)
            # A piece may hold half a character only.
            while data and not text:
                data = bytes(self._stream.read(size))
                text = self._decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            raise BadFile(
                FileProblem.UNREADABLE,
                f"it holds bytes that are not {self._encoding}: set encoding to that of the file.",
            ) from error
        return text.encode("utf-8", "backslashreplace")

    def unended(self) -> bool:
        """Read the rest; return True when the last line has no newline."""
        # The last line of a compressed file is known only after reading all of it.
        while self.read():
            pass
        return self._last != b"\n"

    def close(self) -> None:
        self.closed = True
        self._stream.close()

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False


def is_utf8(encoding: str) -> bool:
    """Whether bytes in this encoding are read as they are."""
    return codecs.lookup(encoding).name in ("utf-8", "ascii")


def tail_of(file: pa.NativeFile, *, gzipped: bool, encoding: str) -> Tail:
    return Tail(pa.CompressedInputStream(file, "gzip") if gzipped else file, encoding)


def ends(file: pa.NativeFile, size: int) -> bool:
    """Return True when a plain file ends with a newline. Rewinds the file."""
    file.seek(size - 1)
    last = bytes(file.read(1))
    file.seek(0)
    return last == b"\n"


def last_line(file: pa.NativeFile, size: int) -> bytes:
    """Return the last line of a plain file, at most 64 MiB of it. Rewinds the file."""
    file.seek(max(0, size - MAX_LINE_BYTES))
    line = bytes(file.read(MAX_LINE_BYTES)).rpartition(b"\n")[2]
    file.seek(0)
    return line


def check_object(line: bytes) -> None:
    """Raise ``BadFile`` unless a last line without newline is a whole JSON object."""
    try:
        is_object = isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        is_object = False
    if not is_object:
        raise BadFile(
            FileProblem.HALF_WRITTEN,
            "its last line has no newline and is no whole JSON object: it is still being written, or cut.",
        )


def line_blocks(tail: Tail, *, first: int = 1 << 16) -> Iterator[bytes]:
    """Yield whole lines in blocks of a few MiB. A last line without newline must be a whole JSON object."""
    # The first block is small, so that types are cheap to infer.
    size = first
    rest: list[bytes] = []
    pending = 0
    while piece := tail.read(size):
        size = _PIECE_BYTES
        cut = piece.rfind(b"\n") + 1
        if cut:
            yield b"".join((*rest, piece[:cut]))
            rest, pending = [], 0
        rest.append(piece[cut:])
        pending += len(piece) - cut
        if pending > MAX_LINE_BYTES:
            raise BadFile(
                FileProblem.TOO_LARGE,
                f"expected lines of at most {MAX_LINE_BYTES >> 20} MiB. Got a longer one.",
            )
    last = b"".join(rest)
    if last.strip():
        check_object(last)
        yield last + b"\n"
