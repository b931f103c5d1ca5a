"""Counts wrong tokens by address, and slows guessing down.

The right token always passes at once: whoever is on call must not be locked out by somebody who guesses
behind the same proxy. So this does not make a short token safe.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from ipaddress import IPv6Address, ip_address, ip_network

from driftwatch.results.text_format import escape_invisible, truncate

log = logging.getLogger(__name__)

#: Wrong tokens that an address may send within so many seconds before it is told to wait.
MAX_ATTEMPTS, PERIOD_SECONDS = 20, 60.0
#: How long each further wrong token waits for its answer.
DELAY_SECONDS = 1.0
#: Addresses that are remembered; the one that was quiet longest is forgotten first.
MAX_ADDRESSES = 4096


class LoginAttempts:
    """For one thread: the event loop's."""

    def __init__(self) -> None:
        # (begin of the period on the monotonic clock, wrong tokens in it) by address.
        self._attempts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wrong(self, client: str) -> int:
        """Count a wrong token; return the seconds to wait, 0 while few came."""
        address, now = _network(client), time.monotonic()
        began, attempts = self._attempts.pop(address, (now, 0))
        if now - began >= PERIOD_SECONDS:
            began, attempts = now, 0
        self._attempts[address] = (began, attempts + 1)
        while len(self._attempts) > MAX_ADDRESSES:
            self._attempts.popitem(last=False)
        if attempts == MAX_ATTEMPTS:
            facts = {"address": truncate(escape_invisible(address), 60), "attempts": attempts + 1}
            log.warning("wrong tokens from one address", extra=facts)
        return 0 if attempts < MAX_ATTEMPTS else max(1, round(began + PERIOD_SECONDS - now))


def _network(client: str) -> str:
    # Whoever has one IPv6 address mostly has 2 ** 64 of them.
    try:
        address = ip_address(client.partition("%")[0])
    except ValueError:
        return client
    return str(ip_network((address, 64), strict=False)) if isinstance(address, IPv6Address) else client
