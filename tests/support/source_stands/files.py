"""Files of every format: Parquet in a folder for each day, CSV and JSON lines in one folder."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from source_tables import DAY, START, TIMES, VALUES

from driftwatch.columns.arrow.event_time import event_times
from source_stands import SECRET, Outage, Stand

#: File systems tell times of change apart by their tick, at most 10 ms.
_TICK = 20_000_000


class FilesStand(Stand):
    module = "driftwatch.sources.files"
    piecewise = True
    suffix: ClassVar[str]

    def __init__(self, folder: Path, address: str) -> None:
        super().__init__(folder, address)
        self.data = folder / "data"

    def settings(self, **changes: Any) -> dict[str, Any]:
        path = str(self.data / "**" / f"*.{self.suffix}")
        return {"type": "files", "path": path, "time_column": "t", "unfinished": 0, **changes}

    @property
    def places(self) -> tuple[str, ...]:
        return (str(self.folder),)

    def put(self, content: pa.Table) -> None:
        files = {self.data / name: data for name, data in self.files(content).items()}
        for path in [path for path in self.data.rglob("*") if path.is_file() and path not in files]:
            path.unlink()
        for path, data in files.items():
            if not path.exists() or path.read_bytes() != data:
                self._replace(path, data)

    def _replace(self, path: Path, data: bytes) -> None:
        previous = path.stat().st_mtime_ns if path.exists() else 0
        path.parent.mkdir(parents=True, exist_ok=True)
        (self.folder / "new").write_bytes(data)
        (self.folder / "new").replace(path)
        changed = max(path.stat().st_mtime_ns, previous + _TICK)
        os.utime(path, ns=(changed, changed))

    def files(self, content: pa.Table) -> dict[str, bytes]:
        """The files' names and bytes; there is always one."""
        raise NotImplementedError

    def outages(self) -> Mapping[str, Outage]:
        outages: dict[str, Outage] = {"the folder is away": self._away, "no file is there": self._empty}
        if os.geteuid() != 0:
            outages["the folder may not be read"] = self._shut
        return outages

    @contextmanager
    def _away(self) -> Iterator[dict[str, Any]]:
        self.data.rename(self.folder / "away")
        yield self.settings()
        (self.folder / "away").rename(self.data)

    @contextmanager
    def _empty(self) -> Iterator[dict[str, Any]]:
        self.data.rename(self.folder / "away")
        self.data.mkdir()
        yield self.settings()
        self.data.rmdir()
        (self.folder / "away").rename(self.data)

    @contextmanager
    def _shut(self) -> Iterator[dict[str, Any]]:
        self.data.chmod(0)
        yield self.settings()
        self.data.chmod(0o700)

    def refused(self) -> Mapping[str, dict[str, Any]]:
        return {
            "no path": {"path": None},
            "an empty path": {"path": ""},
            "a scheme of no store": {"path": "http://example.org/a.csv"},
            "a long delimiter": {"delimiter": "::"},
            "an unknown format": {"format": "xls"},
            "a duration without a unit": {"settle": 5},
        }

    def secretive(self) -> Mapping[str, dict[str, Any]]:
        return {
            "a key in the URL": {"path": f"s3://AKIA:{SECRET}@bucket/*.csv?nonsense=1"},
            "a key with slashes": {"path": f"s3://AKIA:a/b/{SECRET}@bucket/*.csv?nonsense=1"},
            "an option": {"path": [f"s3://bucket/*.csv?secret_key={SECRET}&nonsense=1"]},
        }

    def spoil(self) -> str:
        """A file without the time column lies among the others."""
        name = f"2013-04-02 \n\u202e.{self.suffix}"
        self.write_foreign(self.data / name)
        return f".{self.suffix}"

    def write_foreign(self, path: Path) -> None:
        raise NotImplementedError

    def interrupt(self) -> None:
        for path in sorted(path for path in self.data.rglob("*") if path.is_file())[1:]:
            path.unlink()


class ParquetByDay(FilesStand):
    name = "files of Parquet by day"
    suffix = "parquet"
    structures = True
    times = frozenset(TIMES)
    values = frozenset(VALUES)
    margin = 2 * DAY

    def files(self, content: pa.Table) -> dict[str, bytes]:
        instants, usable = event_times(content.column("t").combine_chunks(), "UTC")
        days: list[int] = []
        for time, timed in zip(instants, usable, strict=True):
            # A row without a time lies with its neighbour.
            days.append(int(time) // DAY if timed else (days or [START // DAY])[-1])
        return {
            f"date={_date(day)}/rows.parquet": self._bytes(
                content.filter(pc.equal(pa.array(days), day)) if days else content
            )
            for day in sorted(set(days)) or [0]
        }

    def _bytes(self, rows: pa.Table) -> bytes:
        sink = io.BytesIO()
        pq.write_table(rows, sink)
        return sink.getvalue()

    def write_foreign(self, path: Path) -> None:
        pq.write_table(pa.table({"x": [1], "c": [SECRET]}), path)


def _date(day: int) -> str:
    return str(pa.scalar(day, pa.int32()).cast(pa.date32()).as_py())


class Lines(FilesStand):
    margin = None

    def files(self, content: pa.Table) -> dict[str, bytes]:
        """Two files, the rows in turn by thirds: the first has the first third."""
        first = (len(content) + 2) // 3
        parts = [content.slice(0, first), content.slice(first)] if len(content) > 100 else [content]
        return {f"rows-{place}.{self.suffix}": self.lines(part) for place, part in enumerate(parts)}

    def lines(self, rows: pa.Table) -> bytes:
        raise NotImplementedError


class CsvFiles(Lines):
    name = "files of CSV"
    suffix = "csv"
    timeless = None
    #: Arrow reads 32 blocks of 4 MiB ahead.
    read_ahead = 128 << 20
    #: Fractions of a second are read from ISO 8601 only.
    times = frozenset(TIMES) - {"seconds with fractions", "decimal seconds"}
    #: Several words stand for null, NaN among them, and types are those that the texts look like.
    values = frozenset(VALUES) - {
        "NaN beside null", "an empty text beside null", "words for null", "decimals", "local times",
    }  # fmt: skip

    def lines(self, rows: pa.Table) -> bytes:
        sink = io.BytesIO()
        columns = [
            column.cast(pa.string()) if pa.types.is_decimal(column.type) else column
            for column in rows.columns
        ]
        pacsv.write_csv(pa.table(columns, names=rows.column_names), sink)
        return sink.getvalue()

    def write_foreign(self, path: Path) -> None:
        path.write_text(f"x,c\n1,{SECRET}\n", encoding="utf-8")


class JsonLines(Lines):
    name = "files of JSON lines"
    suffix = "jsonl"
    structures = True
    #: Numbers are integers or doubles, and times are texts.
    times = frozenset(TIMES) - {"decimal seconds"}
    values = frozenset(VALUES) - {"decimals", "dates", "local times", "zoned times"}

    def lines(self, rows: pa.Table) -> bytes:
        columns = [
            (column.cast(pa.string()) if pa.types.is_temporal(column.type) else column).to_pylist()
            for column in rows.columns
        ]
        dumped = [
            json.dumps(dict(zip(rows.column_names, row, strict=True)), ensure_ascii=False, default=float)
            for row in zip(*columns, strict=True)
        ]
        return "".join(f"{line}\n" for line in dumped or [""]).encode()

    def write_foreign(self, path: Path) -> None:
        path.write_text(json.dumps({"x": 1, "c": SECRET}) + "\n", encoding="utf-8")


STANDS = (ParquetByDay, CsvFiles, JsonLines)
