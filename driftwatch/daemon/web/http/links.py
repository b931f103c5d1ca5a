"""Builds links to pages below the prefix of ``web.external_url``; the request's Host is never used."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from driftwatch.core.schema import iso

#: The query's value for the side of a comparison that is no window.
REFERENCE = "reference"
#: Longest column name that a link carries.
MAX_COLUMN_NAME_CHARS = 300


class Links:
    """Builds URL paths without empty parameters; ``segment`` None means all rows."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix.rstrip("/")

    def fleet(self, **query: object) -> str:
        return f"{self.prefix}/{_query(query)}"

    def daemon(self) -> str:
        return f"{self.prefix}/daemon"

    def monitor(self, name: str, segment: str | None = None, **query: object) -> str:
        return f"{self._base(name)}{_query({'segment': segment, **query})}"

    def column(self, name: str, column: str, segment: str | None = None) -> str:
        """Link to a column's page; it is empty when the name is too long for a link."""
        if len(column) > MAX_COLUMN_NAME_CHARS:
            return ""
        return f"{self._base(name)}/column{_query({'name': column, 'segment': segment})}"

    def windows(self, name: str, segment: str | None = None, **query: object) -> str:
        return f"{self._base(name)}/windows{_query({'segment': segment, **query})}"

    def window(self, name: str, end: int, segment: str | None = None, **query: object) -> str:
        return f"{self._base(name)}/windows/{iso(end)}{_query({'segment': segment, **query})}"

    def compare(
        self,
        name: str,
        a: int | None = None,
        b: int | None = None,
        segment: str | None = None,
        **query: object,
    ) -> str:
        """Link to a comparison; None stands for the reference."""
        sides = {"a": REFERENCE if a is None else iso(a), "b": REFERENCE if b is None else iso(b)}
        return f"{self._base(name)}/compare{_query({**sides, 'segment': segment, **query})}"

    def acknowledge(self, name: str) -> str:
        return f"{self._base(name)}/acknowledge"

    def _base(self, name: str) -> str:
        return f"{self.prefix}/monitors/{quote(name, safe='')}"


def _query(values: dict[str, object]) -> str:
    parameters = {key: str(value) for key, value in values.items() if value is not None and value != ""}
    return "?" + urlencode(parameters, errors="surrogatepass") if parameters else ""
