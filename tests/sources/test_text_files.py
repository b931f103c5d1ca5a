"""How texts are written in files, what is wrong with a header, and files that are there twice."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from driftwatch.columns.arrow.event_time import event_times
from driftwatch.sources.base import Reading
from driftwatch.sources.files import FilesConfig, FilesSource, open_source

SECOND = 10**9


def source(path: Path | list[str], **changes: Any) -> FilesSource:
    where = path if isinstance(path, list) else str(path)
    return open_source(FilesConfig(**{"type": "files", "path": where, "unfinished": 0, **changes}))


def written(folder: Path, text: str, name: str = "a.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    data = text.encode(encoding)
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def values(reading: Reading, column: str) -> list[Any]:
    cells = [value for batch in reading.batches for value in batch.column(column).to_pylist()]
    assert reading.rejected == [], reading.rejected
    return cells


def problem(reading: Reading) -> str:
    assert [batch for batch in reading.batches if batch.num_rows] == []
    (rejected,) = reading.rejected
    return f"{rejected.problem}: {rejected.detail}"


def test_decimal_and_thousands_make_numbers_of_texts(tmp_path: Path) -> None:
    english = source(written(tmp_path, 'x,y\n"1,234.50",1\n"999",2\n'), thousands=",")
    assert values(english.read(None, None), "x") == [1234.5, 999.0]
    german = source(
        written(tmp_path, "x;y;z\n1.234,50;1.234;a\n3;2.000;b\n", "b.csv"),
        delimiter=";", decimal=",", thousands=".",
    )  # fmt: skip
    assert values(german.read(None, None), "x") == [1234.5, 3.0]
    assert values(german.read(None, ["y"]), "y") == [1234.0, 2000.0]
    assert values(german.read(None, None), "z") == ["a", "b"]


def test_an_odd_text_leaves_the_other_numbers_of_its_column(tmp_path: Path) -> None:
    opened = source(written(tmp_path, 'x\n"1,234.50"\nERR\n"2,000"\n'), thousands=",")
    assert values(opened.read(None, None), "x") == ["1234.5", "ERR", "2000"]


def test_a_unit_is_stripped_where_it_is_declared_and_another_one_is_a_text(tmp_path: Path) -> None:
    path = written(tmp_path, "price,rate\n€ 12.5,3 %\n€ 3,4 %\n$ 4,5 %\n")
    opened = source(path, units={"price": "€", "rate": "%"})
    assert values(opened.read(None, None), "price") == ["12.5", "3", "$ 4"]
    assert values(opened.read(None, None), "rate") == [3.0, 4.0, 5.0]


def test_json_texts_are_numbers_too(tmp_path: Path) -> None:
    path = written(tmp_path, '{"r": {"x": "1.234,5", "n": 1.5}}\n{"r": {"x": "2", "n": 2.5}}\n', "a.jsonl")
    opened = source(path, decimal=",", thousands=".")
    assert values(opened.read(None, ["r.x"]), "r.x") == [1234.5, 2.0]
    assert values(opened.read(None, ["r.n"]), "r.n") == [1.5, 2.5]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "csv.gz", "parquet"])
def test_times_in_a_declared_format(tmp_path: Path, kind: str) -> None:
    texts = ["03/01/2026 10:00 AM", "03/02/2026 01:30 PM"]
    if kind == "parquet":
        pq.write_table(pa.table({"t": texts, "x": [1, 2]}), tmp_path / "a.parquet")
    else:
        lines = [f'{{"t": "{text}", "x": 1}}' for text in texts]
        text = "\n".join(lines if kind == "jsonl" else ["t,x", *(f"{text},1" for text in texts)]) + "\n"
        written(tmp_path, text, f"a.{kind}")
    opened = source(tmp_path / f"a.{kind}", time_column="t", time_format="%m/%d/%Y %I:%M %p")
    extent = opened.extent()
    assert extent is not None
    assert (extent.start, extent.end - 1) == (1_772_359_200 * SECOND, 1_772_458_200 * SECOND)
    reading = opened.read(extent, ["x"])
    batch = next(reading.batches)
    assert event_times(batch.column("t"), "UTC")[0].tolist() == [extent.start, extent.end - 1]
    refused = problem(source(tmp_path / f"a.{kind}", time_column="t").read(extent, ["x"]))
    assert "None of 2 rows has a usable one" in refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"thousands": "."}, "expected another sign than decimal"), ({"decimal": ";"}, "decimal"),
        ({"time_format": "%H"}, "expected year, month and day"),
        ({"encoding": "klingon"}, "expected an encoding"),
        ({"encoding": "base64"}, "expected an encoding"), ({"explode": ""}, "explode"),
        ({"time_format": ["%Y-%m-%d", "%Q"]}, "expected directives of strptime"),
    ],
)  # fmt: skip
def test_options_that_cannot_be_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        FilesConfig(type="files", path="x", **changes)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.jsonl"])
@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le", "cp1252"])
def test_a_declared_encoding_is_read(tmp_path: Path, name: str, encoding: str) -> None:
    text = '{"name": "Zürich", "x": 1}\n' if name == "a.jsonl" else "name,x\nZürich,1\n"
    opened = source(written(tmp_path, text, name, encoding), encoding=encoding)
    assert values(opened.read(None, None), "name") == ["Zürich"]
    assert values(opened.read(None, ["x"]), "x") == [1]


@pytest.mark.parametrize(
    ("text", "name", "encoding", "cause"),
    [
        ("t,city\n1,Zürich\n", "a.csv", "latin-1", "column 'city' holds bytes that are not utf-8."),
        ("t,city\n" + "1,Bern\n" * 1_500_000 + "1,Zürich\n", "a.csv", "latin-1", "column 'city' holds bytes"),
        ("t,größe\n1,2\n", "a.csv", "latin-1", "its line of column names holds bytes that are not"),
        ("t,city\n1,2\n", "a.csv", "utf-16", "its line of column names is not utf-8. Set encoding"),
        ("t,city\n1,2\n", "a.csv", "utf-16-be", "its line of column names is not utf-8. Set encoding"),
        ('{"t": 1, "city": "Zürich"}\n', "a.jsonl", "latin-1", "column 'city' holds bytes that are not"),
    ],
)  # fmt: skip
def test_bytes_of_another_encoding_are_named(
    tmp_path: Path, text: str, name: str, encoding: str, cause: str
) -> None:
    refused = problem(source(written(tmp_path, text, name, encoding)).read(None, None))
    assert refused.startswith("unreadable: ")
    assert cause in refused
    assert "Zürich" not in refused


def test_a_wrongly_declared_encoding_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "t,city\n1,Zürich\n", encoding="latin-1")
    assert "bytes that are not ascii" in problem(source(path, encoding="ascii").read(None, None))
    text = problem(source(written(tmp_path, "t,x\n1,2\n"), encoding="utf-32").read(None, None))
    assert "bytes that are not utf-32: set encoding" in text


def test_a_file_without_a_line_of_names_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "2026-03-01T00:00:00Z,3,web\n2026-03-02T00:00:00Z,4,app\n")
    text = problem(source(path).read(None, None))
    assert "expected a line of column names. Got '2026-03-01T00:00:00Z', '3', 'web', which look like" in text
    text = problem(source(path, time_column="t").read(None, ["x"]))
    assert "They look like values: the file may lack a line of column names." in text
    wide = source(written(tmp_path, "id,2024,2025\n1,2,3\n"))
    assert values(wide.read(None, None), "2024") == [2]


def test_a_column_named_twice_is_named(tmp_path: Path) -> None:
    twice = "foreign_schema: column 'a' is named twice. Rename one of the two."
    path = written(tmp_path, "ts,a,b,a\n2026-03-01,1,2,3\n")
    assert problem(source(path).read(None, None)) == twice
    assert problem(source(path).read(None, ["a"])) == twice
    assert values(source(path).read(None, ["b"]), "b") == [2], "the others can be told apart"
    assert values(source(written(tmp_path, "ts,a,,\n2026-03-01,1,,\n", "c.csv")).read(None, None), "a") == [1]
    pq.write_table(pa.table([[1], [2]], names=["a", "a"]), tmp_path / "a.parquet")
    assert problem(source(tmp_path / "a.parquet").read(None, None)) == twice
    for line in ('{"a": 1, "a": 2}', '{"r": {"a": 1, "a": 2}}'):
        refused = problem(source(written(tmp_path, f"{line}\n", "a.jsonl")).read(None, None))
        assert refused == "foreign_schema: column 'a' is named twice in one object. Rename one of the two."


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_names_that_are_there_in_place_of_missing_ones_are_told(tmp_path: Path, kind: str) -> None:
    if kind == "parquet":
        pq.write_table(
            pa.table({"ts": ["2026-03-01"], "age": [1], "userId": [2], "y": [3]}), tmp_path / "a.parquet"
        )
    elif kind == "csv":
        written(tmp_path, "ts,age,userId,y\n2026-03-01,1,2,3\n")
    else:
        written(tmp_path, '{"ts": "2026-03-01", "age": 1, "userId": 2, "y": 3}\n', "a.jsonl")
    reading = source(tmp_path / f"a.{kind}", time_column="ts").read(None, ["Age", "user_id", "y"])
    assert values(reading, "y") == [3]
    assert reading.other_columns == ["age", "userId"]
    complete = source(tmp_path / f"a.{kind}", time_column="ts").read(None, ["age"])
    assert values(complete, "age") == [1]
    assert complete.other_columns == []


@pytest.mark.parametrize("n_lines", [2, 40_000])
def test_fields_of_a_number_that_became_an_object_are_told(tmp_path: Path, n_lines: int) -> None:
    """Also where a later block of the file has them."""
    lines = [json.dumps({"x": 1, "load": 5.1, "pad": "-" * 300})] * n_lines
    written(tmp_path, "\n".join([*lines, '{"x": 2, "load": {"v": 5.1}}', ""]), "a.jsonl")
    reading = source(tmp_path / "a.jsonl").read(None, ["x", "load"])
    assert len(values(reading, "x")) == n_lines + 1
    assert "load.v" in reading.other_columns


def test_a_file_and_links_to_it_are_read_once(tmp_path: Path) -> None:
    path = written(tmp_path, "x\n1\n", "b.csv")
    (tmp_path / "a.csv").symlink_to(path)
    (tmp_path / "c.csv").hardlink_to(path)
    (tmp_path / "again").symlink_to(tmp_path)
    for where in (
        tmp_path / "*.csv",
        tmp_path,
        [str(path), str(tmp_path / "a.csv"), str(tmp_path / "again" / "b.csv")],
    ):
        reading = source(where).read(None, None)
        assert values(reading, "x") == [1]
        assert reading.files == 1
    version = source(tmp_path / "*.csv").version(None)
    (tmp_path / "d.csv").symlink_to(path)
    assert source(tmp_path / "*.csv").version(None) == version
    written(tmp_path, "x\n1\n", "copy.csv")
    assert values(source(tmp_path / "*.csv").read(None, None), "x") == [1, 1], "equal files are two"


def test_a_damaged_page_with_a_checksum_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    marks = list(range(1_000_000_000, 1_000_000_500))
    options: dict[str, Any] = {"compression": "none", "use_dictionary": False}
    for checksum, expected in ((False, 1), (True, 0)):
        pq.write_table(pa.table({"x": marks}), path, write_page_checksum=checksum, **options)
        assert len(values(source(path).read(None, None), "x")) == 500
        data = path.read_bytes()
        value = marks[250].to_bytes(8, "little")
        assert data.count(value) == 1
        path.write_bytes(data.replace(value, (7).to_bytes(8, "little")))
        reading = source(path).read(None, None)
        assert len(list(reading.batches)) == expected
        assert [item.problem for item in reading.rejected] == ([] if expected else ["unreadable"])


@pytest.mark.parametrize(
    ("first", "cause"),
    [
        ("sep=;", 'its first line names a delimiter ("sep="): delete it'),
        ("# exported by X", "its first line is a comment (#): delete it"),
        ("# exported, by X", "Perhaps its first line is a comment (#): delete it"),
    ],
)
def test_a_first_line_that_is_no_line_of_column_names_is_named(
    tmp_path: Path, first: str, cause: str
) -> None:
    path = written(tmp_path, f"{first}\na,b,c\n1,2,3\n")
    assert cause in problem(source(path).read(None, None))
    assert cause in problem(source(path).read(None, ["a"]))


def test_lines_that_end_in_a_delimiter_have_no_further_column(tmp_path: Path) -> None:
    opened = source(written(tmp_path, "a,b,,\n1,2,,\n3,4,,\n"))
    assert [batch.schema.names for batch in opened.read(None, None).batches] == [["a", "b"]]
    with_values = source(written(tmp_path, "a,b,\n1,2,\n3,4,5\n", "b.csv"))
    assert values(with_values.read(None, None), "") == [None, 5]
    assert values(source(written(tmp_path, "#id,b\n1,2\n", "c.csv")).read(None, None), "#id") == [1]


@pytest.mark.parametrize("end", ["\n", ""])
def test_json_that_is_nested_without_end_is_refused_at_once(tmp_path: Path, end: str) -> None:
    reason = "unreadable: a line is nested deeper than 64 objects and lists. Log such a value as text."
    for line in ('{"a":' * 9_000 + "1" + "}" * 9_000, '{"a":' + "[" * 100 + "]" * 100 + "}"):
        path = written(tmp_path, f'{{"a": 1}}\n{line}{end}', "a.jsonl")
        assert problem(source(path).read(None, None)) == reason
    flat = json.dumps({"a": ["[{" * 200], "b": [[1]] * 200})
    assert (
        sum(batch.num_rows for batch in source(written(tmp_path, flat, "b.jsonl")).read(None, None).batches)
        == 1
    )
