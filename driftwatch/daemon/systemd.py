"""Reports the daemon's state to systemd where ``NOTIFY_SOCKET`` is set."""

from __future__ import annotations

import os
import socket


def notify_systemd(message: str) -> None:
    """Send a state message (sd_notify); a missing or broken socket is ignored."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            # A supervisor that does not read must not stop the daemon.
            channel.setblocking(False)
            channel.sendto(message.encode(), address)
    except OSError:
        return
