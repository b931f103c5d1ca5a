"""Answers requests in threads: what hangs with the disk takes no thread from what does not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

T = TypeVar("T")
Endpoint = Callable[[Request], Response]

#: Seconds a request waits for the history.
HISTORY_SECONDS = 5.0
#: Pages that read the history at a time; those that hang keep their thread.
_HISTORY_THREADS = 16
#: Answers from memory that are rendered at a time.
_MEMORY_THREADS = 2


class AnswerThreads:
    """``seconds`` is the time an answer may take; None is any."""

    def __init__(self, name: str, threads: int, seconds: float | None) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._seconds = seconds

    def endpoint(self, respond: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            return await self.run(partial(respond, request))

        return answer

    async def run(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns. Raises HTTP 503 when the time is over; the thread goes on."""
        job = asyncio.wrap_future(self._pool.submit(work))
        try:
            return await asyncio.wait_for(job, self._seconds)
        except TimeoutError as error:
            text = "The history does not answer. Try again later."
            raise HTTPException(503, text, {"Retry-After": "10"}) from error


def history_threads() -> AnswerThreads:
    return AnswerThreads("history", _HISTORY_THREADS, HISTORY_SECONDS)


def memory_threads() -> AnswerThreads:
    return AnswerThreads("memory", _MEMORY_THREADS, None)
