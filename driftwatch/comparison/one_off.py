"""Compares two samples whose rows are in memory.

Ordered columns are counted on all distinct values of both, so Kolmogorov-Smirnov and Wasserstein distances
are exact. Bins of PSI and Jensen-Shannon come from the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from driftwatch.columns.profile import profile
from driftwatch.comparison.compute import (
    MAX_BATCH_ROWS,
    ColumnSelection,
    JointComparison,
    changed_types,
    compare_column,
    compare_jointly,
    infer_columns,
    select_columns,
    select_detectors,
)
from driftwatch.comparison.result import Comparison
from driftwatch.comparison.tables import as_table, concatenate
from driftwatch.detectors.base import JointDetector
from driftwatch.errors import ReferenceUnusable

if TYPE_CHECKING:
    import pyarrow as pa

ReadBatches = Callable[[str], Iterable["pa.RecordBatch"]]
Progress = Callable[[int, int], object]


def _no_progress(_n_done: int, _n_total: int) -> None: ...


def compare(
    reference: Any,
    current: Any,
    *,
    time_column: str | None = None,
    columns: ColumnSelection = None,
    detectors: Sequence[str] | None = None,
    also: Sequence[str] = (),
    seed: int = 0,
    progress: Progress = _no_progress,
) -> Comparison:
    """Compare two samples of rows, column by column and jointly.

    Parameters
    ----------
    reference, current : pandas.DataFrame or table-like
        Rows of both samples; table-like is what ``pyarrow.table`` takes.
    time_column : str, optional
        Event time, which is not compared. Default: inferred.
    columns : sequence of str, or mapping of str to kind, optional
        Columns to compare, and kinds to count them as. Default: features and outputs that can be counted.
    detectors : sequence of str, optional
        Default: all default ones but ``volume``.
    also : sequence of str
        Further detectors, such as ``"mmd_exact"``.
    seed : int
        Seed of the joint detectors' row samples and null.
    progress : callable
        Called with (columns done, columns in total); the joint detectors count as one.

    Returns
    -------
    Comparison
        A ``ColumnComparison`` per column and a ``Statistic`` per joint detector.

    Raises
    ------
    ConfigError
        Unknown column, kind or detector, or a kind that a column cannot have.
    ReferenceUnusable
        No rows in ``reference``, or no column that can be compared.
    SchemaMismatch
        A sample is no table.

    Notes
    -----
    p-values assume independent rows. Each column costs two sorts and its memory.

    Examples
    --------
    >>> import pandas as pd
    >>> reference = pd.DataFrame({"age": [20.0, 30.0, 40.0, 50.0] * 50, "city": ["a", "b"] * 100})
    >>> comparison = compare(reference, reference.assign(age=reference["age"] + 15.0))
    >>> comparison.columns[0].statistics[1].effect, comparison.drifted()
    ('median 30 → 45', True)
    """
    return _compare_tables(
        as_table(reference), as_table(current), time_column, columns, (detectors, also), seed, progress
    )


def _compare_tables(
    reference_table: pa.Table,
    current_table: pa.Table,
    time_column: str | None,
    columns: ColumnSelection,
    detectors: tuple[Sequence[str] | None, Sequence[str]],
    seed: int,
    progress: Progress,
) -> Comparison:
    reference_profile = profile(reference_table.to_batches(max_chunksize=MAX_BATCH_ROWS))
    if not reference_profile.rows:
        raise ReferenceUnusable("the reference sample has no rows: expected at least one.")
    inferred_columns = infer_columns(reference_profile, time_column, columns)
    compared_columns, ignored_columns = select_columns(inferred_columns, columns)
    selected_detectors = select_detectors(*detectors)
    joint_detectors = [item for item in selected_detectors if isinstance(item, JointDetector)]
    n_total = len(compared_columns) + bool(joint_detectors)
    comparisons = []
    for n_done, column in enumerate(compared_columns):
        progress(n_done, n_total)
        comparisons.append(compare_column(reference_table, current_table, column, selected_detectors))
    progress(len(compared_columns), n_total)
    joint = (
        compare_jointly(reference_table, current_table, compared_columns, joint_detectors, seed)
        if joint_detectors
        else JointComparison()
    )
    progress(n_total, n_total)
    reference_names = frozenset(reference_table.column_names)
    return Comparison(
        reference_rows=reference_table.num_rows,
        current_rows=current_table.num_rows,
        columns=tuple(comparisons),
        joint=joint.statistics,
        within_minimum=joint.within_minimum,
        set_aside=ignored_columns,
        only_current=tuple(name for name in current_table.column_names if name not in reference_names),
        type_changes=changed_types(reference_table, current_table, compared_columns),
    )


def compare_files(
    reference: str,
    current: str,
    *,
    read: ReadBatches,
    time_column: str | None = None,
    columns: ColumnSelection = None,
    detectors: Sequence[str] | None = None,
    also: Sequence[str] = (),
    seed: int = 0,
    progress: Progress = _no_progress,
) -> Comparison:
    """Compare two files or globs in the same way as ``compare``.

    Parameters
    ----------
    reference, current : str
    read : callable
        Yields the record batches of a file or glob; its errors are passed on.

    Raises
    ------
    ReferenceUnusable
        No rows in ``reference``.
    """
    reference_table = concatenate(read(reference))
    if not reference_table.num_rows:
        raise ReferenceUnusable(f"{reference}: expected rows to compare with. Got none.")
    # The batches are flat: structures left in them lie as deep as those that the daemon does not count.
    return _compare_tables(
        reference_table, concatenate(read(current)), time_column, columns, (detectors, also), seed, progress
    )
