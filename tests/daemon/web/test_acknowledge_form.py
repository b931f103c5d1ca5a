"""Acknowledging over HTTP: who may, from where, with what; and what is left on record."""

from __future__ import annotations

import base64
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import example
import pytest
import urllib3
from web_site import Serve, Site

from driftwatch.core.schema import NANOSECONDS
from driftwatch.daemon.web import used_proofs
from driftwatch.daemon.web.used_proofs import Answer, UsedProofs
from driftwatch.errors import StoreError
from driftwatch.store.history import History
from driftwatch.store.records import CheckRecord

KEY = "flight-delays-drift-4f2a"
PATH = "/monitors/flight-delays/acknowledge"


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


class Visit:
    """Somebody with a password and a loaded page."""

    def __init__(self, site: Site, name: str = "anna") -> None:
        self.site = site
        self.login = {"Authorization": basic(name, "s3cret")}
        page = site.get("/monitors/flight-delays", **self.login).data.decode()
        match = re.search(r'name="proof" value="([^"]+)"', page)
        assert match is not None
        self.csrf_token = match[1]

    def post(
        self, path: str = PATH, *, headers: dict[str, str] | None = None, **fields: str
    ) -> urllib3.BaseHTTPResponse:
        form_fields = {"proof": self.csrf_token, "incident": KEY, "verdict": "fixed", **fields}
        all_headers = {"Content-Type": "application/x-www-form-urlencoded", **self.login, **(headers or {})}
        return self.site.client.request(
            "POST",
            self.site.root + path,
            body=urlencode(form_fields),
            headers=all_headers,
            redirect=False,
            retries=False,
        )

    def acknowledgements(self) -> list[tuple[str, str, str, str]]:
        acknowledgements = self.site.daemon.past.browsing.acknowledgements("flight-delays")
        return [(item.incident, item.verdict, item.who, item.note) for item in acknowledgements]


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("s3cret\n", encoding="utf-8")
    file.chmod(0o600)
    return file


@pytest.fixture
def site(serve: Serve, token: Path) -> Site:
    return serve(auth={"token_file": str(token)}, external_url="https://ops.example/drift")


def test_without_a_password_there_are_commands_and_no_buttons(serve: Serve) -> None:
    open_site = serve()
    page = open_site.get("/monitors/flight-delays").data.decode()
    assert '<form class="acknowledge"' not in page
    assert "driftwatch ack CONFIG" in page
    response = open_site.request("POST", PATH)
    assert response.status == 403
    assert "web.auth" in response.data.decode()


def test_the_token_is_a_browsers_password(site: Site) -> None:
    assert site.get("/", Authorization=basic("anna", "s3cret")).status == 200
    assert site.get("/", Authorization=basic("", "s3cret")).status == 200
    for authorization in (
        basic("anna", "s3cre"),
        basic("s3cret", ""),
        basic("anna", ""),
        "Basic",
        "Basic !",
        "Basic YW5uYQ==",
    ):
        response = site.get("/", Authorization=authorization)
        assert response.status == 401
        assert 'Basic realm="driftwatch"' in response.headers["www-authenticate"]


def test_an_incident_of_several_segments_is_answered_where_it_is_read(serve: Serve, token: Path) -> None:
    view = example.drifting()
    incident = replace(view.incidents[0], segments=(None, "JFK"))
    daemon = example.ExampleDaemon(example.snapshot(replace(view, incidents=(incident,))))
    visit = Visit(serve(daemon, auth={"token_file": str(token)}, external_url="https://ops.example/drift"))
    response = visit.post(verdict="fixed", segment="JFK")
    place = "/drift/monitors/flight-delays?segment=JFK&said=1"
    assert (response.status, response.headers["location"]) == (303, place)
    assert [key for key, *_ in visit.acknowledgements()] == [KEY]


def test_what_was_asked_is_on_record_and_said_on_the_page(site: Site) -> None:
    visit = Visit(site)
    response = visit.post(note="repaired by the loader", verdict="fixed")
    assert (response.status, response.headers["location"]) == (303, "/drift/monitors/flight-delays?said=1")
    assert visit.acknowledgements() == [(KEY, "fixed", "anna (page)", "repaired by the loader")]
    page = site.get("/monitors/flight-delays?said=1", **visit.login).data.decode()
    assert f"You asked: fixed, {KEY}. It is applied within seconds" in page
    trail = site.get("/api/v1/monitors/flight-delays/acknowledgements", **visit.login).json()
    assert trail["acknowledgements"][0]["who"] == "anna (page)"
    assert trail["acknowledgements"][0]["applied"] is None


def accept(daemon: example.ExampleDaemon) -> None:
    """The incident as an acceptance leaves it: over in the store, and open in nobody's view."""
    History(daemon.database).commit(
        CheckRecord(monitor="flight-delays", now=example.NOW, resolved=[(KEY, "accepted")])
    )
    view = replace(example.drifting(), incidents=())
    daemon.current_snapshot = example.snapshot(view)


def test_an_acceptance_is_taken_back_from_the_page(site: Site) -> None:
    visit = Visit(site)
    refused = visit.post(verdict="undo")
    assert f"expected an incident that was accepted. Got {KEY} is open." in refused.data.decode()
    accept(site.daemon)
    page = site.get("/monitors/flight-delays", **visit.login).data.decode()
    assert "<h2>Accepted as normal</h2>" in page
    assert '<button name="verdict" value="undo"' in page
    response = visit.post(verdict="undo", note="not agreed")
    assert (response.status, response.headers["location"]) == (303, "/drift/monitors/flight-delays?said=1")
    assert visit.acknowledgements() == [(KEY, "undo", "anna (page)", "not agreed")]
    assert visit.post(verdict="undo", note="not agreed").headers["location"].endswith("repeat=1")
    assert len(visit.acknowledgements()) == 1
    strange = Visit.__new__(Visit)
    strange.site, strange.login, strange.csrf_token = site, visit.login, "1.a.b"
    assert strange.post(verdict="undo").status == 403, "as for every answer"


@pytest.mark.parametrize("key", ["of-nobody", ""])
def test_what_was_never_accepted_is_not_taken_back(site: Site, key: str) -> None:
    visit = Visit(site)
    response = visit.post(verdict="undo", incident=key)
    assert response.status >= 400
    assert "flight-delays has no incident" in response.data.decode()
    assert visit.acknowledgements() == []


def test_without_a_password_the_page_says_what_to_type_to_take_it_back(serve: Serve) -> None:
    site = serve()
    accept(site.daemon)
    page = site.get("/monitors/flight-delays").data.decode()
    assert f"<code>driftwatch ack CONFIG --monitor flight-delays --undo {KEY}</code>" in page
    assert "value=&#34;undo" not in page
    assert 'value="undo"' not in page


def test_muting_ends(site: Site) -> None:
    visit = Visit(site)
    assert visit.post(verdict="muted", **{"for": "4h"}).status == 303
    (acknowledgement,) = site.daemon.past.browsing.acknowledgements("flight-delays")
    assert acknowledgement.until == example.NOW + 4 * 3600 * NANOSECONDS


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"proof": ""}, 403),
        ({"proof": "1." + "0" * 64}, 403),
        ({"proof": "x"}, 403),
        ({"verdict": "forgotten"}, 400),
        ({"verdict": ""}, 400),
        ({"verdict": "muted", "for": "99y"}, 400),
        ({"incident": "nobody"}, 404),
        ({"incident": ""}, 404),
        ({"note": "x" * 20_000}, 413),
        ({str(n): "" for n in range(30)}, 400),
    ],
)
def test_nothing_else_is_taken(site: Site, fields: dict[str, str], status: int) -> None:
    visit = Visit(site)
    assert visit.post(**fields).status == status
    assert visit.acknowledgements() == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "https://ops.example"},
    ],
)
def test_another_sites_page_cannot_use_the_browsers_password(site: Site, headers: dict[str, str]) -> None:
    visit = Visit(site)
    assert visit.post(headers=headers).status == 403
    assert visit.acknowledgements() == []


@pytest.mark.parametrize("origin", ["null", "", "file://", "http://[", "http://evil.example"])
def test_neither_can_one_without_a_host(serve: Serve, token: Path, origin: str) -> None:
    visit = Visit(serve(auth={"token_file": str(token)}))
    assert visit.post(headers={"Origin": origin}).status == 403
    assert visit.acknowledgements() == []


def test_our_own_pages_can(site: Site) -> None:
    visit = Visit(site)
    for headers in (
        {"Origin": site.root},
        {"Origin": "https://ops.example", "Sec-Fetch-Site": "same-origin"},
    ):
        assert visit.post(headers=headers).status == 303


def test_our_address_may_be_written_in_other_ways(serve: Serve, token: Path) -> None:
    site = serve(auth={"token_file": str(token)}, external_url="https://Ops.Example:443/drift")
    assert Visit(site).post(headers={"Origin": "https://ops.example"}).status == 303
    assert Visit(site).post(headers={"Origin": "https://ops.example:8443"}).status == 403


def test_a_proof_belongs_to_one_name_and_wears_out(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    anna, bert = Visit(site), Visit(site, "bert")
    assert bert.post(proof=anna.csrf_token).status == 403
    monkeypatch.setattr(example, "NOW", example.NOW + 13 * 3600 * NANOSECONDS)
    assert anna.post().status == 403
    assert anna.acknowledgements() == []


def test_a_form_is_a_form(site: Site) -> None:
    visit = Visit(site)
    assert visit.post(headers={"Content-Type": "application/json"}).status == 400
    assert visit.post("/monitors/nobody/acknowledge").status == 404
    assert site.get(PATH, **visit.login).status == 405


def test_a_name_is_text_from_outside(site: Site) -> None:
    visit = Visit(site, "<b>" + "x" * 200 + "\u202e")
    assert visit.post(note="<script>alert(1)</script>").status == 303
    page = site.get("/monitors/flight-delays", **visit.login).data.decode()
    assert "<script>" not in page
    assert "&lt;b&gt;xxx" in page
    assert len(visit.acknowledgements()[0][2]) < 100


def test_blindness_can_only_be_muted(site: Site) -> None:
    visit = Visit(site)
    path = "/monitors/credit-risk/acknowledge"
    assert visit.post(path, incident="credit-risk-blind-0b7e", verdict="accepted").status == 400
    assert visit.post(path, incident="credit-risk-blind-0b7e", verdict="muted").status == 303


def test_stored_rows_are_shown_to_whoever_has_the_token_and_to_nobody_else(serve: Serve, site: Site) -> None:
    path = "/monitors/flight-delays/windows/2013-02-14T00:00:00Z"
    page = site.get(path, **Visit(site).login).data.decode()
    assert "Sample rows" in page
    rows = page.partition("Sample rows")[2].partition("</table>")[0]
    assert rows.count("<tr>") == 1 + 20
    assert "a level never seen before" in rows or "JFK" in rows
    assert "Sample rows" not in serve().get(path).data.decode()
    payload = site.get(f"/api/v1{path}", **Visit(site).login).json()
    assert "sample" not in json.dumps(payload)


def test_rows_that_are_not_stored_are_not_shown(serve: Serve, token: Path) -> None:
    view = example.drifting()
    window = view.segments[0].window
    assert window is not None
    segment = replace(view.segments[0], window=window.drop_sample())
    view_without_sample = replace(view, segments=(segment, *view.segments[1:]))
    site = serve(
        example.ExampleDaemon(example.snapshot(view_without_sample)), auth={"token_file": str(token)}
    )
    page = site.get("/monitors/flight-delays/windows/2013-02-14T00:00:00Z", **Visit(site).login)
    assert page.status == 200
    assert "Sample rows" not in page.data.decode()


def test_a_double_click_is_recorded_once_and_answered_with_the_first_ones_page(site: Site) -> None:
    visit = Visit(site)
    first, second = visit.post(note="a"), visit.post(note="a")
    assert (first.status, second.status) == (303, 303)
    assert first.headers["location"] == "/drift/monitors/flight-delays?said=1"
    assert second.headers["location"] == "/drift/monitors/flight-delays?said=1&repeat=1"
    assert len(visit.acknowledgements()) == 1
    page = site.get("/monitors/flight-delays?said=1&repeat=1", **visit.login).data.decode()
    assert f"You asked: fixed, {KEY}. That was already recorded, and is recorded once. It is applied" in page
    assert "already recorded" not in site.get("/monitors/flight-delays?said=1", **visit.login).data.decode()


def test_a_double_click_waits_for_the_first_click(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    visit = Visit(site)
    ask = site.daemon.past.ask

    def ask_slowly(*args: Any, **options: Any) -> int:
        time.sleep(0.3)
        return ask(*args, **options)

    monkeypatch.setattr(site.daemon.past, "ask", ask_slowly)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: visit.post(), range(4)))
    assert [answer.status for answer in answers] == [303] * 4
    assert sorted("repeat=1" in answer.headers["location"] for answer in answers) == [False, True, True, True]
    assert len(visit.acknowledgements()) == 1


def test_a_proof_works_for_one_form(site: Site) -> None:
    visit = Visit(site)
    assert visit.post(verdict="fixed").status == 303
    response = visit.post(verdict="muted")
    assert response.status == 403
    assert "Load it again" in response.data.decode()
    assert len(visit.acknowledgements()) == 1
    assert Visit(site).post(verdict="muted").status == 303, "a page loaded in the same second has its own"


def test_a_proof_is_not_used_up_by_a_store_that_fails(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    visit = Visit(site)

    def fail(*args: Any, **options: Any) -> int:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(site.daemon.past, "ask", fail)
        assert visit.post().status == 500
    assert visit.post().status == 303


def test_forgotten_proofs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(used_proofs, "MAX_PROOFS", 3)
    proofs = UsedProofs()
    for number in range(5):
        assert proofs.use(f"p{number}", 100 + number, ("form",), lambda: 7) == Answer(acknowledgement_id=7)
    assert proofs.use("p0", 100, ("form",), lambda: 8) is None
    assert proofs.use("p4", 104, ("form",), lambda: 8) == Answer(acknowledgement_id=7, is_repeat=True)
    assert proofs.use("new", 105, ("form",), lambda: 8) == Answer(acknowledgement_id=8)
