"""The pages over a real daemon and its store: accepted from the page, and old verdicts readable for ever."""

from __future__ import annotations

import base64
import json
import re
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

from daemon_world import MINUTE, Inside, World

from driftwatch.core.schema import iso

LOGIN = "Basic " + base64.b64encode(b"anna:s3cret").decode()


def visit(inside: Inside, path: str, **fields: str) -> str:
    """A page; with fields, the page that a form leads to."""
    request = urllib.request.Request(inside.daemon.server.url.rstrip("/") + path)
    request.add_header("Authorization", LOGIN)
    if fields:
        request.data = urlencode(fields).encode()
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(answer.read().decode())


def test_accepted_from_the_page(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret", encoding="utf-8")
    token.chmod(0o600)
    world = World(tmp_path)
    world.settings["web"] = {"listen": "127.0.0.1:0", "auth": {"token_file": str(token)}}
    world.write()
    with world.inside(1) as inside:
        for number in range(24):
            world.minute(number, shift=0.0 if number < 12 else 2.0)
            inside.to(number + 1)
        (incident,) = inside.view().incidents
        page = visit(inside, "/monitors/m")
        assert "1 open incident" in page
        proof = re.search(r'name="proof" value="([^"]+)"', page)
        assert proof is not None
        form = {"incident": incident.key, "verdict": "accepted", "note": "the new sensor", "proof": proof[1]}
        assert "It is applied within seconds" in visit(inside, "/monitors/m/acknowledge", **form)
        inside.to(24)
        page = visit(inside, "/monitors/m?said=1")
        assert "accepted: 1 incident(s)" in page
        assert not inside.view().incidents
        for number in range(24, 30):
            world.minute(number, shift=2.0)
            inside.to(number + 1)
        page = visit(inside, "/monitors/m")
        assert page.count("rebased</text>") == 1, "the change of reference is on the timeline"
        assert "nothing moved" in page

        paged = next(item for item in inside.verdicts() if item["page"])
        end = iso(paged["window"]["end"])
        working = visit(inside, f"/monitors/m/windows/{end}")
        assert paged["reference"] in working
        assert paged["reference"] != inside.view().reference.fingerprint
        assert working.count('class="chart"') == 2, "drawn against the reference of its day"
        assert "&#34;false_pages&#34;" in working, "the configuration it was decided with"
        assert "a page was sent" in working
        answer = json.loads(visit(inside, f"/api/v1/monitors/m/windows/{end}"))
        assert answer["configuration"]["window"]["length"] == "1m"
        assert answer["window"]["state"] == "drifting"

        healthy_end = iso(world.start + MINUTE)
        compared = json.loads(visit(inside, f"/api/v1/monitors/m/compare?a={healthy_end}&b={end}"))
        first = compared["columns"][0]
        assert first["column"] == "x"
        assert first["distance"] > 0.5
        median = next(item for item in first["quantiles"] if item["share"] == 0.5)
        assert abs(median["before"]) < 0.5
        assert 1.5 < median["after"] < 2.5
        trends = json.loads(visit(inside, "/api/v1/monitors/m/trends?column=x"))
        ks = next(item for item in trends["trends"] if item["detector"] == "ks")
        assert len(ks["values"]) == len(trends["ends"]) == 30
        assert max(ks["values"][:12]) < min(ks["values"][12:24])
        assert max(ks["values"][24:]) < min(ks["values"][12:24])
