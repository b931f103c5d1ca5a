"""Reads Parquet, CSV and JSON-lines files, by path, glob, folder or object-store URL."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import pyarrow as pa
import pyarrow.fs as pafs
from pydantic import AfterValidator, Field

from driftwatch.columns.rows.row_options import Encoding, RowOptions
from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.core.settings import Duration, Since, redact_credentials
from driftwatch.errors import SchemaMismatch, SourceUnavailable
from driftwatch.results.results import FileProblem, RejectedFile
from driftwatch.sources._formats.file_formats import Format, format_of
from driftwatch.sources._formats.listing import (
    Entry,
    Listing,
    Resolve,
    is_url,
    list_files,
    public,
    without_aliases,
)
from driftwatch.sources._formats.one_file import rows_of, times_of
from driftwatch.sources._formats.partitions import Partitions, span_of
from driftwatch.sources._formats.request import BadFile, ColumnsRead, NoEventTime, Request
from driftwatch.sources.base import Piece, PieceChoice, Reading, SourceConfig

#: Paths in an error.
_MAX_SHOWN_PATHS = 5
_URL_SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss", "file")


def _check_scheme(value: str | list[str]) -> str | list[str]:
    for path in [value] if isinstance(value, str) else value:
        if not path:
            raise ValueError("expected a path, a glob or a URL. Got an empty text")
        if is_url(path) and path.partition("://")[0] not in _URL_SCHEMES:
            schemes = ", ".join(_URL_SCHEMES)
            raise ValueError(f"expected a path or a URL of {schemes}. Got {redact_credentials(path)!r}")
    return value


class FilesConfig(SourceConfig, RowOptions):
    type: Literal["files"]
    #: Paths, globs (``**`` for any folders), folders, ``s3:// gs:// abfs:// file://`` URLs.
    path: Annotated[str | list[str], Field(repr=False), AfterValidator(_check_scheme)]
    #: None: the suffix decides.
    format: Format | None = None
    #: Seconds; a local file changed within them is not read yet.
    settle: Duration = 0
    #: Seconds; a CSV whose last row has no newline is ``half_written`` until it is unchanged for so long, and
    #: as long as that row lacks a value.
    unfinished: Duration = 60
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    encoding: Annotated[Encoding, Since("0.2.0")] = "utf-8"
    #: True: partitions named by dates hold event times of these dates; False: the dates are of arrival.
    partition_time: bool = True

    @property
    def described(self) -> str:
        paths = [self.path] if isinstance(self.path, str) else self.path
        return public(", ".join(paths[:_MAX_SHOWN_PATHS]))


CONFIG = FilesConfig


def open_source(
    config: FilesConfig,
    *,
    # Turns a URL into (filesystem, path).
    resolve: Resolve = pafs.FileSystem.from_uri,
    # The clock in nanoseconds.
    now: Callable[[], int] = time.time_ns,
) -> FilesSource:
    return FilesSource(config=config, resolve=resolve, now=now)


@dataclass(slots=True, kw_only=True)
class FilesSource:
    """A source of files; every rejected file is reported, and the others are read."""

    config: FilesConfig
    resolve: Resolve = field(default=pafs.FileSystem.from_uri)
    now: Callable[[], int] = field(default=time.time_ns)
    piece_choice: PieceChoice = field(default_factory=PieceChoice)

    def version(self, span: Span | None) -> str:
        """Return a SHA-256 of names, sizes and modification times of files that can hold rows of the span.

        A file with other bytes but the same size and time goes unnoticed; ``settle`` of more than the file
        system's clock step leaves that to those who set times by hand.
        """
        return self.versions([span])[0]

    def versions(self, spans: Sequence[Span | None]) -> list[str]:
        """Return each span's version from one listing; files in undated folders count for every span."""
        bounded = [span for span in spans if span is not None]
        whole = None
        if bounded and len(bounded) == len(spans):
            whole = Span(start=min(span.start for span in bounded), end=max(span.end for span in bounded))
        entries = self._candidates(whole)
        bounds = [self._bounds(entry.partitions) for entry in entries]
        memo: dict[tuple[int, ...], str] = {}
        versions = []
        for span in spans:
            positions = tuple(place for place, item in enumerate(bounds) if _overlap(item, span))
            if positions not in memo:
                memo[positions] = self._version([entries[place] for place in positions])
            versions.append(memo[positions])
        return versions

    def read(self, span: Span | None, columns: Sequence[str] | None) -> Reading:
        """Read the rows; a file of up to 32 MiB in memory is read whole or not at all."""
        entries = self._candidates(span)
        reading = Reading(batches=iter(()), version=self._version(entries))
        unique = None if columns is None else tuple(dict.fromkeys(columns))
        columns_read = ColumnsRead(candidates=reading.other_columns)
        reading.batches = self._rows(entries, span, unique, reading, columns_read)
        return reading

    def extent(self) -> Span | None:
        """Return the span of event times, by Parquet statistics if possible; unreadable files are skipped."""
        if self.config.time_column is None:
            raise SchemaMismatch(
                f"{self.config.described}: expected a time_column. Got none. "
                "Name the column of event times under source."
            )
        candidates = [(entry, self._bounds(entry.partitions)) for entry in self._candidates(None)]
        # Dated folders are opened from both ends, only as far as needed.
        oldest = newest = None
        memo: dict[str, tuple[int, int] | BadFile | None] = {}
        for entry, bounds in sorted(candidates, key=lambda item: item[1].start if item[1] else -(1 << 63)):
            if bounds and oldest is not None and bounds.start > oldest:
                break
            ends = memo[entry.path] = self._ends(entry)
            if isinstance(ends, tuple):
                oldest = ends[0] if oldest is None else min(oldest, ends[0])
        for entry, bounds in sorted(candidates, key=lambda item: -item[1].end if item[1] else -(1 << 63)):
            if bounds and newest is not None and bounds.end <= newest:
                break
            ends = memo[entry.path] if entry.path in memo else self._ends(entry)
            if isinstance(ends, tuple):
                newest = ends[1] if newest is None else max(newest, ends[1])
        if oldest is None or newest is None:
            self._check_schema(memo)
            return None
        return Span(start=oldest, end=newest + 1)

    def _check_schema(self, files: dict[str, tuple[int, int] | BadFile | None]) -> None:
        """Raise ``SchemaMismatch`` when no file has the time column."""
        foreign = [
            file
            for file in files.values()
            if isinstance(file, BadFile) and file.problem is FileProblem.FOREIGN_SCHEMA
        ]
        if foreign and len(foreign) == len(files):
            advice = (
                " Name the column of event times under source." if isinstance(foreign[0], NoEventTime) else ""
            )
            raise SchemaMismatch(f"{self.config.described}: {foreign[0].detail}{advice}")

    def _bounds(self, partitions: Partitions) -> Span | None:
        if not self.config.partition_time or self.config.time_column is None or not partitions:
            return None
        return span_of(partitions, self.config.timezone)

    def _candidates(self, span: Span | None) -> list[Entry]:
        paths = [self.config.path] if isinstance(self.config.path, str) else list(self.config.path)
        listing = list_files(paths, self._in_span(span), self.resolve)
        if listing.empty:
            raise SourceUnavailable(
                f"{self.config.described}: expected at least one file. Got none. Check the path and its "
                "wildcards, and that the files' folder is mounted here."
            )
        entries = without_aliases(self._settled(listing))
        only = self.piece_choice.only
        return entries if only is None else [entry for entry in entries if entry.path in only]

    def _version(self, entries: list[Entry]) -> str:
        # What is left out changes no version but its own.
        listed: list[list[object]] = [[entry.path, entry.size, entry.modified] for entry in entries]
        if self.piece_choice.left_out or self.piece_choice.left_out_paths:
            for item, entry in zip(listed, entries, strict=True):
                piece = _piece(entry)
                detail = self.piece_choice.detail(piece)
                if detail is not None:
                    item.append("left out")
                    self.piece_choice.passed(piece, detail)
        return hashlib.sha256(json.dumps(listed).encode()).hexdigest()

    def _open(self, entry: Entry) -> None:
        """Raise ``BadFile`` for a file that is left out."""
        piece = _piece(entry)
        detail = self.piece_choice.detail(piece)
        if detail is not None:
            raise BadFile(FileProblem.QUARANTINED, detail)
        self.piece_choice.opened(piece)

    def _in_span(self, span: Span | None) -> Callable[[Partitions], bool]:
        return lambda partitions: span is None or _overlap(self._bounds(partitions), span)

    def _settled(self, listing: Listing) -> list[Entry]:
        newest = self.now() - self.config.settle * NANOSECONDS
        must_settle = self.config.settle > 0
        # A file that only lies in a named folder must have a known format.
        return [
            entry
            for entry in listing.entries.values()
            if (not must_settle or entry.filesystem is not None or entry.modified <= newest)
            and (entry.named or self.config.format or format_of(entry.path))
        ]

    def _request(
        self, entry: Entry, span: Span | None, columns: tuple[str, ...] | None, columns_read: ColumnsRead
    ) -> Request:
        return Request(
            span=span,
            columns=columns,
            time_column=self.config.time_column,
            timezone=self.config.timezone,
            delimiter=self.config.delimiter,
            encoding=self.config.encoding,
            options=self.config.row_options,
            columns_read=columns_read,
            partitions=tuple(key for key, _ in entry.partitions),
            ended=not self.config.unfinished
            or entry.modified <= self.now() - self.config.unfinished * NANOSECONDS,
        )

    def _rows(
        self,
        entries: list[Entry],
        span: Span | None,
        columns: tuple[str, ...] | None,
        reading: Reading,
        columns_read: ColumnsRead,
    ) -> Iterator[pa.RecordBatch]:
        for entry in entries:
            request = self._request(entry, span, columns, columns_read)
            delivered = 0
            try:
                self._open(entry)
                for batch in rows_of(entry, request, self.config.format):
                    delivered += batch.num_rows
                    yield batch
                reading.files += 1
            except BadFile as error:
                detail = error.detail
                if delivered:
                    detail = f"{detail} Its first {delivered:,} rows had been delivered."
                rejected = RejectedFile(name=entry.name, problem=error.problem, detail=detail)
                reading.rejected.append(rejected)

    def _ends(self, entry: Entry) -> tuple[int, int] | BadFile | None:
        column = self.config.time_column or ""
        request = self._request(entry, None, (column,), ColumnsRead())
        ends: tuple[int, int] | None = None
        try:
            self._open(entry)
            for times in times_of(entry, request, self.config.format):
                if len(times):
                    low, high = int(times.min()), int(times.max())
                    ends = (low, high) if ends is None else (min(low, ends[0]), max(high, ends[1]))
        except BadFile as error:
            return error
        return ends


def _overlap(bounds: Span | None, span: Span | None) -> bool:
    return bounds is None or span is None or (bounds.start < span.end and bounds.end > span.start)


def _piece(entry: Entry) -> Piece:
    return Piece(path=entry.path, name=entry.name, size=entry.size, modified=entry.modified)
