"""Provides a monitor's reference: the stored one while data and settings are the same, else a new one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from driftwatch.columns.set_aside import set_aside_lines
from driftwatch.config.models import MonitorConfig, as_json
from driftwatch.core.plugins import unknown_name_message
from driftwatch.core.settings import redact_credentials
from driftwatch.detectors.base import all_detectors
from driftwatch.errors import ConfigError, PieceLeftOut, ReferenceUnusable
from driftwatch.reference.build import build_reference, require_features
from driftwatch.results.streams import joint_owner
from driftwatch.sources.files import CONFIG as FilesConfig
from driftwatch.store.records import Blocks
from driftwatch.store.tables.reference_tables import BacktestReferences, BlocksBySegment, ReferenceTable
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

if TYPE_CHECKING:
    from driftwatch.engines.local.pool import FilesRead, ReaderPool

Say = Callable[[str], None]
_T = TypeVar("_T")
_ReferenceAndBlocks = tuple[Reference, BlocksBySegment]

#: Settings whose change requires a new reference.
_REFERENCE_SETTINGS = ("columns", "segment_by", "model", "timezone", "exclude")
#: Files that may end the reader of one look at the reference.
_MAX_CULPRITS = 20
#: Unreadable files that a note names.
_MAX_LISTED_FILES = 5
_MISSING, _CHANGED = "there was none", "its data or settings changed"
_DAMAGED = "the stored one is damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    stored: ReferenceTable
    trials: BacktestReferences
    readers: ReaderPool
    #: Nanoseconds since 1970 UTC.
    now: int
    #: Takes notes for people.
    say: Say
    #: Keep the reference's row sample.
    keep_samples: bool = False

    def in_force(self, config: MonitorConfig, *, force: bool = False) -> Reference:
        """Return the monitor's reference; build it when it is missing or out of date.

        Raises ``ReferenceUnusable``, the sources' errors, and ``ConfigError`` for unknown column names.
        """
        return self._without_culprits(partial(self._in_force, config, force=force))

    def _without_culprits(self, look: Callable[[], _T]) -> _T:
        """Look again without a file that ended the reader: what is left out is part of the key."""
        for _ in range(_MAX_CULPRITS):
            try:
                return look()
            except PieceLeftOut as error:
                self.say(str(error))
        return look()

    def _in_force(self, config: MonitorConfig, *, force: bool) -> Reference:
        version = self._data_version(config)
        key = self._key(config, version)
        active = self.stored.active(config.name)
        if active is not None and active.source_key == key and not force:
            return self._checked(active.reference, config)
        absence = _DAMAGED if active is None and self.stored.is_damaged(config.name) else _MISSING
        reason = "it was asked for" if force else absence if active is None else _CHANGED
        trial = None if force else self.trials.get(config.name, key)
        reference, blocks = trial or self._build(config, reason, version)
        self.stored.store(reference, key, blocks, self.now)
        if trial:
            self.say(
                f"{config.name}: the reference built for a look at the past is in force now, since {reason}"
            )
        return self._checked(reference, config)

    def for_replay(self, config: MonitorConfig, *, rebased: bool) -> tuple[Reference, Blocks]:
        """Return a reference and its blocks for verbs that must not replace the reference in force.

        A stored reference that was built from the same data and settings is used; otherwise one is built and
        stored separately. One changed by ``ack --as accepted`` is used only with ``rebased``. Raises the
        errors of ``in_force``.
        """
        return self._without_culprits(partial(self._for_replay, config, rebased=rebased))

    def _for_replay(self, config: MonitorConfig, *, rebased: bool) -> tuple[Reference, Blocks]:
        name, version = config.name, self._data_version(config)
        key = self._key(config, version)
        active = self.stored.active(name)
        if active is not None and active.source_key == key:
            candidate = active.reference if rebased else self.stored.built(name, key)
            if candidate is not None:
                if candidate.fingerprint != active.reference.fingerprint:
                    self.say(
                        f"{name}: judged against the reference as it was built from its files; the one in "
                        "force was changed by `ack --as accepted`"
                    )
                return self._checked(candidate, config), partial(
                    self.stored.blocks, name, candidate.fingerprint
                )
        trial = self.trials.get(name, key)
        if trial is None:
            reason = _CHANGED if active is not None or self.trials.exists(name) else _MISSING
            trial = self._build(config, reason, version)
            self.trials.store(trial[0], key, trial[1])
        reference, blocks = self._checked(trial[0], config), trial[1]
        return reference, lambda segment: blocks.get(segment, ())

    def _checked(self, reference: Reference, config: MonitorConfig) -> Reference:
        # References of version 0.1.0 may hold no feature.
        columns = (*reference.plan.columns, *reference.provenance.set_aside)
        require_features(columns, f"monitor {config.name!r}: reference {reference.provenance.source}")
        for line in set_aside_lines(reference.provenance.set_aside):
            self.say(f"{config.name}: {line}")
        return _with_valid_names(reference, config)

    def _build(self, config: MonitorConfig, reason: str, data_version: str) -> _ReferenceAndBlocks:
        from driftwatch.engines.local.pool import FilesRead

        source, limits = reference_source(config), config.limits
        self.say(f"{config.name}: building the reference, since {reason}")
        files_read, seconds, memory = FilesRead(), limits.seconds, int(limits.memory)
        try:
            result = build_reference(
                config,
                lambda: self.readers.batches(
                    source, None, seconds=seconds, memory=memory, files_read=files_read
                ),
                built_at=self.now,
                source=redact_credentials(str(config.reference.path)),
                files=1 if isinstance(config.reference.path, str) else len(config.reference.path),
                row_sample=self.keep_samples,
            )
        except ReferenceUnusable as error:
            if not files_read.rejected:
                raise
            raise ReferenceUnusable(f"{error} {_file_note(files_read)}.") from error
        reference = _with_file_facts(result.reference, files_read, data_version)
        rows = f"{reference.summary.rows:,} rows in {files_read.files:,} file(s)"
        self.say(f"{config.name}: reference built from {rows}, since {reason}")
        for note in reference.provenance.notes[len(result.reference.provenance.notes) :]:
            self.say(f"{config.name}: {note}")
        blocks: dict[str | None, Sequence[Summary]] = {None: result.blocks}
        blocks.update(result.segment_blocks)
        return reference, blocks

    def _data_version(self, config: MonitorConfig) -> str:
        limits = config.limits
        (version,) = self.readers.versions(
            reference_source(config), (None,), seconds=limits.seconds, memory=int(limits.memory)
        )
        return version

    def _key(self, config: MonitorConfig, version: str) -> str:
        data = as_json(config)
        # A key marked ``Since`` is not there at its default.
        parts = {name: data[name] for name in _REFERENCE_SETTINGS if name in data}
        # What of a vector is watched changes no cell.
        parts["columns"] = {
            name: {key: value for key, value in column.items() if key != "watch"}
            for name, column in parts["columns"].items()
        }
        reference = dict(data["reference"])
        if reference["delimiter"] == ",":
            del reference["delimiter"]  # keeps references from before this setting in force
        parts |= {"reference": reference, "length": data["window"]["length"], "version": version}
        # Production's event time is not a watched column: its name decides what the reference holds.
        parts["source"] = {name: data["source"].get(name) for name in ("time_column", "timezone")}
        if self.keep_samples:
            parts["row_sample"] = True
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _with_file_facts(reference: Reference, files_read: FilesRead, data_version: str) -> Reference:
    notes = list(reference.provenance.notes)
    if files_read.rejected:
        notes.append(_file_note(files_read))
    provenance = replace(
        reference.provenance, files=files_read.files, notes=tuple(notes), data_version=data_version
    )
    return replace(reference, provenance=provenance)


def _file_note(files_read: FilesRead) -> str:
    rejected = files_read.rejected[:_MAX_LISTED_FILES]
    details = "; ".join(f"{item.name}: {item.problem}, {item.detail}".rstrip(".") for item in rejected)
    return f"{len(files_read.rejected):,} file(s) could not be read and were left out ({details})"


def _with_valid_names(reference: Reference, config: MonitorConfig) -> Reference:
    plan = reference.plan
    segment_columns = [] if plan.segmentation is None else [plan.segmentation.column]
    names = [*(column.name for column in plan.columns), *plan.identity_columns, *segment_columns]
    names += [column.name for column in reference.provenance.set_aside]
    column_names = tuple(dict.fromkeys(names))
    joint_owners = (
        [joint_owner(item.name) for item in all_detectors() if item.joint] if config.weights else []
    )
    settings = [("weights", name) for name in config.weights if name not in joint_owners]
    settings += [
        (f"groups.{group}", name) for group, group_columns in config.groups.items() for name in group_columns
    ]
    errors = [
        f"monitor {config.name!r}: {setting}: {unknown_name_message('column', name, column_names)}"
        for setting, name in settings
        if name not in column_names
    ]
    if errors:
        raise ConfigError(errors)
    return reference


def reference_source(config: MonitorConfig) -> FilesConfig:
    return FilesConfig(
        type="files",
        path=config.reference.path,
        format=config.reference.format,
        delimiter=config.reference.delimiter,
        encoding=config.reference.encoding,
        **config.reference.row_options.model_dump(),
        time_column=config.reference.time_column,
        timezone=config.reference.timezone,
        unfinished=0,
    )
