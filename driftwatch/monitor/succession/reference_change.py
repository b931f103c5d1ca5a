"""How the reference in force differs from the one that a stored state belongs to."""

from __future__ import annotations

from dataclasses import dataclass

from driftwatch.monitor.check import Monitor
from driftwatch.monitor.succession.acceptance import Acceptance, acceptance_of
from driftwatch.monitor.succession.same_data import same_data
from driftwatch.store.history import History
from driftwatch.summary.reference import Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceChange:
    #: The state's reference is the one in force.
    is_none: bool = False
    same_data: bool
    #: Cells and time blocks are the same, so that all that was learned holds.
    same_cells: bool = False
    #: What was accepted on the state's reference.
    acceptance: Acceptance | None = None


def reference_change(monitor: Monitor, fingerprint: str) -> ReferenceChange:
    """Compare the reference in force with the stored one of ``fingerprint``."""
    if fingerprint == monitor.reference.fingerprint:
        return ReferenceChange(is_none=True, same_data=True, same_cells=True)
    history, name = monitor.history, monitor.config.name
    old = history.references.get(name, fingerprint)
    if old is None:
        # Of a damaged one the key of its data and settings is left.
        key = history.references.source_key(name, fingerprint)
        same_key = key == history.references.source_key(name, monitor.reference.fingerprint)
        return ReferenceChange(same_data=bool(key) and same_key)
    old_built, new_built = _built(history, old), _built(history, monitor.reference)
    is_same = same_data(old_built, new_built)
    return ReferenceChange(
        same_data=is_same,
        same_cells=is_same and _same_cells(history, old_built, new_built),
        acceptance=acceptance_of(monitor, old, old_built),
    )


def _built(history: History, reference: Reference) -> Reference:
    """Return the reference as it was built, before anything was accepted."""
    name, fingerprint = reference.monitor, reference.fingerprint
    if not history.states.is_rebased(name, fingerprint):
        return reference
    built = history.references.built(name, history.references.source_key(name, fingerprint))
    return built or reference


def _same_cells(history: History, old: Reference, new: Reference) -> bool:
    if old.plan.fingerprint != new.plan.fingerprint or old.summary.rows != new.summary.rows:
        return False
    # Blocks of the segments are of the same rows.
    old_blocks, new_blocks = (
        history.references.blocks(item.monitor, item.fingerprint, None) for item in (old, new)
    )
    return old_blocks == new_blocks
