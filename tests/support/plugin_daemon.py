"""A daemon as a process of its own: what it decided, showed and exported, as JSON.

``plugin_daemon.py FOLDER FIRST LAST DETECTOR...`` runs it over those minutes; levels shift after the twelfth.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from daemon_world import NS, World
from peers import until

from driftwatch.core.schema import iso

SHIFTED_FROM = 12
DELIVERED = 'driftwatch_notifications_total{sink="line_file"} 1'


def write_minute(world: World, number: int) -> None:
    path = world.minute(number)
    if number >= SHIFTED_FROM:
        table = pq.read_table(path)
        levels = np.random.default_rng(number).choice(["a", "b", "c"], table.num_rows, p=[0.8, 0.1, 0.1])
        position = table.schema.get_field_index("level")
        pq.write_table(table.set_column(position, "level", pa.array(levels)), path)


def main(folder: Path, first: int, last: int, detectors: list[str]) -> None:
    notify = [{"type": "line_file", "path": str(folder / "lines")}]
    settings = {"notify": notify} if "mode_share" in detectors else {}
    world = World(folder, options={"detectors": detectors}, settings=settings)
    with world.inside(first) as inside:
        for number in range(first, last):
            write_minute(world, number)
            inside.to(number + 1)
        if settings:
            until(lambda: DELIVERED in inside.page("/metrics"), 20)
        end = iso(world.start + 24 * 60 * NS)
        answer = {
            "verdicts": inside.verdicts(),
            "metrics": inside.page("/metrics"),
            "monitor": inside.page("/monitors/m"),
            "window": inside.page(f"/monitors/m/windows/{end}"),
            "column": inside.page("/monitors/m/column?name=level"),
        }
    print(json.dumps(answer))  # noqa: T201 - its answer


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
