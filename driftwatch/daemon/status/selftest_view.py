"""What the self-test came to, as exporter and web page show it."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from driftwatch.daemon.status.snapshot import SelftestView
from driftwatch.monitor.check import Monitor
from driftwatch.monitor.selftest import Ending
from driftwatch.results import words
from driftwatch.store.history import History
from driftwatch.store.records import StoredTrial
from driftwatch.summary.faults import Fault


def selftest_view(monitor: Monitor, history: History) -> SelftestView | None:
    """The monitor's self-test from the history; None when it is off."""
    if monitor.selftest is None:
        return None
    known = history.selftest(monitor.config.name)
    kept = [trial for trial in history.trials(monitor.config.name) if monitor.selftest.like(trial)]
    return SelftestView(
        outcomes=tuple((str(ending), int(getattr(known, ending))) for ending in Ending),
        delay_windows=known.delay_windows if known.detected else None,
        measured_at=known.measured_at,
        words=said(kept),
    )


def said(trials: Sequence[StoredTrial]) -> str:
    """One line about trials that ended, of the faults and for as many windows as are injected today."""
    ended = {ending: [trial for trial in trials if trial.outcome == ending] for ending in Ending}
    detected, missed = ended[Ending.DETECTED], ended[Ending.MISSED]
    alarms = len(ended[Ending.FALSE_ALARM])
    told = words.plural(alarms, "false alarm") + (", if nothing really moved then" if alarms else "")
    if not detected and not missed:
        begin = "selftest: no trial of an injected fault has come to its end yet"
        return f"{begin}; {told}" if alarms else begin
    text = f"selftest: found {len(detected)} of {len(detected) + len(missed)} injected "
    text += _faults([*detected, *missed])
    delays = [trial.delay for trial in detected if trial.delay is not None]
    if delays:
        text += f", median {_windows(median(delays))}"
    unnamed = sum(not trial.named for trial in detected)
    if unnamed:
        text += f", {unnamed} without naming the column"
    return f"{text}; {told}"


def _faults(trials: Sequence[StoredTrial]) -> str:
    sizes = sorted({(trial.fault, trial.size) for trial in trials})
    told = [f"{_NAMES[Fault(fault)]} {Fault(fault).words(size)}" for fault, size in sizes]
    if [fault for fault, _ in sizes] == [Fault.SHIFT]:
        return told[0]
    return f"faults ({', '.join(told)})"


_NAMES = {
    Fault.SHIFT: "shifts of",
    Fault.VALUE: "one value in",
    Fault.MISSING: "values lost in",
}


def _windows(count: float) -> str:
    """A number of windows, whole or in between.

    >>> _windows(1), _windows(2.0), _windows(2.5)
    ('1 window', '2 windows', '2.5 windows')
    """
    return f"{count:g} window{'' if count == 1 else 's'}"
