"""A value for each kind of stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PerKind(Generic[T]):
    """One value for share streams and one for scores."""

    shares: T
    scores: T
