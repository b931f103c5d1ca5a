"""Acknowledgement forms: for authenticated users, from pages of this site only, recorded in the history."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from functools import partial
from urllib.parse import parse_qs, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from driftwatch.core.schema import NANOSECONDS
from driftwatch.core.settings import parse_duration
from driftwatch.daemon.status.ports import RunningDaemon
from driftwatch.daemon.status.snapshot import MonitorView, OpenIncident
from driftwatch.daemon.web.http import query
from driftwatch.daemon.web.http.answer_threads import AnswerThreads
from driftwatch.daemon.web.http.guard import USER_SCOPE_KEY
from driftwatch.daemon.web.http.links import Links
from driftwatch.daemon.web.pages.view_models import User, incident_views
from driftwatch.daemon.web.used_proofs import UsedProofs
from driftwatch.results import text_format
from driftwatch.store.acknowledgements import UNDO

log = logging.getLogger(__name__)

#: How long the forms of a loaded page are accepted.
CSRF_TOKEN_SECONDS = 12 * 3600
#: Limits of what a form sends.
MAX_FORM_BYTES, MAX_NOTE_CHARS, MAX_NAME_CHARS = 16_384, 500, 80
_PORTS = {"http": 80, "https": 443}
_MUTE_DURATIONS = ("4h", "1d", "2d", "7d")


class AcknowledgeForm:
    """Checks acknowledgements sent from a page; ``external_host`` is the host of ``web.external_url``."""

    def __init__(
        self, daemon: RunningDaemon, links: Links, external_host: str, threads: AnswerThreads
    ) -> None:
        self._daemon = daemon
        self._threads = threads
        self._links = links
        self._external_host = external_host
        # Each process creates a new key, so a page loaded before a restart has to be loaded again.
        self._key = secrets.token_bytes(32)
        self._used_proofs = UsedProofs()

    def user(self, request: Request) -> User | None:
        name = request.scope.get(USER_SCOPE_KEY)
        if name is None:
            return None
        issue = f"{self._daemon.now() // NANOSECONDS}.{secrets.token_hex(8)}"
        return User(name=name, csrf_token=self._csrf_token(name, issue))

    def _csrf_token(self, name: str, issue: str) -> str:
        message = f"{issue}\n{name}".encode("utf-8", "surrogatepass")
        return f"{issue}.{hmac.new(self._key, message, hashlib.sha256).hexdigest()}"

    def _is_valid_token(self, name: str, csrf_token: str) -> bool:
        issue = csrf_token.rpartition(".")[0]
        issued_at = issue.partition(".")[0]
        if not (issued_at.isascii() and issued_at.isdigit() and len(issued_at) < 16):
            return False
        age = self._daemon.now() // NANOSECONDS - int(issued_at)
        is_authentic = hmac.compare_digest(
            self._csrf_token(name, issue).encode("utf-8", "replace"), csrf_token.encode("utf-8", "replace")
        )
        return is_authentic and 0 <= age <= CSRF_TOKEN_SECONDS

    async def acknowledge(self, request: Request) -> Response:
        """Store an acknowledgement; a refused request raises HTTP 400, 403 or 413."""
        name = request.scope.get(USER_SCOPE_KEY)
        if name is None:
            raise HTTPException(403, "Acknowledging from the page needs web.auth; use driftwatch ack.")
        if not self._is_same_origin(request):
            raise HTTPException(403, "Pages of other hosts may not acknowledge.")
        fields = await _fields(request)
        if not self._is_valid_token(name, fields.get("proof", "")):
            raise HTTPException(403, "The page is too old or not ours. Load it again.")
        return await self._threads.run(partial(self._store_request, request, name, fields))

    def _is_same_origin(self, request: Request) -> bool:
        """True unless the browser says that another site's page sent the form."""
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return False
        origin = request.headers.get("origin")
        if origin is None:
            return True
        scheme = origin.partition("://")[0]
        hosts = (request.headers.get("host", ""), self._external_host)
        # The origin "null" of sandboxed pages has no host, nor has an external_url that is not set.
        return _host(origin) in {_host(f"{scheme}://{host}") for host in hosts} - {""}

    def _store_request(self, request: Request, name: str, fields: dict[str, str]) -> Response:
        view = query.monitor(self._daemon.snapshot(), request)
        key, verdict = fields.get("incident", ""), fields.get("verdict", "")
        # An accepted incident is not open; whether it can be undone says the history.
        places = tuple(item.segment for item in view.segments)
        places = (None, *places) if verdict == UNDO else _answerable(view, key, verdict).all_segments
        duration = fields.get("for", "2d")
        if duration not in _MUTE_DURATIONS:
            raise HTTPException(400, f"for: expected one of {', '.join(_MUTE_DURATIONS)}.")
        note = text_format.truncate(fields.get("note", ""), MAX_NOTE_CHARS)
        proof = fields["proof"]
        answer = self._used_proofs.use(
            proof,
            int(proof.partition(".")[0]),
            (view.name, key, verdict, duration, note),
            partial(self._record, view.name, key, verdict, parse_duration(duration), note, name),
        )
        if answer is None:
            raise HTTPException(403, "This page has recorded another answer already. Load it again.")
        repeat = {"repeat": 1} if answer.is_repeat else {}
        # Back to where it was answered.
        segment = fields.get("segment") if fields.get("segment") in places else places[0]
        location = self._links.monitor(view.name, segment, said=answer.acknowledgement_id, **repeat)
        return RedirectResponse(location, 303)

    def _record(self, monitor: str, key: str, verdict: str, seconds: int, note: str, name: str) -> int:
        now = self._daemon.now()
        author = f"{text_format.truncate(text_format.escape_invisible(name), MAX_NAME_CHARS)} (page)"
        number = self._daemon.past.ask(
            monitor,
            key,
            verdict,
            until=now + seconds * NANOSECONDS if verdict == "muted" else None,
            note=note,
            who=author,
            now=now,
        )
        facts = {"monitor": monitor, "incident": key, "verdict": verdict, "who": author, "number": number}
        log.info("acknowledgement asked", extra=facts)
        return number


def _host(url: str) -> str:
    # As an Origin header spells it.
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    return host if port in (None, _PORTS.get(parts.scheme)) else f"{host}:{port}"


def _answerable(view: MonitorView, key: str, verdict: str) -> OpenIncident:
    """Return an open incident that may be answered so."""
    incident = _incident(view, key)
    verdicts = [
        option.verdict
        for entry in incident_views(view, incident.all_segments[0])
        for option in entry.options
        if entry.incident.key == incident.key
    ]
    if verdict not in verdicts:
        raise HTTPException(400, f"verdict: expected one of {', '.join(verdicts)}.")
    return incident


def _incident(view: MonitorView, key: str) -> OpenIncident:
    incident = next((item for item in view.incidents if item.key == key), None)
    if incident is None:
        raise HTTPException(404, "That incident is not open any more.")
    return incident


async def _fields(request: Request) -> dict[str, str]:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/x-www-form-urlencoded":
        raise HTTPException(400, "Expected a form: application/x-www-form-urlencoded.")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            raise HTTPException(413, f"Expected a form of at most {MAX_FORM_BYTES} bytes.")
    try:
        form = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=20, errors="replace")
    except ValueError as error:
        raise HTTPException(400, "Expected a form with at most 20 fields.") from error
    return {key: values[0] for key, values in form.items()}
