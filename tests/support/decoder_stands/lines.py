"""JSON lines, for the decoder of the tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import ClassVar

from decoder_stands import Row
from driftwatch.core.schema import Kind
from driftwatch.decoders.base import UndecodableReason

_DEEP = b'{"n": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


class Stand:
    settings: ClassVar[dict[str, object]] = {}
    unreadable = frozenset(Kind)
    undecodable: ClassVar[dict[bytes, UndecodableReason]] = {
        b"\xff\xfe{}": UndecodableReason.ENCODING,
        b'{"n": "\xed\xa0\x80"}': UndecodableReason.ENCODING,
        b'{"n": 1': UndecodableReason.SYNTAX,
        b'{"n": 1}\n{"n"': UndecodableReason.SYNTAX,
        b'{"n": 1} {"n": 2}': UndecodableReason.SYNTAX,
        b"\x00": UndecodableReason.SYNTAX,
        b'\xef\xbb\xbf{"n": 1}': UndecodableReason.SYNTAX,
        b"[1, 2]": UndecodableReason.SHAPE,
        b'{"n": 1}\n7': UndecodableReason.SHAPE,
        b" \n \r\n": UndecodableReason.EMPTY,
        _DEEP: UndecodableReason.TOO_LARGE,
        b'{"somewhere": "else"}': UndecodableReason.UNKNOWN_COLUMNS,
    }
    strange = (
        b'{"n": 1e999}',
        b'{"n": -1' + b"0" * 5000 + b"}",
        b'{"n": NaN, "c": "\\u0000"}',
        b'{"n": 1, "n": 2}',
        b'{"c": "\\ud800"}',
        b'{"\\udfff": 1, "n": 1}',
        b'\n\n{"n": 1}\n',
        b'{"c": "' + b"x" * 100_000 + b'"}',
    )

    def message(self, rows: Sequence[Row]) -> bytes:
        return "\n".join(json.dumps(row) for row in rows).encode()
