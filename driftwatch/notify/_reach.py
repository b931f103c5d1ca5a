"""Reaching a receiver: an end to everything, and addresses that are never spoken to.

The deadline holds for the whole exchange, handshakes included, also against a receiver that sends one byte a
second. Addresses that only serve the machine's own cloud (link-local, metadata) are refused after the
connection is made and before anything is sent, so that no name can be made to point there.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Annotated, Self

from pydantic import Field

_METADATA = frozenset({"fd00:ec2::254", "100.100.100.200"})

Timeout = Annotated[float, Field(gt=0, le=10)]


class AddressRefused(OSError):
    """Raised when a name resolved to an address that must never be spoken to."""


class CutOff(OSError):
    """Raised when the connection ended after everything was sent and before it was answered."""


class Deadline:
    """Ends whatever waits on a watched socket once ``seconds`` have passed. A context manager."""

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._spare: socket.socket | None = None
        self.expired = False
        #: Set when the message was sent: from then on the receiver may have it.
        self.sent = False

    def watch(self, made: socket.socket) -> socket.socket:
        """The socket itself; closed when this raises ``AddressRefused`` or ``TimeoutError``."""
        try:
            _refuse(made)
            with self._lock:
                if self.expired:
                    raise TimeoutError
                # Wrapping a socket in TLS takes its descriptor away; a second one still reaches it.
                self._spare = made.dup()
        except OSError:
            made.close()
            raise
        return made

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            if self._spare is not None:
                self._spare.close()
                self._spare = None

    def _end(self) -> None:
        """Wake whoever waits on the socket: it then reads the end of the stream."""
        with self._lock:
            self.expired = True
            if self._spare is not None:
                with suppress(OSError):
                    self._spare.shutdown(socket.SHUT_RDWR)


def _refuse(made: socket.socket) -> None:
    peer = ipaddress.ip_address(made.getpeername()[0].partition("%")[0])
    inner = getattr(peer, "ipv4_mapped", None) or peer
    if inner.is_link_local or inner.is_multicast or str(inner) in _METADATA:
        raise AddressRefused(str(inner))
