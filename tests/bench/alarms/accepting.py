"""Accepts what paged and goes on, through files, checks and ``ack``: what an acceptance leads to."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from alarms.path import Rows, size
from alarms.sequence_worlds import QUIET, SEQUENCES
from alarms.tally import Result, Step, Tally
from driftwatch.cli.verbs.ack import acknowledge
from driftwatch.config.load import load
from driftwatch.core.clock import ReplayClock
from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.monitor.session import open_session
from driftwatch.store.tables.incident_table import IncidentTable
from driftwatch.summary.batch import Levels

DAY = 86_400
#: A Thursday, as time 0 of the other worlds is: 4 January 2024.
START = 1_704_326_400
CONFIGURATION = """\
version: 1
storage: {{path: "{folder}/store"}}
monitors:
  - name: m
    reference: {{path: "{folder}/reference.parquet", time_column: at}}
    source: {{type: files, path: "{folder}/day-*.parquet", time_column: at}}
    window: {{length: 1d, every: {every}, min_rows: 30}}
    alarm: {{false_pages: "{budget}"}}
"""


def repeat(name: str, number: int, budget: str) -> Result:
    """One run: what is open is accepted so many days after its page, and days of the same kind follow."""
    sequence = SEQUENCES[name]
    rng = np.random.default_rng([number, zlib.crc32(name.encode())])
    draw, last = sequence.make(rng), QUIET + sequence.windows
    tally, quiet_pages, paged_at, t = Tally(), 0, None, -1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "driftwatch.yaml")
        path.write_text(CONFIGURATION.format(folder=folder, budget=budget, every=sequence.every), "utf-8")
        days = [(draw(rng, t), t) for t in range(-sequence.blocks, last)]
        reference, production = days[: sequence.blocks], days[sequence.blocks :]
        pq.write_table(
            pa.concat_tables([_table(rows, t) for rows, t in reference]), path.with_name("reference.parquet")
        )
        for rows, t in production:
            changed = rows if t < QUIET else sequence.first(rows, t - QUIET)
            pq.write_table(_table(changed, t), path.with_name(f"day-{t:03}.parquet"))
        for t, step in judged(path, 0, last):
            if t < QUIET:
                quiet_pages += len(step.pages)
                continue
            tally.add(step, t - QUIET)
            paged_at = t if paged_at is None and step.pages else paged_at
            if paged_at is not None and t - paged_at == sequence.accepted_after:
                break
        if paged_at is not None:
            acknowledge(path, "m", None, "accepted", None, "")
            for day, step in judged(path, t + 1, last):
                tally.add(step, day - QUIET)
    return {
        "kind": "sequence", "sequence": name, "number": number, "budget": budget, **tally.result(),
        "quiet_pages": quiet_pages, "paged_at": None if paged_at is None else paged_at - QUIET,
        "found": None, "how": "",
    }  # fmt: skip


def judged(path: Path, first: int, last: int) -> Iterator[tuple[int, Step]]:
    """Check days from ``first`` to before ``last``, each an hour after its end."""
    with open_session(load(path), ReplayClock(START * NANOSECONDS), lambda _note: None) as session:
        incidents = session.history.incidents
        monitor, open_before = session.monitor(session.config.monitors[0]), _open_keys(incidents)
        for t in range(first, last):
            start = (START + t * DAY) * NANOSECONDS
            window = Span(start=start, end=start + DAY * NANOSECONDS)
            verdicts = monitor.check(window, window.end + DAY * NANOSECONDS // 24).verdicts
            open_keys = _open_keys(incidents)
            yield (
                t,
                Step(
                    verdicts=tuple(verdicts),
                    new_keys=tuple(sorted(open_keys - open_before)),
                    open_keys=open_keys,
                    ended_keys=open_before - open_keys,
                ),
            )
            open_before = open_keys


def _open_keys(incidents: IncidentTable) -> frozenset[str]:
    return frozenset(item.key for item in incidents.of_monitor("m"))


def _table(rows: Rows, t: int) -> pa.Table:
    """The rows of a day, at even distances."""
    count = size(rows)
    seconds = START + t * DAY + np.arange(count) * DAY // count
    columns: dict[str, pa.Array] = {"at": pa.array(seconds, pa.timestamp("s", "UTC"))}
    for name, values in rows.items():
        columns[name] = pa.array(
            [values.levels[code] for code in values.codes] if isinstance(values, Levels) else values
        )
    return pa.table(columns)
