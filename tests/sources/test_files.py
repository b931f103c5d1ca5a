"""Real files of every format, sound and not, in folders of every shape."""

from __future__ import annotations

import gzip
import json
import os
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from driftwatch.columns.arrow.event_time import event_times
from driftwatch.core.schema import Span
from driftwatch.errors import SchemaMismatch, SourceUnavailable
from driftwatch.results.results import FileProblem
from driftwatch.sources._formats.request import BATCH_BYTES
from driftwatch.sources.files import FilesConfig, FilesSource, open_source

HOUR = 3600 * 10**9
DAY = 24 * HOUR
#: 2013-04-01T00:00:00Z
START = 15796 * DAY


def source(path: Path | str, **changes: Any) -> FilesSource:
    return open_source(FilesConfig(**({"type": "files", "path": str(path), "time_column": "t"} | changes)))


def table(hours: list[int], **columns: Any) -> pa.Table:
    times = pa.array([START + hour * HOUR for hour in hours]).cast(pa.timestamp("ns"))
    return pa.table({"t": times, "x": pa.array(hours), **columns})


def parquet(path: Path, hours: list[int], **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        pq.write_table(table(hours), file, **options)
    return path


def rows(reading: Any, column: str = "x") -> list[Any]:
    return [value for batch in reading.batches for value in batch.column(column).to_pylist()]


def problems(reading: Any) -> dict[str, str]:
    return {item.name: item.problem.value for item in reading.rejected}


def written(folder: Path, kind: str) -> Path:
    """Four rows, an hour apart, in one format."""
    path = folder / f"rows.{kind}"
    moments = [f"2013-04-01T0{hour}:00:00Z" for hour in range(4)]
    lines = [json.dumps({"t": moment, "x": place}) for place, moment in enumerate(moments)]
    if kind.startswith("csv"):
        lines = ["t,x", *(f"{moment},{place}" for place, moment in enumerate(moments))]
    data = ("\n".join(lines) + "\n").encode()
    if kind == "parquet":
        return parquet(path, [0, 1, 2, 3])
    path.write_bytes(gzip.compress(data) if kind.endswith(".gz") else data)
    return path


@pytest.mark.parametrize("kind", ["csv.gz", "jsonl.gz"])
def test_compressed_files_give_the_same_rows_times_and_extent(tmp_path: Path, kind: str) -> None:
    opened = source(written(tmp_path, kind))
    reading = opened.read(None, ["x"])
    batches = list(reading.batches)
    assert (reading.files, reading.rejected) == (1, [])
    assert [value for batch in batches for value in batch.column("x").to_pylist()] == [0, 1, 2, 3]
    times = [item for batch in batches for item in event_times(batch.column("t"), "UTC")[0].tolist()]
    assert times == [START + hour * HOUR for hour in range(4)]
    assert opened.extent() == Span(start=START, end=START + 3 * HOUR + 1)


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_a_file_whose_name_is_no_text_is_read_like_others(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path, kind)
    path.rename(os.fsdecode(os.fsencode(tmp_path) + b"/odd \xff\xe4." + kind.encode()))
    reading = source(tmp_path).read(None, ["x"])
    assert rows(reading) == [0, 1, 2, 3]
    assert reading.rejected == []


def test_row_groups_outside_the_span_are_not_read(tmp_path: Path) -> None:
    opened = source(parquet(tmp_path / "a.parquet", list(range(8)), row_group_size=2))
    span = Span(start=START + 2 * HOUR, end=START + 4 * HOUR)
    assert rows(opened.read(span, ["x"])) == [2, 3]
    assert rows(opened.read(Span(start=START + 3 * HOUR, end=START + 4 * HOUR + 1), ["x"])) == [2, 3, 4, 5]
    assert rows(opened.read(Span(start=START + 8 * HOUR, end=START + 9 * HOUR), ["x"])) == []


@pytest.mark.parametrize(
    "shape", ["date={d}", "dt={c}", "year=2013/month=4/day={n}", "year=2013/month=04/day={n}/hour=05"]
)
def test_partitions_outside_the_span_are_never_opened(tmp_path: Path, shape: str) -> None:
    for day in (1, 2, 3):
        names = shape.format(d=f"2013-04-0{day}", c=f"2013040{day}", n=day)
        path = parquet(tmp_path / names / "part.parquet", [24 * (day - 1) + 5])
        if day != 2:
            path.write_bytes(b"damaged")
    opened = source(tmp_path / "**" / "*.parquet")
    reading = opened.read(Span(start=START + DAY, end=START + 2 * DAY), ["x"])
    assert rows(reading) == [29]
    assert (reading.files, reading.rejected) == (1, [])
    nothing = opened.read(Span(start=START + 90 * DAY, end=START + 91 * DAY), ["x"])
    assert rows(nothing) == []
    everything = opened.read(None, ["x"])
    assert rows(everything) == [29]
    assert set(problems(everything).values()) == {"unreadable"}


def test_partition_dates_may_be_dates_of_the_zone_or_of_arrival(tmp_path: Path) -> None:
    parquet(tmp_path / "date=2013-03-31" / "a.parquet", [1])
    span = Span(start=START, end=START + 2 * HOUR)
    assert rows(source(tmp_path, timezone="UTC").read(span, ["x"])) == []
    assert rows(source(tmp_path, timezone="UTC", partition_time=False).read(span, ["x"])) == [1]
    local = Span(start=START + 4 * HOUR, end=START + 6 * HOUR)
    eastern = source(tmp_path, timezone="America/New_York")
    assert rows(eastern.read(Span(start=START, end=START + 6 * HOUR), ["x"])) == [1]
    assert rows(eastern.read(local, ["x"])) == []


def test_partitions_are_columns(tmp_path: Path) -> None:
    parquet(tmp_path / "city=New%20York" / "n=07" / "a.parquet", [0, 1])
    parquet(tmp_path / "city=__HIVE_DEFAULT_PARTITION__" / "n=8" / "a.parquet", [2])
    assert rows(source(tmp_path).read(None, ["x", "city"]), "city") == ["New York", "New York", None]
    assert rows(source(tmp_path).read(None, None), "n") == [7, 7, 8]
    assert rows(source(tmp_path).read(None, ["city"]), "city") == ["New York", "New York", None]
    assert "city" not in next(iter(source(tmp_path).read(None, ["x"]).batches)).schema.names


def test_extent_opens_dated_folders_from_both_ends_only(tmp_path: Path) -> None:
    for day in range(1, 6):
        parquet(tmp_path / f"date=2013-04-0{day}" / "a.parquet", [24 * (day - 1), 24 * (day - 1) + 23])
    (tmp_path / "date=2013-04-03" / "a.parquet").write_bytes(b"damaged")
    assert source(tmp_path).extent() == Span(start=START, end=START + 4 * DAY + 23 * HOUR + 1)
    with pytest.raises(SchemaMismatch, match="expected a time_column"):
        source(tmp_path, time_column=None).extent()


def test_extent_without_statistics(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", [3, 1], write_statistics=False)
    assert source(path).extent() == Span(start=START + HOUR, end=START + 3 * HOUR + 1)


def test_an_extent_passes_over_foreign_files_unless_all_are(tmp_path: Path) -> None:
    pq.write_table(pa.table({"other": [1]}), tmp_path / "foreign.parquet")
    (tmp_path / "damaged.parquet").write_bytes(b"damaged")
    assert source(tmp_path).extent() is None, "the damaged one may have had times"
    (tmp_path / "damaged.parquet").unlink()
    with pytest.raises(SchemaMismatch, match=r"expected the time column 't'. Got 'other'. Name the column"):
        source(tmp_path).extent()
    parquet(tmp_path / "a.parquet", [1])
    assert source(tmp_path).extent() == Span(start=START + HOUR, end=START + HOUR + 1)


def make_bad_files(folder: Path) -> dict[str, FileProblem]:
    good = parquet(folder / "good.parquet", [0, 1]).read_bytes()
    (folder / "cut.parquet").write_bytes(good[: len(good) // 2])
    (folder / "empty.parquet").touch()
    (folder / "text.parquet").write_text("this is no Parquet file at all", encoding="utf-8")
    (folder / "broken.parquet").write_bytes(good[:4] + bytes(len(good) - 8) + good[-4:])
    pq.write_table(pa.table({"other": [1], "x": [1]}), folder / "timeless.parquet")
    pq.write_table(pa.table({"t": [True], "x": [1]}), folder / "booleans.parquet")
    pq.write_table(table([0]).select(["t"]), folder / "columnless.parquet")
    (folder / "half.csv").write_text("t,x\n2013-04-01,3\n2013-04-01,30", encoding="utf-8")
    (folder / "ragged.csv").write_text("t,x\n2013-04-01,3\n2013-04-01\n", encoding="utf-8")
    (folder / "timeless.csv").write_text("a,x\n1,2\n", encoding="utf-8")
    (folder / "half.jsonl").write_text('{"t": "2013-04-01", "x": 3}\n{"t": "2013-', encoding="utf-8")
    (folder / "other.jsonl").write_text('{"t": "2013-04-01", "x": 3}\nhello\n', encoding="utf-8")
    packed = gzip.compress(b"t,x\n2013-04-01,3\n" * 50)
    (folder / "cut.csv.gz").write_bytes(packed[:-12])
    (folder / "half.csv.gz").write_bytes(gzip.compress(b"t,x\n2013-04-01,3\n2013-04-01,30"))
    (folder / "rows.txt").write_text("t,x\n", encoding="utf-8")
    os.mkfifo(folder / "pipe.parquet")
    kinds = FileProblem
    return {
        "cut.parquet": kinds.HALF_WRITTEN, "empty.parquet": kinds.EMPTY, "text.parquet": kinds.UNREADABLE,
        "broken.parquet": kinds.UNREADABLE, "timeless.parquet": kinds.FOREIGN_SCHEMA,
        "booleans.parquet": kinds.FOREIGN_SCHEMA, "columnless.parquet": kinds.FOREIGN_SCHEMA,
        "half.csv": kinds.HALF_WRITTEN, "ragged.csv": kinds.UNREADABLE, "timeless.csv": kinds.FOREIGN_SCHEMA,
        "half.jsonl": kinds.HALF_WRITTEN, "other.jsonl": kinds.UNREADABLE, "cut.csv.gz": kinds.UNREADABLE,
        "half.csv.gz": kinds.HALF_WRITTEN, "rows.txt": kinds.UNREADABLE, "pipe.parquet": kinds.UNREADABLE,
    }  # fmt: skip


def test_every_bad_file_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    expected = make_bad_files(tmp_path)
    reading = source(tmp_path / "*").read(None, ["x"])
    assert rows(reading) == [0, 1]
    assert problems(reading) == {name: problem.value for name, problem in expected.items()}
    assert reading.files == 1
    for item in reading.rejected:
        assert "\n" not in item.detail
        assert "30" not in item.detail.replace("300", "")
        assert "hello" not in item.detail


def test_a_batch_weighs_what_it_weighs_in_memory(tmp_path: Path) -> None:
    # One value over and over takes next to nothing in the file.
    same = {f"c{place:02}": pa.array([0.5] * 70_000) for place in range(80)}
    pq.write_table(table([0] * 70_000, **same), tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").stat().st_size < 1 << 20
    weights = [batch.nbytes for batch in source(tmp_path / "a.parquet").read(None, None).batches]
    assert 1 < len(weights) < 4
    assert max(weights) < 1.1 * BATCH_BYTES


def test_row_groups_that_were_skipped_vouch_for_a_file(tmp_path: Path) -> None:
    kind = pa.timestamp("us")
    times = pa.chunked_array([pa.array([None] * 3, kind), pa.array([5 * 3_600_000_000] * 3, kind)])
    pq.write_table(pa.table({"at": times, "x": range(6)}), tmp_path / "a.parquet", row_group_size=3)
    first_hour = Span(start=0, end=HOUR)
    reading = source(tmp_path / "a.parquet", time_column="at").read(first_hour, None)
    assert rows(reading) == [0, 1, 2], "the group without times cannot be skipped"
    assert problems(reading) == {}
    pq.write_table(pa.table({"at": times[:3], "x": range(3)}), tmp_path / "a.parquet")
    reading = source(tmp_path / "a.parquet", time_column="at").read(first_hour, None)
    assert rows(reading) == []
    assert problems(reading) == {"a.parquet": "foreign_schema"}


def test_a_folder_gives_only_files_of_known_formats(tmp_path: Path) -> None:
    parquet(tmp_path / "a" / "1.parquet", [0])
    parquet(tmp_path / "_temporary" / "2.parquet", [1])
    parquet(tmp_path / ".hidden.parquet", [2])
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / "README.md").write_text("notes", encoding="utf-8")
    reading = source(tmp_path).read(None, ["x"])
    assert rows(reading) == [0]
    assert reading.rejected == []


def test_paths_that_name_nothing_say_so(tmp_path: Path) -> None:
    for path in (tmp_path / "*.parquet", tmp_path / "missing.csv", tmp_path, tmp_path / "no" / "**"):
        with pytest.raises(SourceUnavailable, match="expected at least one file"):
            source(path).read(None, ["x"])


def test_a_folder_that_cannot_be_listed_is_an_outage(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="expected a folder that can be listed"):
        source(tmp_path / ("x" * 300) / "*.parquet").version(None)


def test_an_outage_does_not_tell_the_keys_in_a_url() -> None:
    def refuse(url: str) -> Any:
        raise OSError(f"cannot reach {url}")

    config = FilesConfig(type="files", path="s3://AKIA:hunter2@bucket/*.parquet", time_column="t")
    with pytest.raises(SourceUnavailable) as caught:
        open_source(config, resolve=refuse).version(None)
    assert "hunter2" not in str(caught.value)
    assert "s3://***@bucket" in str(caught.value)


def test_lists_of_paths_links_and_loops(tmp_path: Path) -> None:
    first = parquet(tmp_path / "a" / "1.parquet", [0])
    second = parquet(tmp_path / "b" / "2.parquet", [1])
    (tmp_path / "a" / "loop").symlink_to(tmp_path / "a")
    (tmp_path / "b" / "gone.parquet").symlink_to(tmp_path / "nothing")
    reading = source(tmp_path / "**" / "*.parquet").read(None, ["x"])
    assert rows(reading) == [0, 1]
    assert problems(reading) == {"b/gone.parquet": "unreadable"}
    path_list = open_source(
        FilesConfig(type="files", path=[str(first), str(second), str(first)], time_column="t")
    )
    assert rows(path_list.read(None, ["x"])) == [0, 1]


def test_a_folder_named_like_a_file_is_named_unless_it_is_looked_into(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", [0])
    parquet(tmp_path / "spark.parquet" / "date=2013-04-01" / "part-0.parquet", [1])
    day, later = Span(start=START, end=START + DAY), Span(start=START + 9 * DAY, end=START + 10 * DAY)
    flat = source(tmp_path / "*.parquet").read(day, ["x"])
    assert rows(flat) == [0]
    assert problems(flat) == {"spark.parquet": "unreadable"}
    assert "spark.parquet/*" in flat.rejected[0].detail
    for span, hours in ((day, [0, 1]), (later, [])):
        deep = source(tmp_path / "**" / "*.parquet").read(span, ["x"])
        assert (rows(deep), deep.rejected) == (hours, [])
    whole = source(tmp_path / "spark.parquet").read(day, ["x"])
    assert (rows(whole), whole.rejected) == ([1], [])
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceUnavailable, match="expected at least one file"):
        source(tmp_path / "emp*").read(None, ["x"])


def test_a_file_that_is_not_settled_waits(tmp_path: Path) -> None:
    old, _new = parquet(tmp_path / "old.parquet", [0]), parquet(tmp_path / "new.parquet", [1])
    past = time.time_ns() - 120 * 10**9
    os.utime(old, ns=(past, past))
    opened = source(tmp_path / "*.parquet", settle="60s")
    version = opened.version(None)
    assert rows(opened.read(None, ["x"])) == [0]
    os.utime(tmp_path / "new.parquet", ns=(past, past))
    assert opened.version(None) != version
    assert rows(opened.read(None, ["x"])) == [1, 0]


def test_a_typo_late_in_a_csv_makes_its_column_text_and_no_row_is_lost_or_doubled(tmp_path: Path) -> None:
    lines = [f"2013-04-01,{place},{place}.5,true" for place in range(300_000)]
    lines[299_000] = "2013-04-01,oops,x,maybe"
    (tmp_path / "a.csv").write_text("t,x,y,z\n" + "\n".join(lines) + "\n", encoding="utf-8")
    batches = list(source(tmp_path / "a.csv").read(None, ["x", "y", "z"]).batches)
    assert max(batch.num_rows for batch in batches) <= 65_536
    values = [str(value) for batch in batches for value in batch.column("x").to_pylist()]
    assert len(values) == 300_000
    assert values[299_000] == "oops"
    assert values[:299_000] == [str(place) for place in range(299_000)]
    assert str(batches[0].column("y").to_pylist()[3]) == "3.5"


def test_csv_quotes_nulls_and_delimiters(tmp_path: Path) -> None:
    text = 't;x;c\n2013-04-01;1;"a\nb"\n2013-04-01;NA;\n'
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    (batch,) = source(tmp_path / "a.csv", delimiter=";").read(None, None).batches
    assert batch.schema.names == ["t", "x", "c"]
    assert batch.column("x").to_pylist() == [1, None]
    assert batch.column("c").to_pylist() == ["a\nb", None]


def test_json_values_of_several_types_keep_their_text(tmp_path: Path) -> None:
    lines = ['{"t": "2013-04-01T00:00:00+02:00", "x": 1}', '{"t": "2013-04-01", "x": "a", "v": [1, 2]}',
             '{"x": null, "y": {"z": 1}}', '{"x": 1e400}']  # fmt: skip
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (batch,) = source(tmp_path / "a.jsonl").read(None, ["x", "v", "t"]).batches
    assert batch.column("x").to_pylist() == ["1", "a", None, "Infinity"]
    assert batch.column("v").to_pylist()[1] == [1, 2]
    assert event_times(batch.column("t"), "UTC")[0][:2].tolist() == [START - 2 * HOUR, START]


def test_json_blocks_may_differ_in_type(tmp_path: Path) -> None:
    lines = [json.dumps({"t": "2013-04-01", "x": place}) for place in range(20_000)]
    lines[15_000] = '{"t": "2013-04-01", "x": "oops", "new": 1}'
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    values = [str(value) for value in rows(source(tmp_path / "a.jsonl").read(None, ["x"]))]
    assert len(values) == 20_000
    assert values[15_000] == "oops"
    assert values[14_999] == "14999"


@pytest.mark.parametrize("name", ["new\nline", 'quo"te', "sur\udcffrogate", "sp ace[1]", "key=va\udcfflue"])
def test_hostile_file_and_folder_names(tmp_path: Path, name: str) -> None:
    parquet(tmp_path / name / "a.parquet", [0])
    (tmp_path / name / "empty.parquet").touch()
    opened = source(tmp_path)
    reading = opened.read(None, ["x"])
    assert rows(reading) == [0]
    (bad,) = reading.rejected
    assert bad.name.isprintable()
    assert bad.name.encode("utf-8").endswith(b"/empty.parquet")
    json.dumps(opened.version(None))


def test_a_rejection_is_told_on_one_line(tmp_path: Path) -> None:
    reading = source(parquet(tmp_path / "a.parquet", [0]), time_column="no\nsuch").read(None, ["x"])
    assert rows(reading) == []
    assert "\n" not in reading.rejected[0].detail


@pytest.mark.parametrize("text", ["\n", "\n \n", ""])
def test_json_lines_without_a_line_have_no_rows(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.jsonl").write_text(f"{text}\n", encoding="utf-8")
    reading = source(tmp_path / "a.jsonl").read(None, ["x"])
    assert (rows(reading), reading.rejected, reading.files) == ([], [], 1)


def test_json_objects_without_a_key_have_no_time(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("{}\n{}\n", encoding="utf-8")
    reading = source(tmp_path / "a.jsonl").read(None, ["x"])
    assert (rows(reading), problems(reading)) == ([], {"a.jsonl": "foreign_schema"})
    (batch,) = source(tmp_path / "a.jsonl", time_column=None).read(None, None).batches
    assert batch.num_rows == 2


def test_long_texts_of_many_levels_are_in_memory_once_a_batch(tmp_path: Path) -> None:
    """Arrow's dictionary would grow with every batch of a row group."""
    texts = [f"{row}{'x' * 2000}" for row in range(20_000)]
    repeated = ["y" * 2000] * len(texts)
    pq.write_table(table([0] * len(texts), c=texts, d=repeated), tmp_path / "a.parquet")
    batches = list(source(tmp_path / "a.parquet").read(None, ["c", "d"]).batches)
    assert [text for batch in batches for text in batch.column("c").to_pylist()] == texts
    assert {str(batch.schema.field("c").type) for batch in batches} == {"string"}
    assert {pa.types.is_dictionary(batch.schema.field("d").type) for batch in batches} == {True}
    assert max(batch.nbytes for batch in batches) < 1.1 * BATCH_BYTES


def test_a_claim_of_too_many_rows_is_turned_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet(tmp_path / "a.parquet", [0, 1, 2])
    monkeypatch.setattr("driftwatch.sources._formats.parquet.MAX_FILE_ROWS", 2)
    reading = source(tmp_path / "a.parquet").read(None, ["x"])
    assert rows(reading) == []
    assert problems(reading) == {"a.parquet": "too_large"}
    monkeypatch.setattr("driftwatch.sources._formats.parquet.MAX_FILE_ROWS", 3)
    monkeypatch.setattr("driftwatch.sources._formats.parquet.MAX_ROW_GROUP_BYTES", 8)
    assert "row groups" in _only_detail(tmp_path / "a.parquet")


def _only_detail(path: Path) -> str:
    reading = source(path).read(None, ["x"])
    list(reading.batches)
    return reading.rejected[0].detail


def test_a_file_url_and_another_file_system(tmp_path: Path) -> None:
    parquet(tmp_path / "bucket" / "date=2013-04-01" / "a.parquet", [0])
    parquet(tmp_path / "bucket" / "date=2013-04-02" / "a.parquet", [24])
    day = Span(start=START, end=START + DAY)
    assert rows(source(f"file://{tmp_path}/bucket/**/*.parquet").read(day, ["x"])) == [0]
    fake = pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())
    config = FilesConfig(type="files", path="s3://bucket/*/*.parquet?region=x", time_column="t")
    opened = open_source(config, resolve=lambda url: (fake, url.partition("?")[0].removeprefix("s3://")))
    assert rows(opened.read(None, ["x"])) == [0, 24]
    assert opened.extent() == Span(start=START, end=START + DAY + 1)
    gone = FilesConfig(type="files", path="s3://nothing/*.csv")
    with pytest.raises(SourceUnavailable, match="expected at least one file"):
        open_source(gone, resolve=lambda url: (fake, url.removeprefix("s3://"))).version(None)


def test_a_link_that_is_switched_has_another_version(tmp_path: Path) -> None:
    """To a file of the same size, written at another time; of the link itself nothing is asked."""
    for place, name in enumerate("ab"):
        pq.write_table(pa.table({"t": [START + place], "x": [place]}), tmp_path / f"{name}.bin")
        os.utime(tmp_path / f"{name}.bin", ns=(START, START + place * 10_000_000))
    assert (tmp_path / "a.bin").stat().st_size == (tmp_path / "b.bin").stat().st_size
    link = tmp_path / "rows.parquet"
    link.symlink_to("a.bin")
    opened = source(link, time_column="t")
    first = opened.version(None)
    link.unlink()
    link.symlink_to("b.bin")
    os.utime(link, ns=(START, START), follow_symlinks=False)
    assert opened.version(None) != first
