"""``limits.notify_hosts``: what is not listed is refused at the start, and never contacted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from memory_outbox import message
from peers import Receiver

from driftwatch.config.load import check, load
from driftwatch.core.host_list import HostList
from driftwatch.notify.email import EmailConfig, EmailNotifier
from driftwatch.notify.webhook import WebhookConfig, WebhookNotifier

NOW = 1_700_000_000 * 10**9


@pytest.mark.parametrize(
    ("entries", "listed", "unlisted"),
    [
        (["hooks.example.org"], ["hooks.example.org", "Hooks.Example.org."], ["example.org", "x.y.org"]),
        (["*.example.org"], ["a.example.org", "a.b.example.org"], ["example.org", "aexample.org"]),
        (["192.0.2.7"], ["192.0.2.7", "::ffff:192.0.2.7"], ["192.0.2.8", "192.0.2.7.example.org"]),
        (["10.0.0.0/8"], ["10.9.8.7"], ["11.0.0.1", "10.example.org"]),
        (["2001:db8::/32"], ["2001:db8::1", "[2001:db8::1]"], ["2001:db9::1"]),
        ([], [], ["localhost", "127.0.0.1"]),
    ],
)  # fmt: skip
def test_a_host_is_listed_or_not(entries: list[str], listed: list[str], unlisted: list[str]) -> None:
    hosts = HostList.parse(entries)
    assert [host for host in listed if not hosts.has_name(host)] == []
    assert [host for host in unlisted if hosts.has_name(host)] == []


@pytest.mark.parametrize(
    "entry", ["", "*", "*.", "https://a.example", "a b", "10.0.0.1/8", "a..b", "a/b", ".a"]
)
def test_an_entry_that_is_no_host_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="expected a host such as"):
        HostList.parse([entry])


def configuration(folder: Path, hosts: list[str] | None, *notify: dict[str, Any]) -> Path:
    path = folder / "driftwatch.yaml"
    limits = {} if hosts is None else {"limits": {"notify_hosts": hosts}}
    source = {"type": "files", "path": "data/*.parquet", "time_column": "at"}
    monitor = {"name": "m", "reference": {"path": "ref.parquet"}, "source": source}
    settings = {"version": 1, "monitors": [monitor], "notify": list(notify), **limits}
    path.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return path


WEBHOOK = {"type": "webhook", "url": "https://hooks.example.org/secret-path"}
ALERTMANAGER = {"type": "alertmanager", "urls": ["http://10.0.0.1:9093", "http://am.example.net:9093"]}
EMAIL = {"type": "email", "host": "mail.example.org", "sender": "a@example.org", "to": ["b@example.org"]}
PAGERDUTY = {"type": "pagerduty", "routing_key": "R0"}


def test_a_notifier_of_another_host_is_refused_with_its_line(tmp_path: Path) -> None:
    notify = (WEBHOOK, ALERTMANAGER, EMAIL, PAGERDUTY)
    path = configuration(tmp_path, ["127.0.0.1"], *notify)
    lines = path.read_text(encoding="utf-8").splitlines()
    list_line = next(number for number, line in enumerate(lines, 1) if "notify_hosts" in line)
    problems = check(path)
    assert len(problems) == 1, "the address of a name may be listed, that of an address is known"
    path = configuration(tmp_path, ["only.example.com"], *notify)
    texts = check(path)
    url_line = next(number for number, line in enumerate(lines, 1) if "hooks.example.org" in line)
    expected = (
        f"{path}:{url_line}: notify[0].url: must be at a host of limits.notify_hosts (line {list_line})."
    )
    assert texts[0] == f'{expected} Got "https://hooks.example.org/…".'
    assert len(texts) == 5
    assert [text for text in texts if "notify[3].url" in text and '"events.pagerduty.com"' in text], texts
    assert "secret-path" not in "".join(texts)
    listed = ["*.example.org", "10.0.0.0/24", "am.example.net", "events.pagerduty.com"]
    assert check(configuration(tmp_path, listed, *notify)) == []
    assert check(configuration(tmp_path, None, *notify)) == []


def test_a_bad_entry_is_named(tmp_path: Path) -> None:
    (problem,) = check(configuration(tmp_path, ["https://hooks.example.org"], WEBHOOK))
    assert "limits.notify_hosts[0]: expected a host such as hooks.example.org" in problem


def restricted(config: Any, *hosts: str) -> Any:
    config.restrict(HostList.parse(hosts))
    return config


def test_an_unlisted_host_is_not_contacted(receiver: Receiver, tmp_path: Path) -> None:
    """The address comes from a file, so that only its reading shows it. The message waits for another one."""
    file = tmp_path / "url"
    file.write_text(receiver.url, encoding="utf-8")
    file.chmod(0o600)
    config = WebhookConfig(url_file=file)
    for hosts, detail in (
        (["hooks.example.org"], "127.0.0.1 is not in limits.notify_hosts"),
        (["10.0.0.0/8"], "127.0.0.1 is not in limits.notify_hosts"),
    ):
        answer = WebhookNotifier(restricted(config, *hosts)).send(message(), NOW)
        assert (answer.delivered, answer.retryable, answer.reason) == (False, True, "address")
        assert answer.detail == detail
    assert receiver.requests == []
    assert WebhookNotifier(restricted(config, "127.0.0.1")).send(message(), NOW).delivered
    assert WebhookNotifier(restricted(config, "127.0.0.0/8")).send(message(), NOW).delivered


def test_the_address_that_a_name_has_counts(receiver: Receiver) -> None:
    """A name is no way around a list of networks, wherever it was made to point."""
    config = WebhookConfig(url=receiver.url.replace("127.0.0.1", "localhost"))
    answer = WebhookNotifier(restricted(config, "10.0.0.0/8")).send(message(), NOW)
    assert (answer.delivered, answer.reason) == (False, "address")
    assert receiver.requests == []
    assert WebhookNotifier(restricted(config, "127.0.0.0/8", "::1")).send(message(), NOW).delivered
    assert WebhookNotifier(restricted(config, "localhost")).send(message(), NOW).delivered


def test_a_mail_server_that_is_not_listed_is_not_contacted() -> None:
    settings = {**EMAIL, "host": "127.0.0.1", "port": 9, "encryption": "none"}
    config = EmailConfig.model_validate(settings)
    answer = EmailNotifier(restricted(config, "mail.example.org")).send(message(), NOW)
    assert (answer.reason, answer.retryable) == ("address", True)
    answer = EmailNotifier(restricted(config, "127.0.0.1")).send(message(), NOW)
    assert answer.reason == "connection"


def test_every_notifier_of_a_configuration_is_restricted(tmp_path: Path) -> None:
    config = load(configuration(tmp_path, ["*.example.org"], WEBHOOK, EMAIL))
    assert [item.allowed_hosts for item in config.notify] == [HostList.parse(["*.example.org"])] * 2
    assert load(configuration(tmp_path, None, WEBHOOK)).notify[0].allowed_hosts is None
