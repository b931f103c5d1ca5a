"""Records the histories anew: ``python tests/recorded/record.py --reason "why behaviour changed"``.

Each history runs twice in different surroundings; a difference between the two runs refuses the record.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from histories import HISTORIES
from history_difference import differences
from history_platform import facts, incomparable, run_history

HASHES = Path(__file__).with_name("hashes.json")
#: What no hash may depend on.
SURROUNDINGS = {"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "77", "COLUMNS": "60"}


def record(name: str) -> dict[str, Any]:
    """Run one history twice, and return its hashes. Raises ``SystemExit`` when the runs differ."""
    with TemporaryDirectory() as folder:
        run = run_history(name, Path(folder) / "one")
        lines = differences(run, run_history(name, Path(folder) / "another", SURROUNDINGS))
    if lines:
        title = f"history {name!r} is not the same in two runs, so nothing is recorded"
        raise SystemExit("\n  ".join([title, *lines]))
    sys.stderr.write(f"{name}: {run['whole']}\n")
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reason", required=True, help="why the histories are other ones now")
    reason = parser.parse_args().reason.strip()
    platform = facts()
    if not reason or incomparable(platform):
        raise SystemExit(incomparable(platform) or "--reason: expected a sentence")
    runs = {name: record(name) for name in HISTORIES}
    history = json.loads(HASHES.read_text(encoding="utf-8"))["records"] if HASHES.exists() else []
    content = {
        "records": [*history, {"date": f"{datetime.now(UTC):%Y-%m-%d}", "reason": reason}],
        "platform": platform,
        "probe": next(iter(runs.values()))["probe"],
        # Where the clock stood is in the run that differs.
        "histories": {
            name: {key: value for key, value in run.items() if key not in ("probe", "moments")}
            for name, run in runs.items()
        },
    }
    HASHES.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
