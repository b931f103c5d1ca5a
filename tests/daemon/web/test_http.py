"""The HTTP surface over a real server: status codes, headers, authorisation, JSON, deadlines."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import example
import pytest
import urllib3
from peers import require, until
from web_site import Serve, Site

from driftwatch.config.models import ExportConfig, WebConfig
from driftwatch.daemon.web.http import server as server_module
from driftwatch.daemon.web.http.guard import SECURITY_HEADERS
from driftwatch.daemon.web.http.server import WebServer
from driftwatch.daemon.web.site import create_app
from driftwatch.errors import ConfigError, DriftwatchError
from driftwatch.store.browsing import Browsing, StoredWindow

WINDOW = "2013-02-14T00:00:00Z"
PATHS = {
    "/": 200,
    "/monitors/churn": 200,
    "/monitors/flight-delays?segment=JFK": 200,
    "/monitors/flight-delays?segment=": 200,
    f"/monitors/churn/windows/{WINDOW}": 200,
    f"/monitors/churn/windows/{example.END}": 200,
    f"/monitors/flight-delays/windows/{WINDOW}?segment=JFK": 200,
    "/metrics": 200,
    "/api/v1/monitors": 200,
    "/api/v1/monitors/churn": 200,
    "/api/v1/monitors/churn/windows": 200,
    "/api/v1/monitors/churn/windows?limit=1": 200,
    "/-/healthy": 200,
    "/-/ready": 200,
    "/static/driftwatch.css": 200,
    "/static/charts.js": 200,
    "/static/d3.js": 200,
    "/monitors/nobody": 404,
    "/monitors/flight-delays?segment=nobody": 404,
    "/monitors/churn/windows/1999-01-01": 404,
    "/monitors/churn/windows/never": 404,
    f"/monitors/churn/windows/{'9' * 5000}": 404,
    "/monitors/churn/windows/9999-01-01": 404,
    "/static/..%2f..%2fpyproject.toml": 404,
    "/monitors/..%2f..%2f..%2fetc%2fpasswd": 404,
    "/nothing": 404,
    "/api/v1/monitors/nobody": 404,
    "/api/v1/nothing": 404,
    "/api/v1/monitors/churn/windows?limit=0": 400,
    "/api/v1/monitors/churn/windows?limit=1e9": 400,
    "/-/reload": 404,
}


@pytest.mark.parametrize("path", PATHS)
def test_status_kind_of_answer_and_headers(site: Site, path: str) -> None:
    answer = site.get(path)
    assert answer.status == PATHS[path]
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers[name] == value
    kind = answer.headers["content-type"].split(";")[0]
    if path.startswith("/api/"):
        assert kind == "application/json"
        assert ("error" in answer.json()) == (answer.status != 200)
    elif path.startswith(("/-/", "/metrics")):
        assert kind == "text/plain"
    else:
        assert kind == {".css": "text/css", ".js": "text/javascript"}.get(Path(path).suffix, "text/html")


@pytest.mark.parametrize("path", [path for path, status in PATHS.items() if status == 200])
def test_head_has_the_headers_and_no_body(site: Site, path: str) -> None:
    answer = site.request("HEAD", path)
    assert answer.status == 200
    assert answer.data == b""
    assert int(answer.headers["content-length"]) > 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_changed(site: Site, method: str) -> None:
    for path in ("/", "/metrics", "/api/v1/monitors", "/-/healthy"):
        assert site.request(method, path).status == 405


def test_unhealthy_only_when_the_scheduler_is_dead(serve: Serve) -> None:
    daemon = example.ExampleDaemon(example.snapshot(example.blind()))
    site = serve(daemon)
    assert site.get("/-/healthy").status == 200
    daemon.current_snapshot = replace(daemon.current_snapshot, scheduler_alive=False)
    assert site.get("/-/healthy").status == 503
    assert "The scheduler is dead" in site.get("/").data.decode()
    daemon.current_snapshot = replace(daemon.current_snapshot, scheduler_alive=True, ready=False)
    assert (site.get("/-/healthy").status, site.get("/-/ready").status) == (200, 503)


def test_reload(serve: Serve) -> None:
    daemon = example.ExampleDaemon()
    site = serve(daemon, enable_reload=True)
    assert site.request("POST", "/-/reload").status == 200
    daemon.notes = ("limits.workers: 4 takes effect at the next restart.",)
    response = site.request("PUT", "/-/reload")
    assert (response.status, response.data.decode()) == (
        200,
        "The configuration was reloaded.\nlimits.workers: 4 takes effect at the next restart.\n",
    )
    assert site.get("/-/reload").status == 405
    assert daemon.reloads == 2
    assert site.request("POST", "/-/reload", Origin="http://evil.example").status == 403
    daemon.refusal = ConfigError("driftwatch.yaml:3: monitors: expected a list. Got 7.")
    refusal_response = site.request("POST", "/-/reload")
    assert refusal_response.status == 500
    assert refusal_response.data.decode() == "driftwatch.yaml:3: monitors: expected a list. Got 7.\n"
    assert daemon.reloads == 2


def test_json_is_what_scripts_rely_on(site: Site) -> None:
    monitors = {item["monitor"]: item for item in site.get("/api/v1/monitors").json()["monitors"]}
    assert list(monitors) == ["churn", "credit-risk", "flight-delays"]
    assert [item["state"] for item in monitors["flight-delays"]["segments"]] == [
        "drifting",
        "insufficient",
        "ok",
    ]
    assert monitors["credit-risk"]["segments"][0]["reason"] == "source_unavailable"
    assert monitors["credit-risk"]["segments"][0]["rows"] == 700
    assert monitors["flight-delays"]["incidents"][0]["onset"] == "2013-02-09T00:00:00Z"
    detail = site.get("/api/v1/monitors/churn").json()
    assert detail["reference"]["rows"] == 20_000
    assert [column["column"] for column in detail["reference"]["columns"]] == [
        "tenure",
        "contract",
        "charges",
    ]
    windows = site.get("/api/v1/monitors/credit-risk/windows").json()
    assert windows["segment"] is None
    assert [(item["end"], item["state"], item["evidence"]) for item in windows["windows"]][:3] == [
        (WINDOW, "source_error", None),
        ("2013-02-13T00:00:00Z", "source_error", None),
        ("2013-02-12T00:00:00Z", "ok", 0.06),
    ]
    assert (len(windows["windows"]), windows["next_before"]) == (40, None)


def test_json_never_holds_what_json_has_not(serve: Serve) -> None:
    view = example.calm()
    segment = view.segments[0]
    assert segment.usable_verdict is not None
    statistic = replace(
        segment.usable_verdict.statistics[0], value=float("nan"), p_value=float("inf"), column="half\ud800"
    )
    usable_verdict = replace(segment.usable_verdict, statistics=(statistic,))
    snapshot = example.snapshot(
        replace(view, segments=(replace(segment, verdict=usable_verdict, usable_verdict=usable_verdict),))
    )
    site = serve(example.ExampleDaemon(snapshot))
    text = site.get("/api/v1/monitors/churn").data.decode("ascii")
    column = json.loads(text, parse_constant=pytest.fail)["looked"][0]["columns"][0]
    assert (column["statistic"], column["p_value"], column["column"]) == (None, None, "half\ud800")
    assert site.get("/monitors/churn").status == 200
    assert site.get("/metrics").status == 200


class Faulty(Browsing):
    def windows(self, *args: object, **kwargs: object) -> list[StoredWindow]:
        raise RuntimeError("a bug with a secret in it")


def test_errors_are_told_and_faults_are_not_spread(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    daemon = example.ExampleDaemon()
    site = serve(daemon)
    with daemon.database.transaction() as connection:
        connection.execute("DROP TABLE incidents")
    answer = site.get("/api/v1/monitors/churn/incidents")
    assert (answer.status, list(answer.json())) == (500, ["error"])
    assert answer.json()["error"].endswith(
        "driftwatch.sqlite: expected to read. Got no such table: incidents."
    )
    daemon.past.browsing = Faulty(daemon.database)
    error_response = site.get(f"/monitors/churn/windows/{WINDOW}")
    assert error_response.status == 500
    assert b"secret" not in error_response.data
    assert error_response.headers["content-security-policy"] == SECURITY_HEADERS["Content-Security-Policy"]
    # The answer is sent before the server logs what went wrong.
    until(lambda: "a bug with a secret in it" in caplog.text, 5)


def test_links_come_from_external_url_and_never_from_host(serve: Serve) -> None:
    site = serve(external_url="https://ops.example/drift/", allowed_hosts=["evil.example"])
    page = site.get("/", Host="evil.example").data.decode()
    assert 'href="/drift/monitors/churn"' in page
    assert 'href="/drift/static/driftwatch.css?' in page
    assert "evil.example" not in page


LOCAL = ("127.0.0.1", "127.0.0.1:80", "[::1]:9877", "192.0.2.7", "localhost", "LOCALHOST.:9877")
FOREIGN = (
    "evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example", "127.1",
    "x@127.0.0.1", "[evil.example]", "ops.example.evil", "", ":80", "b\xfccher.example", "a" * 9000,
)  # fmt: skip


def test_nobody_is_sent_to_the_host_they_asked_by(serve: Serve) -> None:
    site = serve(external_url="https://ops.example/drift")
    for path in ("/metrics/", "/monitors/churn/", "/api/v1/monitors/"):
        assert site.get(path, Host="127.0.0.1:1").status == 404


@pytest.mark.parametrize("host", LOCAL)
def test_on_loopback_own_names_and_addresses_are_answered(site: Site, host: str) -> None:
    assert site.get("/metrics", Host=host).status == 200


@pytest.mark.parametrize("host", FOREIGN)
def test_on_loopback_a_foreign_name_reads_nothing(serve: Serve, host: str) -> None:
    """A page whose name was pointed at 127.0.0.1 (DNS rebinding) gets a refusal that names the setting."""
    site = serve(external_url="https://ops.example/drift/", enable_reload=True)
    for path in ("/", "/metrics", "/api/v1/monitors", "/static/driftwatch.css", "/nothing"):
        response = site.get(path, Host=host)
        assert response.status == 421
        prefix = b'{"error": "' if path.startswith("/api/") else b""
        assert response.data.startswith(prefix + b"Host: expected an IP address, localhost")
        assert b"web.allowed_hosts" in response.data
        assert len(response.data) < 300
        assert b"churn" not in response.data
    assert site.request("POST", "/-/reload", Host=host).status == 421
    assert site.daemon.reloads == 0
    assert (site.get("/-/healthy", Host=host).status, site.get("/-/ready", Host=host).status) == (200, 200)


def test_names_of_the_configuration_are_answered(serve: Serve, tmp_path: Path) -> None:
    site = serve(external_url="https://Ops.example:444/drift/", allowed_hosts=["Node-7.internal"])
    for host in ("ops.example", "OPS.example:9877", "node-7.internal:9877", "node-7.internal."):
        assert site.get("/metrics", Host=host).status == 200
    assert site.get("/metrics", Host="node-8.internal").status == 421
    token = tmp_path / "token"
    token.write_text("s3cret", encoding="utf-8")
    token.chmod(0o600)
    settings = {"listen": "0.0.0.0:0", "auth": {"token_file": str(token)}}
    headers = {"Host": "any.example", "Authorization": "Bearer s3cret"}
    assert serve(**settings).get("/metrics", **headers).status == 200
    assert serve(**settings, allowed_hosts=["one.example"]).get("/metrics", **headers).status == 421


def test_a_request_without_host_is_no_browsers(site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.server.port), timeout=5) as client:
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert client.recv(64).startswith(b"HTTP/1.1 200")
    with socket.create_connection(("127.0.0.1", site.server.port), timeout=5) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
        assert client.recv(64).startswith(b"HTTP/1.1 400")


def test_metrics_are_negotiated(site: Site) -> None:
    assert "strict-transport-security" not in site.get("/metrics").headers, "without TLS"
    assert site.get("/metrics").headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    response = site.get(
        "/metrics", Accept="application/openmetrics-text; version=1.0.0", Accept_Encoding="gzip"
    )
    assert response.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert response.headers["content-encoding"] == "gzip"
    assert response.data.endswith(b"# EOF\n")


def test_the_token_opens_everything_and_nothing_else_does(serve: Serve, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n", encoding="utf-8")
    token.chmod(0o600)
    site = serve(auth={"token_file": str(token)}, enable_reload=True)
    for path in ("/", "/metrics", "/api/v1/monitors", "/static/driftwatch.css", "/nothing", "/-/healthy/"):
        for authorization in ("", "Bearer", "Bearer ", "Bearer s3cre", "Basic s3cret", "Bearer s3crét"):
            response = site.get(path, Authorization=authorization)
            assert (response.status, response.headers["www-authenticate"][:6]) == (401, "Bearer")
    assert site.request("POST", "/-/reload").status == 401
    assert (site.get("/-/healthy").status, site.get("/-/ready").status) == (200, 200)
    assert site.get("/metrics", Authorization="Bearer s3cret").status == 200
    assert site.get("/", Authorization="bearer s3cret").status == 200
    token.write_text("rotated", encoding="utf-8")
    assert site.get("/", Authorization="Bearer s3cret").status == 401
    assert site.get("/", Authorization="Bearer rotated").status == 200
    for spoil_token in (lambda: token.write_text("", encoding="utf-8"), token.unlink):
        spoil_token()
        assert site.get("/", Authorization="Bearer ").status == 503
        assert site.get("/-/healthy").status == 200


def test_a_taken_port_is_said_at_once(site: Site) -> None:
    web = WebConfig(listen=f"127.0.0.1:{site.server.port}")
    with pytest.raises(ConfigError, match=r"web\.listen: expected a free address.*already in use"):
        WebServer(create_app(site.daemon, web, ExportConfig()), web).start()


@pytest.mark.parametrize("listen", ["127.0.0.1:70000", "192.0.2.1:0"])
def test_an_address_that_cannot_be_had(site: Site, listen: str) -> None:
    web = WebConfig(listen=listen)
    with pytest.raises(ConfigError, match=r"web\.listen: expected a free address"):
        WebServer(create_app(site.daemon, web, ExportConfig()), web).start()


def test_start_stop_and_the_port_is_free_again() -> None:
    web = WebConfig(listen="127.0.0.1:0")
    first_server = WebServer(create_app(example.ExampleDaemon(), web, ExportConfig()), web)
    with pytest.raises(DriftwatchError, match="no port yet"):
        _ = first_server.port
    first_server.start()
    port = first_server.port
    assert first_server.alive
    first_server.stop(2)
    assert not first_server.alive
    second_web = WebConfig(listen=f"127.0.0.1:{port}")
    second_server = WebServer(create_app(example.ExampleDaemon(), second_web, ExportConfig()), second_web)
    second_server.start()
    assert second_server.port == port
    assert second_server.url == f"http://127.0.0.1:{port}/"
    second_server.stop(2)


HALF_OPEN = (
    b"",
    b"GET / HTTP/1.1\r\nHost: a\r\n",
    b"POST /-/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc",
)


@pytest.mark.parametrize("request_bytes", HALF_OPEN)
def test_half_open_connections_are_dropped(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, request_bytes: bytes
) -> None:
    monkeypatch.setattr(server_module, "REQUEST_SECONDS", 0.4)
    site = serve()
    with socket.create_connection(("127.0.0.1", site.server.port), timeout=5) as client:
        client.sendall(request_bytes)
        start = time.monotonic()
        assert _until_closed(client)
        assert 0.2 < time.monotonic() - start < 3


def test_dripping_bytes_does_not_buy_time(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "REQUEST_SECONDS", 0.5)
    site = serve()
    with socket.create_connection(("127.0.0.1", site.server.port), timeout=5) as client:
        client.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"200 OK" in client.recv(4096)
        with pytest.raises(OSError, match=r"reset|pipe"):
            _drip(client, b"GET / HTTP/1.1" + b"x" * 60)


def _drip(client: socket.socket, text: bytes) -> None:
    for byte in text:
        client.sendall(bytes([byte]))
        time.sleep(0.05)


def test_a_crowd_of_half_open_connections_makes_room(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "MAX_CONNECTIONS", 20)
    site = serve()
    connections = [socket.create_connection(("127.0.0.1", site.server.port), timeout=5) for _ in range(60)]
    try:
        start = time.monotonic()
        assert site.get("/metrics").status == 200
        assert time.monotonic() - start < 2
        assert _until_closed(connections[0])
    finally:
        for client in connections:
            client.close()


def _until_closed(client: socket.socket) -> bool:
    try:
        while client.recv(4096):
            pass
    except ConnectionResetError:
        return True
    return True


@pytest.mark.peer
def test_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "REQUEST_SECONDS", 1.0)
    openssl = require("openssl")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = [
        openssl,
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    web = WebConfig(listen="127.0.0.1:0", tls={"cert_file": str(cert), "key_file": str(key)})
    server = WebServer(create_app(example.ExampleDaemon(), web, ExportConfig()), web)
    server.start()
    try:
        with urllib3.PoolManager(ca_certs=str(cert), timeout=10.0) as client:
            answer = client.request("GET", f"https://127.0.0.1:{server.port}/-/healthy")
            assert answer.status == 200
            assert answer.headers["strict-transport-security"] == "max-age=31536000"
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as silent_client:
            start = time.monotonic()
            assert _until_closed(silent_client)
            assert 0.5 < time.monotonic() - start < 4
        first_certificate = ssl.get_server_certificate(("127.0.0.1", server.port))
        subprocess.run(command, check=True, capture_output=True)
        server.reload_certificate()
        assert ssl.get_server_certificate(("127.0.0.1", server.port)) != first_certificate
    finally:
        server.stop(2)
    key.write_text("not a key", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"web\.tls: expected a PEM certificate"):
        WebServer(create_app(example.ExampleDaemon(), web, ExportConfig()), web).start()
