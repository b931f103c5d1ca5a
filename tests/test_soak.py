"""`make soak` runs all that is shorter in `make test`."""

from __future__ import annotations

from pathlib import Path


def test_every_file_with_two_lengths_is_marked() -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in Path(__file__).parent.rglob("test_*.py")}
    batteries = {path for path, text in sources.items() if "\nfrom soak import " in text}
    assert batteries
    assert batteries == {path for path, text in sources.items() if "pytest.mark.soak" in text} - {
        Path(__file__)
    }
