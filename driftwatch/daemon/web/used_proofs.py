"""Forms' proofs that were used, each with the form it was used for and its answer."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

#: Proofs that are remembered. Those issued up to a forgotten one are refused, so that none works twice.
MAX_PROOFS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    acknowledgement_id: int
    #: The form was sent before, as by a double click; nothing was recorded again.
    is_repeat: bool = False


class UsedProofs:
    """Thread-safe; times are seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._used: OrderedDict[str, tuple[int, tuple[str, ...], int]] = OrderedDict()
        self._forgotten_until = -1

    def use(
        self, proof: str, issued_at: int, form: tuple[str, ...], record: Callable[[], int]
    ) -> Answer | None:
        """Record a form once; None when the proof was used for another form.

        A second sending waits for the first. One that fails leaves the proof unused.
        """
        with self._lock:
            if proof in self._used:
                _, first_form, number = self._used[proof]
                return Answer(acknowledgement_id=number, is_repeat=True) if first_form == form else None
            if issued_at <= self._forgotten_until:
                return None
            number = record()
            self._used[proof] = (issued_at, form, number)
            if len(self._used) > MAX_PROOFS:
                _, (forgotten_at, _, _) = self._used.popitem(last=False)
                self._forgotten_until = max(self._forgotten_until, forgotten_at)
            return Answer(acknowledgement_id=number)
