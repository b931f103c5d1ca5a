"""``explain`` works on what a backtest shows: from the store, or by replaying where it is not stored."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from days import REFERENCE_DAYS, SHIFTED_FROM, csv_text

from driftwatch.cli import main

CONFIG = """\
version: 1
storage: {path: %(folder)s/store}
monitors:
  - name: one
    reference: {path: %(folder)s/reference.csv, time_column: when}
    source: {type: files, path: %(folder)s/current.csv, time_column: when}
    window: {length: 1d, min_rows: 100}
    segment_by: {column: city}
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Production whose newest whole day is yesterday, shifted for its last three days; nothing is stored."""
    folder = tmp_path_factory.mktemp("explained")
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first = today - timedelta(days=SHIFTED_FROM + 3)
    reference = csv_text(first - timedelta(days=REFERENCE_DAYS), REFERENCE_DAYS, REFERENCE_DAYS, 1)
    (folder / "reference.csv").write_text(reference)
    (folder / "current.csv").write_text(csv_text(first, SHIFTED_FROM + 3, SHIFTED_FROM, 2))
    (folder / "c.yaml").write_text(CONFIG % {"folder": folder})
    return folder / "c.yaml"


def call(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def answer(*words: object) -> Any:
    result = call(*words, "--format", "json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def windows(config: Path) -> list[dict[str, Any]]:
    return list(answer("backtest", config, "--no-inject")["windows"])


def explained(config: Path, window: dict[str, Any], *words: object) -> Any:
    segment = [] if window["segment"] is None else ["--segment", window["segment"]]
    return answer("explain", config, "--monitor", "one", "--window", window["end"], *segment, *words)


def test_every_window_of_a_backtest_is_explained_without_a_store_and_says_so(
    config: Path, windows: list[dict[str, Any]]
) -> None:
    paged = [item for item in windows if item["page"]]
    segments = [item for item in windows if item["segment"] is not None]
    assert paged
    assert segments
    for window in (windows[0], paged[0], segments[-1], windows[-1]):
        explanation = explained(config, window)
        assert explanation["from"] == "replay"
        shown = {name: explanation["window"][name] for name in window}
        assert shown == window
        assert explanation["recomputed"] == explanation["window"]
        assert explanation["equal"] is None
        assert explanation["healthy_windows"] >= (REFERENCE_DAYS - 1 if window["rows"] else 0)
        assert explanation["design_effects"]
    text = call("explain", config, "--monitor", "one", "--window", paged[0]["end"]).stdout
    assert "the window is not stored: replayed from the source's rows" in " ".join(text.split())
    assert "every number is the same" not in text


def test_the_first_moment_is_that_of_the_backtest(config: Path, windows: list[dict[str, Any]]) -> None:
    start = windows[-1]["start"]
    (window,) = [
        item
        for item in answer("backtest", config, "--no-inject", "--from", start)["windows"]
        if item["segment"] is None
    ]
    assert window["evidence"] != next(i["evidence"] for i in reversed(windows) if i["segment"] is None)
    assert explained(config, window, "--from", start)["window"]["evidence"] == window["evidence"]


def test_a_stored_window_is_explained_from_the_store(config: Path, windows: list[dict[str, Any]]) -> None:
    assert call("check", config).exit_code == 1
    last = [item for item in windows if item["segment"] is None][-1]
    explanation = explained(config, last)
    assert (explanation["from"], explanation["equal"]) == ("store", True)
    earlier = [item for item in windows if item["segment"] is None][-2]
    assert explained(config, earlier)["from"] == "replay", "beside a store that has other windows"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            ["--window", "2001-01-01"],
            "--window: expected the end of a window of one, stored or of its source",
        ),
        (["--window", "2001-01-01T00:00:01"], "--window: expected the end of a window of one"),
        (["--window", "2001-01-01", "--part", "1"], "--part: expected with the end of a stored window"),
        (["--window", "never"], "--window: expected an ISO 8601 time"),
    ],
)
def test_a_window_that_no_backtest_shows_is_refused(config: Path, words: list[str], text: str) -> None:
    result = call("explain", config, "--monitor", "one", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert text in result.stderr


def test_an_unknown_segment_is_refused_by_the_names_there_are(
    config: Path, windows: list[dict[str, Any]]
) -> None:
    end = windows[0]["end"]
    result = call("explain", config, "--monitor", "one", "--window", end, "--segment", "Atlantis")
    assert result.exit_code == 2
    assert '--segment: expected a segment of one. Got "Atlantis". There are ' in result.stderr


def test_a_replay_stores_no_verdict_and_no_evidence(config: Path, windows: list[dict[str, Any]]) -> None:
    import sqlite3

    with sqlite3.connect(config.parent / "store" / "driftwatch.sqlite") as connection:
        before = connection.execute("SELECT count(*) FROM verdicts").fetchone()
        explained(config, windows[0])
        assert connection.execute("SELECT count(*) FROM verdicts").fetchone() == before
    connection.close()


def test_a_source_that_cannot_be_read_is_an_error_of_the_data(tmp_path: Path, config: Path) -> None:
    text = config.read_text().replace("current.csv", "gone.csv").replace("/store", "/other")
    (tmp_path / "c.yaml").write_text(text)
    result = call("explain", tmp_path / "c.yaml", "--monitor", "one", "--window", "2024-01-01")
    assert (result.exit_code, result.stdout) == (3, "")
