"""What is wrong with the user's places ends with its exit code and a text that says where and what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from driftwatch.cli import main
from driftwatch.store.database import FILE

_ROWS = "when,amount\n" + "".join(f"2024-01-{day:02}T00:00:00Z,{day}.5\n" for day in range(1, 29))
_CONFIG = """\
version: 1
storage: {path: "%(storage)s"}
web: {listen: "127.0.0.1:0"}
monitors:
  - name: one
    reference: {path: %(folder)s/rows.csv, time_column: when}
    source: {type: files, path: %(folder)s/rows.csv, time_column: when}
"""


def process(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "driftwatch", *(str(word) for word in words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def inside(*words: object) -> subprocess.CompletedProcess[str]:
    """The same in this process, without the second that an interpreter takes to start."""
    command = [str(word) for word in words]
    result = CliRunner().invoke(main, command)
    return subprocess.CompletedProcess(command, result.exit_code, result.stdout, result.stderr)


def configured(folder: Path, storage: Path | str) -> Path:
    (folder / "rows.csv").write_text(_ROWS)
    path = folder / "c.yaml"
    path.write_text(_CONFIG % {"folder": folder, "storage": storage})
    return path


_VERBS = (
    ("check",), ("check", "--at", "2024-02-01"), ("backtest",), ("run",), ("reference", "build"),
    ("ack", "--monitor", "one", "--as", "fixed"),
    ("explain", "--monitor", "one", "--window", "2024-01-05"),
)  # fmt: skip


@pytest.mark.parametrize("verb", _VERBS, ids=lambda words: " ".join(words[:2]))
def test_a_storage_path_that_cannot_be_used_is_the_configurations_fault(
    tmp_path: Path, verb: tuple[str, ...]
) -> None:
    (tmp_path / "file").write_text("something else")
    words = [item for item in verb if item != "build"]
    options = words[1:]
    # Nobody, not even root, can make a folder in a file or in /proc.
    for storage in (tmp_path / "file", tmp_path / "file" / "below", "/proc/driftwatch"):
        config = configured(tmp_path, storage)
        command = (*verb[: len(verb) - len(options)], config, *options)
        # `run` sets up logging for its process. Of the others one place is enough to see a process's own end.
        is_process = verb == ("run",) or storage == tmp_path / "file"
        result = process(*command) if is_process else inside(*command)
        assert result.returncode == 2, result.stderr
        assert not result.stdout
        assert str(storage) in result.stderr
        assert "give another storage.path" in result.stderr
        assert "internal error" not in result.stderr


def test_something_else_than_a_history_is_the_configurations_fault(tmp_path: Path) -> None:
    config = configured(tmp_path, tmp_path / "store")
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / FILE).write_bytes(b"this is no database" * 100)
    for words in (["check", config], ["backtest", config]):
        result = process(*words)
        assert result.returncode == 2, result.stderr
        assert f"{tmp_path}/store/{FILE}: expected driftwatch's history" in result.stderr
        assert "Move it away" in result.stderr


def test_trouble_within_a_history_is_not_the_configurations_fault(tmp_path: Path) -> None:
    config = configured(tmp_path, tmp_path / "store")
    assert process("check", config, "--at", "2024-01-20").returncode in (0, 1, 3, 5)
    history = tmp_path / "store" / FILE
    content = bytearray(history.read_bytes())
    content[100:4096] = bytes(3996)
    history.write_bytes(content)
    result = process("check", config, "--at", "2024-01-20")
    assert result.returncode == 4, result.stderr
    assert str(history) in result.stderr


def test_compare_names_the_file_without_rows(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(_ROWS)
    for name, content in (("head.csv", "when,amount\n"), ("empty.csv", "")):
        bad = tmp_path / name
        bad.write_text(content)
        for words in ([bad, tmp_path / "rows.csv"], [tmp_path / "rows.csv", bad]):
            result = process("compare", *words)
            assert result.returncode == 3, result.stderr
            assert not result.stdout
            assert str(bad) in result.stderr
            assert "rows.csv" not in result.stderr
