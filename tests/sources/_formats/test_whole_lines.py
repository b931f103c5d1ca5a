"""Line files whose last line has no newline: complete, cut, or still being written."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from driftwatch.cli.verbs._one_off_files import one_off_files
from driftwatch.sources.files import FilesConfig, open_source

SECOND = 10**9
#: When the files were written, and when they are read.
WRITTEN = 1_700_000_000 * SECOND
HEAD = "t,x,c\n2013-04-01,1,a\n"


def read(path: Path, age: float, **changes: Any) -> tuple[list[Any], list[str]]:
    """Values of ``x``, and problems, of a file that was left alone for ``age`` seconds."""
    os.utime(path, ns=(WRITTEN, WRITTEN))
    config = FilesConfig(**({"type": "files", "path": str(path), "time_column": "t"} | changes))
    reading = open_source(config, now=lambda: WRITTEN + int(age * SECOND)).read(None, ["x", "c"])
    values = [value for batch in reading.batches for value in batch.column("x").to_pylist()]
    return values, [item.problem.value for item in reading.rejected]


def place(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_a_whole_last_row_counts_once_the_file_was_left_alone(tmp_path: Path, name: str) -> None:
    path = place(tmp_path, name, HEAD + "2013-04-01,2,b")
    assert read(path, 59) == ([], ["half_written"])
    assert read(path, 60) == ([1, 2], [])
    assert read(path, 5, unfinished="5s") == ([1, 2], [])
    assert read(path, 0, unfinished="0s") == ([1, 2], [])
    assert read(path, -3600, unfinished="5s") == ([], ["half_written"]), "the clocks of two machines"
    ended = place(tmp_path, name, HEAD + "2013-04-01,2,b\n")
    assert read(ended, 0) == ([1, 2], [])


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
@pytest.mark.parametrize(
    "last", ["2013-04-01", "2013-04-01,2", '2013-04-01,2,"b', '2013-04-01,2,"b\nc', '2013-04-01,2,"b""'],
    ids=["one field", "two fields", "open quote", "open quote over lines", "quote or end"],
)  # fmt: skip
def test_a_row_that_was_cut_is_half_written_however_old_it_is(tmp_path: Path, name: str, last: str) -> None:
    path = place(tmp_path, name, HEAD + last)
    assert read(path, 10**6) == ([], ["half_written"])
    assert read(path, 10**6, unfinished="0s") == ([], ["half_written"])


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_a_quoted_last_value_over_lines_is_whole(tmp_path: Path, name: str) -> None:
    assert read(place(tmp_path, name, HEAD + '2013-04-01,2,"b\n""c"""'), 60) == ([1, 2], [])


@pytest.mark.parametrize("text", ["t,x,c", "t,x"])
def test_column_names_without_an_end_may_be_some_of_them(tmp_path: Path, text: str) -> None:
    assert read(place(tmp_path, "a.csv", text), 10**6) == ([], ["half_written"])


def test_a_file_of_many_blocks_is_judged_by_its_end(tmp_path: Path) -> None:
    row = "2013-04-01,3," + "y" * 90 + "\n"
    body = HEAD + row * 100_000
    assert len(read(place(tmp_path, "a.csv", body + row[:-1]), 60)[0]) == 100_002
    for last in ("2013-04-01,4", '2013-04-01,4,"z'):
        assert read(place(tmp_path, "a.csv", body + last), 60) == ([], ["half_written"])
    oops = "2013-04-01,oops,z"
    values, problems = read(place(tmp_path, "a.csv", body + oops), 60)
    assert (len(values), str(values[-1]), problems) == (100_002, "oops", [])


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_a_whole_object_needs_no_newline(tmp_path: Path, name: str) -> None:
    first = json.dumps({"t": "2013-04-01", "x": 1, "c": {"d": 1}})
    for last in (first, first + "  ", first + "\r"):
        assert read(place(tmp_path, name, f"{first}\n{last}"), 0) == ([1, 1], [])
    for last in (first[:-1], first[:-2], first[:5], "{", "1", '"t"', "[1", "nul"):
        assert read(place(tmp_path, name, f"{first}\n{last}"), 10**6) == ([], ["half_written"]), last
    assert read(place(tmp_path, name, first), 0) == ([1], [])
    many = f"{first}\n" * 200_000
    assert len(read(place(tmp_path, name, many + first), 0)[0]) == 200_001
    assert read(place(tmp_path, name, many + first[:-1]), 0) == ([], ["half_written"])


def test_files_given_by_hand_are_taken_at_once(tmp_path: Path) -> None:
    path = place(tmp_path, "a.csv", HEAD + "2013-04-01,2,b")
    with one_off_files() as opened:
        assert sum(batch.num_rows for batch in opened.batches(str(path))) == 2
