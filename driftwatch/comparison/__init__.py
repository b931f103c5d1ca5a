"""One-off comparison of two samples that are in hand, and the notebook's ``Reference``.

Here the rows are there, so ordered columns are counted on all distinct values of both samples: Kolmogorov-
Smirnov and Wasserstein distances are exact. Bins of PSI and Jensen-Shannon still come from the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from driftwatch.columns.profile import profile
from driftwatch.comparison.compute import (
    JOINT_ROWS,
    Chosen,
    choose,
    compare_column,
    compare_jointly,
    encoded,
    kinds_of,
    measured,
    share_missing,
)
from driftwatch.comparison.result import ALPHA, ColumnComparison, Comparison
from driftwatch.comparison.tables import as_table, joined
from driftwatch.core.schema import Column, Kind, Span
from driftwatch.detectors.base import Detector, all_detectors, get, reads_sums
from driftwatch.errors import ReferenceUnusable
from driftwatch.summary import reference as artefacts
from driftwatch.summary.summary import Summary

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_BATCH_ROWS = 1 << 16
_ANY = Span(start=0, end=1)

Batches = Callable[[str], Iterable["pa.RecordBatch"]]
Progress = Callable[[int, int], object]


def _silent(_done: int, _whole: int) -> None:
    """Tells nobody."""


def compare(
    reference: Any,
    current: Any,
    *,
    time_column: str | None = None,
    columns: Chosen = None,
    detectors: Sequence[str] | None = None,
    also: Sequence[str] = (),
    seed: int = 0,
    progress: Progress = _silent,
) -> Comparison:
    """Compare two data frames (pandas, or anything Arrow makes a table of), column by column and jointly.

    ``columns`` None compares what inference takes for a feature or an output; identifiers, event time,
    what follows from it and constants that stayed constant are set aside with a reason. Named ones are
    compared whatever they are. ``detectors`` None runs all default ones; ``also`` are run besides, such as
    ``mmd_exact``. ``seed`` draws the row samples and the null of the joint detectors. ``progress`` is told
    how many columns are done, and of how many, the joint detectors as one more. Raises ``ConfigError`` for
    unknown names, ``ReferenceUnusable`` for a reference without rows. p-values assume independent rows.
    Cost: two sorts and the memory of a column.

    >>> import pandas as pd
    >>> before = pd.DataFrame({"age": [20.0, 30.0, 40.0, 50.0] * 50, "city": ["a", "b"] * 100})
    >>> outcome = compare(before, before.assign(age=before["age"] + 15.0))
    >>> outcome.columns[0].column.name, outcome.columns[0].statistics[1].effect
    ('age', 'median 30 → 45')
    >>> outcome.drifted(), compare(before, before).drifted()
    (True, False)
    """
    before, after = as_table(reference), as_table(current)
    looked = profile(before.to_batches(max_chunksize=_BATCH_ROWS))
    if not looked.rows:
        raise ReferenceUnusable("the reference sample has no rows: expected at least one.")
    compared, aside = choose(kinds_of(looked, time_column, columns), columns, looked, after)
    chosen = _named(detectors, also)
    joint, single = ([item for item in chosen if item.joint is wanted] for wanted in (True, False))
    whole = len(compared) + bool(joint)
    columns_found = []
    for done, column in enumerate(compared):
        progress(done, whole)
        columns_found.append(compare_column(before, after, column, single))
    progress(len(compared), whole)
    jointly = compare_jointly(before, after, compared, joint, seed) if joint else ()
    progress(whole, whole)
    return Comparison(
        reference_rows=before.num_rows,
        current_rows=after.num_rows,
        columns=tuple(columns_found),
        joint=jointly,
        set_aside=aside,
        only_current=tuple(name for name in after.column_names if name not in before.column_names),
    )


def compare_files(
    reference: str,
    current: str,
    *,
    read: Batches,
    time_column: str | None = None,
    columns: Chosen = None,
    detectors: Sequence[str] | None = None,
    also: Sequence[str] = (),
    seed: int = 0,
    progress: Progress = _silent,
) -> Comparison:
    """The same for two files or globs; ``read`` yields the record batches of one. Raises what it raises."""
    before = joined(read(reference))
    if not before.num_rows:
        raise ReferenceUnusable(f"{reference}: expected rows to compare with. Got none.")
    return compare(
        before,
        joined(read(current)),
        time_column=time_column,
        columns=columns,
        detectors=detectors,
        also=also,
        seed=seed,
        progress=progress,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A frozen test distribution for notebooks and CI; ``artefact`` is what the daemon uses.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"age": [20.0, 30.0, 40.0, 50.0] * 50, "city": ["a", "b"] * 100})
    >>> reference = Reference.build(frame, name="adults")
    >>> [column.name for column in reference.columns], len(reference.fingerprint)
    (['age', 'city'], 64)
    >>> reference.compare(frame).drifted()
    False
    """

    artefact: artefacts.Reference

    @classmethod
    def build(
        cls,
        frame: Any,
        *,
        time_column: str | None = None,
        columns: Mapping[str, Kind | str] | None = None,
        name: str = "reference",
    ) -> Reference:
        """Freeze a data frame; ``columns`` overrides inferred kinds. Raises ``ReferenceUnusable``."""
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
        built = build_reference(
            monitor,
            lambda: table.to_batches(max_chunksize=_BATCH_ROWS),
            built_at=0,
            source="a data frame",
            files=0,
            row_sample=True,
        )
        return cls(artefact=built.reference)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The watched columns."""
        return self.artefact.plan.columns

    @property
    def fingerprint(self) -> str:
        """sha256 over the frozen cells and counts."""
        return self.artefact.fingerprint

    def compare(
        self, frame: Any, *, detectors: Sequence[str] | None = None, also: Sequence[str] = ()
    ) -> Comparison:
        """Hold a data frame against the frozen cells, as the daemon does: KS may be a bracket only."""
        table = as_table(frame)
        plan = replace(self.artefact.plan, sample_rows=JOINT_ROWS)
        window = Summary.zero(plan, _ANY)
        for part in table.to_batches(max_chunksize=_BATCH_ROWS):
            window = window + Summary.of(plan, encoded(part, plan.columns, plan.carried, plan.salt), _ANY)
        chosen = _named(detectors, also)
        if reads_sums(chosen):
            window = window.seal(plan)
        return Comparison(
            reference_rows=self.artefact.summary.rows,
            current_rows=window.rows,
            columns=tuple(
                measured(self.artefact, window, column, [d for d in chosen if not d.joint])
                for column in plan.columns
            ),
            joint=tuple(d.measure(self.artefact, window, None) for d in chosen if d.joint),
            set_aside=self.artefact.provenance.set_aside,
        )

    def to_frame(self) -> pd.DataFrame:
        """One row per watched column: kind, role, cells, rows, share missing, and why it is watched so."""
        import pandas as pd

        counts = self.artefact.summary.counts
        rows = [
            {
                "column": column.name,
                "kind": column.kind.value,
                "role": column.role.value,
                "cells": self.artefact.plan.grids[column.name].cells,
                "rows": counts[column.name].rows,
                "missing": share_missing(counts[column.name]),
                "reason": column.reason,
            }
            for column in self.columns
        ]
        return pd.DataFrame(rows)


def _named(names: Sequence[str] | None, also: Sequence[str]) -> list[Detector]:
    """The detectors of these names; None: the default ones but ``volume``, as a sample has no usual size."""
    if names is None:
        names = [item.name for item in all_detectors() if item.default and item.name != "volume"]
    return [get(name) for name in dict.fromkeys((*names, *also))]


__all__ = ["ALPHA", "ColumnComparison", "Comparison", "Reference", "compare", "compare_files"]
