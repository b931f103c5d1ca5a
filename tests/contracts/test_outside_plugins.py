"""What every plugin of another package promises. Installed ones are found by name."""

from __future__ import annotations

import pytest
from public_imports import files_of, private_imports

from driftwatch.core import plugins


@pytest.mark.parametrize("room", plugins.ROOMS)
def test_it_imports_only_what_stays_stable(room: str) -> None:
    for name in plugins.outside_names(room):
        for file in files_of(plugins.load(room, name)):
            assert private_imports(file.read_text(encoding="utf-8")) == [], f"{name}: {file}"
