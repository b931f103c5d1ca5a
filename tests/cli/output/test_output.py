"""What people see: golden texts, colour on a terminal alone, letters the encoding has, JSON on its own."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from days import check_until, fixed_texts

from driftwatch.cli import main
from driftwatch.cli.output.plots import heights, sparkline, timeline
from driftwatch.cli.output.screen import encodable

GOLDEN = Path(__file__).parent / "golden"
WRITE = "DRIFTWATCH_WRITE_GOLDEN"
CONFIG = """\
version: 1
storage: {path: store}
monitors:
  - name: prices
    reference: {path: reference.csv, time_column: when}
    source: {type: files, path: current.csv, time_column: when}
    window: {length: 1d, min_rows: 100}
"""
SEGMENTED = CONFIG + "    segment_by: {column: city}\n"
CASES = {
    "check": ("check", "c.yaml", "--at", "2026-02-28"),
    "check_segments": ("check", "segmented.yaml", "--at", "2026-02-28"),
    "explain": ("explain", "c.yaml", "--monitor", "prices", "--window", "2026-02-28"),
    "compare": ("compare", "reference.csv", "current.csv"),
    "backtest": ("backtest", "c.yaml"),
}


@pytest.fixture(scope="module")
def stored_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, a configuration, and what the daemon stored by 1 March; left as it is by what looks back."""
    folder = tmp_path_factory.mktemp("terminal")
    for text, name in zip(fixed_texts(), ("reference.csv", "current.csv"), strict=True):
        (folder / name).write_text(text)
    (folder / "c.yaml").write_text(CONFIG)
    (folder / "segmented.yaml").write_text(SEGMENTED.replace("path: store", "path: segmented"))
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        check_until(folder / "c.yaml", datetime(2026, 3, 1, tzinfo=UTC))
    return folder


@pytest.fixture
def folder(stored_world: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(stored_world)
    return stored_world


@pytest.mark.parametrize("case", CASES)
def test_golden_text_at_width_100(folder: Path, case: str) -> None:
    result = CliRunner().invoke(main, CASES[case], env={"COLUMNS": "100"})
    assert result.exit_code in (0, 1), result.stderr
    assert max(map(len, result.stdout.splitlines())) <= 100
    # Hashes over paths differ from machine to machine.
    text = re.sub(r"\b[0-9a-f]{12}\b", "<hash>", result.stdout)
    text = re.sub(r"(prices-\w+-(?:\w+-)?)[0-9a-f]{10}", r"\1<key>", text)
    file = GOLDEN / f"{case}.txt"
    if os.environ.get(WRITE):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("columns", [40, 60, 200])
@pytest.mark.parametrize("case", CASES)
def test_no_line_is_wider_than_the_screen(folder: Path, case: str, columns: int) -> None:
    words = [*CASES[case], "--no-inject"] if case == "backtest" else CASES[case]
    result = CliRunner().invoke(main, words, env={"COLUMNS": str(columns)})
    assert max(map(len, result.stdout.splitlines())) <= columns


def process(*words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "driftwatch", *words], capture_output=True, timeout=60, check=False,
        env=os.environ | {"COLUMNS": "100"} | environment,
    )  # fmt: skip


def on_a_terminal(*words: str, notes: bool = True, **environment: str) -> str:
    """Standard output, and with ``notes`` error, of a process that has a terminal."""
    main_end, end = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "driftwatch", *words], stdin=end, stdout=end,
        stderr=end if notes else subprocess.DEVNULL,
        env=os.environ | {"COLUMNS": "100", "TERM": "xterm-256color"} | environment,
    ) as running:  # fmt: skip
        os.close(end)
        parts = []
        while True:
            try:
                part = os.read(main_end, 65536)
            except OSError:  # Linux says so that the other end is closed.
                break
            if not part:
                break
            parts.append(part)
        running.wait(60)
    os.close(main_end)
    return b"".join(parts).decode()


def test_a_pipe_gets_no_escape_codes_and_no_progress(folder: Path) -> None:
    for environment in ({}, {"FORCE_COLOR": "1"}):
        result = process(*CASES["backtest"], "--no-inject", **environment)
        assert b"10 pages" not in result.stdout
        assert b"1 page" in result.stdout
        assert b"\x1b" not in result.stdout + result.stderr
        assert b"windows \xe2" not in result.stderr


def test_a_terminal_gets_colour_and_progress_unless_it_wants_none(folder: Path) -> None:
    words = (*CASES["backtest"], "--no-inject")
    coloured_text = on_a_terminal(*words)
    assert re.search(r"\x1b\[(\d+;)*3[0-7]m", coloured_text)
    assert "prices: windows" in coloured_text
    plain_text = on_a_terminal(*words, NO_COLOR="1")
    assert not re.search(r"\x1b\[(\d+;)*(3|4|9)[0-9](;\d+)*m", plain_text)


def test_an_encoding_without_blocks_gets_ascii(folder: Path) -> None:
    for encoding in ("ascii", "latin-1"):
        result = process(*CASES["explain"], PYTHONIOENCODING=encoding)
        assert result.returncode == 0, result.stderr
        text = result.stdout.decode(encoding)
        assert "reference  |" in text
        assert "#" in text
        assert "?" not in text
    assert encodable("▲ 3 → 4 é", "latin-1") == "^ 3 > 4 é"


def test_json_stands_alone_beside_notes(folder: Path, tmp_path: Path) -> None:
    config = tmp_path / "fresh.yaml"
    text = CONFIG.replace("path: ", f"path: {folder}/").replace(f"{folder}/store", str(tmp_path / "store"))
    config.write_text(text)
    result = process("backtest", str(config), "--no-inject", "--format", "json")
    assert b"building" in result.stderr
    assert json.loads(result.stdout)["monitor"] == "prices"
    assert b"\x1b" not in result.stdout
    output = on_a_terminal("check", str(config), "--at", "2026-02-28", "--format", "json", notes=False)
    assert json.loads(output)["monitor"] == "prices"


def test_what_was_not_measured_is_never_drawn_as_nothing() -> None:
    trail = [(0, None, "no_data", False), (1, None, "calibrating", False), (2, 0.0, "ok", False)]
    assert sparkline(trail)[0].plain == "?·▁"
    assert sparkline([(0, 0.7, "stale", False)])[0].plain == "?"
    assert sparkline([(0, 1.0, "drifting", True)])[1].plain == "▲"
    lowest_line = timeline(trail, 3)[3].plain
    assert lowest_line.endswith("│?·▁")
    assert timeline(trail, 100)[3].plain.endswith("│????····▁▁▁▁")
    assert heights([0.0, 1e-9, 2.0], 1.0) == " ▁█"
