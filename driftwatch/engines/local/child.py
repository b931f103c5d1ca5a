"""A reader process: ``python -m driftwatch.engines.local.child PARENT``. Foreign bytes are read here only.

Requests come as frames on standard input, answers go as frames to standard output; whatever else prints
goes to standard error. It ends with its input, with its parent, or when it is not to be trusted any more.
"""

from __future__ import annotations

import gc
import os
import sys
import traceback
from typing import Any, BinaryIO

from driftwatch.core.memory import give_back, keep_some, without_pandas
from driftwatch.engines.local.frames import HEAD_BYTES, LARGEST, pack, sizes, unpack
from driftwatch.engines.local.sandbox import allow_memory, confine, mapped

#: Address space beside what the reading itself may take: thread stacks, allocator slack.
_SLACK = 64 << 20
#: Megabytes kept from one batch, or one tile's sums, to the next; they are given back after each request.
KEPT = 64


def main() -> None:
    """Serve requests until the input ends."""
    confine(int(sys.argv[1]))
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    without_pandas()
    keep_some(KEPT)
    import pyarrow as pa

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    _warm()
    from driftwatch.engines.local.worker import Worker

    worker = Worker()
    gc.freeze()
    base = mapped() + _SLACK
    while (request := _receive(requests)) is not None:
        if not _serve(worker, *request, answers, base):
            break
        give_back()


def _warm() -> None:
    """Import what most requests need before the first one is answered."""

    import driftwatch.sources.files  # noqa: F401


def _receive(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    head = stream.read(HEAD_BYTES)
    if len(head) < HEAD_BYTES:
        return None
    header, blob, check = sizes(head)
    return unpack(stream.read(header + blob), header, check)


def _serve(worker: Any, header: dict[str, Any], blob: bytes, answers: BinaryIO, base: int) -> bool:
    """Answer one request; False when this process should not be used again."""
    from driftwatch.engines.local.worker import PlanUnknown
    from driftwatch.errors import DriftwatchError

    memory = header.get("memory")
    failure: dict[str, Any]
    try:
        if memory is not None:
            allow_memory(base + memory)
        for told, body in worker.answer(header, blob):
            _send(answers, told, body)
        return True
    except PlanUnknown:
        failure, usable = {"error": "plan"}, True
    except MemoryError:
        failure, usable = {"error": "memory", "base": base}, False
    except DriftwatchError as error:
        failure, usable = {"error": type(error).__name__, "text": str(error)}, True
    except Exception as error:  # noqa: BLE001 - the last line of defence: the parent is told, then we go
        failure, usable = {"error": "internal", "text": _place(error)}, False
    finally:
        allow_memory(None)
    _send(answers, {"kind": "error", **failure}, b"")
    return usable


def _send(answers: BinaryIO, header: dict[str, Any], blob: bytes) -> None:
    if len(blob) > LARGEST - (1 << 20):
        raise MemoryError
    for piece in pack(header, blob):
        answers.write(piece)
    answers.flush()


def _place(error: Exception) -> str:
    """The kind of an unexpected error and where it was raised; its text may quote rows."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "driftwatch" in frame.filename]
    where = f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""  # noqa: PTH119
    return f"{type(error).__name__}{where}"


if __name__ == "__main__":
    main()
