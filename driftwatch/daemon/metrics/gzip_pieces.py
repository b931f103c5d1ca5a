"""Builds a gzip body from pieces that were compressed earlier.

A deflate piece that ends with a full flush refers to no earlier bytes and ends on a whole byte, so pieces in
any order form one stream, and the body is one ordinary gzip member. Each scrape computes only its checksum.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

_LEVEL = 1
#: Gzip header: no name, no time, fastest, unknown system.
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"
#: An empty final deflate block.
_FINAL_BLOCK = b"\x03\x00"


@dataclass(frozen=True, slots=True)
class Piece:
    raw: bytes
    compressed: bytes


def piece(raw: bytes) -> Piece:
    """Compress bytes to a piece; about 7 ms per megabyte."""
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return Piece(raw, compressor.compress(raw) + compressor.flush(zlib.Z_FULL_FLUSH))


def gzipped(pieces: list[Piece]) -> bytes:
    """Join the pieces to one gzip member; about 0.2 ms per megabyte.

    >>> import gzip
    >>> gzip.decompress(gzipped([piece(b"one "), piece(b""), piece(b"two")]))
    b'one two'
    """
    raw = b"".join(part.raw for part in pieces)
    trailer = struct.pack("<LL", zlib.crc32(raw), len(raw) & 0xFFFFFFFF)
    return b"".join([_HEADER, *(part.compressed for part in pieces), _FINAL_BLOCK, trailer])
