"""`make bench-peers`: the peers, each in an environment of its own, on the same rows beside ours.

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

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from harness import CACHE  # noqa: E402

#: What is installed, and what it does with frames ``before`` and ``after`` of numbers without holes.
PEERS = {
    "scipy": (["scipy", "pandas"], """
from scipy.stats import ks_2samp
def work():
    for name in after.columns:
        ks_2samp(before[name], after[name], method="asymp")
"""),
    "nannyml": (["nannyml", "statsmodels"], """
import nannyml
names = list(after.columns)
def prepare():
    made = nannyml.UnivariateDriftCalculator(
        column_names=names, continuous_methods=["kolmogorov_smirnov"], chunk_number=1
    )
    return made.fit(before)
ready = prepare()
def work():
    ready.calculate(after)
"""),
    "alibi-detect": (["alibi-detect"], """
from alibi_detect.cd import KSDrift
ready = KSDrift(before.to_numpy(), p_val=0.05)
rows = after.to_numpy()
def work():
    ready.predict(rows)
"""),
    "whylogs": (["whylogs", "pandas"], """
import whylogs
def work():
    whylogs.log(after).view()
"""),
    "evidently": (["evidently", "pandas<3"], """
from evidently import Report
from evidently.metrics import ValueDrift
def work():
    Report([ValueDrift(column=name, method="ks") for name in after.columns]).run(after, before)
"""),
}  # fmt: skip

CASE = """
import json, statistics, time
import numpy as np, pandas as pd
held = [np.load(path) for path in {paths}]
before, after = (pd.DataFrame(part, columns=[f"c{{k:03}}" for k in range(part.shape[1])]) for part in held)
{work}
found = []
for _ in range({runs}):
    began = time.process_time(), time.perf_counter()
    work()
    found.append((time.process_time() - began[0], time.perf_counter() - began[1]))
import resource
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([*(statistics.median(part) for part in zip(*found)), peak]))
"""

#: Against a reference that is ready, as the peers' are that have such a thing and as the daemon's is; and two
#: samples on every distinct value of both.
OURS = {
    "driftwatch": """
from driftwatch import Reference
ready = Reference.build(one)
def work():
    ready.compare(other, detectors=["ks", "psi", "js", "wasserstein", "missing", "out_of_range"])
""",
    "driftwatch, exact": """
from driftwatch import compare
def work():
    compare(one, other, detectors=["ks", "psi", "js", "wasserstein", "missing", "out_of_range"])
""",
}
OUR_CASE = """
import sys
sys.path[:0] = {folders}
import pyarrow as pa
one, other = pa.Table.from_pandas(before), pa.Table.from_pandas(after)
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
    """The same rows for everybody: a reference of 100,000 at most, and the window."""
    import numpy as np
    from worlds import values

    paths = []
    for side, size in enumerate((min(rows, 100_000), rows)):
        path = CACHE / f"peers-{side}-{size}-{columns}.npy"
        if not path.exists():
            random = np.random.default_rng(side)
            made = [values(k, size, random) for k in range(columns)]
            np.save(path, np.asfortranarray(np.stack(made, axis=1)))
        paths.append(str(path))
    return paths


def main() -> None:
    """Install, measure, print."""
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
    ours = 0.0
    results = {}
    wanted = [name for name in options.only.split(",") if name]
    for name in (*OURS, *PEERS):
        if wanted and name not in (*wanted, "driftwatch"):
            continue
        try:
            if name in OURS:
                python = Path(sys.executable)
                work = OUR_CASE.format(folders=[str(HERE.parents[1])]) + OURS[name]
            else:
                python, work = interpreter(name, PEERS[name][0]), PEERS[name][1]
            code = CASE.format(paths=paths, work=work, runs=options.runs)
            done = subprocess.run(
                [str(python), "-W", "ignore", "-c", code],
                check=True,
                capture_output=True,
                text=True,
                timeout=3600,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            why = [line for line in str(getattr(error, "stderr", "") or error).splitlines() if line.strip()]
            print(f"{name:18} could not be measured: {why[-1] if why else error}", flush=True)
            results[name] = {"failed": why[-1:] or [str(error)]}
            continue
        cpu, wall, peak = json.loads(done.stdout.splitlines()[-1])
        ours = cpu if name == "driftwatch" else ours
        results[name] = {"cpu": cpu, "wall": wall, "peak_mib": peak}
        print(
            f"{name:18} {cpu:8.3f}s {wall:8.3f}s {peak:9.0f} {cpu / ours if ours else 0:10.1f}x", flush=True
        )
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
