"""Freezes a data frame, then compares others with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from driftwatch.comparison.compute import (
    MAX_BATCH_ROWS,
    MAX_JOINT_ROWS,
    NO_SPAN,
    encode_rows,
    measure_column,
    measure_jointly,
    missing_share,
    select_detectors,
)
from driftwatch.comparison.result import Comparison
from driftwatch.comparison.tables import as_table
from driftwatch.core.schema import Column, Kind
from driftwatch.detectors.base import JointDetector, ReferenceContext, requires_sums
from driftwatch.summary import reference as summary_reference
from driftwatch.summary.summary import Summary

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A data frame frozen once, to compare others with in notebooks and CI.

    Wraps the ``driftwatch.summary.reference.Reference`` that the daemon stores and detectors read: frozen
    cells, counts and joint null.

    Attributes
    ----------
    artefact : driftwatch.summary.reference.Reference

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"age": [20.0, 30.0, 40.0, 50.0] * 50, "city": ["a", "b"] * 100})
    >>> reference = Reference.build(frame, name="adults")
    >>> [column.name for column in reference.columns], len(reference.fingerprint)
    (['age', 'city'], 64)
    >>> reference.compare(frame).drifted()
    False
    """

    artefact: summary_reference.Reference

    @classmethod
    def build(
        cls,
        frame: Any,
        *,
        time_column: str | None = None,
        columns: Mapping[str, Kind | str] | None = None,
        name: str = "reference",
    ) -> Reference:
        """Freeze a data frame into cells and counts.

        Parameters
        ----------
        frame : pandas.DataFrame or table-like
        time_column : str, optional
            Event time. Default: inferred.
        columns : mapping of str to kind, optional
            Override inferred kinds.
        name : str
            At most 63 letters, digits, ``.``, ``_``, ``-``.

        Returns
        -------
        Reference

        Raises
        ------
        ReferenceUnusable
            No rows, no column to watch, or an unusable ``time_column``.
        ConfigError
            Unknown column.
        SchemaMismatch
            ``frame`` is no table.
        ValueError
            Unknown kind or wrong ``name``.
        """
        from driftwatch.config.models import ColumnConfig, MonitorConfig, ReferenceConfig
        from driftwatch.reference.build import build_reference
        from driftwatch.sources.base import SourceConfig

        table = as_table(frame)
        monitor = MonitorConfig(
            name=name,
            reference=ReferenceConfig(path="frame", time_column=time_column),
            source=SourceConfig(type="frame", time_column=time_column),
            columns={key: ColumnConfig(kind=Kind(kind)) for key, kind in (columns or {}).items()},
        )
        reference_build = build_reference(
            monitor,
            lambda: table.to_batches(max_chunksize=MAX_BATCH_ROWS),
            built_at=0,
            source="a data frame",
            files=0,
            row_sample=True,
        )
        return cls(artefact=reference_build.reference)

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.artefact.plan.columns

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the frozen cells and counts, hexadecimal."""
        return self.artefact.fingerprint

    def compare(
        self, frame: Any, *, detectors: Sequence[str] | None = None, also: Sequence[str] = ()
    ) -> Comparison:
        """Compare a data frame with this reference on the frozen cells, as the daemon does.

        Parameters
        ----------
        frame : pandas.DataFrame or table-like
            A column it lacks counts as missing.
        detectors, also : sequence of str
            As in ``driftwatch.compare``.

        Returns
        -------
        Comparison

        Raises
        ------
        ConfigError
            Unknown detector.
        SchemaMismatch
            ``frame`` is no table.

        Notes
        -----
        KS may be known only to an interval, ``low`` to ``high``. p-values assume independent rows.
        """
        table = as_table(frame)
        plan = replace(self.artefact.plan, sample_rows=MAX_JOINT_ROWS)
        window = Summary.zero(plan, NO_SPAN)
        for batch in table.to_batches(max_chunksize=MAX_BATCH_ROWS):
            window = window + Summary.from_batch(
                plan, encode_rows(batch, plan.columns, plan.identity_columns, plan.salt), NO_SPAN
            )
        selected_detectors = select_detectors(detectors, also)
        window = window.seal(plan if requires_sums(selected_detectors) else replace(plan, projection=None))
        context = ReferenceContext(self.artefact).window(window)
        joint_detectors = [item for item in selected_detectors if isinstance(item, JointDetector)]
        joint = measure_jointly(joint_detectors, [context] * len(joint_detectors))
        return Comparison(
            reference_rows=self.artefact.summary.rows,
            current_rows=window.rows,
            columns=tuple(measure_column(context, column, selected_detectors) for column in plan.columns),
            joint=joint.statistics,
            within_minimum=joint.within_minimum,
            set_aside=self.artefact.provenance.set_aside,
        )

    def to_frame(self) -> pd.DataFrame:
        """Tabulate the watched columns.

        Returns
        -------
        pandas.DataFrame
            ``column``, ``kind``, ``role``, ``cells`` (their number), ``rows``, ``missing`` (share of rows),
            ``reason``.
        """
        import pandas as pd

        counts = self.artefact.summary.counts
        rows = [
            {
                "column": column.name,
                "kind": column.kind.value,
                "role": column.role.value,
                "cells": self.artefact.plan.grids[column.name].n_cells,
                "rows": counts[column.name].rows,
                "missing": missing_share(counts[column.name]),
                "reason": column.reason,
            }
            for column in self.columns
        ]
        return pd.DataFrame(rows)
