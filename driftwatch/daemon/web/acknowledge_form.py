"""Acknowledging from the page: only somebody who proved who they are, only from a page of ours, on record."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from urllib.parse import parse_qs, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from driftwatch.core.schema import NANOSECONDS
from driftwatch.core.settings import parse_duration
from driftwatch.daemon.status.ports import State
from driftwatch.daemon.status.snapshot import MonitorView, OpenIncident
from driftwatch.daemon.web.http import query
from driftwatch.daemon.web.http.guard import VISITOR
from driftwatch.daemon.web.http.links import Links
from driftwatch.daemon.web.pages.view_models import Visitor, incidents
from driftwatch.results import words

log = logging.getLogger(__name__)

#: How long a loaded page can be used, and the most bytes and characters of what it sends.
PROOF_SECONDS = 12 * 3600
MOST_BYTES, LONGEST_NOTE, LONGEST_NAME = 16_384, 500, 80
_PORTS = {"http": 80, "https": 443}
_MUTES = ("4h", "1d", "2d", "7d")


class AcknowledgeForm:
    """Takes the forms of the pages. ``external_host`` is the host of ``web.external_url``."""

    def __init__(self, state: State, links: Links, external_host: str) -> None:
        self._state = state
        self._links = links
        self._external_host = external_host
        # New with each process: a page from before a restart has to be loaded again.
        self._key = secrets.token_bytes(32)

    def visitor(self, request: Request) -> Visitor | None:
        """Who asks, with the proof for the forms of their page; None when nobody gave a password."""
        name = request.scope.get(VISITOR)
        if name is None:
            return None
        return Visitor(name=name, proof=self._proof(name, self._state.now() // NANOSECONDS))

    def _proof(self, name: str, second: int) -> str:
        said = f"{second}\n{name}".encode("utf-8", "surrogatepass")
        return f"{second}.{hmac.new(self._key, said, hashlib.sha256).hexdigest()}"

    def _proven(self, name: str, proof: str) -> bool:
        second, _, _ = proof.partition(".")
        if not (second.isascii() and second.isdigit() and len(second) < 16):
            return False
        age = self._state.now() // NANOSECONDS - int(second)
        right = hmac.compare_digest(self._proof(name, int(second)).encode(), proof.encode("utf-8", "replace"))
        return right and 0 <= age <= PROOF_SECONDS

    async def acknowledge(self, request: Request) -> Response:
        """Fixed, accepted or muted; back to the page that asked. 400, 403 or 413 when it may not be."""
        name = request.scope.get(VISITOR)
        if name is None:
            raise HTTPException(403, "Acknowledging from the page needs web.auth; use driftwatch ack.")
        if not self._from_here(request):
            raise HTTPException(403, "Pages of other hosts may not acknowledge.")
        fields = await _fields(request)
        if not self._proven(name, fields.get("proof", "")):
            raise HTTPException(403, "The page is too old or not ours. Load it again.")
        return await run_in_threadpool(self._ask, request, name, fields)

    def _from_here(self, request: Request) -> bool:
        """True unless the browser says that another site's page sent it."""
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return False
        origin = request.headers.get("origin")
        if origin is None:
            return True
        scheme = origin.partition("://")[0]
        names = (request.headers.get("host", ""), self._external_host)
        # "null", which sandboxed pages send, has no host; neither has an external_url that is not set.
        return _host(origin) in {_host(f"{scheme}://{name}") for name in names} - {""}

    def _ask(self, request: Request, name: str, fields: dict[str, str]) -> Response:
        view = query.monitor(self._state.snapshot(), request)
        item = _incident(view, fields.get("incident", ""))
        verdict = fields.get("verdict", "")
        known = [
            way.verdict
            for found in incidents(view, item.segment)
            for way in found.ways
            if found.incident == item
        ]
        if verdict not in known:
            raise HTTPException(400, f"verdict: expected one of {', '.join(known)}.")
        length = fields.get("for", "2d")
        if length not in _MUTES:
            raise HTTPException(400, f"for: expected one of {', '.join(_MUTES)}.")
        now = self._state.now()
        who = f"{words.shortened(words.visible(name), LONGEST_NAME)} (page)"
        number = self._state.past.ask(
            view.name,
            item.key,
            verdict,
            until=now + parse_duration(length) * NANOSECONDS if verdict == "muted" else None,
            note=words.shortened(fields.get("note", ""), LONGEST_NOTE),
            who=who,
            now=now,
        )
        log.info(
            "acknowledgement asked",
            extra={
                "monitor": view.name,
                "incident": item.key,
                "verdict": verdict,
                "who": who,
                "number": number,
            },
        )
        return RedirectResponse(self._links.monitor(view.name, item.segment, said=number), 303)


def _host(url: str) -> str:
    """Host and port as browsers write them in an Origin; empty when there is none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    return host if port in (None, _PORTS.get(parts.scheme)) else f"{host}:{port}"


def _incident(view: MonitorView, key: str) -> OpenIncident:
    found = next((item for item in view.incidents if item.key == key), None)
    if found is None:
        raise HTTPException(404, "That incident is not open any more.")
    return found


async def _fields(request: Request) -> dict[str, str]:
    """The form's fields, each once."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(400, "Expected a form: application/x-www-form-urlencoded.")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise HTTPException(413, f"Expected a form of at most {MOST_BYTES} bytes.")
    try:
        parsed = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=20, errors="replace")
    except ValueError as error:
        raise HTTPException(400, "Expected a form with at most 20 fields.") from error
    return {key: values[0] for key, values in parsed.items()}
