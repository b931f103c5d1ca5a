"""Messages for every decoder: what its format looks like, sound and not.

A module named as the decoder holds its ``Stand``. The contract suite finds it by name, so a new decoder needs
this file and the plugin's own, nothing else.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from driftwatch.core.schema import Kind
from driftwatch.decoders.base import UndecodableReason

Row = Mapping[str, Any]


class Stand(Protocol):
    #: Beyond ``type`` and ``column``.
    settings: Mapping[str, Any]
    #: Kinds for which the format can hold a value that cannot be read.
    unreadable: frozenset[Kind]
    #: Messages that cannot be decoded, with the reason. At least one for each reason that the decoder gives.
    undecodable: Mapping[bytes, UndecodableReason]
    #: Sound documents that strain a reader: huge numbers, doubled keys, lone surrogates; each has one row.
    strange: Sequence[bytes]

    def message(self, rows: Sequence[Row]) -> bytes:
        """A message of these rows: texts, numbers, truths, lists of numbers, None; absent where a key lacks.

        A mapping stands for a value that the kind of its column cannot read.
        """


def stand_of(name: str) -> Stand:
    stand: Stand = importlib.import_module(f"decoder_stands.{name}").Stand()
    return stand
