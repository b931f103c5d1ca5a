"""A page on all rows says in which segment the move sits, and a replay says the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from daemon_world import MINUTE, World

from driftwatch.monitor.column_labels import named_column_text
from driftwatch.monitor.explain import explain
from driftwatch.results.stored_verdict import verdict_from_json

HOUR = 60 * MINUTE


def shift_level(path: Path, level: str, amount: float) -> None:
    rows = pq.read_table(path, partitioning=None)
    is_level = np.array([item == level for item in rows["level"].to_pylist()])
    values = rows["x"].to_numpy() + amount * is_level
    pq.write_table(rows.set_column(rows.column_names.index("x"), "x", pa.array(values)), path)


def test_the_page_of_all_rows_names_the_segment_and_every_replay_is_equal(tmp_path: Path) -> None:
    segmented = {"segment_by": {"column": "level", "most": 3}}
    world = World(tmp_path, step=HOUR, options=segmented)
    for number in range(4):
        path = world.minute(number, rows=900)
        if number >= 2:
            shift_level(path, "b", 3.0)
    with world.inside(60) as inside:
        for number in range(1, 5):
            inside.to(60 * number)
        monitor, history = inside.daemon.runner.slot("m").monitor, inside.daemon.session.history
        stored = [verdict_from_json(item) for item in inside.verdicts()]
        pages = [item for item in stored if item.named and item.segment is None]
        assert pages
        assert pages[0].named[0].column == "x"
        assert pages[0].named[0].place == "all of it in level = b"
        for segment in (None, "a", "b", "c"):
            assert explain(monitor.config, history, segment, pages[0].window.end).equal
        assert named_column_text(pages[0].named[0]).endswith("; all of it in level = b")
