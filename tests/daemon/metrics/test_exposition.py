"""The page Prometheus scrapes: its text is a contract, so the whole of it is a golden file."""

from __future__ import annotations

import gzip
import os
import platform
import re
import subprocess
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import example
import pytest
from peers import require
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from driftwatch.config.models import ExportConfig
from driftwatch.core.schema import NANOSECONDS
from driftwatch.daemon.metrics import series
from driftwatch.daemon.metrics.exporter import MetricsPage
from driftwatch.daemon.metrics.families import FAMILIES
from driftwatch.daemon.status.headline import headline_of
from driftwatch.daemon.status.snapshot import MonitorView, Snapshot
from driftwatch.daemon.web.api.payloads import monitor_json
from driftwatch.results import text_format
from driftwatch.results.results import ColumnEnding, FileProblem, IncidentEnding, Reason, State, Statistic

GOLDEN = Path(__file__).parent / "metrics.txt"
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
COLUMN_FAMILIES = ("driftwatch_column_", "driftwatch_joint_")
Key = tuple[str, tuple[tuple[str, str], ...]]


def body(shown: Snapshot, now: int = example.NOW, **export: object) -> str:
    page = MetricsPage(ExportConfig(**export)).render(shown, now, process=False)
    return page.body.decode()


def samples(text: str) -> dict[Key, float]:
    values: dict[Key, float] = {}
    for family in parse_text(text):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in values, f"twice: {key}"
            values[key] = sample.value
    return values


def value(text: str, name: str, **labels: str) -> float | None:
    return samples(text).get((name, tuple(sorted(labels.items()))))


def columns(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(COLUMN_FAMILIES)]


@pytest.fixture(scope="module")
def shown() -> Snapshot:
    return example.snapshot()


def test_the_whole_page_is_what_it_was(shown: Snapshot) -> None:
    text = body(shown).replace(f'"{platform.python_version()}"', '"PYTHON"')
    if os.environ.get("DRIFTWATCH_WRITE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.peer
def test_promtool_finds_nothing_to_say(shown: Snapshot) -> None:
    promtool = require("promtool")
    page = MetricsPage(ExportConfig()).render(shown, example.NOW).body
    result = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")


def test_each_family_appears_once_with_its_samples_together(shown: Snapshot) -> None:
    text = body(shown)
    headers = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(headers) == len(set(headers))
    current = ""
    for line in text.splitlines():
        if line.startswith("# TYPE"):
            current = line.split()[2]
        elif not line.startswith("#"):
            assert line.split("{")[0].split()[0] == current
    nobody_muted = {"driftwatch_incident_muted_until_timestamp_seconds"}
    assert set(headers) == {family.name for family in FAMILIES} - nobody_muted


def test_openmetrics_says_the_same(shown: Snapshot) -> None:
    page = MetricsPage(ExportConfig()).render(shown, example.NOW, OPENMETRICS)
    assert page.content_type.startswith("application/openmetrics-text; version=1.0.0")
    families = list(parse_openmetrics(page.body.decode()))
    values = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith("driftwatch_")
    }
    assert values == samples(body(shown))
    assert any(family.name == "process_resident_memory_bytes" for family in families)


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
@pytest.mark.parametrize("cap", [100, 300, 100_000])
def test_gzip_only_when_accepted(accept: str, cap: int, shown: Snapshot) -> None:
    page = MetricsPage(ExportConfig(max_series=cap))
    plain = page.render(shown, example.NOW, accept, process=False)
    squeezed = page.render(shown, example.NOW, accept, "deflate, gzip", process=False)
    assert (plain.encoding, squeezed.encoding) == (None, "gzip")
    assert gzip.decompress(squeezed.body) == plain.body
    # Some clients read the first member of several and take it for the whole.
    single = zlib.decompressobj(wbits=31)
    assert single.decompress(squeezed.body) == plain.body
    assert single.eof
    assert not single.unused_data


def test_no_created_series_and_no_timestamps(shown: Snapshot) -> None:
    for line in body(shown).splitlines():
        if not line.startswith("#"):
            assert "_created" not in line
            assert len(line.rpartition("}")[2].split()) == (1 if "{" in line else 2)


def test_lost_ticks_are_counted(shown: Snapshot) -> None:
    assert value(body(shown), "driftwatch_scheduler_ticks_lost_total") == 2


def test_one_state_is_one_and_all_are_there(shown: Snapshot) -> None:
    text = body(shown)
    for monitor, state in (("flight-delays", "drifting"), ("churn", "ok"), ("credit-risk", "source_error")):
        values = {
            item: value(text, "driftwatch_state", monitor=monitor, segment="", state=item) for item in State
        }
        assert values == {item: float(item == state) for item in State}


def new_monitor() -> MonitorView:
    return replace(
        example.calm(),
        name="new",
        reference=None,
        reference_loaded_at=None,
        segments=(),
        last_run_at=None,
        last_success_at=None,
        next_run_at=None,
        duration_seconds=None,
        read_seconds=None,
        decide_seconds=None,
        newest_row_at=None,
        checks=0,
    )


def test_a_mute_is_told_where_every_open_incident_has_one() -> None:
    name = "driftwatch_incident_muted_until_timestamp_seconds"
    view = example.drifting()
    first = next(item for item in view.incidents if item.segment is None)
    until = example.NOW + 3600 * NANOSECONDS
    muted = replace(first, muted_until=until)
    text = body(example.snapshot(replace(view, incidents=(muted,))))
    labels = {"monitor": view.name, "segment": "", "kind": first.kind}
    assert value(text, name, **labels) == until / NANOSECONDS
    assert value(text, "driftwatch_incident_open", **labels) == 1, "it is open all the same"
    pair = replace(view, incidents=(muted, replace(first, key="another")))
    assert not re.search(rf"^{name}\{{", body(example.snapshot(pair)), re.M)


def test_one_incident_of_two_segments_is_open_in_each_as_what_it_is_there() -> None:
    view = example.drifting()
    whole, part = view.segments[:2]
    assert part.segment is not None
    assert part.verdict is not None
    ending = IncidentEnding(
        key=view.incidents[0].key, kind="broken", columns=(ColumnEnding(column="visib", quiet=0, needed=1),)
    )
    part = replace(part, usable_verdict=replace(part.verdict, endings=(ending,)))
    incident = replace(view.incidents[0], segments=(None, part.segment))
    view = replace(view, segments=(whole, part), incidents=(incident,))
    text = body(example.snapshot(view))
    counts = {
        (segment, kind): value(
            text, "driftwatch_incident_open", monitor=view.name, segment=segment, kind=kind
        )
        for segment in ("", part.segment)
        for kind in ("drift", "broken")
    }
    assert counts == {
        ("", "drift"): 1,
        ("", "broken"): 0,
        (part.segment, "drift"): 0,
        (part.segment, "broken"): 1,
    }
    (there,) = view.incidents_of(part.segment)
    assert (there.segment, there.columns) == (part.segment, ("visib",))
    assert view.incidents_of("another") == ()
    assert view.current(part).verdict is not None
    (shown,) = monitor_json(view, example.NOW)["incidents"]
    assert (shown["segment"], shown["segments"]) == (None, [None, part.segment])


def test_an_incident_of_an_older_window_is_the_state_of_metric_page_and_api() -> None:
    """Rows that came late opened it after the newest window was decided."""
    view = example.drifting()
    segment = view.segments[0]
    assert segment.verdict is not None
    calm = replace(segment.verdict, state=State.OK, reason=Reason.NOTHING_MOVED, incident=None, named=())
    view = replace(view, segments=(replace(segment, verdict=calm, usable_verdict=calm),))
    text = body(example.snapshot(view))
    assert value(text, "driftwatch_state", monitor=view.name, segment="", state="drifting") == 1
    assert value(text, "driftwatch_state", monitor=view.name, segment="", state="ok") == 0
    assert headline_of(view, view.segments[0], example.NOW).kind == text_format.MOVED
    segment_json = monitor_json(view, example.NOW)["segments"][0]
    assert (segment_json["state"], segment_json["reason"], segment_json["kind"]) == (
        "drifting", "incident_open", "moved",
    )  # fmt: skip
    repaired = replace(view, incidents=())
    assert value(
        body(example.snapshot(repaired)), "driftwatch_state", monitor=view.name, segment="", state="ok"
    )


def test_health_series_are_there_before_the_first_check() -> None:
    text = body(example.snapshot(new_monitor()))
    assert value(text, "driftwatch_checks_total", monitor="new") == 0
    for problem in FileProblem:
        assert value(text, "driftwatch_files_rejected_total", monitor="new", reason=problem) == 0
    for reason in series.FAILURES:
        assert value(text, "driftwatch_check_failures_total", monitor="new", reason=reason) == 0
    for kind in ("drift", "broken", "blind"):
        assert value(text, "driftwatch_incident_open", monitor="new", segment="", kind=kind) == 0
    unknown = ("check_success", "state", "evidence_ratio", "window_rows", "reference_rows", "drift_since")
    assert not [
        line for line in text.splitlines() if line.startswith(tuple(f"driftwatch_{n}" for n in unknown))
    ]
    assert "NaN" not in text


def test_what_is_undefined_has_no_series(shown: Snapshot) -> None:
    view = shown.monitors[0]
    segment = view.segments[0]
    assert segment.usable_verdict is not None
    odd = [
        Statistic(detector=name, column="tenure", value=number, unit="", p_value=number)
        for name, number in (("a", None), ("b", float("nan")), ("c", float("inf")), ("d", 0.0))
    ]
    usable_verdict = replace(segment.usable_verdict, statistics=tuple(odd))
    text = body(example.snapshot(replace(view, segments=(replace(segment, usable_verdict=usable_verdict),))))
    lines = [line for line in columns(text) if "missing" not in line]
    assert len(lines) == 2
    assert all('detector="d"' in line for line in lines)


HOSTILE = {
    "plain": "plain",
    'q"\\\n': 'q"\\\n',
    "nul\0": "nul\\x00~",
    "half\ud800": "half\ufffd~",
    "x" * 1_000_000: "x" * 119 + "~",
    "": "",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_column_names_come_back_bounded(name: str, shown: Snapshot) -> None:
    view = shown.monitors[0]
    segment = view.segments[0]
    assert segment.usable_verdict is not None
    usable_verdict = replace(
        segment.usable_verdict, statistics=(Statistic(detector="ks", column=name, value=0.5, unit=""),)
    )
    text = body(
        example.snapshot(
            replace(view, segments=(replace(segment, usable_verdict=usable_verdict, window=None),))
        )
    )
    (label,) = [dict(key[1])["column"] for key in samples(text) if key[0] == "driftwatch_column_statistic"]
    assert len(label) <= series.MAX_LABEL_CHARS
    assert label == HOSTILE[name] if label == name else label[:-8] == HOSTILE[name]


def test_names_that_shorten_to_the_same_stay_apart() -> None:
    names = ["x" * 200 + "a", "x" * 200 + "b", "n\0", "n\\x00", "h\ud800", "h\ud801", "h\ufffd"]
    assert len({series.label(name) for name in names}) == len(names)
    assert len({series.segment_label(name) for name in (None, "", "(empty)")}) == 3


def test_reasons_are_bounded(shown: Snapshot) -> None:
    view = replace(shown.monitors[0], failures=tuple((f"reason {n}", 1) for n in range(500)))
    counts = [
        (dict(key[1])["reason"], number)
        for key, number in samples(body(example.snapshot(view))).items()
        if key[0] == "driftwatch_check_failures_total"
    ]
    assert len(counts) == series.MAX_REASONS + 1
    assert sum(number for _, number in counts) == 500


def test_last_good_values_age_and_are_dropped_after_three_intervals(shown: Snapshot) -> None:
    page = MetricsPage(ExportConfig())
    view = shown.monitor("credit-risk")
    assert view is not None
    snapshot = example.snapshot(view)
    usable_at = view.segments[0].usable_at
    assert usable_at is not None
    limit = usable_at + 3 * view.interval_seconds * NANOSECONDS

    def at(now: int) -> str:
        return page.render(snapshot, now, process=False).body.decode()

    assert columns(at(limit))
    assert value(at(limit), "driftwatch_evidence_ratio", monitor="credit-risk", segment="") == 0.06
    text = at(limit + 1)
    assert not columns(text)
    assert value(text, "driftwatch_evidence_ratio", monitor="credit-risk", segment="") is None
    assert value(text, "driftwatch_window_rows", monitor="credit-risk", segment="") is None
    assert value(text, "driftwatch_state", monitor="credit-risk", segment="", state="source_error") == 1
    assert value(text, "driftwatch_check_success", monitor="credit-risk") == 0
    assert at(limit) == at(limit - 1)


def test_the_cap_is_kept_and_what_is_left_out_is_counted(shown: Snapshot) -> None:
    whole = samples(body(shown))
    health = [key for key in whole if dict(key[1]).get("monitor") and not key[0].startswith(COLUMN_FAMILIES)]
    cap = len(health) + 20
    assert len(columns(body(shown))) > 20
    capped = body(shown, max_series=cap)
    values = samples(capped)
    keys = {key for key in values if key[0].startswith("driftwatch_")}
    dropped = value(capped, "driftwatch_series_dropped")
    assert dropped == len(whole) - len(keys)
    monitors = [key for key in keys if dict(key[1]).get("monitor")]
    assert len(monitors) == cap
    assert {key for key in whole if not key[0].startswith(COLUMN_FAMILIES)} <= keys


def test_health_is_published_even_beyond_the_cap(shown: Snapshot) -> None:
    text = body(shown, max_series=100)
    assert not columns(text)
    assert value(text, "driftwatch_check_success", monitor="churn") == 1


def test_policies(shown: Snapshot) -> None:
    def named(text: str) -> set[str]:
        return {dict(key[1])["column"] for key in samples(text) if key[0] == "driftwatch_column_statistic"}

    assert named(body(shown, columns="drifted")) == {"dep_delay", "visib", "carrier"}
    assert named(body(shown, columns="none")) == set()
    top = named(body(example.snapshot(example.drifting()), columns="top_k", top_k=2))
    assert top == {"dep_delay", "visib"}
    assert "driftwatch_joint_statistic" in body(shown, columns="none")


def test_a_reload_changes_the_policy(shown: Snapshot) -> None:
    page = MetricsPage(ExportConfig())
    assert "driftwatch_column_statistic{" in page.render(shown, example.NOW).body.decode()
    page.reconfigure(ExportConfig(columns="none"))
    assert "driftwatch_column_statistic{" not in page.render(shown, example.NOW).body.decode()


def test_a_failed_check_without_a_reason_is_still_no_success(shown: Snapshot) -> None:
    text = body(example.snapshot(replace(example.blind(), last_failure="")))
    assert value(text, "driftwatch_check_success", monitor="credit-risk") == 0


def test_top_k_holds_on_to_what_was_published(shown: Snapshot) -> None:
    view = shown.monitors[0]
    segment = view.segments[0]
    assert segment.usable_verdict is not None

    def ranked(*order: str) -> MonitorView:
        assert segment.usable_verdict is not None
        statistics = tuple(
            Statistic(detector="ks", column=name, value=1 - rank / 10, unit="")
            for rank, name in enumerate(order)
        )
        usable_verdict = replace(segment.usable_verdict, statistics=statistics, named=())
        return replace(view, segments=(replace(segment, usable_verdict=usable_verdict),))

    export = ExportConfig(columns="top_k", top_k=2)
    assert series.select_columns(ranked("a", "b", "c", "d"), export, frozenset()) == {"a", "b"}
    assert series.select_columns(ranked("c", "a", "d", "b"), export, frozenset("ab")) == {"a", "b"}
    assert series.select_columns(ranked("c", "a", "d", "e", "b"), export, frozenset("ab")) == {"a", "c"}


def test_drifted_holds_on_to_a_column_while_an_incident_is_open() -> None:
    view = example.drifting()
    export = ExportConfig(columns="drifted")
    named = series.select_columns(view, export, frozenset())
    assert named is not None
    assert series.select_columns(view, export, frozenset({"hour"})) == named | {"hour"}
    closed = replace(view, incidents=())
    assert "hour" not in (series.select_columns(closed, export, frozenset({"hour"})) or ())


def test_a_warmed_monitor_is_not_rendered_at_the_scrape(
    shown: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = body(shown)
    page = MetricsPage(ExportConfig())
    for view in shown.monitors:
        page.warm(view, example.NOW)
    for name in ("health_samples", "column_samples"):
        monkeypatch.setattr(series, name, lambda *_: pytest.fail("rendered at the scrape"))
    assert page.render(shown, example.NOW, process=False).body.decode() == plain


def test_what_only_ages_or_counts_leaves_the_columns_as_they_were(
    shown: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = MetricsPage(ExportConfig())
    first_text = page.render(shown, example.NOW, process=False).body.decode()
    monkeypatch.setattr(series, "column_samples", lambda *_: pytest.fail("columns rendered again"))
    same = [replace(view, checks=77, segments=tuple(map(replace, view.segments))) for view in shown.monitors]
    text = page.render(example.snapshot(*same), example.NOW, process=False).body.decode()
    assert value(text, "driftwatch_checks_total", monitor="churn") == 77
    assert columns(text) == columns(first_text)


def test_a_changed_share_renders_nothing_and_moves_nothing(
    shown: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = samples(body(shown))
    health = [key for key in whole if dict(key[1]).get("monitor") and not key[0].startswith(COLUMN_FAMILIES)]
    export = ExportConfig(max_series=len(health) + 60)
    page = MetricsPage(export)
    fleet_samples = samples(page.render(shown, example.NOW, process=False).body.decode())
    monkeypatch.setattr(series, "column_samples", lambda *_: pytest.fail("columns rendered again"))
    part = example.snapshot(*shown.monitors[:2])
    part_samples = samples(page.render(part, example.NOW, process=False).body.decode())
    mine = [view.name for view in part.monitors]
    keys = {key for key in fleet_samples if dict(key[1]).get("monitor") in mine}
    assert keys < set(part_samples), "a smaller fleet publishes more of each"
    assert {key: part_samples[key] for key in keys} == {key: fleet_samples[key] for key in keys}
    assert {key for key in whole if dict(key[1]).get("monitor") in mine} >= {
        key for key in part_samples if dict(key[1]).get("monitor") in mine
    }


def test_only_the_monitor_that_changed_is_rendered_again(
    shown: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = MetricsPage(ExportConfig())
    first = page.render(shown, example.NOW, process=False).body
    rendered: list[str] = []
    original = series.health_samples

    def watched(view: MonitorView, stale: frozenset[str | None]) -> object:
        rendered.append(view.name)
        return original(view, stale)

    monkeypatch.setattr(series, "health_samples", watched)
    assert page.render(shown, example.NOW, process=False).body == first
    assert rendered == []
    changed = replace(shown.monitors[0], checks=10)
    snapshot = replace(shown, monitors=(changed, *shown.monitors[1:]))
    text = page.render(snapshot, example.NOW, process=False).body.decode()
    assert rendered == ["churn"]
    assert value(text, "driftwatch_checks_total", monitor="churn") == 10


def test_a_monitor_that_is_gone_leaves_nothing(shown: Snapshot) -> None:
    page = MetricsPage(ExportConfig())
    page.render(shown, example.NOW)
    text = page.render(example.snapshot(shown.monitors[0]), example.NOW).body.decode()
    assert "flight-delays" not in text


def test_a_hundred_monitors_of_fifty_columns(
    shown: Snapshot, record_testsuite_property: Callable[[str, object], None]
) -> None:
    view = shown.monitors[0]
    segment = view.segments[0]
    assert segment.usable_verdict is not None
    statistics = tuple(
        Statistic(detector=detector, column=f"column_{n}", value=0.1 + n, unit="", p_value=0.5)
        for n in range(50)
        for detector in ("ks", "psi", "wasserstein", "missing", "out_of_range")
    )
    usable_verdict = replace(segment.usable_verdict, statistics=statistics)
    part = replace(segment, usable_verdict=usable_verdict, window=None)
    many = example.snapshot(*(replace(view, name=f"monitor-{n}", segments=(part,)) for n in range(100)))
    page = MetricsPage(ExportConfig())
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        result = page.render(many, example.NOW)
        seconds.append(time.perf_counter() - start)
    record_testsuite_property("first_render_seconds", round(seconds[0], 3))
    record_testsuite_property("joined_again_seconds", round(seconds[1], 4))
    record_testsuite_property("bytes", len(result.body))
    assert len(columns(result.body.decode())) == 100 * 500
