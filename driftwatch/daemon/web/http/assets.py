"""Static files that the pages load: style sheet, script and D3."""

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
    """A static file, whose ``url`` contains a content hash, so that a browser may cache it."""

    name: str
    media_type: str
    body: bytes

    @property
    def path(self) -> str:
        return f"/static/{self.name}"

    @property
    def url(self) -> str:
        return f"{self.path}?{hashlib.sha256(self.body).hexdigest()[:8]}"

    async def respond(self, request: Request) -> Response:
        return Response(self.body, media_type=self.media_type, headers={"Cache-Control": "max-age=3600"})


def assets() -> Mapping[str, Asset]:
    # The import only reads the package. charts.js loads D3 when somebody first points at a chart;
    # no page needs it before.
    from xstatic.pkg import d3

    static_files = files("driftwatch.daemon.web").joinpath("static")
    contents = (
        ("driftwatch.css", "text/css", static_files.joinpath("driftwatch.css").read_bytes()),
        ("charts.js", "text/javascript", static_files.joinpath("charts.js").read_bytes()),
        ("d3.js", "text/javascript", Path(d3.BASE_DIR, "d3.js").read_bytes()),
    )
    return {name: Asset(name=name, media_type=kind, body=body) for name, kind, body in contents}
