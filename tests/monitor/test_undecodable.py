"""Messages that cannot be decoded, hour by hour: told in the verdict whatever read them first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from daemon_world import MINUTE, NS, World, driftwatch
from plugin_folder import installed_plugins

from driftwatch.monitor.explain import explain

HOUR = 60 * MINUTE
#: Midnight of a Tuesday.
START = 1_699_920_000 * NS


@pytest.fixture(autouse=True, scope="module")
def decoder_of_the_tests() -> Iterator[None]:
    with installed_plugins({"driftwatch.decoders": {"lines": "lines_decoder"}}):
        yield


class Messages(World):
    """A world of windows of four hours, refreshed hourly, with ten messages of twenty rows an hour."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, start=START, step=HOUR, window={"length": "4h", "every": "1h"})
        source = {"type": "files", "path": str(self.folder / "m" / "**" / "*.parquet"), "time_column": "at"}
        decode = {"type": "lines", "column": "body"}
        self.settings["monitors"] = [{**self.monitor("m"), "source": source, "decode": decode}]
        self.write()

    def hour(self, number: int, *, broken: int = 0) -> None:
        rng, begin = np.random.default_rng(number), self.start + number * HOUR
        bodies = [
            "\n".join(
                json.dumps({"x": rng.normal(), "level": str(rng.choice(["a", "b", "c"]))}) for _ in range(20)
            )
            for _ in range(10)
        ]
        bodies[:broken] = ["{"] * broken
        times = pa.array([begin + place * 6 * MINUTE for place in range(10)], pa.timestamp("ns", "UTC"))
        day, hour = divmod(number, 24)
        path = self.folder / "m" / f"date=2023-11-{14 + day}" / f"hour={hour:02}" / "0.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(pa.table({"at": times, "body": bodies}), path)


def test_what_a_refresh_could_not_decode_is_told_by_the_verdict(tmp_path: Path) -> None:
    world = Messages(tmp_path)
    for number in range(8):
        world.hour(number, broken={4: 10, 6: 3}.get(number, 0))
    with world.inside(4 * 60) as inside:
        for number in (4, 5, 6, 7, 8):
            inside.to(60 * number)
        first, second = inside.verdicts()
        assert (first["rows"], first["detail"]) == (800, "")
        assert second["rows"] == 540
        assert second["undecodable"] == [["syntax", 13]]
        assert second["detail"] == "13 messages could not be decoded and are in no window (13 syntax)"
        monitor = inside.daemon.runner.slot("m").monitor
        assert explain(monitor.config, inside.daemon.session.history, None, START + 8 * HOUR).equal


def test_a_window_without_a_message_that_can_be_decoded_is_a_source_error(tmp_path: Path) -> None:
    world = Messages(tmp_path)
    for number in range(9):
        world.hour(number, broken=10 if 4 <= number < 8 else 0)
    with world.inside(4 * 60) as inside:
        for number in (4, 5, 6, 7, 8, 9):
            inside.to(60 * number)
        view = inside.view()
        assert inside.ends() == [240], "it is tried again while data may still come"
        assert dict(view.failures)["undecodable"] >= 1
        inside.to(60 * 30)
        inside.to(60 * 31)
        verdict = next(item for item in inside.verdicts() if item["window"]["end"] == START + 8 * HOUR)
        assert (verdict["state"], verdict["reason"]) == ("source_error", "undecodable")


def test_a_backtest_says_for_each_window_what_could_not_be_decoded(tmp_path: Path) -> None:
    world = Messages(tmp_path)
    for number in range(12):
        world.hour(number, broken=10 if 4 <= number < 8 else 2 if number == 9 else 0)
    process = driftwatch("backtest", world.config, "--format", "json")
    windows = json.loads(process.stdout)["windows"]
    assert [(item["rows"], item["state"], item["reason"]) for item in windows[1:2]] == [
        (0, "source_error", "undecodable")
    ]
    assert [item["detail"] for item in windows] == [
        "",
        "40 messages could not be decoded and are in no window (40 syntax)",
        "2 messages could not be decoded and are in no window (2 syntax)",
    ]
