"""Files the pages ask for: our style sheet and script, and the drawing library of an installed package."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file under ``/static/``; ``url`` names its version, so that a browser may keep it."""

    name: str
    media_type: str
    body: bytes

    @property
    def path(self) -> str:
        """Where it is served."""
        return f"/static/{self.name}"

    @property
    def url(self) -> str:
        """Where the pages point at."""
        return f"{self.path}?{hashlib.sha256(self.body).hexdigest()[:8]}"

    async def respond(self, request: Request) -> Response:
        """The file."""
        return Response(self.body, media_type=self.media_type, headers={"Cache-Control": "max-age=3600"})


def assets() -> Mapping[str, Asset]:
    """All of them, by name.

    D3 is what ``charts.js`` loads when somebody first points at a drawing; no page needs it before.
    """
    # Reading the package is all that importing it does.
    from xstatic.pkg import d3

    own = files("driftwatch.daemon.web").joinpath("static")
    found = (
        ("driftwatch.css", "text/css", own.joinpath("driftwatch.css").read_bytes()),
        ("charts.js", "text/javascript", own.joinpath("charts.js").read_bytes()),
        ("d3.js", "text/javascript", Path(d3.BASE_DIR, "d3.js").read_bytes()),
    )
    return {name: Asset(name=name, media_type=kind, body=body) for name, kind, body in found}
