"""A reader process (``python -m driftwatch.engines.local.child PARENT BOARD``): only it reads foreign input.

Requests are frames on standard input, answers frames on standard output; all else goes to standard error. The
process ends when its input or its parent ends, or after an error that leaves it in an unknown state.
"""

from __future__ import annotations

import gc
import os
import sys
import traceback
from typing import Any, BinaryIO

from driftwatch.core.memory import block_pandas_import, release_memory, retain_freed_memory
from driftwatch.engines.local.readers.frames import HEAD_BYTES, MAX_FRAME_BYTES, pack, sizes, unpack
from driftwatch.engines.local.sandbox import allow_memory, confine, mapped

#: Bytes of address space on top of what a read may take: thread stacks, allocator slack.
_SLACK_BYTES = 64 << 20
#: Megabytes reused from batch to batch; they are returned to the system after each request.
REUSED_MEGABYTES = 64


def main() -> None:
    confine(int(sys.argv[1]))
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    block_pandas_import()
    retain_freed_memory(REUSED_MEGABYTES)
    import pyarrow as pa

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    _warm()
    from driftwatch.engines.local.readers.open_pieces import OpenPieces
    from driftwatch.engines.local.worker import Worker

    worker = Worker(open_pieces=OpenPieces(int(sys.argv[2]) if len(sys.argv) > 2 else None))
    gc.freeze()
    # A read may take limits.memory on top of the process's own 300 MB of address space (75 MB resident).
    base = mapped() + _SLACK_BYTES
    while (request := _receive(requests)) is not None:
        if not _serve(worker, *request, answers, base):
            break
        release_memory()


def _warm() -> None:
    # Most requests need these imports.
    import driftwatch.sources.files  # noqa: F401


def _receive(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    head = stream.read(HEAD_BYTES)
    if len(head) < HEAD_BYTES:
        return None
    header, blob, check = sizes(head)
    return unpack(stream.read(header + blob), header, check)


def _serve(worker: Any, header: dict[str, Any], blob: bytes, answers: BinaryIO, base: int) -> bool:
    """Answer one request; False means that this process must not be used again."""
    from driftwatch.engines.local.worker import PlanUnknown
    from driftwatch.errors import DriftwatchError

    memory = header.get("memory")
    failure: dict[str, Any]
    try:
        if memory is not None:
            allow_memory(base + memory)
        for head, body in worker.answer(header, blob):
            _send(answers, head, body)
        return True
    except PlanUnknown:
        failure, usable = {"error": "plan"}, True
    except MemoryError:
        failure, usable = {"error": "memory", "base": base}, False
    except DriftwatchError as error:
        failure, usable = {"error": type(error).__name__, "text": str(error)}, True
    except Exception as error:  # noqa: BLE001 - supervisor: the parent gets the error, then this process ends
        failure, usable = {"error": "internal", "text": _place(error)}, False
    finally:
        allow_memory(None)
    _send(answers, {"kind": "error", **failure}, b"")
    return usable


def _send(answers: BinaryIO, header: dict[str, Any], blob: bytes) -> None:
    if len(blob) > MAX_FRAME_BYTES - (1 << 20):
        raise MemoryError
    for piece in pack(header, blob):
        answers.write(piece)
    answers.flush()


def _place(error: Exception) -> str:
    # Without the text of the error, which may quote rows.
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "driftwatch" in frame.filename]
    where = f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""  # noqa: PTH119
    return f"{type(error).__name__}{where}"


if __name__ == "__main__":
    main()
