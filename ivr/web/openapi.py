"""The OpenAPI 3.1 document: paths by hand, schemas from the record types. Pure."""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from ivr.intents.trainer import Decision, Groups, Outcome
from ivr.kb.entry import ID, LANGUAGES, KbEntry, KbFound, KbPage, KbQuery, KbVersions
from ivr.line.messages import Cause
from ivr.store.kb import KbSaved
from ivr.store.records import CallDetail, CallInputs, CallPage
from ivr.web.kb import PAGE_DEFAULT, PAGE_LIMIT, KbRollback
from ivr.web.problem import CONTENT_TYPE as PROBLEM
from ivr.web.problem import Problem
from ivr.web.query import CURSOR_MAX, LIMIT_DEFAULT, LIMIT_MAX, TEXT_MAX
from ivr.web.review import PLAN
from ivr.web.status import Health, PlanDetail, PlanList, Reloaded

API_VERSION = "1"
_JSON = "application/json"


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `/readyz` while calls are taken."""

    ready: bool


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _body(text: str, media: str, schema: dict[str, Any], headers: dict[str, Any] | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": text, "content": {media: {"schema": schema}}}
    return answer | {"headers": headers} if headers else answer


def _header(text: str, **schema: Any) -> dict[str, Any]:
    return {"description": text, "schema": {"type": "string", **schema}}


_RETRY = {"Retry-After": _header("Seconds to wait", type="integer")}
_PROBLEMS = {
    "400": ("A parameter is wrong; `errors` names it", None),
    "401": ("No token, or a wrong one; `detail` says how to set one", {"WWW-Authenticate": _header("The challenge")}),
    "404": ("There is no such thing", None),
    "409": ("It has changed since, or is there already", None),
    "405": ("Another method than this path has", {"Allow": _header("What is allowed")}),
    "408": ("A body that came too slowly", None),
    "413": ("A body over 64 KiB", None),
    "416": ("A range outside the recording", {"Content-Range": _header("`bytes */size`")}),
    "503": ("Not now", _RETRY),
}


def _problems(*codes: str) -> dict[str, Any]:
    return {c: _body(_PROBLEMS[c][0], PROBLEM, _ref("Problem"), _PROBLEMS[c][1]) for c in (*codes, "405", "408", "413")}


def _get(summary: str, answers: dict[str, Any], tag: str, parameters: tuple = (), protected: bool = True) -> dict:
    operation: dict[str, Any] = {"summary": summary, "tags": [tag], "responses": answers}
    if parameters:
        operation["parameters"] = list(parameters)
    if not protected:
        operation["security"] = []
    head = {c: {k: v for k, v in a.items() if k != "content"} for c, a in answers.items()}
    return {"get": operation, "head": operation | {"summary": f"{summary}: headers only", "responses": head}}


def _post(summary: str, answers: dict[str, Any], tag: str, parameters: tuple = (), body: str = "") -> dict:
    return {"post": _operation(summary, answers, tag, parameters, body)}


def _operation(summary: str, answers: dict[str, Any], tag: str, parameters: tuple = (), body: str = "") -> dict:
    """One that is no GET; `body` names the schema of what is sent."""
    operation: dict[str, Any] = {"summary": summary, "tags": [tag], "responses": answers}
    if parameters:
        operation["parameters"] = list(parameters)
    if body:
        operation["requestBody"] = {"required": True, "content": {_JSON: {"schema": _ref(body)}}}
    return operation


def _query(name: str, text: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": text, "schema": schema}


_CALL_ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "The id of a call",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._~-]{1,64}$"},
}
_MESSAGE = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "as the turn of its record step has it",
    "schema": {"type": "string", "pattern": "^[0-9a-f]{32}\\.wav$"},
}
_PLAN_NAME = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "The name of a dialplan",
    "schema": {"type": "string"},
}
_ENTRY_ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "The id of an entry",
    "schema": {"type": "string", "pattern": f"^{ID.pattern}$"},
}
_ENTRIES_QUERY = (
    _query("cursor", "`next` of the page before", type="string", minLength=1, maxLength=128),
    _query("limit", "Entries on a page", type="integer", minimum=1, maximum=PAGE_LIMIT, default=PAGE_DEFAULT),
    _query("language", "Only entries of this language", type="string", enum=list(LANGUAGES)),
)
_TEXT = {"type": "string", "minLength": 1, "maxLength": TEXT_MAX}
_CALLS_QUERY = (
    _query("cursor", "`next` of the page before", type="string", minLength=1, maxLength=CURSOR_MAX),
    _query("limit", "Calls on a page", type="integer", minimum=1, maximum=LIMIT_MAX, default=LIMIT_DEFAULT),
    _query("since", "Started at this time or later", type="string", format="date-time"),
    _query("until", "Started before this time", type="string", format="date-time"),
    _query("number", "The number dialled", **_TEXT),
    _query("caller", "The number that dialled", **_TEXT),
    _query("cause", "Why the call ended", type="string", enum=list(get_args(Cause))),
    _query("language", "Language at the beginning of the call", **_TEXT),
    _query("plan", "The dialplan", **_TEXT),
)
_RANGED = {"Accept-Ranges": _header("`bytes`"), "Content-Length": _header("Size in bytes", type="integer")}
_WAV = {"type": "string", "contentMediaType": "audio/wav"}


def _server_paths() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "/": _get("A page for people", {"200": _body("The page", "text/html", text), **_problems("401")}, "server"),
        "/healthz": _get(
            "Liveness, with details",
            {"200": _body("The process is alive; `health` says how well", _JSON, _ref("Health")), **_problems()},
            "server",
            protected=False,
        ),
        "/readyz": _get(
            "Whether calls are taken",
            {"200": _body("They are", _JSON, _ref("Ready")), **_problems("503")},
            "server",
            protected=False,
        ),
        "/metrics": _get(
            "Prometheus metrics",
            {"200": _body("Text format 0.0.4", "text/plain", text), **_problems("401")},
            "server",
        ),
        "/openapi.json": _get(
            "This document",
            {"200": _body("OpenAPI 3.1", _JSON, {"type": "object"}), **_problems("401")},
            "server",
        ),
    }


def _call_paths() -> dict[str, Any]:
    recording = {
        "200": _body("A stereo WAV, 8 kHz: left the caller, right the server", "audio/wav", _WAV, _RANGED),
        "206": _body("The range asked for", "audio/wav", _WAV, _RANGED),
        **_problems("401", "404", "416", "503"),
    }
    message = {**recording, "200": _body("A WAV, 16 kHz mono", "audio/wav", _WAV, _RANGED)}
    return {
        "/v1/calls": _get(
            "Calls, newest first",
            {"200": _body("A page", _JSON, _ref("CallPage")), **_problems("400", "401", "503")},
            "calls",
            _CALLS_QUERY,
        ),
        "/v1/calls/{id}": _get(
            "A call with its legs and turns",
            {"200": _body("The call", _JSON, _ref("CallDetail")), **_problems("401", "404", "503")},
            "calls",
            (_CALL_ID,),
        ),
        "/v1/calls/{id}/inputs": _get(
            "What was given to a call's dialog, in order; it replays",
            {"200": _body("The inputs", _JSON, _ref("CallInputs")), **_problems("401", "404", "503")},
            "calls",
            (_CALL_ID,),
        ),
        "/v1/calls/{id}/recording": _get("The recording of a call", recording, "calls", (_CALL_ID,)),
        "/v1/messages/{name}": _get("A message that a caller left", message, "calls", (_MESSAGE,)),
    }


def _plan_paths() -> dict[str, Any]:
    return {
        "/v1/plans": _get(
            "Dialplans in force",
            {
                "200": _body("The plans and the faults of their files", _JSON, _ref("PlanList")),
                **_problems("401", "503"),
            },
            "plans",
        ),
        "/v1/plans/{name}": _get(
            "A dialplan in force, with the calls running on it",
            {"200": _body("The plan", _JSON, _ref("PlanDetail")), **_problems("401", "404", "503")},
            "plans",
            (_PLAN_NAME,),
        ),
        "/v1/plans/reload": _post(
            "Load the dialplans now; one with faults leaves the version before it in force",
            {"200": _body("What is new, and every fault", _JSON, _ref("Reloaded")), **_problems("401")},
            "plans",
        ),
    }


def _kb_paths() -> dict[str, Any]:
    saved = {"200": _body("What became of it; searches see it", _JSON, _ref("KbSaved"))}
    broken = _problems("400", "401", "404", "409", "503")
    missing = _problems("401", "404", "503")
    one = (_ENTRY_ID,)
    return {
        "/v1/kb/search": _post(
            "The entries that answer a question, best first, with their scores",
            {"200": _body("What was found", _JSON, _ref("KbFound")), **_problems("400", "401", "503")},
            "kb",
            body="KbQuery",
        ),
        "/v1/kb/entries": _get(
            "Entries by id",
            {"200": _body("A page", _JSON, _ref("KbPage")), **_problems("400", "401", "503")},
            "kb",
            _ENTRIES_QUERY,
        )
        | _post(
            "A new entry",
            {"201": saved["200"], **_problems("400", "401", "409", "503")},
            "kb",
            body="KbEntry",
        ),
        "/v1/kb/entries/{id}": _get(
            "An entry", {"200": _body("The entry", _JSON, _ref("KbEntry")), **missing}, "kb", one
        )
        | {
            "put": _operation(
                "Make or change an entry; with `version` only if that is the newest",
                saved | broken,
                "kb",
                one,
                "KbEntry",
            ),
            "delete": _operation("Take an entry out; its versions stay", saved | missing, "kb", one),
        },
        "/v1/kb/entries/{id}/versions": _get(
            "Every version of an entry, the newest first",
            {"200": _body("The versions", _JSON, _ref("KbVersions")), **missing},
            "kb",
            one,
        ),
        "/v1/kb/entries/{id}/rollback": _post(
            "Put an earlier version back, as a new one", saved | broken, "kb", one, "KbRollback"
        ),
    }


def _review_paths() -> dict[str, Any]:
    plan = _query("plan", "The name of a dialplan", type="string", pattern=f"^{PLAN}$") | {"required": True}
    language = _query("language", "Of the utterances", type="string", enum=list(LANGUAGES), default="en")
    return {
        "/v1/intents/review": _get(
            "What callers said that nobody understood, in groups, those that cost most callers first",
            {"200": _body("The groups", _JSON, _ref("Groups")), **_problems("400", "401", "503")},
            "intents",
            (plan, language),
        )
        | _post(
            "What a decision on a group does to sentences that were left out; with `live` it is in force",
            {"200": _body("What it does, or did", _JSON, _ref("Outcome")), **_problems("400", "401", "503")},
            "intents",
            body="Decision",
        ),
    }


def document() -> dict[str, Any]:
    """The whole document, ready for JSON."""
    types = [CallPage, CallDetail, CallInputs, PlanList, PlanDetail, Reloaded, Health, Ready, Problem]
    types += [Groups, Decision, Outcome]
    types += [KbQuery, KbFound, KbEntry, KbPage, KbVersions, KbSaved, KbRollback]
    _, schemas = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ivr",
            "version": API_VERSION,
            "description": "Records of calls, health and metrics of a telephone server. Times are UTC, ISO-8601; "
            "durations are whole milliseconds. Errors are `application/problem+json` (RFC 9457).",
        },
        "security": [{"bearer": []}],
        "tags": [
            {"name": "server", "description": "The server itself"},
            {"name": "calls", "description": "Records of calls"},
            {"name": "plans", "description": "Dialplans in force"},
            {"name": "kb", "description": "The knowledge base: questions and their answers"},
            {"name": "intents", "description": "What callers mean: the trainer's loop"},
        ],
        "paths": _server_paths() | _call_paths() | _plan_paths() | _kb_paths() | _review_paths(),
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The value of the environment variable that `http.token_env` names.",
                }
            },
        },
    }
