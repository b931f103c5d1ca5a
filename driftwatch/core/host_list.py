"""A list of hosts: names, ``*.`` and what ends a name, addresses and networks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

_NAME = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostList:
    names: frozenset[str]
    #: What a name may end with, each with its leading dot.
    suffixes: tuple[str, ...]
    networks: tuple[IPv4Network | IPv6Network, ...]

    @classmethod
    def parse(cls, entries: Iterable[str]) -> HostList:
        """Raises ``ValueError`` for an entry that is no host."""
        names, networks = [], []
        for entry in entries:
            try:
                networks.append(ip_network(entry.strip("[]")))
            except ValueError:
                names.append(_valid_name(entry))
        return cls(
            names=frozenset(name for name in names if not name.startswith("*.")),
            suffixes=tuple(name[1:] for name in names if name.startswith("*.")),
            networks=tuple(networks),
        )

    def has_name(self, host: str) -> bool:
        """Return whether a host, named as a URL does, is listed by name or is a listed address."""
        name = host.lower().rstrip(".")
        return name in self.names or name.endswith(self.suffixes) or self.has_address(name)

    def has_address(self, address: str) -> bool:
        try:
            parsed = ip_address(address.strip("[]").partition("%")[0])
        except ValueError:
            return False
        parsed = getattr(parsed, "ipv4_mapped", None) or parsed
        return any(parsed in network for network in self.networks)

    def may_have(self, host: str) -> bool:
        """Return whether a host may be contacted as far as its name tells: its address may be listed."""
        return self.has_name(host) or (bool(self.networks) and not _is_address(host))


def valid_host_entry(entry: str) -> str:
    HostList.parse([entry])
    return entry


def _valid_name(entry: str) -> str:
    name = entry.lower().rstrip(".")
    if not _NAME.fullmatch(name) or ".." in name:
        raise ValueError(
            "expected a host such as hooks.example.org, *.example.org, 192.0.2.7 or 10.0.0.0/8 (a network "
            f"begins at its first address). Got {entry[:60]!r}"
        )
    return name


def _is_address(host: str) -> bool:
    try:
        ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return True
