"""Records the store of a release: ``python tests/recorded/record_release.py 0.1.0 --commit 144f1d0``.

The code of the commit lives until the cut, and decides the next windows. A release is recorded once, with the
scripts that stood beside this one when its folder was committed. On another platform its decisions alone are
recorded again, from the same store: ``--decide``. Code that decides otherwise on purpose is recorded beside
the release: ``--again``; states, pages and incidents stay those of the release.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from history_platform import facts, incomparable, run_pinned
from record import SURROUNDINGS
from release_content import differences
from release_fixture import RELEASES, decide, pack_release, unpack_release, write_decided
from release_run import CUT, SLICE
from release_stream import write_life

_ROOT = Path(__file__).parents[2]
#: Slices before the cut whose files a check can still read.
_NEEDED_SLICES = 16


def extract(commit: str, folder: Path) -> str:
    """Write the package of a commit into a folder, and return its version."""
    archive = subprocess.run(
        ["git", "archive", commit, "driftwatch"], cwd=_ROOT, capture_output=True, check=True
    )
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    text = (folder / "driftwatch" / "__init__.py").read_text(encoding="utf-8")
    return text.partition('__version__ = "')[2].partition('"')[0]


def record_store(version: str, package: dict[str, str], folder: Path) -> None:
    """Live until the cut, and keep the store with the data that the next windows need."""
    folder.mkdir()
    shutil.copy(Path(__file__).with_name("release.yaml"), folder / "driftwatch.yaml")
    write_life(folder / "data")
    run_pinned("release_run.py", "live", folder, package)
    for path in sorted((folder / "data").rglob("*"), reverse=True):
        is_old = path.is_file() and path.stat().st_mtime_ns <= CUT - _NEEDED_SLICES * SLICE
        if is_old and path.suffix in (".csv", ".jsonl") and path.stem != "reference":
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    pack_release(version, folder)


def record_decisions(version: str, package: dict[str, str], folder: Path, *, again: bool = False) -> None:
    """Decide the next windows twice. Raises ``SystemExit`` when the two differ."""
    runs = []
    for number, surroundings in enumerate(({}, SURROUNDINGS)):
        unpack_release(version, folder / str(number))
        runs.append(decide(folder / str(number), surroundings | package))
    if lines := differences(*runs):
        raise SystemExit("\n  ".join(["two runs are not the same, so nothing is recorded", *lines]))
    write_decided(version, {"platform": facts(), **runs[0]}, again=again)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version")
    parser.add_argument("--commit", required=True)
    parser.add_argument("--decide", action="store_true", help="keep the store, record its decisions again")
    parser.add_argument("--again", action="store_true", help="record what a newer commit decides")
    options = parser.parse_args()
    if problem := incomparable(facts()):
        raise SystemExit(problem)
    with TemporaryDirectory() as name:
        folder = Path(name)
        version = extract(options.commit, folder / "package")
        if version != options.version and not options.again:
            raise SystemExit(f"{options.commit}: expected version {options.version}. Got {version}.")
        package = {"PYTHONPATH": str(folder / "package")}
        if not (options.decide or options.again):
            record_store(version, package, folder / "live")
        record_decisions(options.version, package, folder, again=options.again)
    for path in sorted((RELEASES / options.version).iterdir()):
        sys.stderr.write(f"{path.name}: {path.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
