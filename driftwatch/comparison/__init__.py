"""Compares two samples once, and offers ``Reference`` to notebooks."""

from __future__ import annotations

from driftwatch.comparison.notebook_reference import Reference
from driftwatch.comparison.one_off import compare, compare_files
from driftwatch.comparison.result import ALPHA, ColumnComparison, Comparison

__all__ = ["ALPHA", "ColumnComparison", "Comparison", "Reference", "compare", "compare_files"]
