"""The API is what its document says: fuzzed, never a fault, every answer of the type it names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import example
import pytest
import schemathesis
from example_pages import hostile_snapshot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from schemathesis import Case, GenerationMode
from web_site import Serve, Site, serving

from driftwatch.daemon.web.api.endpoints import OPERATIONS

END = "2013-02-14T00:00:00Z"


FUZZ = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@pytest.fixture(scope="module")
def document() -> Iterator[Any]:
    """The document of a served example; its operations send their requests there."""
    with serving() as start:
        yield schemathesis.openapi.from_url(f"{start().root}/api/v1/openapi.json")


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("path", [item.path for item in OPERATIONS])
def test_whatever_is_asked_the_answer_is_a_documented_one(
    document: Any, path: str, mode: GenerationMode
) -> None:
    """Status, content type and body as documented, for questions that keep to the document or break it."""

    @FUZZ
    @given(case=document[path]["GET"].as_strategy(generation_mode=mode))
    def ask(case: Case) -> None:
        case.call_and_validate()

    ask()


@pytest.mark.parametrize("path", [item.path for item in OPERATIONS])
def test_questions_about_what_there_is(document: Any, path: str) -> None:
    """As above with names and times that exist, so that there are answers; the rest stays as it was drawn."""
    existing_values = {
        "name": ["churn", "flight-delays", "credit-risk"],
        "end": [END, str(example.END)],
        "a": ["reference", END],
        "b": ["reference", END, "2013-01-20T00:00:00Z"],
        "before": [END, "2013-01-20T00:00:00Z"],
        "column": ["tenure", "dep_delay"],
        "segment": ["JFK", "EWR", ""],
    }
    statuses = set()

    @FUZZ
    @given(case=document[path]["GET"].as_strategy(), data=st.data())
    def ask(case: Case, data: st.DataObject) -> None:
        for parameters in (case.path_parameters, case.query):
            for name in sorted(parameters.keys() & existing_values.keys()):
                parameters[name] = data.draw(st.sampled_from(existing_values[name]), name)
        statuses.add(case.call_and_validate().status_code)

    ask()
    assert 200 in statuses


PATHS = {
    "monitors": "/api/v1/monitors",
    "monitor": "/api/v1/monitors/churn",
    "windows": "/api/v1/monitors/churn/windows",
    "window": f"/api/v1/monitors/churn/windows/{END}",
    "compare": f"/api/v1/monitors/churn/compare?a=reference&b={END}",
    "trends": "/api/v1/monitors/churn/trends?column={column}",
    "incidents": "/api/v1/monitors/churn/incidents?state=open",
    "acknowledgements": "/api/v1/monitors/churn/acknowledgements",
}


def test_every_operation_is_asked_below() -> None:
    assert {item.handler for item in OPERATIONS} == set(PATHS)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda item: item.handler)
@pytest.mark.parametrize("name", ["tenure", "<script>\"'&\u202e\0 \U0001f6eb"])
def test_answers_are_of_their_type_whatever_columns_are_called(
    serve: Serve, operation: Any, name: str
) -> None:
    from urllib.parse import quote

    snapshot = example.snapshot() if name == "tenure" else hostile_snapshot(name)
    site = serve(example.ExampleDaemon(snapshot))
    answer = site.get(PATHS[operation.handler].format(column=quote(name)))
    assert answer.status == 200, answer.data
    payload = TypeAdapter(operation.response).validate_json(answer.data, strict=False)
    assert set(payload) == set(json.loads(answer.data)), "nothing that the type does not say"


def test_the_parts_of_a_long_list_are_the_list(serve: Serve) -> None:
    calm = example.calm()
    site = serve(example.ExampleDaemon(example.snapshot(*(replace(calm, name=f"m{n}") for n in range(25)))))
    offset, names = 0, []
    while offset is not None:
        part = site.get(f"/api/v1/monitors?limit=10&offset={offset}").json()
        assert part["total"] == 25
        names += [item["monitor"] for item in part["monitors"]]
        offset = part["next_offset"]
    assert names == [f"m{n}" for n in range(25)]
    end_below, ends = "", []
    while end_below is not None:
        part = site.get(f"/api/v1/monitors/m3/windows?limit=15&before={end_below}").json()
        ends += [item["end"] for item in part["windows"]]
        end_below = part["next_before"]
    assert (len(ends), len(set(ends)), sorted(ends, reverse=True)) == (40, 40, ends)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/monitors?limit=1001", 400),
        ("/api/v1/monitors?offset=-1", 400),
        ("/api/v1/monitors?q=" + "x" * 201, 400),
        ("/api/v1/monitors/churn/compare", 400),
        ("/api/v1/monitors/churn/compare?a=reference&b=never", 400),
        ("/api/v1/monitors/churn/compare?a=reference&b=1999-01-01", 404),
        ("/api/v1/monitors/churn/trends", 400),
        ("/api/v1/monitors/churn/trends?column=nobody", 404),
        ("/api/v1/monitors/churn/windows?before=never", 400),
        ("/api/v1/monitors/churn/windows?before=" + "0" * 41, 400),
        ("/api/v1/monitors/churn/incidents?state=closed", 400),
        ("/api/v1/monitors/churn/windows/never", 404),
        ("/api/v2/monitors", 404),
    ],
)
def test_errors_have_one_shape(site: Site, path: str, status: int) -> None:
    answer = site.get(path)
    assert (answer.status, list(answer.json())) == (status, ["error"])
    assert answer.headers["content-type"] == "application/json"


def test_the_page_and_the_api_say_the_same(site: Site) -> None:
    for item in site.get("/api/v1/monitors").json()["monitors"]:
        page = site.get(f"/monitors/{item['monitor']}").data.decode()
        assert f'<p class="headline">{item["segments"][0]["headline"]}</p>' in page
        for incident in item["incidents"]:
            assert incident["key"] in page


def test_late_parts_and_owed_windows_are_told(site: Site) -> None:
    late = site.get("/api/v1/monitors/churn/windows/2013-02-12T00:00:00Z").json()
    assert (late["window"]["state"], late["window"]["late"], late["owed"]) == ("ok", False, None)
    parts = late["window"]["late_parts"]
    assert [(item["part"], item["late"], item["state"], item["rows"]) for item in parts] == [
        (1, True, "drifting", 1240),
        (2, True, "ok", 320),
    ]
    windows = site.get("/api/v1/monitors/churn/windows?limit=5").json()["windows"]
    assert [len(item["late_parts"]) for item in windows] == [0, 0, 2, 0, 0]
    owed = site.get(f"/api/v1/monitors/credit-risk/windows/{END}").json()
    assert owed["window"]["owed"]
    assert owed["owed"] == {"since": END, "waited_seconds": 8 * 3600, "patience_seconds": 7 * 86400}
    assert site.get("/api/v1/monitors/credit-risk").json()["owed_windows"] == 2
