"""Records the stores of development versions before 0.1.0, each with stored variants that 0.1.0 still read.

``python tests/recorded/record_early_stores.py`` runs ``check`` of each commit over the same few windows.
"""

from __future__ import annotations

import importlib
import io
import lzma
import os
import subprocess
import sys
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

STORES = Path(__file__).parents[1] / "store" / "early_stores.tar.xz"
#: What a store's segment states have not yet, and the commit whose code wrote it.
COMMITS = {
    "measured design effects": "cfe61d5",
    "common shift": "c3b301a",
    "ranked models": "c3e4bdc",
    "rows": "e2c3fd5",
    "fourth calibrator": "966c563",
}
#: The kind is another one from window 3, the load is missing in windows 4 and 5; 6 has too few rows.
WINDOWS, REFERENCE_WINDOWS, MIN_ROWS = 7, 24, 45
START = datetime(2024, 3, 17, tzinfo=UTC)
_HOURS = 6
CONFIG = f"""version: 1
storage: {{path: store}}
monitors:
  - name: parcels
    reference: {{path: reference.csv, time_column: at}}
    source: {{type: files, path: "production/*.csv", time_column: at}}
    window: {{length: {_HOURS}h, min_rows: {MIN_ROWS}}}
    columns: {{kind: {{kind: categorical}}}}
    detectors: [ks, chi2, missing, volume]
notify:
  - {{type: webhook, url: "http://127.0.0.1:9/"}}
"""


def _csv(*windows: int) -> str:
    lines = ["at,load,kind"]
    for window in windows:
        random = np.random.default_rng([7, window + 100])
        rows = 30 if window >= 0 else 60
        seconds = np.sort(random.integers(0, _HOURS * 3600, rows))
        loads = (random.standard_normal(rows) * 10).round()
        kinds = random.binomial(14, 0.5 if window < 3 else 0.3, rows)
        for second, load, kind in zip(seconds, loads, kinds, strict=True):
            moment = START + timedelta(hours=_HOURS * window, seconds=int(second))
            lines.append(f"{moment.isoformat()},{'' if window in (4, 5) else load},k{kind}")
    return "\n".join(lines) + "\n"


def live() -> None:
    """Check each window in the working directory when its time has come."""
    from click.testing import CliRunner

    from driftwatch.cli import main

    clock = importlib.import_module("driftwatch.clock").SystemClock
    Path("driftwatch.yaml").write_text(CONFIG, encoding="utf-8")
    Path("reference.csv").write_text(_csv(*range(-REFERENCE_WINDOWS, 0)), encoding="utf-8")
    Path("production").mkdir()
    for window in range(WINDOWS):
        path = Path("production") / f"{window}.csv"
        path.write_text(_csv(window), encoding="utf-8")
        end = (START + timedelta(hours=_HOURS * (window + 1))).timestamp()
        os.utime(path, (end, end))
        clock.now = lambda _, now=int(end) * 10**9: now
        result = CliRunner().invoke(main, ["check", "driftwatch.yaml"])
        assert result.exit_code in (0, 1, 5), f"window {window} ends with {result.exit_code}: {result.output}"


def record() -> None:
    with TemporaryDirectory() as name, tarfile.open(STORES, "w:xz", preset=9 | lzma.PRESET_EXTREME) as stores:
        for variant, commit in COMMITS.items():
            folder = Path(name) / commit
            archive = subprocess.run(
                ["git", "archive", commit, "driftwatch"], capture_output=True, check=True
            )
            with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
                files.extractall(folder / "package", filter="data")
            (folder / "life").mkdir()
            environment = os.environ | {"PYTHONPATH": str(folder / "package")}
            command = [sys.executable, str(Path(__file__).resolve()), "live"]
            subprocess.run(
                command, cwd=folder / "life", env=environment, check=True, stderr=subprocess.DEVNULL
            )
            data = (folder / "life" / "store" / "driftwatch.sqlite").read_bytes()
            member = tarfile.TarInfo(variant)
            member.size = len(data)
            stores.addfile(member, io.BytesIO(data))
    sys.stderr.write(f"{STORES}: {STORES.stat().st_size:,} bytes\n")


def early_store(variant: str, folder: Path) -> None:
    """Write the store whose states have no ``variant`` yet into a folder."""
    folder.mkdir(parents=True)
    with tarfile.open(STORES) as stores:
        member = stores.extractfile(variant)
        assert member is not None
        (folder / "driftwatch.sqlite").write_bytes(member.read())


if __name__ == "__main__":
    live() if sys.argv[1:] == ["live"] else record()
