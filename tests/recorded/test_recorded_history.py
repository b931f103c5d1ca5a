"""Three recorded histories: verdicts, evidence, incidents, JSON and stored bytes are what they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from histories import HISTORIES
from history_difference import differences
from history_platform import incomparable, refuse, run_history

RECORD: dict[str, Any] = json.loads(Path(__file__).with_name("hashes.json").read_text(encoding="utf-8"))
RECORD_ANEW = 'python tests/recorded/record.py --reason "..."'


@pytest.mark.parametrize("name", HISTORIES)
def test_nothing_moved_underneath(name: str, tmp_path: Path) -> None:
    reason = incomparable(RECORD["platform"])
    if reason:
        refuse(reason, RECORD_ANEW)
    run = run_history(name, tmp_path)
    lines = differences(RECORD["histories"][name], run)
    if lines and run["probe"] != RECORD["probe"]:
        refuse("libm, BLAS or zlib of this machine give other bits than those of the record", RECORD_ANEW)
    newest = RECORD["records"][-1]
    title = f"history {name!r} is not the one recorded on {newest['date']} ({newest['reason']})"
    advice = f"Moving code must not do this. Where behaviour is meant to change, say why: {RECORD_ANEW}"
    if lines:
        pytest.fail("\n  ".join([title, *lines, f"this run: {tmp_path}", advice]), pytrace=False)


def test_every_verdict_and_answer_occurs() -> None:
    counts = {name for history in RECORD["histories"].values() for name in history["counts"]}
    states = {"ok", "drifting", "broken", "insufficient", "no_data"}
    assert {f"verdicts {state}" for state in states} <= counts
    assert {f"incidents {resolution}" for resolution in ("accepted", "fixed", "quiet", "open")} <= counts


def test_a_difference_names_its_table_and_its_step() -> None:
    record = RECORD["histories"]["loan"]
    hashes = record["steps"]["evidence"].split()
    moments = [str(step) for step in range(len(hashes))]
    run = {**record, "whole": "other", "moments": moments}
    run["steps"] = {**record["steps"], "evidence": " ".join([*hashes[:7], "other", *hashes[8:]])}
    tables = {**record["parts"]["tables"], "tracks.content": "other"}
    run["parts"] = {**record["parts"], "tables": tables}
    assert differences(record, {**record, "moments": moments}) == []
    assert differences(record, run) == [
        "tables: tracks.content",
        f"steps: evidence differ first at step 8 of {len(hashes)}, the clock at 7",
    ]
