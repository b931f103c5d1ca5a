"""The decoder of the tests: each message is text with one JSON object per line. As a plugin: ``lines``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from driftwatch.decoders.base import DeclaredColumns, Decoded, DecoderConfig, UndecodableReason

#: Digits that Python reads as an integer.
MAX_DIGITS = 4300


class LinesConfig(DecoderConfig):
    type: Literal["lines"]


CONFIG = LinesConfig


def open_decoder(config: LinesConfig) -> LinesDecoder:
    return LinesDecoder(config=config)


@dataclass(frozen=True)
class LinesDecoder:
    config: LinesConfig

    def decode(self, messages: pa.LargeBinaryArray, declared: DeclaredColumns) -> Decoded:
        return Decoded.from_rows(declared, [self.rows_of(message.as_py()) for message in messages])

    def rows_of(self, message: bytes) -> Sequence[Mapping[str, Any]] | UndecodableReason:
        try:
            lines = message.decode("utf-8").split("\n")
        except UnicodeDecodeError:
            return UndecodableReason.ENCODING
        try:
            rows = [json.loads(line, parse_int=integer) for line in lines if line.strip()]
        except RecursionError:
            return UndecodableReason.TOO_LARGE
        except ValueError:
            return UndecodableReason.SYNTAX
        if not all(isinstance(row, dict) for row in rows):
            return UndecodableReason.SHAPE
        return rows


def integer(digits: str) -> float:
    if len(digits) <= MAX_DIGITS:
        return int(digits)
    return math.copysign(math.inf, -1 if digits[0] == "-" else 1)
