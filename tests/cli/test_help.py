"""Help that is true: every verb has examples, and they run; what a shell is offered exists."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import pyarrow.csv
import pyarrow.parquet
import pytest
from click.testing import CliRunner
from days import fixed_texts, look_until
from shell_completion import offered

from driftwatch.cli import main
from driftwatch.core import plugins

#: Verbs whose examples stay up, or take minutes; they are only parsed.
LONG = {"demo", "run"}


def commands(
    group: click.Group, before: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*before, name))
        else:
            yield (*before, name), command


VERBS = dict(commands(main))


def examples(text: str | None) -> list[list[str]]:
    """The command lines of a help text, without the comment and the file a shell would write."""
    lines = re.findall(r"^ *driftwatch (.*)$", text or "", flags=re.MULTILINE)
    return [shlex.split(re.split(r" [>#] ", line)[0]) for line in lines]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_verb_has_examples_that_parse(verb: tuple[str, ...]) -> None:
    command = VERBS[verb]
    found = examples(command.help)
    assert found
    for words in found:
        assert tuple(words[: len(verb)]) == verb
        command.make_context("driftwatch", words[len(verb) :])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files the examples speak of."""
    (tmp_path / "production").mkdir()
    for text, name in zip(fixed_texts(), ("test.parquet", "production/days.parquet"), strict=True):
        table = pyarrow.csv.read_csv(io.BytesIO(text.encode()))
        pyarrow.parquet.write_table(table, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_examples_run(place: Path) -> None:
    told = [words for command in VERBS.values() for words in examples(command.help)]
    told += examples(main.help)
    first = [words for words in told if words[0] == "init"]
    last = [words for words in told if words[0] == "ack"]
    between = [words for words in told if words[0] not in {"init", "ack", *LONG}]
    for words in first[:2]:
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 0, (words, result.stderr)
    look_until(place / "driftwatch.yaml", datetime(2026, 3, 1, tzinfo=UTC))
    for words in (*between, *last):
        result = CliRunner().invoke(main, words)
        expected = {0}
        if "--fail-on-drift" in words or "--at" in words:
            expected = {1}
        elif words[0] == "check":
            expected = {0, 1, 3, 5}
        assert result.exit_code in expected, (words, result.stdout, result.stderr)


def test_a_shell_is_offered_verbs_monitors_and_detectors(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    source = "{type: files, path: x.csv, time_column: when}"
    monitors = "".join(
        f"  - {{name: {name}, reference: {{path: r.csv}}, source: {source}}}\n"
        for name in ("prices", "loans")
    )
    config.write_text(f"version: 1\nmonitors:\n{monitors}")
    assert {"check", "check-config", "compare", "completion"} <= offered("driftwatch c")
    assert offered(f"driftwatch check {config} --monitor ") == {"prices", "loans"}
    assert offered(f"driftwatch ack {config} --monitor pr") == {"prices"}
    assert offered("driftwatch check none.yaml --monitor ") == set()
    assert offered("driftwatch compare a b --detector ") == set(plugins.names("detectors"))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_call_this_command(shell: str) -> None:
    script = CliRunner().invoke(main, ["completion", shell]).stdout
    assert f"_DRIFTWATCH_COMPLETE={shell}_complete" in script
