"""On every field case the daemon's verdicts are right, and ``compare`` says the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from field_cases import FIELD_CASES, FIRST_DAY, PRODUCTION_DAYS, FieldCase, Right

from driftwatch.cli import main


def invoke(*words: str) -> Result:
    return CliRunner().invoke(main, list(words), catch_exceptions=False)


def case_named(case: FieldCase) -> str:
    return case.name.replace(" ", "-")


@pytest.mark.parametrize("case", FIELD_CASES, ids=case_named)
def test_backtest_and_compare_agree_on_what_is_right(case: FieldCase, tmp_path: Path) -> None:
    config = case.config(tmp_path)
    result = invoke("backtest", str(config), "--format", "json", "--fail-on-drift")
    assert result.exit_code == (1 if case.right is Right.PAGE else 0), result.output
    backtest = json.loads(result.stdout)
    windows, pages = backtest["windows"], backtest["pages"]
    assert len(windows) == PRODUCTION_DAYS
    assert windows[0]["start"] == FIRST_DAY.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert_law(windows)
    if case.right is Right.PAGE:
        assert pages[0]["window_start"] == windows[0]["start"]
        named = {item["column"]: item["effect"] for item in pages[0]["columns"]}
        assert case.column in named
        assert case.text in named[case.column]
    elif case.right is Right.UNWATCHED:
        assert {window["state"] for window in windows} == {"insufficient"}
        assert {window["reason"] for window in windows} == {"columns_unwatched"}
        assert all(case.column in {item["column"] for item in window["unwatched"]} for window in windows)
    else:
        assert {window["state"] for window in windows} <= {"ok", "calibrating"}
        assert all(window["watched"]["drawn"] == window["watched"]["of"] for window in windows)
    if case.comparable:
        assert_compare(case, tmp_path)


def assert_law(windows: list[dict[str, Any]]) -> None:
    for window in windows:
        watched, unwatched = window["watched"], {item["column"] for item in window["unwatched"]}
        broken = {item["column"] for item in window["broken"]}
        assert watched["drawn"] + len(unwatched) + len(broken) == watched["of"]
        assert not unwatched & broken
        assert not set(window["unchanged"]) & set(window["could_not_tell"])
        assert set(window["move_limits"]) <= set(window["unchanged"]) | set(window["could_not_tell"])
        if window["state"] in ("ok", "calibrating"):
            assert len(unwatched) <= 0.1 * watched["of"]


def assert_compare(case: FieldCase, folder: Path) -> None:
    paths = [str(folder / f"{name}{case.suffix}") for name in ("reference", "production")]
    result = invoke("compare", *paths, "--time-column", "ts", "--format", "json", "--fail-on-drift")
    assert result.exit_code == (1 if case.right is Right.PAGE else 0), result.output
