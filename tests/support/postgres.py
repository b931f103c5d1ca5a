"""A PostgreSQL cluster for tests."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from peers import free_port


def _programs() -> Path:
    paths = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not paths and os.environ.get("CI"):
        pytest.fail("PostgreSQL is not installed, and CI must not skip it")
    if not paths:
        pytest.skip("PostgreSQL is not installed")
    return paths[-1].parent


@contextmanager
def postgres_server() -> Iterator[str]:
    """A cluster of its own on a free loopback port; the server refuses to run as root. Yields its URL."""
    programs = _programs()
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="dw-pg-") as folder:
        if as_user:
            subprocess.run(["chown", "postgres", folder], check=True)
        data, port = f"{folder}/data", free_port()
        quiet: dict[str, Any] = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(
            [*as_user, programs / "initdb", "-D", data, "-A", "trust", "-U", "me", "--no-sync"],
            cwd="/",
            **quiet,
        )
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        control = [*as_user, programs / "pg_ctl", "-D", data, "-w"]
        subprocess.run([*control, "-o", options, "-l", f"{folder}/log", "start"], cwd="/", **quiet)
        try:
            yield f"postgresql://me:hunter2@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], cwd="/", **quiet)
