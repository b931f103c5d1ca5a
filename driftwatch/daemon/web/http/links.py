"""Paths of the pages below the prefix of ``web.external_url``. The request's Host is never used."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from driftwatch.core.schema import iso

#: The side of a comparison that is no window.
REFERENCE = "reference"
#: Longest column name that a link carries.
LONGEST = 300


class Links:
    """Makes paths. A query leaves out what is None or empty; ``segment`` None is all rows."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix.rstrip("/")

    def fleet(self, **query: object) -> str:
        """The first page."""
        return f"{self.prefix}/{_query(query)}"

    def monitor(self, name: str, segment: str | None = None, **query: object) -> str:
        """The page of one monitor, or of one of its segments."""
        return f"{self._base(name)}{_query({'segment': segment, **query})}"

    def column(self, name: str, column: str, segment: str | None = None) -> str:
        """One column over time; empty when its name is too long for a link."""
        if len(column) > LONGEST:
            return ""
        return f"{self._base(name)}/column{_query({'name': column, 'segment': segment})}"

    def windows(self, name: str, segment: str | None = None, **query: object) -> str:
        """The list of windows."""
        return f"{self._base(name)}/windows{_query({'segment': segment, **query})}"

    def window(self, name: str, end: int, segment: str | None = None, **query: object) -> str:
        """The page of one verdict."""
        return f"{self._base(name)}/windows/{iso(end)}{_query({'segment': segment, **query})}"

    def compare(
        self,
        name: str,
        a: int | None = None,
        b: int | None = None,
        segment: str | None = None,
        **more: object,
    ) -> str:
        """Two windows side by side; None is the reference."""
        sides = {"a": REFERENCE if a is None else iso(a), "b": REFERENCE if b is None else iso(b)}
        return f"{self._base(name)}/compare{_query({**sides, 'segment': segment, **more})}"

    def acknowledge(self, name: str) -> str:
        """Where the buttons of an incident are sent to."""
        return f"{self._base(name)}/acknowledge"

    def _base(self, name: str) -> str:
        return f"{self.prefix}/monitors/{quote(name, safe='')}"


def _query(values: dict[str, object]) -> str:
    said = {key: str(value) for key, value in values.items() if value is not None and value != ""}
    return "?" + urlencode(said, errors="surrogatepass") if said else ""
