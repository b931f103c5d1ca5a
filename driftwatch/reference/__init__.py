"""Building the reference: the test distribution, frozen into cells, counts and a joint null."""

from __future__ import annotations

from driftwatch.reference.build import Built, build_reference
from driftwatch.summary.reference import Reference

__all__ = ["Built", "Reference", "build_reference"]
