"""How much comes at once."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from source_stands import Stand
from source_tables import SECOND, START, table

from driftwatch.sources.base import MAX_BATCH_BYTES, MAX_BATCH_ROWS
from source_rules.rule import child, filled, rule

_ROWS = 100_000
_CHARACTERS = 8_000
#: Batches that a reading may hold, those that are being built and copied included.
_HELD_BATCHES = 4
#: Bytes of data beyond what a reading may hold.
_MARGIN_BYTES = 64 << 20


@rule("at most ``MAX_BATCH_ROWS`` rows")
def a_batch_has_a_bounded_number_of_rows(stand: Stand) -> None:
    """A table in one piece does not come as one batch, and none of its rows is lost at a batch's edge."""
    content = table([START + row * SECOND // 4 for row in range(_ROWS)])
    source = filled(stand, content)
    batches = list(source.read(None, ["x"]).batches)
    assert max(batch.num_rows for batch in batches) <= MAX_BATCH_ROWS
    assert sorted(x for batch in batches for x in batch.column("x").to_pylist()) == list(range(_ROWS))


@rule("and about ``MAX_BATCH_BYTES``; memory holds few batches", slow=True)
def memory_holds_few_batches(stand: Stand) -> None:
    """Measured in a process of its own, on rows that weigh much more than the limit."""
    limit = _HELD_BATCHES * MAX_BATCH_BYTES + stand.read_ahead
    count = (limit + _MARGIN_BYTES) // _CHARACTERS
    numbers = pa.array(range(count)).cast(pa.string())
    texts = pc.binary_join_element_wise(numbers, pa.scalar("x" * _CHARACTERS), "")
    stand.put(table([START + row * SECOND for row in range(count)], c=texts))
    del texts
    rows, heaviest, at_rest, peak = child(
        "import re\n"
        "def peak():\n"
        "    with open('/proc/self/status') as file:\n"
        "        return int(re.search(r'VmHWM:\\s+(\\d+)', file.read())[1]) << 10\n"
        "source.version(None)\n"
        "first, rows, heaviest = peak(), 0, 0\n"
        "reading = source.read(None, ['c'])\n"
        "at_rest = peak() - first\n"
        "for batch in reading.batches:\n"
        "    rows, heaviest = rows + batch.num_rows, max(heaviest, batch.nbytes)\n"
        "    del batch\n"
        "print(json.dumps([rows, heaviest, at_rest, peak() - first]))\n",
        stand,
    )
    assert rows == count
    assert heaviest <= MAX_BATCH_BYTES
    assert at_rest <= MAX_BATCH_BYTES, "rows are read although nobody asked for the first"
    assert peak <= limit
