"""Frames: what goes in comes out, and damage is noticed."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftwatch.engines.local.readers.frames import (
    HEAD_BYTES,
    MAX_FRAME_BYTES,
    BrokenFrame,
    pack,
    sizes,
    unpack,
)


@given(st.dictionaries(st.text(), st.one_of(st.integers(), st.text())), st.binary())
def test_there_and_back(header: dict[str, object], blob: bytes) -> None:
    data = b"".join(pack(header, blob))
    size, _, check = sizes(data[:HEAD_BYTES])
    assert unpack(data[HEAD_BYTES:], size, check) == (header, blob)


@given(st.binary(min_size=1, max_size=50), st.data())
def test_a_changed_byte_is_noticed(blob: bytes, data: st.DataObject) -> None:
    frame = bytearray(b"".join(pack({"a": 1}, blob)))
    place = data.draw(st.integers(HEAD_BYTES, len(frame) - 1))
    frame[place] ^= data.draw(st.integers(1, 255))
    size, _, check = sizes(bytes(frame[:HEAD_BYTES]))
    with pytest.raises(BrokenFrame, match="checksum"):
        unpack(frame[HEAD_BYTES:], size, check)


def test_a_frame_that_is_too_large_is_refused_before_it_is_read() -> None:
    with pytest.raises(BrokenFrame, match="at most"):
        sizes(struct.pack("<III", 10, MAX_FRAME_BYTES, 0))
