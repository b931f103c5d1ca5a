"""Gives every connection a deadline, and refuses addresses that must never be contacted.

The deadline covers the whole exchange, handshakes included, even if a receiver sends one byte a second.
Addresses that serve the machine's own cloud (link-local, metadata) are refused after connecting and before
anything is sent, so that no host name can be made to point there.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Annotated, Self

from pydantic import Field

from driftwatch.core.host_list import HostList
from driftwatch.notify._text import clean
from driftwatch.notify.base import Delivery

_METADATA_ADDRESSES = frozenset({"fd00:ec2::254", "100.100.100.200"})

Timeout = Annotated[float, Field(gt=0, le=10)]


class AddressRefused(OSError):
    """A host name has an address that must never be contacted."""


class HostNotListed(AddressRefused):
    """A receiver is none of ``limits.notify_hosts``."""


class CutOff(OSError):
    """The connection ended after the message was sent and before the answer."""


class Deadline:
    """Ends every wait on a watched socket after ``seconds``; ``networks`` hold what may be contacted."""

    def __init__(self, seconds: float, networks: HostList | None = None) -> None:
        self._networks = networks
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._duplicate: socket.socket | None = None
        self.expired = False
        #: Set when the message was sent: the receiver may have it.
        self.sent = False

    def watch(self, new_socket: socket.socket) -> socket.socket:
        """Watch a connected socket; on ``AddressRefused`` or ``TimeoutError`` it is closed."""
        try:
            _refuse_address(new_socket, self._networks)
            with self._lock:
                if self.expired:
                    raise TimeoutError
                # TLS takes the socket's descriptor away; a duplicate still reaches the connection.
                self._duplicate = new_socket.dup()
        except OSError:
            new_socket.close()
            raise
        return new_socket

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            if self._duplicate is not None:
                self._duplicate.close()
                self._duplicate = None

    def _expire(self) -> None:
        with self._lock:
            self.expired = True
            # A reader waiting on the socket then gets the end of the stream.
            if self._duplicate is not None:
                with suppress(OSError):
                    self._duplicate.shutdown(socket.SHUT_RDWR)


def listed_networks(hosts: HostList | None, host: str) -> HostList | None:
    """Return what a host's address must be in; None for a host that is listed by name.

    Raises ``HostNotListed`` when no address could be.
    """
    if hosts is None or hosts.has_name(host):
        return None
    if not hosts.may_have(host):
        raise HostNotListed(f"{clean(host, 100)} is not in limits.notify_hosts")
    return hosts


def refused_delivery(error: AddressRefused) -> Delivery:
    if isinstance(error, HostNotListed):
        # An address in a file can be put right without a restart.
        return Delivery(delivered=False, retryable=True, reason="address", detail=str(error))
    return Delivery(delivered=False, reason="address", detail=f"{error} must not be spoken to")


def _refuse_address(connected_socket: socket.socket, networks: HostList | None) -> None:
    text = connected_socket.getpeername()[0].partition("%")[0]
    address = ipaddress.ip_address(text)
    embedded_address = getattr(address, "ipv4_mapped", None) or address
    if (
        embedded_address.is_link_local
        or embedded_address.is_multicast
        or str(embedded_address) in _METADATA_ADDRESSES
    ):
        raise AddressRefused(str(embedded_address))
    if networks is not None and not networks.has_address(text):
        raise HostNotListed(f"{embedded_address} is not in limits.notify_hosts")
