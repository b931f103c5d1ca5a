"""The command line's contract: exit codes, JSON shapes, and which verbs leave the history alone."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import sqlite3
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from days import REFERENCE_DAYS, ROWS, SHIFTED_FROM, csv_text
from shell_completion import completions

from driftwatch.cli import main
from driftwatch.cli.verbs._one_off_files import one_off_files
from driftwatch.config.load import load
from driftwatch.config.models import as_json

WINDOW = {"start", "end", "segment", "rows", "state", "reason", "evidence", "page", "columns"}
CONFIG = """\
version: 1
storage: {path: %(folder)s/store}
monitors:
  - name: one
    reference: {path: %(folder)s/reference.csv, time_column: when}
    source: {type: files, path: %(folder)s/current.csv, time_column: when}
    window: {length: 1d, min_rows: 100}
"""
SECOND = CONFIG.partition("monitors:\n")[2].replace("one", "two") + "    segment_by: {column: city}\n"


@pytest.fixture(scope="module")
def texts() -> tuple[str, str]:
    """Reference, and production whose newest whole day is yesterday, shifted for its last three days."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first = today - timedelta(days=SHIFTED_FROM + 3)
    reference = csv_text(first - timedelta(days=REFERENCE_DAYS), REFERENCE_DAYS, REFERENCE_DAYS, 1)
    return reference, csv_text(first, SHIFTED_FROM + 3, SHIFTED_FROM, 2)


@pytest.fixture
def folder(tmp_path: Path, texts: tuple[str, str]) -> Path:
    (tmp_path / "reference.csv").write_text(texts[0])
    (tmp_path / "current.csv").write_text(texts[1])
    (tmp_path / "c.yaml").write_text(CONFIG % {"folder": tmp_path})
    return tmp_path


def call(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def answer(*words: object) -> Any:
    result = call(*words, "--format", "json")
    assert result.exit_code in (0, 1, 3, 5), result.stderr
    return json.loads(result.stdout)


def evidence(folder: Path) -> dict[str, list[Any]]:
    """Everything a check would leave behind."""
    tables = ("tiles", "verdicts", "tracks", "checkpoints", "incidents", "outbox", "acknowledgements")
    with sqlite3.connect(folder / "store" / "driftwatch.sqlite") as connection:
        return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in tables}


def today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d")


def days_ago(count: int) -> str:
    return (datetime.now(UTC) - timedelta(days=count)).strftime("%Y-%m-%d")


def test_backtest_shapes_and_the_page_at_the_shift(folder: Path) -> None:
    output = answer("backtest", folder / "c.yaml")
    assert {"monitor", "windows", "pages"} <= set(output)
    assert len(output["windows"]) == SHIFTED_FROM + 3
    for window in output["windows"]:
        assert set(window) >= WINDOW
        assert window["segment"] is None
        assert window["start"].endswith("Z")
        assert window["end"].endswith("Z")
        assert isinstance(window["page"], bool)
    keys = {"window_start", "window_end", "onset", "columns", "segment"}
    (page,) = output["pages"]
    assert keys <= set(page)
    assert page["window_start"] == output["windows"][SHIFTED_FROM]["start"]
    assert {item["column"] for item in page["columns"]} >= {"amount", "city"}
    assert call("backtest", folder / "c.yaml", "--fail-on-drift").exit_code == 1
    calm_days = ("--from", days_ago(SHIFTED_FROM + 3), "--to", days_ago(3))
    assert call("backtest", folder / "c.yaml", "--fail-on-drift", *calm_days).exit_code == 0
    result = call("backtest", folder / "c.yaml", "--from", today(), "--to", days_ago(3))
    assert result.exit_code == 2
    assert result.stderr.startswith("--to: expected a time after --from")
    # Only the data says that nothing lies between them.
    assert call("backtest", folder / "c.yaml", "--to", days_ago(300)).exit_code == 3


def test_only_check_leaves_evidence(folder: Path) -> None:
    config = folder / "c.yaml"
    assert call("check", config, "--at", today()).exit_code == 1
    assert call("check", config, "--at", days_ago(4)).exit_code == 0
    assert call("backtest", config).exit_code == 0
    assert all(not table for table in evidence(folder).values())
    assert call("check", config).exit_code == 1
    stored = evidence(folder)
    assert stored["verdicts"]
    assert stored["incidents"]
    for words in (["check", config, "--at", today()], ["backtest", config]):
        call(*words)
    assert answer("explain", config, "--monitor", "one", "--window", today())["equal"] is True
    assert evidence(folder) == stored


def test_explain_is_equal_after_the_reference_was_rebased(folder: Path) -> None:
    config = folder / "c.yaml"
    assert call("check", config).exit_code == 1
    assert call("ack", config, "--monitor", "one", "--as", "muted").exit_code == 2
    assert call("ack", config, "--monitor", "one", "--as", "fixed", "--incident", "no").exit_code == 2
    too_long = call("ack", config, "--monitor", "one", "--as", "muted", "--until", "99999999d")
    assert too_long.exit_code == 2
    assert "--until: expected a time between the years 1700 and 2200." in too_long.stderr
    muted = call("ack", config, "--monitor", "one", "--as", "muted", "--until", "2199-01-01")
    assert muted.exit_code == 0
    assert call("ack", config, "--monitor", "one", "--as", "accepted").exit_code == 0
    assert call("ack", config, "--monitor", "one", "--as", "fixed").exit_code == 2
    assert answer("explain", config, "--monitor", "one", "--window", today())["equal"] is True
    assert call("check", config, "--at", today()).exit_code == 0


def test_an_acceptance_is_undone_and_an_answer_that_cannot_be_given_is_refused(folder: Path) -> None:
    config = folder / "c.yaml"
    assert call("check", config).exit_code == 1
    (key,) = (row[0] for row in evidence(folder)["incidents"])
    for words, text in (
        ((), "expected one of --as and --undo"),
        (("--as", "fixed", "--undo", key), "expected one of --as and --undo"),
        (("--undo", key, "--incident", key), "--undo names the incident itself"),
        (("--undo", key, "--until", "2d"), "--until: expected with --as muted"),
        (("--undo", key), f"--undo: expected an incident that was accepted. Got {key} is open."),
        (("--undo", "one-drift-0"), "Got one has no incident one-drift-0."),
    ):
        result = call("ack", config, "--monitor", "one", *words)
        assert result.exit_code == 2
        assert text in result.stderr, words
    accepted = call("ack", config, "--monitor", "one", "--as", "accepted", "--note", "the new prices")
    assert f"{key} covers amount, " in accepted.stdout
    assert "are only learned until" in accepted.stdout
    assert call("check", config, "--at", today()).exit_code == 0
    assert completions(f"driftwatch ack {config} --monitor one --undo ") == {key}
    undone = call("ack", config, "--monitor", "one", "--undo", key, "--note", "not agreed")
    assert undone.exit_code == 0
    assert f"undone: {key} is open again" in undone.stdout
    assert call("check", config, "--at", today()).exit_code == 1
    explanation = answer("explain", config, "--monitor", "one", "--window", today())
    assert (explanation["equal"], explanation["from"]) == (True, "store")
    again = call("ack", config, "--monitor", "one", "--undo", key)
    assert again.exit_code == 2
    audit = evidence(folder)["acknowledgements"]
    assert [row[3] for row in audit] == ["accepted", "undo"]


def test_what_is_accepted_is_the_reference_in_force_whatever_the_file_says_now(folder: Path) -> None:
    config = folder / "c.yaml"
    assert call("check", config).exit_code == 1
    text = config.read_text()
    config.write_text(text + "    columns: {city: {role: ignore}}\n")
    acceptance = call("ack", config, "--monitor", "one", "--as", "accepted")
    assert "accepted: 1 incident(s)" in acceptance.stdout
    assert "building" not in acceptance.stderr
    config.write_text(text)
    check = call("check", config, "--at", today())
    assert check.exit_code == 0
    assert "building" not in check.stderr


def test_one_object_for_one_monitor_else_an_array(folder: Path) -> None:
    config = folder / "c.yaml"
    config.write_text(config.read_text() + SECOND % {"folder": folder})
    # No row has a level beyond the most frequent ones; that does not keep "two" from being ok.
    assert call("check", config, "--at", days_ago(4)).exit_code == 0
    objects = answer("check", config)
    assert [item["monitor"] for item in objects] == ["one", "two"]
    assert [item["segment"] for item in objects] == [None, None]
    output = answer("check", config, "--monitor", "two", "--at", days_ago(4))
    assert output["monitor"] == "two"
    assert {item["segment"] for item in output["segments"]} >= {"north", "south", "east"}
    for segment in (None, "north"):
        options = [] if segment is None else ["--segment", segment]
        explanation = answer("explain", config, "--monitor", "two", "--window", today(), *options)
        assert explanation["equal"] is True


@pytest.mark.parametrize(
    ("at", "code"),
    [("1999-01-01", 3), ("2190-01-01", 3), ("garbage", 2), ("0001-01-01", 2), ("9999-12-31", 2)],
)
def test_check_at(folder: Path, at: str, code: int) -> None:
    result = call("check", folder / "c.yaml", "--at", at)
    assert result.exit_code == code, result.stderr


def test_a_reference_without_time_burns_in(folder: Path) -> None:
    config = folder / "c.yaml"
    with (folder / "reference.csv").open() as file:
        rows = [{k: v for k, v in row.items() if k != "when"} for row in csv.DictReader(file)]
    with (folder / "timeless.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    text = config.read_text().replace("reference.csv, time_column: when", "timeless.csv")
    config.write_text(text)
    assert "timeless.csv" in text
    assert answer("check", config, "--at", days_ago(4))["state"] == "calibrating"
    assert call("check", config, "--at", days_ago(4)).exit_code == 5


def test_check_at_an_earlier_time_does_not_know_what_came_later(folder: Path) -> None:
    config = folder / "c.yaml"
    state = answer("check", config, "--at", days_ago(4))["state"]
    assert call("check", config).exit_code == 1
    assert answer("check", config, "--at", days_ago(4))["state"] == state


@pytest.mark.parametrize("change", ["    exclude: [2020-01-01]\n", "    timezone: Europe/Berlin\n"])
def test_changed_settings_build_the_reference_again_and_say_so(folder: Path, change: str) -> None:
    config = folder / "c.yaml"
    assert "there was none" in call("check", config, "--at", today()).stderr
    assert "building" not in call("check", config, "--at", today()).stderr
    config.write_text(config.read_text() + change)
    assert "settings changed" in call("check", config, "--at", today()).stderr


def test_another_window_length_cuts_the_reference_into_other_blocks(folder: Path) -> None:
    config = folder / "c.yaml"
    # Of one column alone the reference stays the same, bit for bit, however it is cut.
    text = config.read_text() + "    columns: {city: {role: ignore}, fresh: {role: ignore}}\n"
    blocks = []
    for length in ("12h", "1d"):
        config.write_text(text.replace("1d", length))
        assert call("reference", "build", config).exit_code == 0
        with sqlite3.connect(folder / "store" / "driftwatch.sqlite") as connection:
            blocks.append(connection.execute("SELECT start, fingerprint FROM blocks ORDER BY 1").fetchall())
        connection.close()
    gaps = [{following[0] - row[0] for row, following in pairwise(rows)} for rows in blocks]
    assert gaps == [{43_200 * 10**9}, {86_400 * 10**9}]
    assert len({fingerprint for rows in blocks for _, fingerprint in rows}) == 1


def test_the_exact_detector_has_the_rows_it_needs_once_they_are_kept(folder: Path) -> None:
    config = folder / "c.yaml"
    text = config.read_text() + "    detectors: [missing, mmd_exact]\n"
    config.write_text(text)
    output = answer("check", config, "--at", today())
    assert "storage.row_sample: true" in output["joint"][0]["undefined"]
    config.write_text(re.sub(r"storage: {(.*?)}", r"storage: {\1, row_sample: true}", text))
    assert answer("check", config, "--at", days_ago(4))["joint"][0]["p_value"] > 0.01
    (exact_result,) = answer("check", config)["joint"]
    assert (exact_result["detector"], exact_result["undefined"]) == ("mmd_exact", "")
    assert exact_result["p_value"] < 0.01
    assert answer("explain", config, "--monitor", "one", "--window", today())["equal"] is True


def test_compare(folder: Path) -> None:
    reference, current = folder / "reference.csv", folder / "current.csv"
    output = answer("compare", reference, current, "--time-column", "when")
    assert {"reference_rows", "current_rows", "columns", "joint"} <= set(output)
    for column in output["columns"]:
        assert {"column", "kind", "missing", "detectors"} <= set(column)
        assert set(column["missing"]) == {"reference", "current"}
        assert all({"statistic", "p_value"} <= set(item) for item in column["detectors"].values())
    assert "set aside: when: " in call("compare", reference, current).stdout
    assert "mmd_exact" not in output["joint"]
    exact_result = answer("compare", reference, current, "--time-column", "when", "--detector", "mmd_exact")[
        "joint"
    ]
    assert exact_result["mmd_exact"]["p_value"] < 0.01
    assert set(exact_result) == {*output["joint"], "mmd_exact"}
    typo_result = call("compare", reference, current, "--detector", "mmd_exakt")
    assert typo_result.exit_code == 2
    assert 'Did you mean "mmd_exact"?' in typo_result.stderr
    assert call("compare", reference, current, "--fail-on-drift").exit_code == 1
    assert call("compare", reference, reference, "--fail-on-drift").exit_code == 0
    for level in ("0", "-1", "nan", "2"):
        assert call("compare", reference, current, "--alpha", level).exit_code == 2
    (folder / "head.csv").write_text("when,amount\n")
    assert call("compare", reference, folder / "head.csv", "--fail-on-drift").exit_code == 3


@pytest.mark.parametrize("content", [b"", bytes(range(256)) * 8, None])
@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_data_that_cannot_be_read(folder: Path, content: bytes | None, ending: str) -> None:
    bad = folder / f"bad.{ending}"
    if content is not None:
        bad.write_bytes(content)
    for words in (["init", bad, "--current", bad], ["compare", folder / "reference.csv", bad]):
        result = call(*words)
        assert result.exit_code == 3
        assert str(bad) in result.stderr
        assert not result.stdout


def test_a_backtest_goes_on_beside_a_source_that_is_gone(folder: Path) -> None:
    config = folder / "c.yaml"
    config.write_text((CONFIG + SECOND.replace("current.csv", "gone.csv")) % {"folder": folder})
    result = call("backtest", config, "--format", "json", "--no-inject")
    assert result.exit_code == 3
    first, second = json.loads(result.stdout)
    assert (first["monitor"], second["monitor"]) == ("one", "two")
    assert "gone.csv: expected at least one file" in second["error"]
    assert "two: " in result.stderr
    assert "gone.csv: expected at least one file" in result.stderr
    assert call("backtest", config, "--no-inject", "--fail-on-drift").exit_code == 1
    assert call("backtest", config, "--no-inject", "--monitor", "one").exit_code == 0
    single_monitor = call("backtest", config, "--no-inject", "--monitor", "two")
    assert (single_monitor.exit_code, single_monitor.stdout) == (3, "")


def test_a_monitor_without_a_feature_is_an_error_beside_others_and_a_configuration_error_alone(
    folder: Path,
) -> None:
    config = folder / "c.yaml"
    (folder / "bare.csv").write_text("when\n2026-03-01T00:00:00Z\n")
    second = SECOND.replace("    segment_by: {column: city}\n", "").replace("reference.csv", "bare.csv")
    config.write_text((CONFIG + second) % {"folder": folder})
    result = call("backtest", config, "--format", "json", "--no-inject")
    assert (result.exit_code, [item["monitor"] for item in json.loads(result.stdout)]) == (3, ["one", "two"])
    assert "'two': reference" in json.loads(result.stdout)[1]["error"]
    assert call("backtest", config, "--monitor", "two", "--no-inject").exit_code == 2


@pytest.mark.parametrize("odd", ["2026-01-01,1,a,b,c,d,e", "2026-01-01"])
@pytest.mark.parametrize("mark", [",", ";"])
def test_one_row_of_another_length_is_the_reason_that_every_verb_gives(
    folder: Path, odd: str, mark: str
) -> None:
    text = (folder / "current.csv").read_text().replace(",", mark)
    lines = text.splitlines()
    lines.insert(len(lines) // 2, odd.replace(",", mark))
    (folder / "current.csv").write_text("\n".join([*lines, ""]))
    width = len(lines[0].split(mark))
    reason = f"expected {width} values in every row. Got a row with {len(odd.split(','))}."
    reference, current = folder / "reference.csv", folder / "current.csv"
    config = folder / "c.yaml"
    config.write_text(config.read_text().replace("current.csv,", f'current.csv, delimiter: "{mark}",'))
    for words in (
        ("init", reference, "--current", current, "-o", folder / "new.yaml"),
        ("compare", reference, current),
        ("backtest", config),
    ):
        result = call(*words)
        assert result.exit_code == 3, words
        assert "current.csv: " in result.stderr
        assert reason in result.stderr


def test_misspelt_columns_of_weights_and_groups_are_named(folder: Path) -> None:
    config = folder / "c.yaml"
    text = config.read_text()
    settings = "    weights: {amount: 2, nothing: 1, 'joint:mmd': 0.5}\n    groups: {place: [city, fresh]}\n"
    config.write_text(text + settings)
    assert call("check", config, "--at", days_ago(4)).exit_code == 0
    config.write_text(text + settings.replace("amount", "amonut").replace("fresh", "fersh"))
    for verb in ("check", "backtest"):
        result = call(verb, config)
        assert result.exit_code == 2
        first, second = result.stderr.splitlines()[-2:]
        assert first.startswith("monitor 'one': weights: unknown column. Got \"amonut\".")
        assert 'Did you mean "amount"?' in first
        assert "groups.place" in second
        assert 'Did you mean "fresh"?' in second


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_other_delimiters_are_found_and_written(folder: Path, mark: str) -> None:
    for name in ("reference.csv", "current.csv"):
        (folder / f"odd-{name}").write_text((folder / name).read_text().replace(",", mark))
    reference, current, out_file = (
        folder / "odd-reference.csv",
        folder / "odd-current.csv",
        folder / "odd.yaml",
    )
    assert call("init", reference, "--current", current, "-o", out_file).exit_code == 0
    text = out_file.read_text().replace("./driftwatch-data", str(folder / "odd-store"))
    out_file.write_text(text)
    monitor = load(out_file).monitors[0]
    assert monitor.reference.delimiter == as_json(monitor)["source"]["delimiter"] == mark
    output = answer("check", out_file, "--at", days_ago(4))
    assert output["rows"] == ROWS
    assert {item["column"] for item in output["columns"]} == {"amount", "city", "fresh", "nothing"}
    comparison = answer("compare", reference, current)
    assert {"amount", "city", "fresh"} <= {item["column"] for item in comparison["columns"]}


@pytest.mark.parametrize(
    ("content", "mark"),
    [("a,b\n1,2\n", ","), ("a;b\n1,5;2,5\n", ";"), ('id,"a;b|c",d\n1,2,3\n', ","), ("only\nx;y\n", ","),
     ("a|b\n1|2\n", "|"), ("only\n1\n", ",")],
)  # fmt: skip
def test_a_delimiter_is_taken_from_a_whole_table_only(tmp_path: Path, content: str, mark: str) -> None:
    (tmp_path / "date=2026-01-31").mkdir()
    path = tmp_path / "date=2026-01-31" / "rows.csv"
    path.write_text(content)
    with one_off_files() as opened:
        assert opened.delimiter_of(str(path)) == mark


def test_wrong_usage(folder: Path) -> None:
    config = folder / "c.yaml"
    typo = folder / "typo.yaml"
    typo.write_text(config.read_text().replace("window:", "windw:"))
    result = call("check-config", typo)
    assert result.exit_code == 2
    assert 'Did you mean "window"?' in result.stderr
    for words in (
        ["check-config", folder], ["check", folder / "none.yaml"], ["check", config, "--monitor", "none"],
        ["explain", config, "--monitor", "one", "--window", "zz"], ["completion", "tcsh"], ["nonsense"],
    ):  # fmt: skip
        assert call(*words).exit_code == 2, words
    assert call("check", config).exit_code == 1
    absent = call("explain", config, "--monitor", "one", "--window", "2019-01-01")
    assert absent.exit_code == 2
    assert f"{today()}T00:00:00Z" in absent.stderr


def test_init_writes_what_runs_with_hostile_names(folder: Path) -> None:
    hostile = 'a\n\x1b[31m"b', "x" * 5000
    text = (folder / "reference.csv").read_text()
    name = hostile[0].replace('"', '""')
    (folder / "odd.csv").write_text(text.replace("amount,city", f'"{name}",{hostile[1]}', 1))
    out_file = folder / "odd.yaml"
    assert call("init", folder / "odd.csv", "--current", folder / "odd.csv", "-o", out_file).exit_code == 0
    out_file.write_text(out_file.read_text().replace("./driftwatch-data", f"{folder}/odd-store"))
    result = call("check", out_file, "--at", (folder / "odd.csv").read_text().splitlines()[-1][:10])
    assert result.exit_code == 0, result.stderr
    assert "\x1b" not in result.stdout
    assert hostile[1] not in result.stdout
    output = answer("backtest", out_file)
    assert {item["column"] for item in output["windows"][0]["columns"]} >= set(hostile)


def test_a_real_process_keeps_standard_output_for_results(folder: Path) -> None:
    words = [sys.executable, "-m", "driftwatch", "check", str(folder / "c.yaml"), "--format", "json"]
    process = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert process.returncode == 1
    assert json.loads(process.stdout)["monitor"] == "one"
    assert "reference built" in process.stderr
    words = [*words[:3], "--version"]
    version = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert version.stdout.startswith("driftwatch ")


def test_long_comparisons_show_on_a_terminal_how_far_they_are(folder: Path) -> None:
    """And nowhere else: what a pipe gets is the result alone."""
    files = [str(folder / "reference.csv"), str(folder / "current.csv")]
    words = [sys.executable, "-m", "driftwatch", "compare", *files, "--format", "json"]
    main_end, end = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    terminal_process = subprocess.run(
        words, stdout=subprocess.PIPE, stderr=end, timeout=60, check=True, env=environment
    )
    os.close(end)
    stderr = b""
    with suppress(OSError):  # how a terminal says that nobody is at the other end any more
        while part := os.read(main_end, 4096):
            stderr += part
    os.close(main_end)
    assert b"columns" in stderr
    assert b"/" in stderr
    piped_process = subprocess.run(words, capture_output=True, timeout=60, check=True)
    assert piped_process.stderr == b""
    assert piped_process.stdout == terminal_process.stdout


def test_a_shell_is_offered_windows_and_incidents(folder: Path) -> None:
    config = folder / "c.yaml"
    assert completions(f"driftwatch explain {config} --monitor one --window ") == set(), "no store yet"
    assert call("check", config).exit_code == 1
    stored = evidence(folder)
    keys = {row[0] for row in stored["incidents"]}
    assert keys
    windows = completions(f"driftwatch explain {config} --monitor one --window ")
    assert today() in windows
    assert len(windows) == min(len(stored["verdicts"]), 30)
    assert completions(f"driftwatch explain {config} --window {today()[:8]} --monitor one") <= {"one"}
    assert completions(f"driftwatch explain {config} --monitor=one --window {today()}") == {today()}
    assert completions(f"driftwatch explain {config} --window ") == set(), "of which monitor?"
    assert completions(f"driftwatch explain {config} --monitor none --window ") == set()
    assert completions(f"driftwatch ack {config} --monitor one --incident ") == keys
    assert completions(f"driftwatch ack {config} --monitor one --incident x") == set()


def test_a_store_that_cannot_be_read_offers_nothing_and_says_nothing(folder: Path) -> None:
    config = folder / "c.yaml"
    store = load(config).storage.path
    store.mkdir()
    lines = [f"driftwatch {verb} {config} --monitor one {last} " for verb, last in (
        ("explain", "--window"), ("ack", "--incident"))]  # fmt: skip
    # Of an older version, which lacks what is looked up; then one that is no history at all.
    sqlite3.connect(store / "driftwatch.sqlite").close()
    assert [completions(line) for line in lines] == [set(), set()]
    (store / "driftwatch.sqlite").write_bytes(b"no history" * 999)
    assert [completions(line) for line in lines] == [set(), set()]
