"""Checks that notifiers name only receivers that ``limits.notify_hosts`` lists."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from pydantic import SecretStr

from driftwatch.config._document import Document, KeyPath, Problem, value_text
from driftwatch.config.models import Config
from driftwatch.notify.base import NotifierConfig

#: Keys of notifiers that hold a receiver's address; one in a file is looked at when it is read.
_ADDRESS_KEYS = ("url", "urls", "host")


def unlisted_receivers(document: Document, config: Config) -> Iterator[Problem]:
    hosts = config.limits.allowed_hosts
    if hosts is None:
        return
    list_line = document.line(("limits", "notify_hosts"))
    for index, notifier in enumerate(config.notify):
        for key_path, address in _addresses(notifier, ("notify", index)):
            if not hosts.may_have(_host(address)):
                # An address can be a secret, or a default that the file does not hold.
                is_written = document.value_at(key_path) is not None
                shown = document.text_at(key_path) if is_written else value_text(_host(address))
                text = f"must be at a host of limits.notify_hosts (line {list_line}). Got {shown}."
                yield document.problem(key_path, text)


def _addresses(notifier: NotifierConfig, base: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    for key in _ADDRESS_KEYS:
        value = getattr(notifier, key, None)
        for place, item in enumerate(value if isinstance(value, list) else [value]):
            key_path = (*base, key, place) if isinstance(value, list) else (*base, key)
            if isinstance(item, SecretStr):
                yield key_path, item.get_secret_value()
            elif isinstance(item, str):
                yield key_path, item


def _host(address: str) -> str:
    return (urlsplit(address).hostname or "") if "://" in address else address
