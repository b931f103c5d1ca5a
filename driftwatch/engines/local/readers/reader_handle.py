"""The parent's side of a reader process: exchanges frames with a deadline and leaves no zombie."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import IO, Any

from driftwatch.engines.local.readers.frames import HEAD_BYTES, BrokenFrame, pack, sizes, unpack
from driftwatch.engines.local.readers.open_pieces import new_board
from driftwatch.engines.local.readers.reader_environment import reader_environment
from driftwatch.errors import DriftwatchError, ReaderDied, SourceTimeout

#: Bytes per read or write of a pipe.
_CHUNK_BYTES = 1 << 20


#: Seconds for a killed process to end: one that hangs in the kernel, as on a dead network share, does not.
END_SECONDS = 5.0


class Evidence(StrEnum):
    """How a read failed: how much that says about what was read."""

    CRASH = "crash"
    MEMORY = "memory"
    TIMEOUT = "timeout"
    #: By somebody else, such as a system without memory.
    KILLED = "killed"

    @property
    def is_weak(self) -> bool:
        """A slow disk or a full machine does it too."""
        return self in (Evidence.TIMEOUT, Evidence.KILLED)


class SourceFailed(Exception):
    """Raised for an error of the source after which the child process stays usable."""

    def __init__(self, error: DriftwatchError) -> None:
        super().__init__(str(error))
        self.error = error


class ReaderLost(ReaderDied):
    def __init__(self, text: str, evidence: Evidence) -> None:
        super().__init__(text)
        self.evidence = evidence


@dataclass(slots=True, kw_only=True)
class Deadline:
    """Limits the time spent waiting for a reader; the parent's own work does not count."""

    seconds: float
    spent: float = 0.0

    def wait(self, poller: select.poll) -> None:
        """Wait until the pipe is ready. Raises ``SourceTimeout``."""
        started = time.monotonic()
        ready = poller.poll(max(0.0, self.seconds - self.spent) * 1000)
        self.spent += time.monotonic() - started
        if not ready:
            raise SourceTimeout(
                f"expected the source to be read within {self.seconds:g} s (limits.seconds). It was not, "
                "and the reader was killed. Raise limits.seconds, read fewer rows at once, or see why the "
                "source is slow."
            )


@dataclass(slots=True, kw_only=True, eq=False)
class Reader:
    """A child process that reads sources."""

    process: subprocess.Popen[bytes]
    #: Where it writes what it opens (``open_pieces``).
    board: int
    #: Fingerprints of the plans that the child remembers, oldest first.
    plans: OrderedDict[str, None] = field(default_factory=OrderedDict)

    @classmethod
    def start(cls) -> Reader:
        """Start a child, which serves requests once its imports are done."""
        board = new_board()
        module = "driftwatch.engines.local.child"
        command = [sys.executable, "-P", "-m", module, str(os.getpid()), str(board)]
        try:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=reader_environment(),
                pass_fds=(board,),
                # A process group of its own, which ``stop`` kills.
                start_new_session=True,
                bufsize=0,
            )
        except BaseException:
            os.close(board)
            raise
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
        return cls(process=process, board=board)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def ask(self, header: dict[str, Any], blob: bytes, deadline: Deadline) -> None:
        """Send one request. Raises ``SourceTimeout`` and ``ReaderDied``."""
        pipe = _pipe(self.process.stdin)
        poller = select.poll()
        poller.register(pipe, select.POLLOUT | select.POLLERR | select.POLLHUP)
        for piece in pack(header, blob):
            view = memoryview(piece)
            while view:
                deadline.wait(poller)
                try:
                    view = view[os.write(pipe.fileno(), view[:_CHUNK_BYTES]) :]
                except BlockingIOError:
                    continue
                except BrokenPipeError:
                    raise self.death() from None

    def answers(self, deadline: Deadline) -> Iterator[tuple[dict[str, Any], bytes]]:
        """Yield frames up to and including the one of kind ``done`` or ``error``."""
        while True:
            size, blob, check = self._checked(self._read(HEAD_BYTES, deadline))
            body = self._read(size + blob, deadline)
            try:
                header, data = unpack(body, size, check)
            except BrokenFrame as error:
                raise self._broken(error) from error
            yield header, data
            if header.get("kind") in ("done", "error"):
                return

    def _checked(self, head: bytearray) -> tuple[int, int, int]:
        try:
            return sizes(bytes(head))
        except BrokenFrame as error:
            raise self._broken(error) from error

    def _broken(self, error: BrokenFrame) -> ReaderLost:
        return ReaderLost(f"the reader answered with {error}; it was replaced.", Evidence.CRASH)

    def _read(self, size: int, deadline: Deadline) -> bytearray:
        pipe = _pipe(self.process.stdout)
        poller = select.poll()
        poller.register(pipe, select.POLLIN | select.POLLHUP)
        data = bytearray()
        while len(data) < size:
            deadline.wait(poller)
            try:
                piece = os.read(pipe.fileno(), min(size - len(data), _CHUNK_BYTES))
            except BlockingIOError:
                continue
            if not piece:
                raise self.death()
            data += piece
        return data

    def death(self) -> ReaderLost:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=1.0)
        code = self.process.returncode
        if code is None:
            how = "closed its output"
        elif code < 0:
            how = f"was ended by {signal.Signals(-code).name}"
        else:
            how = f"ended with exit code {code}"
        hint = "Run `python -m driftwatch.engines.local.child 0` to see whether it starts."
        if code is not None and code < 0:
            hint = (
                "SIGKILL is often the system running out of memory, SIGABRT and SIGSEGV a damaged file: "
                "look at the newest files of the source, or lower limits.memory so that they are named."
            )
        evidence = Evidence.KILLED if code == -signal.SIGKILL else Evidence.CRASH
        return ReaderLost(f"the process that reads foreign bytes {how}. {hint}", evidence)

    def end(self) -> None:
        """Kill the process group without waiting for its end."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.kill()

    def stop(self) -> bool:
        """Kill the process group and reap it; a thread that waits for an answer gets ``ReaderDied``.

        Returns False for a process that hangs in the kernel and does not end.
        """
        self.end()
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> bool:
        """Stop the process and close its pipes; only the thread that uses them may call it."""
        has_ended = self.stop()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        if self.board >= 0:
            os.close(self.board)
            self.board = -1
        return has_ended


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ReaderDied("the reader has no pipe.")
    return pipe
