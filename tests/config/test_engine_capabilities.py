"""What an engine cannot do is refused when the configuration is loaded, not found out at night."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from plugin_folder import installed_plugins

from driftwatch.config.load import check, load
from driftwatch.config.shown import redacted_settings
from driftwatch.core import plugins
from driftwatch.engines.base import Capability
from driftwatch.monitor.record import configuration_of


@pytest.fixture(autouse=True, scope="module")
def plain_engine() -> Iterator[None]:
    names = plugins.names("engines")
    with installed_plugins(
        {"driftwatch.engines": {"plain": "plain_engine"}, "driftwatch.decoders": {"lines": "lines_decoder"}}
    ):
        assert plugins.names("engines") == (*names, "plain")
        yield
    assert plugins.names("engines") == names


def config_file(folder: Path, monitor: str = "", storage: str = "") -> Path:
    path = folder / "driftwatch.yaml"
    path.write_text(
        f"version: 1\nstorage: {{{storage}}}\nmonitors:\n  - name: fraud\n    reference: {{path: x}}\n"
        f"    source: {{type: files, path: x, time_column: at}}\n    engine: {{type: plain}}\n{monitor}\n"
    )
    return path


def problems(path: Path) -> list[str]:
    return [problem.removeprefix(f"{path}:") for problem in check(path)]


def test_an_engine_is_chosen_by_name_and_tells_what_it_can_do(tmp_path: Path) -> None:
    monitor = load(config_file(tmp_path)).monitors[0]
    assert monitor.engine.type == "plain"
    assert monitor.engine.capabilities == {Capability.COUNTS}
    local = load(
        config_file(
            tmp_path, "  - {name: b, reference: {path: x}, source: {type: files, path: x, time_column: t}}"
        )
    )
    assert local.monitors[1].engine.type == "local"
    assert local.monitors[1].engine.capabilities == set(Capability)


@pytest.mark.parametrize("value", ["true", "on"])
def test_a_row_sample_that_nobody_keeps_is_refused(tmp_path: Path, value: str) -> None:
    assert problems(config_file(tmp_path, storage=f"row_sample: {value}")) == [
        "7: monitors.fraud.engine.type: must be an engine that keeps a row sample, since line 2 sets "
        'storage.row_sample. Got "plain", which keeps none.'
    ]
    assert problems(config_file(tmp_path, storage="row_sample: false")) == []


def test_detectors_that_the_engine_cannot_feed_do_not_page(tmp_path: Path) -> None:
    [problem] = problems(config_file(tmp_path, "    detectors: [mmd, psi]"))
    assert problem.startswith("8: monitors.fraud.detectors: must name at least one detector that can page (")
    assert "mmd" not in problem.partition("(")[2].partition(")")[0]
    assert problem.endswith(
        'Got only mmd, psi, which cannot page with the engine "plain": it keeps no row sample.'
    )
    assert problems(config_file(tmp_path, "    detectors: [psi]"))[0].endswith(
        "Got only psi, which measure and can never page."
    )
    assert problems(config_file(tmp_path, "    detectors: [mmd, ks]")) == []


def test_messages_are_decoded_by_name(tmp_path: Path) -> None:
    monitor = load(
        config_file(tmp_path, "    decode: {type: lines, column: body, max_message: 1MiB}")
    ).monitors[0]
    assert monitor.decode is not None
    assert (monitor.decode.column, int(monitor.decode.max_message)) == ("body", 1 << 20)
    decoders = ", ".join(plugins.names("decoders"))
    assert problems(config_file(tmp_path, "    decode: {type: line, max_message: 0, kolumn: x}")) == [
        '8: monitors.fraud.decode.type: unknown decoder. Got "line". Did you mean "lines"? '
        f"Known: {decoders}."
    ]
    assert problems(config_file(tmp_path, "    decode: {type: lines, max_message: 0, colum: x}")) == [
        "8: monitors.fraud.decode.column: is required.",
        "8: monitors.fraud.decode.max_message: must be above 0. Got 0.",
        "8: monitors.fraud.decode.colum: unknown key; a typo, or not an option of driftwatch 0.1.0. "
        'Did you mean "column"?',
    ]


def test_secrets_of_engines_and_decoders_are_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", "hunter2")
    monitor = load(config_file(tmp_path, '    decode: {type: lines, column: "${KEY}"}')).monitors[0]
    shown = redacted_settings(monitor)
    assert shown["decode"]["column"] == "${KEY}"
    assert "hunter" not in configuration_of(monitor)[1]
