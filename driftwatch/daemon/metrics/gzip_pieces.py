"""A gzip body out of pieces that were squeezed earlier.

Deflate allows it: a piece that ends with a full flush refers to nothing before it and ends on a whole byte,
so pieces in any order are one stream, and the body is one ordinary gzip member. Only its checksum is new.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

_LEVEL = 1
#: No name, no time, fastest, unknown system.
_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"
#: An empty last block.
_LAST = b"\x03\x00"


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes, and the same squeezed."""

    raw: bytes
    squeezed: bytes


def piece(raw: bytes) -> Piece:
    """Squeeze now; about 7 ms a megabyte."""
    squeezer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return Piece(raw, squeezer.compress(raw) + squeezer.flush(zlib.Z_FULL_FLUSH))


def gzipped(pieces: list[Piece]) -> bytes:
    """The same as one gzip member; about a fifth of a millisecond a megabyte.

    >>> import gzip
    >>> gzip.decompress(gzipped([piece(b"one "), piece(b""), piece(b"two")]))
    b'one two'
    """
    raw = b"".join(one.raw for one in pieces)
    tail = struct.pack("<LL", zlib.crc32(raw), len(raw) & 0xFFFFFFFF)
    return b"".join([_HEAD, *(one.squeezed for one in pieces), _LAST, tail])
