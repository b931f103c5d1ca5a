"""The views of all monitors: replaced as a whole, and only of configured monitors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import example
import pytest

from driftwatch.core.clock import ReplayClock
from driftwatch.daemon.status.monitor_slot import MonitorSlot
from driftwatch.daemon.status.monitor_views import MonitorViews
from driftwatch.daemon.status.snapshot import MonitorView
from driftwatch.store.history import History

VIEW = example.calm()


def config(name: str) -> Any:
    return SimpleNamespace(
        name=name,
        source=SimpleNamespace(type="files"),
        model=SimpleNamespace(name="", version=""),
        window=SimpleNamespace(length=60, patience_seconds=120),
        alarm=SimpleNamespace(false_pages="1 per quarter"),
    )


@pytest.fixture
def views() -> Iterator[MonitorViews]:
    daemon = example.ExampleDaemon()
    shown = MonitorViews(History(daemon.database), ReplayClock(0))
    shown.show_configured([config(VIEW.name), config("other")])
    yield shown
    daemon.close()


def view_of(views: MonitorViews, name: str) -> MonitorView | None:
    return next((view for view in views.all() if view.name == name), None)


def test_a_reload_shows_the_configured_monitors_and_no_others(views: MonitorViews) -> None:
    views.show(VIEW)
    views.show_configured([config("third"), config(VIEW.name)])
    assert [view.name for view in views.all()] == ["third", VIEW.name]
    assert view_of(views, VIEW.name) is VIEW, "what is known of a monitor stays"


def test_a_turn_that_ends_after_its_monitor_was_removed_shows_nothing(views: MonitorViews) -> None:
    views.show_configured([config("other")])
    views.show(VIEW)
    views.show_reference_failure(config(VIEW.name), "no file", None)
    assert [view.name for view in views.all()] == ["other"]


def test_a_reference_that_cannot_be_loaded_leaves_the_stored_state(views: MonitorViews) -> None:
    """Removing it would resolve alerts."""
    views.show(VIEW)
    views.show_reference_failure(config(VIEW.name), "no file", None)
    failures = (("reference_unusable", 1),)
    assert view_of(views, VIEW.name) == replace(VIEW, last_failure="no file", failures=failures)
    views.show_reference_failure(config("other"), "no file", None)
    other = view_of(views, "other")
    assert other is not None
    assert (other.reference, other.last_failure, other.failures) == (None, "no file", failures)


def test_a_running_monitor_keeps_its_reference_and_its_counts(views: MonitorViews) -> None:
    views.show(VIEW)
    slot = MonitorSlot(monitor=SimpleNamespace(), last_end=None)  # type: ignore[arg-type]
    slot.tally.count_failure("source_timeout")
    slot.tally.count_failure("reference_unusable", "no file")
    views.show_reference_failure(config(VIEW.name), "no file", slot)
    view = view_of(views, VIEW.name)
    assert view is not None
    assert view.reference is VIEW.reference
    assert view.failures == (("reference_unusable", 1), ("source_timeout", 1))
