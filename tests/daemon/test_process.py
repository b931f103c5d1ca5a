"""The real process: first scrape, restart, signals, reload, a second daemon, a broken store."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from daemon_world import World, children, fetch, hourly, running
from peers import require, until

from driftwatch.core.schema import iso
from driftwatch.store.database import FILE


@pytest.fixture
def world(tmp_path: Path) -> World:
    return hourly(tmp_path)


@pytest.mark.peer
def test_a_restart_shows_the_stored_state_in_its_first_scrape(world: World) -> None:
    promtool = require("promtool")
    with running(world.config) as first:
        url = first.url
        until(first.checked)
        assert fetch(f"{url}/-/healthy")[0] == 200
        assert fetch(f"{url}/-/ready")[0] == 200
        first_page = until(lambda: fetch(f"{url}/metrics")[1] if "evidence_ratio{" in page_of(url) else "")
        assert first.end() == 0
    # The reference's files are gone and the source hangs: only the store can answer.
    (world.folder / "reference.parquet").rename(world.folder / "away")
    with running(world.config, name="second") as second:
        page = fetch(f"{second.url}/metrics")[1]
        pattern = r"^driftwatch_(?:evidence_ratio|state|incident_open|column_\w+)\{.*$"
        assert re.findall(pattern, first_page, re.M)
        assert re.findall(pattern, page, re.M) == re.findall(pattern, first_page, re.M)
        checked = subprocess.run([promtool, "check", "metrics"], input=page.encode(), capture_output=True)
        assert checked.returncode == 0, checked.stderr.decode()
        assert second.logged("the reference's files cannot be read")


def page_of(url: str) -> str:
    return fetch(f"{url}/metrics")[1]


def test_sigterm_does_not_wait_for_a_source_that_hangs(world: World) -> None:
    with running(world.config) as daemon:
        url = daemon.url
        until(daemon.checked)
        until(lambda: "driftwatch_checks_running 0" in page_of(url))
        child = children(daemon.process.pid)[0]
        os.kill(child, signal.SIGSTOP)
        # An older configuration's reference is asked for its version: that call hangs now.
        daemon.process.send_signal(signal.SIGHUP)
        until(lambda: daemon.logged("reloaded"))
        began = time.monotonic()
        assert daemon.end() == 0
        assert time.monotonic() - began < 7
        assert daemon.logged("stopped")
        assert not Path(f"/proc/{child}").exists()


def test_sigterm_ends_a_check_that_hangs_and_its_window_is_decided_later(world: World) -> None:
    hiding_place = world.folder / "away"
    (world.folder / "m").rename(hiding_place)
    with running(world.config) as daemon:
        url = daemon.url
        # It cannot look, and looks again every few seconds: one of these looks shall hang in its reader.
        until(lambda: daemon.logged("checked"))
        readers = children(daemon.process.pid)
        for reader in readers:
            os.kill(reader, signal.SIGSTOP)
        hiding_place.rename(world.folder / "m")
        until(lambda: stuck(url, 1.5))
        began = time.monotonic()
        assert daemon.end() == 0
        assert 2 <= time.monotonic() - began < 7, "limits.shutdown is 2 s"
        assert daemon.logged("stopped")[0]["finished"] is False
        assert not any(Path(f"/proc/{reader}").exists() for reader in readers)
    assert not daemon.checked()
    with running(world.config, name="second") as second:
        (end,) = until(second.checked)
        assert until(lambda: "driftwatch_window_rows{" in page_of(second.url))
        assert end == iso(world.start + 5 * world.step)
        assert second.end() == 0


def stuck(url: str, seconds: float) -> bool:
    """True when one check runs all that time."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if "driftwatch_checks_running 1" not in page_of(url):
            return False
    return True


def test_a_reload_is_whole_or_not_at_all(world: World) -> None:
    with running(world.config) as daemon:
        url = daemon.url
        until(daemon.checked)
        world.settings["monitors"] = [world.monitor("other")]
        world.settings["notify"] = [{"type": "webhook", "url": "http://127.0.0.1:9/"}]
        world.write()
        assert fetch(f"{url}/-/reload", "POST") == (200, "The configuration was reloaded.\n")
        until(lambda: 'monitor="other"' in page_of(url))
        assert 'monitor="m"' not in page_of(url)
        world.config.write_text("version: 1\nmonitors: []\nnonsense: 1\n")
        status, text = fetch(f"{url}/-/reload", "POST")
        assert status == 500
        assert "nonsense" in text
        assert "driftwatch_config_last_reload_successful 0" in page_of(url)
        assert 'monitor="other"' in page_of(url)
        world.write(storage={"path": str(world.folder / "elsewhere")})
        daemon.process.send_signal(signal.SIGHUP)
        until(lambda: daemon.logged("reload refused"))
        world.write()
        daemon.process.send_signal(signal.SIGHUP)
        until(lambda: "driftwatch_config_last_reload_successful 1" in page_of(url))
        assert daemon.process.poll() is None


#: The daemon, and what it had imported when it ended.
_LISTING = """
import json, sys
from pathlib import Path
from driftwatch.daemon.process import run_daemon
code = run_daemon(Path(sys.argv[1]), log_format="json", log_level="info")
print(json.dumps({"message": "modules", "names": sorted(sys.modules)}))
sys.exit(code)
"""


def test_a_reload_says_what_waits_for_a_restart(world: World) -> None:
    with running(world.config) as daemon:
        url = daemon.url
        world.write(limits={"workers": 3, "shutdown": "2s"})
        note = "limits.workers: 3 takes effect at the next restart; until then 2 checks run at the same time."
        for _ in range(2):
            status, text = fetch(f"{url}/-/reload", "POST")
            assert (status, text) == (200, f"The configuration was reloaded.\n{note}\n"), (
                "as long as it is so"
            )
        daemon.process.send_signal(signal.SIGHUP)
        until(lambda: len(daemon.logged(note)) == 3)
        world.write()
        assert fetch(f"{url}/-/reload", "POST") == (200, "The configuration was reloaded.\n")


def test_a_daemon_that_built_its_reference_has_not_imported_pandas(world: World) -> None:
    with running(world.config, script=_LISTING) as daemon:
        assert daemon.url
        until(daemon.checked)
        assert daemon.logged("m: reference built")
        assert daemon.end() == 0
        (listed,) = daemon.logged("modules")
    assert "pyarrow" in listed["names"]
    assert not {"pandas", "sqlalchemy", "rich", "driftwatch.cli.output"} & set(listed["names"])


def test_a_second_daemon_names_the_first_and_leaves(world: World) -> None:
    with running(world.config) as first:
        assert first.url
        with running(world.config, name="second") as second:
            assert second.process.wait(20) == 2
            assert f"Process {first.process.pid} holds it" in second.log.read_text()
        first.end(signal.SIGKILL)
    with running(world.config, name="third") as third:
        assert third.url


def test_a_corrupt_store_is_set_aside_and_said(world: World) -> None:
    world.store.mkdir()
    (world.store / FILE).write_bytes(b"not a database at all" * 500)
    with running(world.config) as daemon:
        url = daemon.url
        assert daemon.logged("the history was set aside")
        assert [path for path in world.store.iterdir() if ".corrupt-" in path.name]
        assert re.search(r"^driftwatch_store_errors_total 1", page_of(url), re.M)
        until(daemon.checked)
