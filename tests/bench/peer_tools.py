"""`make bench-peers`: the peers, each in an environment of its own, and driftwatch on the same rows.

A peer that cannot be installed or does not run says so in its line. ``--rows`` and ``--columns`` size the
work: the slowest take minutes for a million rows of a hundred columns.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import venv
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER))

from harness import CACHE  # noqa: E402

#: Packages to install, and work on frames ``reference`` and ``window`` of numbers without nulls.
PEERS = {
    "scipy": (["scipy", "pandas"], """
from scipy.stats import ks_2samp
def work():
    for name in window.columns:
        ks_2samp(reference[name], window[name], method="asymp")
"""),
    "nannyml": (["nannyml", "statsmodels"], """
import nannyml
def prepare():
    calculator = nannyml.UnivariateDriftCalculator(
        column_names=names, continuous_methods=["kolmogorov_smirnov"], chunk_number=1
    )
    return calculator.fit(reference)
calculator = prepare()
def work():
    calculator.calculate(window)
"""),
    "alibi-detect": (["alibi-detect"], """
from alibi_detect.cd import KSDrift
detector = KSDrift(reference.to_numpy(), p_val=0.05)
rows = window.to_numpy()
def work():
    detector.predict(rows)
"""),
    "whylogs": (["whylogs", "pandas"], """
import whylogs
def work():
    whylogs.log(window).view()
"""),
    "evidently": (["evidently", "pandas<3"], """
from evidently import Report
from evidently.metrics import ValueDrift
def work():
    Report([ValueDrift(column=name, method="ks") for name in window.columns]).run(window, reference)
"""),
}  # fmt: skip

CASE = """
import json, statistics, time
import numpy as np, pandas as pd
arrays = [np.load(path) for path in {paths}]
names = [f"c{{k:03}}" for k in range(arrays[0].shape[1])]
reference, window = (pd.DataFrame(array, columns=names) for array in arrays)
{work}
times = []
for _ in range({runs}):
    start = time.process_time(), time.perf_counter()
    work()
    times.append((time.process_time() - start[0], time.perf_counter() - start[1]))
import resource
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([*(statistics.median(part) for part in zip(*times)), peak]))
"""

#: Work of driftwatch: against a prepared reference, as in the daemon and in peers that have one; and of two
#: samples on every distinct value of both.
DRIFTWATCH_WORK = {
    "driftwatch": """
from driftwatch import Reference
prepared = Reference.build(reference_table)
def work():
    prepared.compare(window_table, detectors=["ks", "psi", "js", "wasserstein", "missing", "out_of_range"])
""",
    "driftwatch, exact": """
from driftwatch import compare
def work():
    detectors = ["ks", "psi", "js", "wasserstein", "missing", "out_of_range"]
    compare(reference_table, window_table, detectors=detectors)
""",
}
DRIFTWATCH_SETUP = """
import sys
sys.path[:0] = {folders}
import pyarrow as pa
reference_table, window_table = pa.Table.from_pandas(reference), pa.Table.from_pandas(window)
"""


def interpreter(name: str, packages: list[str]) -> Path:
    """The peer's own Python, installed when it is missing. Raises ``CalledProcessError``."""
    folder = CACHE / "peers" / name
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        venv.create(folder, with_pip=True, clear=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=900)
        (folder / "installed").touch()
    return python


def frames(rows: int, columns: int) -> list[str]:
    """Files of the rows that all tools get: a reference of at most 100,000 rows, and the window."""
    import numpy as np
    from worlds import values

    paths = []
    for side, size in enumerate((min(rows, 100_000), rows)):
        path = CACHE / f"peers-{side}-{size}-{columns}.npy"
        if not path.exists():
            random = np.random.default_rng(side)
            arrays = [values(k, size, random) for k in range(columns)]
            np.save(path, np.asfortranarray(np.stack(arrays, axis=1)))
        paths.append(str(path))
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    CACHE.mkdir(exist_ok=True)
    paths = frames(options.rows, options.columns)
    print(f"{options.columns} columns, {options.rows:,} rows against {min(options.rows, 100_000):,}")
    print(f"{'':18} {'CPU':>9} {'wall':>9} {'peak MiB':>9} {'CPU / ours':>11}")
    driftwatch_cpu = 0.0
    results = {}
    names = [name for name in options.only.split(",") if name]
    for name in (*DRIFTWATCH_WORK, *PEERS):
        if names and name not in (*names, "driftwatch"):
            continue
        try:
            if name in DRIFTWATCH_WORK:
                python = Path(sys.executable)
                work = DRIFTWATCH_SETUP.format(folders=[str(FOLDER.parents[1])]) + DRIFTWATCH_WORK[name]
            else:
                python, work = interpreter(name, PEERS[name][0]), PEERS[name][1]
            code = CASE.format(paths=paths, work=work, runs=options.runs)
            process = subprocess.run(
                [str(python), "-W", "ignore", "-c", code],
                check=True,
                capture_output=True,
                text=True,
                timeout=3600,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            error_lines = [
                line for line in str(getattr(error, "stderr", "") or error).splitlines() if line.strip()
            ]
            print(f"{name:18} could not be measured: {error_lines[-1] if error_lines else error}", flush=True)
            results[name] = {"failed": error_lines[-1:] or [str(error)]}
            continue
        cpu, wall, peak = json.loads(process.stdout.splitlines()[-1])
        driftwatch_cpu = cpu if name == "driftwatch" else driftwatch_cpu
        results[name] = {"cpu": cpu, "wall": wall, "peak_mib": peak}
        print(
            f"{name:18} {cpu:8.3f}s {wall:8.3f}s {peak:9.0f} "
            f"{cpu / driftwatch_cpu if driftwatch_cpu else 0:10.1f}x",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
