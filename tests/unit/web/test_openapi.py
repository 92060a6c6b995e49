"""The OpenAPI document says what the application does: the same routes, schemas that resolve, examples of types."""

import json
import re
from datetime import UTC, datetime

import pytest

from ivr.config import Config
from ivr.outbound.live import OutboundCalls
from ivr.store.records import StoreHealth
from ivr.store.store import Store
from ivr.web import openapi
from ivr.web.api import OPEN_PATHS, create_app
from ivr.web.page import PAGE
from ivr.web.query import FIELDS
from ivr.web.status import LanguageStatus, LineStatus, Status, TrunkStatus, health


@pytest.fixture(scope="module")
def document():
    return json.loads(json.dumps(openapi.document()))


@pytest.fixture
def routes(monkeypatch):
    monkeypatch.setenv("IVR_EVIDENCE_KEY", "A" * 43 + "=")
    outbound = OutboundCalls(Config(), Store("sqlite:///x.db", "."), None, lambda _: None)
    app = create_app(store=None, status=lambda: None, reload=None, token="x", outbound=outbound)
    return {(r.resource.canonical, r.method.lower()) for r in app.router.routes()}


def test_without_outbound_calls_their_routes_are_neither_there_nor_documented():
    app = create_app(store=None, status=lambda: None, reload=None, token="x")
    routed = {r.resource.canonical for r in app.router.routes()}
    assert routed == set(openapi.document(outbound=False)["paths"])
    assert "/v1/jobs" not in routed


def test_every_route_is_documented_and_nothing_else(document, routes):
    assert routes == {(path, method) for path, methods in document["paths"].items() for method in methods}


def test_the_page_for_people_lists_every_route(routes):
    behind = re.compile(r"/v1/(?:jobs|verifications)/\{id\}(?=/)")  # what stands behind a job is listed once
    assert [path for path, _ in routes if behind.sub("", path) not in PAGE] == []


def test_only_the_health_routes_need_no_token(document):
    free = {
        path
        for path, methods in document["paths"].items()
        if any(operation.get("security") == [] for operation in methods.values())
    }
    assert free == OPEN_PATHS
    assert document["security"] == [{"bearer": []}]


def test_every_reference_resolves(document):
    def references(node):
        if isinstance(node, dict):
            if "$ref" in node:
                yield node["$ref"]
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    found = set(references(document))
    assert found
    for reference in found:
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
        assert node


def test_every_query_field_is_documented(document):
    assert {p["name"] for p in document["paths"]["/v1/calls"]["get"]["parameters"]} == set(FIELDS)


def test_every_error_answer_is_a_problem(document):
    for methods in document["paths"].values():
        for method in set(methods) - {"head"}:
            for code, answer in methods[method]["responses"].items():
                assert (code < "400") or "application/problem+json" in answer["content"]


_NOW = datetime(2026, 1, 31, tzinfo=UTC)
_STORE = StoreHealth(backend="sqlite", failing=False, failing_since=None, queued=0, lost=0)
_WELL = {
    "lines": (LineStatus(line=0, state="up"),),
    "trunks": (TrunkStatus(name="a", state="registered"), TrunkStatus(name="b", state="by_address")),
    "languages": (LanguageStatus(language="zh", recognizer="whisper"),),
}


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, "ok"),
        ({"lines": (LineStatus(line=0, state="down"),)}, "degraded"),
        ({"trunks": (TrunkStatus(name="a", state="lost", code=503),)}, "degraded"),
        ({"languages": (LanguageStatus(language="ko", recognizer="", missing="vosk-ko"),)}, "degraded"),
        ({"plan_problems": ("main.yaml:3: unknown step kind",)}, "degraded"),
    ],
)
def test_health_is_a_verdict_on_the_parts(change, verdict):
    status = Status(state="ready", version="1", started_at=_NOW, **(_WELL | change))
    assert health(status, _STORE).health == verdict


def test_a_failing_database_degrades_health():
    failing = StoreHealth(backend="sqlite", failing=True, failing_since=_NOW, queued=3, lost=0)
    assert health(Status(state="ready", version="1", started_at=_NOW), failing).health == "degraded"
