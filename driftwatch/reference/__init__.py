"""Builds the reference: the test distribution, frozen into cells, counts and a joint null distribution."""

from __future__ import annotations

from driftwatch.reference.build import ReferenceBuild, build_reference
from driftwatch.summary.reference import Reference

__all__ = ["ReferenceBuild", "Reference", "build_reference"]
