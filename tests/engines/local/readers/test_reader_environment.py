"""What a process that parses foreign bytes sees of the environment, by its own /proc/PID/environ."""

from __future__ import annotations

from pathlib import Path

import pytest

from driftwatch.engines.local.pool import ReaderPool
from driftwatch.engines.local.readers.reader_environment import MORE_VARIABLE, reader_environment

SECRETS = {
    "SLACK_WEBHOOK": "https://hooks.example/T0/B0/hush",
    "PGD_ROUTING_KEY": "hush",
    "PAGERDUTY_KEY": "hush",
    "SMTP_PASSWORD": "hush",
    "DRIFTWATCH_WEB_TOKEN": "hush",
    "DATABASE_URL": "postgresql://me:hush@db/x",
}
PASSED = {
    "PGPASSFILE": "/etc/pgpass",
    "AWS_REGION": "eu-central-1",
    "AZURE_STORAGE_ACCOUNT": "a",
    "GOOGLE_APPLICATION_CREDENTIALS": "/etc/gcp.json",
    "SSL_CERT_FILE": "/etc/ca.pem",
    "https_proxy": "http://proxy:3128",
    "LC_ALL": "C.UTF-8",
    "TZ": "Asia/Tokyo",
}


def test_a_reader_has_no_secret_of_a_notifier(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**SECRETS, **PASSED}.items():
        monkeypatch.setenv(name, value)
    pool = ReaderPool(1)
    try:
        pool.ping()
        pid = pool.processes.idle[0].process.pid
        content = Path(f"/proc/{pid}/environ").read_bytes()
    finally:
        pool.close()
    names = {item.partition(b"=")[0].decode() for item in content.split(b"\0")}
    assert b"hush" not in content
    assert not names & set(SECRETS)
    assert names >= set(PASSED) | {"PATH", "PYTHONPATH"}


def test_an_operator_names_further_variables() -> None:
    environ = {
        MORE_VARIABLE: "SNOWFLAKE_HOME, MY_DRIVER",
        "SNOWFLAKE_HOME": "/s",
        "MY_DRIVER": "1",
        "MY": "2",
    }
    assert {"SNOWFLAKE_HOME", "MY_DRIVER"} <= reader_environment(environ).keys()
    assert "MY" not in reader_environment(environ)
