"""Rows with stray times are left out of a reference, and passes over the rows are few."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pytest
from reference_worlds import monitor

from driftwatch.core.schema import NANOSECONDS
from driftwatch.reference import ReferenceBuild, build_reference

DAY = 86_400 * NANOSECONDS
START, DAYS, ROWS = 19_675 * DAY, 10, 300


def table(stray_times: tuple[int, ...] = (), *, per_day: int = ROWS, cut: int = 0) -> pa.Table:
    """Days of rows, without the last ``cut``, then rows of other times."""
    rng = np.random.default_rng(4)
    times = START + np.arange(DAYS * per_day, dtype=np.int64) * (DAY // per_day)
    times = np.concatenate([times[: len(times) - cut], np.array(stray_times, dtype=np.int64)])
    size = len(times)
    numbers = rng.normal(size=DAYS * per_day)[: size - len(stray_times)]
    return pa.table(
        {
            "when": pa.array(times, pa.timestamp("ns", "UTC")),
            "amount": np.concatenate([numbers, [0.125] * len(stray_times)]),
        }
    )


@dataclass
class Rows:
    content: pa.Table
    passes: list[int] = field(default_factory=list)

    def read(self) -> Iterator[pa.RecordBatch]:
        self.passes.append(1)
        return iter(self.content.to_batches(max_chunksize=700))


def build(rows: Rows) -> ReferenceBuild:
    return build_reference(monitor(time_column="when"), rows.read, built_at=5, source="memory", files=1)


STRAYS = (0, START - 365 * DAY, START + 400 * DAY)


@pytest.mark.parametrize("sampled", [100_000, 2_000, 1_000])
def test_strays_are_left_out_of_cells_totals_and_blocks(
    monkeypatch: pytest.MonkeyPatch, sampled: int
) -> None:
    """However few rows are in the sample, which may hold no stray."""
    monkeypatch.setattr("driftwatch.columns.profile.MAX_SAMPLE_ROWS", sampled)
    clean, stray = build(Rows(table())), build(Rows(table(STRAYS)))
    assert stray.reference.fingerprint == clean.reference.fingerprint
    assert stray.blocks == clean.blocks
    assert stray.reference.summary.rows == DAYS * ROWS
    assert stray.reference.provenance.time_range == clean.reference.provenance.time_range
    assert [note.partition(" rows")[0] for note in stray.reference.provenance.notes] == ["3"]
    assert clean.reference.provenance.notes == ()


@pytest.mark.parametrize(
    ("sampled", "cut", "strays", "passes"),
    [
        (100_000, 0, (), 2),  # the sample is all rows
        (2_000, 0, (), 2),  # both ends are full in the sample
        (2_000, 250, (), 3),  # the last day is thin in the sample, but not thin enough
        (1_000, 0, (), 2),
        (100_000, 0, STRAYS, 3),
        (2_000, 0, STRAYS, 4),
    ],
)
def test_the_rows_are_read_again_only_for_strays(
    monkeypatch: pytest.MonkeyPatch, sampled: int, cut: int, strays: tuple[int, ...], passes: int
) -> None:
    monkeypatch.setattr("driftwatch.columns.profile.MAX_SAMPLE_ROWS", sampled)
    rows = Rows(table(strays, cut=cut))
    reference = build(rows).reference
    assert reference.summary.rows == DAYS * ROWS - cut
    assert len(rows.passes) == passes


def test_rows_without_a_time_are_named_as_they_are() -> None:
    content = table(STRAYS)
    times = pa.concat_arrays([content["when"].chunk(0).slice(5), pa.nulls(5, content["when"].type)])
    reference = build(Rows(content.set_column(0, "when", times))).reference
    assert reference.summary.rows == DAYS * ROWS - 5
    strays, untimed = reference.provenance.notes
    assert strays.startswith("3 rows are stamped before ")
    assert untimed.startswith("5 rows without event time")
