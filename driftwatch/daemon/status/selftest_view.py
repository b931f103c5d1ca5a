"""The self-test's results as the exporter and the pages show them."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from driftwatch.daemon.status.snapshot import SelftestView
from driftwatch.monitor.check import Monitor
from driftwatch.monitor.selftest import TrialOutcome
from driftwatch.results import text_format
from driftwatch.store.records import StoredTrial
from driftwatch.store.tables.selftest_table import SelftestTable
from driftwatch.summary.faults import Fault


def selftest_view(monitor: Monitor, selftests: SelftestTable) -> SelftestView | None:
    if monitor.selftest is None:
        return None
    selftest = selftests.get(monitor.config.name)
    trials = [
        trial for trial in selftests.trials(monitor.config.name) if monitor.selftest.matches_settings(trial)
    ]
    return SelftestView(
        outcomes=tuple((str(ending), int(getattr(selftest, ending))) for ending in TrialOutcome),
        delay_windows=selftest.delay_windows if selftest.detected else None,
        measured_at=selftest.measured_at,
        words=summarise_trials(trials),
    )


def summarise_trials(trials: Sequence[StoredTrial]) -> str:
    """Summarise in one line the ended trials of the currently configured faults."""
    by_outcome = {ending: [trial for trial in trials if trial.outcome == ending] for ending in TrialOutcome}
    detected, missed = by_outcome[TrialOutcome.DETECTED], by_outcome[TrialOutcome.MISSED]
    alarms = len(by_outcome[TrialOutcome.FALSE_ALARM])
    alarm_text = text_format.format_count(alarms, "false alarm") + (
        ", if nothing really moved then" if alarms else ""
    )
    if not detected and not missed:
        text = "selftest: no trial of an injected fault has come to its end yet"
        return f"{text}; {alarm_text}" if alarms else text
    text = f"selftest: found {len(detected)} of {len(detected) + len(missed)} injected "
    text += _faults([*detected, *missed])
    delays = [trial.delay for trial in detected if trial.delay is not None]
    if delays:
        text += f", median {_windows(median(delays))}"
    unnamed = sum(not trial.named for trial in detected)
    if unnamed:
        text += f", {unnamed} without naming the column"
    return f"{text}; {alarm_text}"


def _faults(trials: Sequence[StoredTrial]) -> str:
    sizes = sorted({(trial.fault, trial.size) for trial in trials})
    texts = [f"{_NAMES[Fault(fault)]} {Fault(fault).size_text(size)}" for fault, size in sizes]
    if [fault for fault, _ in sizes] == [Fault.SHIFT]:
        return texts[0]
    return f"faults ({', '.join(texts)})"


_NAMES = {
    Fault.SHIFT: "shifts of",
    Fault.VALUE: "one value in",
    Fault.MISSING: "values lost in",
}


def _windows(count: float) -> str:
    """Format a number of windows.

    >>> _windows(1), _windows(2.0), _windows(2.5)
    ('1 window', '2 windows', '2.5 windows')
    """
    return f"{count:g} window{'' if count == 1 else 's'}"
