"""Help that is true: every verb has examples, and they run; what a shell is offered exists."""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import click
import pyarrow.csv
import pyarrow.parquet
import pytest
from click.testing import CliRunner
from days import check_until, fixed_texts
from shell_completion import completions

from driftwatch import cli
from driftwatch.cli import load_verb, main
from driftwatch.core import plugins
from driftwatch.store.database import Database
from driftwatch.store.tables.incident_table import IncidentTable

#: Verbs whose examples serve until they are stopped, or take minutes; they are only parsed.
LONG = {"demo", "run"}
VERB_FILES = [path for path in Path(cli.__file__).parent.glob("verbs/*.py") if not path.stem.startswith("_")]


def commands(
    command: click.Command, words: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        for name, subcommand in command.commands.items():
            yield from commands(subcommand, (*words, name))
    else:
        yield words, command


VERBS = dict(pair for name in cli.VERBS for pair in commands(load_verb(name), (name,)))


def examples(text: str | None) -> list[list[str]]:
    """The command lines of a help text, without the comment and the file that a shell would write."""
    lines = re.findall(r"^ *driftwatch (.*)$", text or "", flags=re.MULTILINE)
    return [shlex.split(re.split(r" [>#] ", line)[0]) for line in lines]


def test_the_table_of_verbs_has_each_file_and_the_first_line_of_its_help() -> None:
    assert set(cli.VERBS) == {path.stem.replace("_", "-") for path in VERB_FILES}
    for name, line in cli.VERBS.items():
        command = load_verb(name)
        assert command.name == name
        assert (command.help or "").partition("\n")[0] == line


def test_help_and_completion_of_every_verb_import_nothing_heavy() -> None:
    """Otherwise `driftwatch VERB --help` and each TAB of a shell take 0.7 s instead of 0.06 s."""
    imports = "; ".join(f"import driftwatch.cli.verbs.{path.stem}" for path in VERB_FILES)
    code = f"{imports}; import sys; print(*sys.modules)"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "pyarrow", "scipy", "pydantic", "yaml", "rich", "pandas", "sqlite3", "zoneinfo"}
    assert heavy.isdisjoint(process.stdout.split())


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_verb_has_examples_that_parse(verb: tuple[str, ...]) -> None:
    command = VERBS[verb]
    lines = examples(command.help)
    assert lines
    for words in lines:
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
    lines = [words for command in VERBS.values() for words in examples(command.help)]
    lines += examples(main.help)
    first = [words for words in lines if words[0] == "init"]
    last = [words for words in lines if words[0] == "ack"]
    middle = [words for words in lines if words[0] not in {"init", "ack", *LONG}]
    for words in first[:2]:
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 0, (words, result.stderr)
    check_until(place / "driftwatch.yaml", datetime(2026, 3, 1, tzinfo=UTC))
    with closing(Database(place / "driftwatch-data")) as database:
        (incident,) = IncidentTable(database).of_monitor("test")
    for example in (*middle, *last):
        # The key of an incident is that of the reader.
        words = [incident.key if word.startswith("test-drift-") else word for word in example]
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
    assert {"check", "check-config", "compare", "completion"} <= completions("driftwatch c")
    assert completions("driftwatch reference ") == {"build"}
    assert {"--monitor", "--at", "--format"} <= completions("driftwatch check --")
    assert completions(f"driftwatch check {config} --monitor ") == {"prices", "loans"}
    assert completions(f"driftwatch ack {config} --monitor pr") == {"prices"}
    assert completions("driftwatch check none.yaml --monitor ") == set()
    assert completions("driftwatch compare a b --detector ") == set(plugins.names("detectors"))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_call_this_command(shell: str) -> None:
    script = CliRunner().invoke(main, ["completion", shell]).stdout
    assert f"_DRIFTWATCH_COMPLETE={shell}_complete" in script
