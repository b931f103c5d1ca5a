"""Out of memory, out of files, out of processes: nothing is lost, and it heals by itself."""

from __future__ import annotations

from pathlib import Path

from daemon_world import World
from fault_life import live

#: Three minutes come while the fault lasts.
_MINUTES = 6


def _world(folder: Path) -> World:
    folder.mkdir()
    world = World(folder)
    for number in range(_MINUTES):
        world.minute(number)
    return world


def test_a_daemon_that_may_open_no_file_answers_later_and_loses_no_window(tmp_path: Path) -> None:
    """EMFILE: no reader can be started, no connection accepted."""
    world = _world(tmp_path / "world")
    outcome = live(
        world.folder,
        """
with world.inside(1) as inside:
    inside.to(1)
    inside.to(2)
    for pid in fault_life.readers():
        os.kill(pid, signal.SIGKILL)
    fault_life.allow_files(fault_life.open_files() + 1)
    inside.to(3)
    during = inside.ends()
    failures = dict(inside.view().failures)
    fault_life.allow_files(None)
    health = fetch(inside.daemon.server.url.rstrip("/") + "/-/healthy")
    # Beyond the longest back-off.
    inside.to(20)
    print(json.dumps({"during": during, "failures": failures, "health": health[0], "ends": inside.ends(),
                      "stopped": inside.daemon.stop()}))
""",
    )
    assert outcome["during"] == [1, 2]
    assert sum(outcome["failures"].values()) >= 1, "the window that could not be read is counted by reason"
    assert outcome["health"] == 200
    assert set(range(1, _MINUTES + 1)) <= set(outcome["ends"])
    assert outcome["stopped"]


def test_a_reader_is_what_the_kernel_kills_first_and_its_window_is_read_again(tmp_path: Path) -> None:
    """The kernel's memory killer ends a process by SIGKILL, the one with the highest score first."""
    world = _world(tmp_path / "world")
    outcome = live(
        world.folder,
        """
with world.inside(1) as inside:
    inside.to(1)
    scores = [int(Path(f"/proc/{pid}/oom_score_adj").read_text()) for pid in fault_life.readers()]
    for pid in fault_life.readers():
        os.kill(pid, signal.SIGSTOP)
    inside.clock.set(inside.start + 2 * 60 * 10**9)
    inside.daemon.runner.tick()
    time.sleep(0.3)
    for pid in fault_life.readers():
        os.kill(pid, signal.SIGKILL)
    assert inside.daemon.runner.wait_idle(30)
    failures = dict(inside.view().failures)
    inside.to(20)
    print(json.dumps({"scores": scores, "failures": failures, "ends": inside.ends(),
                      "state": [one["state"] for one in inside.verdicts()][:6]}))
""",
    )
    assert outcome["scores"]
    assert min(outcome["scores"]) == 500
    assert outcome["failures"].get("reader_died", 0) >= 1, outcome
    assert set(range(1, _MINUTES + 1)) <= set(outcome["ends"])


def test_a_daemon_ends_in_time_while_its_readers_are_stopped(tmp_path: Path) -> None:
    """SIGSTOP of every reader: the stop gives up the read and commits nothing of it."""
    world = _world(tmp_path / "world")
    outcome = live(
        world.folder,
        """
with world.inside(1) as inside:
    inside.to(1)
    for pid in fault_life.readers():
        os.kill(pid, signal.SIGSTOP)
    inside.clock.set(inside.start + 2 * 60 * 10**9)
    inside.daemon.runner.tick()
    time.sleep(0.3)
    running = inside.daemon.runner.running
    began = time.monotonic()
    finished = inside.daemon.stop()
    took = time.monotonic() - began
with world.inside(3) as inside:
    inside.to(3)
    answer = {"running": running, "finished": finished, "took": took, "ends": inside.ends()}
    print(json.dumps(answer), flush=True)
os._exit(0)
""",
        limits={"workers": 2, "shutdown": "2s"},
    )
    assert outcome["running"] == 1
    assert not outcome["finished"]
    # limits.shutdown, the loader's and the web's own second each, and a slow machine.
    assert outcome["took"] < 2 + 10
    assert outcome["ends"] == [1, 2, 3]
