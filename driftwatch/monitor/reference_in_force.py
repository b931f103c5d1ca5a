"""The reference in force: the stored one while its data and settings are the same, else a new one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from driftwatch.config.models import MonitorConfig, as_json
from driftwatch.core.plugins import unknown
from driftwatch.core.settings import without_credentials
from driftwatch.decide.evalues.stream_index import joint_owner
from driftwatch.detectors.base import all_detectors
from driftwatch.errors import ConfigError
from driftwatch.reference.build import build_reference
from driftwatch.sources.files import CONFIG as FilesConfig
from driftwatch.store.history import History
from driftwatch.store.records import Blocks
from driftwatch.store.trials import BlocksBySegment, TrialReferences
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

if TYPE_CHECKING:
    from driftwatch.engines.local.pool import FilesRead, ReaderPool

Say = Callable[[str], None]
_Parts = tuple[Reference, BlocksBySegment]

#: Settings that make another reference when they change.
_SETTINGS = ("columns", "segment_by", "model", "timezone", "exclude")
#: Files a note lists.
_LISTED = 5
_MISSING, _CHANGED = "there was none", "its data or settings changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """Finds or builds a monitor's references. ``now`` is nanoseconds; ``say`` takes notes for people.

    ``keep_samples`` keeps the reference's sample of rows, as ``Recorder`` does those of windows.
    """

    history: History
    trials: TrialReferences
    readers: ReaderPool
    now: int
    say: Say
    keep_samples: bool = False

    def in_force(self, config: MonitorConfig, *, force: bool = False) -> Reference:
        """The monitor's reference, built and put in force first when it is missing or out of date.

        Raises ``ReferenceUnusable``, the sources' errors, and ``ConfigError`` for names of columns that it
        does not have.
        """
        key = self._key(config)
        active = self.history.active_reference(config.name)
        if active is not None and active[1] == key and not force:
            return _fitting(active[0], config)
        why = "it was asked for" if force else _MISSING if active is None else _CHANGED
        found = None if force else self.trials.get(config.name, key)
        reference, blocks = found or self._build(config, why)
        self.history.store_reference(reference, key, blocks, self.now)
        if found:
            self.say(
                f"{config.name}: the reference built for a look at the past is in force now, since {why}"
            )
        return _fitting(reference, config)

    def for_a_look(self, config: MonitorConfig, *, rebased: bool) -> tuple[Reference, Blocks]:
        """A reference with its blocks for verbs that must leave the one in force alone.

        The stored one when it was built from the same data and settings, else one that is built and kept
        aside. A rebased one (``ack --as accepted``) is taken only with ``rebased``. Raises what ``in_force``
        raises.
        """
        name, key = config.name, self._key(config)
        active = self.history.active_reference(name)
        if active is not None and active[1] == key:
            built = active[0] if rebased else self.history.built_reference(name, key)
            if built is not None:
                if built.fingerprint != active[0].fingerprint:
                    self.say(
                        f"{name}: judged against the reference as it was built from its files; the one in "
                        "force was changed by `ack --as accepted`"
                    )
                return _fitting(built, config), partial(self.history.blocks, name, built.fingerprint)
        found = self.trials.get(name, key)
        if found is None:
            why = _CHANGED if active is not None or self.trials.known(name) else _MISSING
            found = self._build(config, why)
            self.trials.keep(found[0], key, found[1])
        reference, blocks = _fitting(found[0], config), found[1]
        return reference, lambda segment: blocks.get(segment, ())

    def _build(self, config: MonitorConfig, why: str) -> _Parts:
        from driftwatch.engines.local.pool import FilesRead

        source, limits = reference_source(config), config.limits
        self.say(f"{config.name}: building the reference, since {why}")
        told, seconds, memory = FilesRead(), limits.seconds, int(limits.memory)
        built = build_reference(
            config,
            lambda: self.readers.batches(source, None, seconds=seconds, memory=memory, told=told),
            built_at=self.now,
            source=without_credentials(str(config.reference.path)),
            files=1 if isinstance(config.reference.path, str) else len(config.reference.path),
            row_sample=self.keep_samples,
        )
        reference = _with_files(built.reference, told)
        rows = f"{reference.summary.rows:,} rows in {told.files:,} file(s)"
        self.say(f"{config.name}: reference built from {rows}, since {why}")
        for note in reference.provenance.notes[len(built.reference.provenance.notes) :]:
            self.say(f"{config.name}: {note}")
        blocks: dict[str | None, Sequence[Summary]] = {None: built.blocks}
        blocks.update(built.segment_blocks)
        return reference, blocks

    def _key(self, config: MonitorConfig) -> str:
        limits = config.limits
        version = self.readers.version(
            reference_source(config), seconds=limits.seconds, memory=int(limits.memory)
        )
        data = as_json(config)
        parts = {name: data[name] for name in _SETTINGS}
        reference = dict(data["reference"])
        if reference["delimiter"] == ",":
            del reference["delimiter"]  # references of before it could be set stay in force
        parts |= {"reference": reference, "length": data["window"]["length"], "version": version}
        # Event time of production is not watched, so what it is called decides what the reference holds.
        parts["source"] = {name: data["source"].get(name) for name in ("time_column", "timezone")}
        if self.keep_samples:
            parts["row_sample"] = True
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _with_files(reference: Reference, told: FilesRead) -> Reference:
    """The reference that says how many files it was built from, and which ones could not be read."""
    notes = list(reference.provenance.notes)
    if told.rejected:
        some = told.rejected[:_LISTED]
        listed = "; ".join(f"{item.name}: {item.problem}, {item.detail}".rstrip(".") for item in some)
        notes.append(f"{len(told.rejected):,} file(s) could not be read and were left out ({listed})")
    provenance = replace(reference.provenance, files=told.files, notes=tuple(notes))
    return replace(reference, provenance=provenance)


def _fitting(reference: Reference, config: MonitorConfig) -> Reference:
    """The reference, once every column that ``weights`` and ``groups`` name is one of its data."""
    plan = reference.plan
    carried = [] if plan.segmentation is None else [plan.segmentation.column]
    names = [*(column.name for column in plan.columns), *plan.carried, *carried]
    names += [column.name for column in reference.provenance.set_aside]
    known = tuple(dict.fromkeys(names))
    together = [joint_owner(item.name) for item in all_detectors() if item.joint]
    named = [("weights", name) for name in config.weights if name not in together]
    named += [(f"groups.{group}", name) for group, listed in config.groups.items() for name in listed]
    wrong = [
        f"monitor {config.name!r}: {where}: {unknown('column', name, known)}"
        for where, name in named
        if name not in known
    ]
    if wrong:
        raise ConfigError(wrong)
    return reference


def reference_source(config: MonitorConfig) -> FilesConfig:
    """The reference's files as a source, so that they are read like production."""
    return FilesConfig(
        type="files",
        path=config.reference.path,
        format=config.reference.format,
        delimiter=config.reference.delimiter,
        time_column=config.reference.time_column,
        timezone=config.reference.timezone,
        unfinished=0,
    )
