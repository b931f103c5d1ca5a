"""The reference in force: the stored one while its data and settings are the same, else a new one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from driftwatch.config.schema import MonitorConfig, as_json
from driftwatch.reference.build import build_reference
from driftwatch.sources.files import CONFIG as FilesConfig
from driftwatch.store.history import History
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

if TYPE_CHECKING:
    from driftwatch.reading.pool import ReaderPool

#: Settings that make another reference when they change.
_SETTINGS = ("columns", "segment_by", "model", "timezone", "exclude")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensured:
    """The reference in force and, when it was built just now, a line that says why."""

    reference: Reference
    built: bool
    note: str


def reference_source(config: MonitorConfig) -> FilesConfig:
    """The reference's files as a source, so that they are read like production."""
    return FilesConfig(
        type="files",
        path=config.reference.path,
        format=config.reference.format,
        time_column=config.reference.time_column,
        timezone=config.reference.timezone,
    )


def ensure_reference(
    config: MonitorConfig,
    history: History,
    readers: ReaderPool,
    now: int,
    *,
    force: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Ensured:
    """The monitor's reference, built first when it is missing or its data or settings changed.

    Raises ``ReferenceUnusable`` and the sources' errors.
    """
    source, limits = reference_source(config), config.limits
    version = readers.version(source, seconds=limits.seconds, memory=int(limits.memory))
    key = _key(config, version)
    active = history.active_reference(config.name)
    if active is not None and active[1] == key and not force:
        return Ensured(reference=active[0], built=False, note="")
    why = "there was none" if active is None else "its data or settings changed"
    why = "it was asked for" if force else why
    say(f"{config.name}: building the reference, since {why}")
    built = build_reference(
        config,
        lambda: readers.batches(source, None, seconds=limits.seconds, memory=int(limits.memory)),
        built_at=now,
        source=str(config.reference.path),
        files=1 if isinstance(config.reference.path, str) else len(config.reference.path),
    )
    blocks: dict[str | None, Sequence[Summary]] = {None: built.blocks}
    blocks.update(built.segment_blocks)
    history.store_reference(built.reference, key, blocks, now)
    note = f"{config.name}: reference built from {built.reference.summary.rows:,} rows, since {why}"
    return Ensured(reference=built.reference, built=True, note=note)


def _key(config: MonitorConfig, version: str) -> str:
    data = as_json(config)
    parts = {name: data[name] for name in _SETTINGS}
    parts |= {"reference": data["reference"], "length": data["window"]["length"], "version": version}
    # Event time of production is not watched, so what it is called decides what the reference holds.
    parts["source"] = {name: data["source"].get(name) for name in ("time_column", "timezone")}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
