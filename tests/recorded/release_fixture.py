"""The files of a release: its store, the data of its next windows, and what it decided on them."""

from __future__ import annotations

import json
import lzma
import shutil
import tarfile
from pathlib import Path
from typing import Any

from history_platform import run_pinned

RELEASES = Path(__file__).parents[1] / "store" / "releases"

_AGAIN = "decided_again.json.xz"


def releases() -> list[str]:
    """The versions that left a store."""
    return sorted(path.name for path in RELEASES.iterdir())


def unpack_release(version: str, folder: Path) -> None:
    """Write a release's store, data and configuration into a new folder."""
    source = RELEASES / version
    (folder / "store").mkdir(parents=True)
    shutil.copy(source / "driftwatch.yaml", folder)
    store = lzma.decompress((source / "store.sqlite.xz").read_bytes())
    (folder / "store" / "driftwatch.sqlite").write_bytes(store)
    with tarfile.open(source / "data.tar.xz") as archive:
        archive.extractall(folder / "data", filter="data")


def pack_release(version: str, folder: Path) -> None:
    """Keep the store, data and configuration of a folder as the release's."""
    target = RELEASES / version
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / "driftwatch.yaml", target)
    store = (folder / "store" / "driftwatch.sqlite").read_bytes()
    (target / "store.sqlite.xz").write_bytes(_compressed(store))
    with tarfile.open(target / "data.tar.xz", "w:xz", preset=9 | lzma.PRESET_EXTREME) as archive:
        for path in sorted((folder / "data").rglob("*")):
            archive.add(path, str(path.relative_to(folder / "data")), recursive=False, filter=_anonymous)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def decided(version: str) -> dict[str, Any]:
    """What the release decided, with the platform that it ran on."""
    content: dict[str, Any] = json.loads(
        lzma.decompress((RELEASES / version / "decided.json.xz").read_bytes())
    )
    return content


def decided_again(version: str) -> dict[str, Any]:
    """What the newest code that changed its decisions on purpose decided, in the same form."""
    content: dict[str, Any] = json.loads(lzma.decompress((RELEASES / version / _AGAIN).read_bytes()))
    return content


def write_decided(version: str, content: dict[str, Any], *, again: bool = False) -> None:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    (RELEASES / version / (_AGAIN if again else "decided.json.xz")).write_bytes(_compressed(text.encode()))


def _compressed(data: bytes) -> bytes:
    return lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)


def decide(folder: Path, changes: dict[str, str]) -> dict[str, Any]:
    """Decide the next windows of an unpacked release in a process of its own."""
    return run_pinned("release_run.py", "decide", folder, changes)
