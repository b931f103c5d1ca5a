"""Frames between the parent and its reader processes: a JSON header and raw bytes, with a checksum.

Layout: uint32 length of the header, uint32 length of the blob, uint32 CRC-32 of both, then both. Pickle is
not used.
"""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

_HEAD = struct.Struct("<III")
#: Bytes in front of a frame's body.
HEAD_BYTES = _HEAD.size
#: A reader that sends a larger frame than this is not trusted any further.
MAX_FRAME_BYTES = 512 << 20
#: Plans that a child remembers; parent and child forget the same ones in the same order.
MAX_PLANS = 8


class BrokenFrame(Exception):
    """Raised when the received bytes are not a valid frame."""


def pack(header: dict[str, Any], blob: bytes = b"") -> list[bytes]:
    text = json.dumps(header).encode()
    check = zlib.crc32(blob, zlib.crc32(text))
    return [_HEAD.pack(len(text), len(blob), check), text, blob]


def sizes(head: bytes) -> tuple[int, int, int]:
    """Parse header length, blob length and checksum. Raises ``BrokenFrame`` for a frame that is too large."""
    header, blob, check = _HEAD.unpack(head)
    if header + blob > MAX_FRAME_BYTES:
        raise BrokenFrame(f"a frame of {header + blob:,} bytes, and at most {MAX_FRAME_BYTES:,} are taken")
    return header, blob, check


def unpack(body: bytes | bytearray, header: int, check: int) -> tuple[dict[str, Any], bytes]:
    """Decode a frame's header and blob. Raises ``BrokenFrame`` when the checksum or the header is wrong."""
    if zlib.crc32(body) != check:
        raise BrokenFrame("a frame whose checksum is wrong")
    try:
        data = json.loads(bytes(body[:header]))
    except ValueError as error:
        raise BrokenFrame("a frame whose header is no JSON") from error
    if not isinstance(data, dict):
        raise BrokenFrame("a frame whose header is no object")
    return data, bytes(body[header:])
