"""Frames between this process and its readers: a JSON header and raw bytes, with lengths and a checksum.

Layout: uint32 length of the header, uint32 length of the blob, uint32 CRC-32 of both, then both. No pickle.
"""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

_HEAD = struct.Struct("<III")
#: Bytes that come before a frame's body.
HEAD_BYTES = _HEAD.size
#: No frame is bigger than this; a reader that sends more is not trusted any further.
LARGEST = 512 << 20


class BrokenFrame(Exception):
    """Raised when what arrives is no frame."""


def pack(header: dict[str, Any], blob: bytes = b"") -> list[bytes]:
    """A frame as pieces to be written in order."""
    text = json.dumps(header).encode()
    check = zlib.crc32(blob, zlib.crc32(text))
    return [_HEAD.pack(len(text), len(blob), check), text, blob]


def sizes(head: bytes) -> tuple[int, int, int]:
    """Header length, blob length and checksum. Raises ``BrokenFrame`` for a frame that is too large."""
    header, blob, check = _HEAD.unpack(head)
    if header + blob > LARGEST:
        raise BrokenFrame(f"a frame of {header + blob:,} bytes, and at most {LARGEST:,} are taken")
    return header, blob, check


def unpack(body: bytes | bytearray, header: int, check: int) -> tuple[dict[str, Any], bytes]:
    """Header and blob of a body. Raises ``BrokenFrame`` when the checksum or the header is wrong."""
    if zlib.crc32(body) != check:
        raise BrokenFrame("a frame whose checksum is wrong")
    try:
        data = json.loads(bytes(body[:header]))
    except ValueError as error:
        raise BrokenFrame("a frame whose header is no JSON") from error
    if not isinstance(data, dict):
        raise BrokenFrame("a frame whose header is no object")
    return data, bytes(body[header:])
