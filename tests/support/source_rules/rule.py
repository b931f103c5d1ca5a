"""What a rule is, and what rules share."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from source_stands import SECRET, Stand
from source_tables import DAY, START, table

from driftwatch.columns.arrow.event_time import event_times
from driftwatch.core.schema import Column, Kind, Span
from driftwatch.engines.local.count import summarise
from driftwatch.errors import DriftwatchError, SchemaMismatch
from driftwatch.results.results import FileProblem
from driftwatch.sources.base import Source
from driftwatch.summary.grid import LevelGrid, numeric_grid
from driftwatch.summary.plan import Plan
from driftwatch.summary.serial import encode_summary, with_fingerprint

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    name: str
    check: Callable[[Stand], None]
    #: The words of ``driftwatch/sources/base.py`` that promise it.
    promise: str
    #: What a stand needs for the rule to apply to it.
    needs: Callable[[Stand | type[Stand]], Any]
    #: It starts a process.
    slow: bool


def rule(
    promise: str, *, needs: Callable[[Any], Any] = lambda stand: True, slow: bool = False
) -> Callable[[Callable[[Stand], None]], Rule]:
    def as_rule(check: Callable[[Stand], None]) -> Rule:
        return Rule(name=check.__name__, check=check, promise=promise, needs=needs, slow=slow)

    return as_rule


def opened(stand: Stand, values: dict[str, Any] | None = None, **changes: Any) -> Source:
    module = importlib.import_module(stand.module)
    values = stand.settings() if values is None else values
    source: Source = module.open_source(module.CONFIG.model_validate({**values, **changes}))
    return source


def filled(stand: Stand, content: pa.Table, **changes: Any) -> Source:
    stand.put(content)
    return opened(stand, **changes)


def calls(source: Source, part: Span | None) -> dict[str, Callable[[], Any]]:
    """Every way to ask a source for something."""
    return {
        "version": lambda: source.version(part),
        "versions": lambda: source.versions([part, None]),
        "read": lambda: list(source.read(part, ["x"]).batches),
        "extent": source.extent,
    }


@contextmanager
def raising(
    kinds: type[DriftwatchError] | tuple[type[DriftwatchError], ...], what: str
) -> Iterator[list[str]]:
    """Check the error of the block, and that it says what, without secrets; the text is put into the list."""
    texts: list[str] = []
    raised: Exception | None = None
    try:
        yield texts
    except Exception as error:  # noqa: BLE001 - whatever is raised is judged
        raised = error
    assert raised is not None, f"{what}: nothing was raised"
    text = str(raised)
    assert isinstance(raised, kinds), f"{what}: raised {type(raised).__name__}: {text}"
    assert SECRET not in text, f"{what}: tells a secret"
    assert text.isprintable(), f"{what}: {text!r}"
    assert 20 < len(text) < 1000, f"{what}: {text}"
    assert text.endswith("."), f"{what}: {text}"
    texts.append(text)


def mismatch(source: Source, part: Span | None, columns: list[str]) -> str:
    """Why no row could be read: the text of ``SchemaMismatch``, or what all pieces are rejected for."""
    try:
        reading = source.read(part, columns)
        rows = sum(batch.num_rows for batch in reading.batches)
    except SchemaMismatch as error:
        return str(error)
    assert rows == 0, "rows come that cannot be used"
    assert reading.rejected, "no row comes, and nothing says why"
    assert {item.problem for item in reading.rejected} == {FileProblem.FOREIGN_SCHEMA}
    assert len({item.detail for item in reading.rejected}) == 1
    return reading.rejected[0].detail


def plan_of(columns: Sequence[str], timezone: str = "UTC", kind: Kind = Kind.NUMERIC) -> Plan:
    """Count every column as of one kind; every row is in the sample by its hash."""
    numbers, levels = numeric_grid(np.array([-1.0, 0.0, 1.0, 1e6])), LevelGrid(levels=("a", "1"))
    return with_fingerprint(
        Plan(
            columns=tuple(Column(name=name, kind=kind) for name in columns),
            grids={name: numbers if kind is Kind.NUMERIC else levels for name in columns},
            identity_columns=("t",),
            time_column="t",
            timezone=timezone,
            sample_rows=1000,
        )
    )


def cut(batches: Iterator[pa.RecordBatch], part: Span, timezone: str = "UTC") -> Iterator[pa.RecordBatch]:
    """The rows of a span alone, as the engine takes them."""
    for batch in batches:
        times, usable = event_times(batch.column("t"), timezone)
        yield batch.filter(pa.array(usable & (times >= part.start) & (times < part.end)))


def tiles(plan: Plan, batches: Iterator[pa.RecordBatch], edges: list[int]) -> dict[Any, bytes]:
    counted = summarise(plan, batches, edges, seal=False)
    return {place: encode_summary(summary) for place, summary in counted.tiles.items()}


def pieces(edges: Sequence[int]) -> list[Span]:
    return [Span(start=start, end=end) for start, end in pairwise(edges)]


def child(code: str, stand: Stand, *arguments: str) -> Any:
    """Run ``code`` in a process of its own that opens the source from its settings as JSON; its answer."""
    begin = (
        "import importlib, json, sys\n"
        "module = importlib.import_module(sys.argv[1])\n"
        "source = module.open_source(module.CONFIG.model_validate(json.loads(sys.argv[2])))\n"
    )
    module = importlib.import_module(stand.module)
    config = module.CONFIG.model_validate(stand.settings()).model_dump(mode="json")
    paths = [str(ROOT), str(ROOT / "tests" / "support"), os.environ.get("PYTHONPATH", "")]
    process = subprocess.run(
        [sys.executable, "-c", begin + code, stand.module, json.dumps(config), *arguments],
        # Freed memory goes back at once, so that what is measured is in use.
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "ARROW_DEFAULT_MEMORY_POOL": "system",
            "MALLOC_MMAP_THRESHOLD_": "65536",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-2000:]
    return json.loads(process.stdout)


def days(number: int, per_day: int = 6) -> pa.Table:
    """Rows over several days with a column of texts."""
    walls = [START + day * DAY + part * DAY // per_day for day in range(number) for part in range(per_day)]
    return table(walls, c=[f"level {place % 3}" for place in range(len(walls))])
