"""`driftwatch check` with an engine and a decoder that are installed as packages, in reader processes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from plugin_folder import installed_plugins

DAY = datetime(2024, 3, 21, tzinfo=UTC)
ROWS, REFERENCE_DAYS = 200, 20


@pytest.fixture(autouse=True, scope="module")
def plugins_of_the_tests() -> Iterator[None]:
    with installed_plugins(
        {"driftwatch.engines": {"plain": "plain_engine"}, "driftwatch.decoders": {"lines": "lines_decoder"}}
    ):
        yield


def rows(first: datetime, days: int, seed: int, *, shift: float = 0.0) -> pa.Table:
    random, size = np.random.default_rng(seed), days * ROWS
    amount = random.normal(3 + shift, 1, size).round(4)
    return pa.table(
        {
            "when": pa.array([first + timedelta(days=days) * (row / size) for row in range(size)]),
            "amount": amount,
            "fee": (amount / 10 + random.normal(0, 0.05, size)).round(4),
            "count": random.poisson(4, size),
            "city": random.choice(["north", "south", "east"], size),
        }
    )


TODAY = rows(DAY, 1, 2, shift=1.5)


def check(folder: Path, today: pa.Table, **changes: Any) -> tuple[int, dict[str, Any]]:
    """Exit code and answer of `driftwatch check` for one day."""
    folder.mkdir()
    pq.write_table(
        rows(DAY - timedelta(days=REFERENCE_DAYS), REFERENCE_DAYS, 1), folder / "reference.parquet"
    )
    (folder / "in").mkdir()
    pq.write_table(today, folder / "in" / "today.parquet")
    monitor = {
        "name": "m",
        "reference": {"path": str(folder / "reference.parquet"), "time_column": "when"},
        "source": {"type": "files", "path": str(folder / "in"), "time_column": "when"},
        "window": {"length": "1d", "min_rows": 50},
        **changes,
    }
    config = {"version": 1, "storage": {"path": str(folder / "store")}, "monitors": [monitor]}
    (folder / "c.yaml").write_text(json.dumps(config))
    at = (DAY + timedelta(days=1)).isoformat()
    words = [sys.executable, "-m", "driftwatch", "check", str(folder / "c.yaml"), "--at", at]
    done = subprocess.run(
        [*words, "--format", "json"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


VERDICT = ("state", "reason", "detail", "rows", "page", "segment", "onset", "broken", "unchanged", "columns")
#: Joint detectors that read the row sample or its sums.
SAMPLED = {"mmd", "correlation"}


def test_another_engine_gives_the_same_verdict_but_for_what_it_lacks(tmp_path: Path) -> None:
    local_code, local = check(tmp_path / "local", TODAY)
    plain_code, plain = check(tmp_path / "plain", TODAY, engine={"type": "plain"})
    assert local_code == plain_code == 1
    assert {name: plain[name] for name in VERDICT} == {name: local[name] for name in VERDICT}
    assert [item for item in plain["joint"] if item["detector"] not in SAMPLED] == [
        item for item in local["joint"] if item["detector"] not in SAMPLED
    ]
    lacking = {item["detector"]: item["undefined"] for item in plain["joint"] if item["statistic"] is None}
    assert set(lacking) == SAMPLED
    assert all("no row sample" in reason for reason in lacking.values()), lacking
    assert all(item["statistic"] is not None for item in local["joint"])


def messages(table: pa.Table, size: int = 7) -> pa.Table:
    """Rows as they are sent: several in a message, which has the time of the first."""
    lines = [
        json.dumps({name: value for name, value in row.items() if name != "when"})
        for row in table.to_pylist()
    ]
    starts = range(0, table.num_rows, size)
    return pa.table(
        {
            "when": table["when"].take(pa.array(list(starts))),
            "body": ["\n".join(lines[start : start + size]) for start in starts],
        }
    )


def test_messages_give_the_verdict_of_their_rows(tmp_path: Path) -> None:
    decode = {"type": "lines", "column": "body"}
    rows_code, rows_answer = check(tmp_path / "rows", TODAY)
    code, answer = check(tmp_path / "messages", messages(TODAY), decode=decode)
    plain_code, plain_answer = check(
        tmp_path / "plain", messages(TODAY), decode=decode, engine={"type": "plain"}
    )
    assert code == rows_code == plain_code == 1
    for other in (rows_answer, plain_answer):
        assert {name: answer[name] for name in VERDICT} == {name: other[name] for name in VERDICT}


def test_messages_that_cannot_be_decoded_are_told_and_never_taken_for_silence(tmp_path: Path) -> None:
    decode = {"type": "lines", "column": "body"}
    whole = messages(TODAY)
    damaged = whole.set_column(1, "body", pa.array(["{", None, "[]", *whole["body"].to_pylist()[3:]]))
    code, answer = check(tmp_path / "some", damaged, decode=decode)
    assert (code, answer["rows"]) == (1, ROWS - 21)
    assert answer["detail"] == (
        "3 messages could not be decoded and are in no window (1 empty, 1 shape, 1 syntax)"
    )
    nothing = whole.set_column(1, "body", pa.array(["{"] * whole.num_rows))
    code, answer = check(tmp_path / "none", nothing, decode=decode)
    assert (code, answer["state"], answer["reason"]) == (3, "source_error", "undecodable")
    assert answer["detail"].startswith("no message of this window could be decoded; 29 messages could not be")
