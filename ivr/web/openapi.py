"""The OpenAPI 3.1 document: paths by hand, schemas from the record types. Pure."""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from ivr.intents.trainer import Groups, Outcome, ReviewDecision
from ivr.kb.entry import ID, LANGUAGES, KbEntry, KbFound, KbPage, KbQuery, KbVersions
from ivr.line.messages import Cause
from ivr.store.kb import KbSaved
from ivr.store.records import CallDetail, CallInputs, CallPage
from ivr.web import openapi_jobs
from ivr.web import openapi_parts as parts
from ivr.web.kb import KbRollback
from ivr.web.openapi_parts import JSON
from ivr.web.problem import Problem
from ivr.web.query import CURSOR_MAX, LIMIT_DEFAULT, LIMIT_MAX, TEXT_MAX
from ivr.web.review import PLAN
from ivr.web.status import Health, PlanDetail, PlanList, Reloaded

API_VERSION = "1"


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `/readyz` while calls are taken."""

    ready: bool


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
    parts.query("cursor", "`next` of the page before", type="string", minLength=1, maxLength=128),
    parts.query("limit", "Entries on a page", type="integer", minimum=1, maximum=LIMIT_MAX, default=LIMIT_DEFAULT),
    parts.query("language", "Only entries of this language", type="string", enum=list(LANGUAGES)),
)
_TEXT = {"type": "string", "minLength": 1, "maxLength": TEXT_MAX}
_CALLS_QUERY = (
    parts.query("cursor", "`next` of the page before", type="string", minLength=1, maxLength=CURSOR_MAX),
    parts.query("limit", "Calls on a page", type="integer", minimum=1, maximum=LIMIT_MAX, default=LIMIT_DEFAULT),
    parts.query("since", "Started at this time or later", type="string", format="date-time"),
    parts.query("until", "Started before this time", type="string", format="date-time"),
    parts.query("number", "The number dialled", **_TEXT),
    parts.query("caller", "The number that dialled", **_TEXT),
    parts.query("cause", "Why the call ended", type="string", enum=list(get_args(Cause))),
    parts.query("language", "Language at the beginning of the call", **_TEXT),
    parts.query("plan", "The dialplan", **_TEXT),
)
_RANGED = {"Accept-Ranges": parts.header("`bytes`"), "Content-Length": parts.header("Size in bytes", type="integer")}
_WAV = {"type": "string", "contentMediaType": "audio/wav"}


def _server_paths() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "/": parts.get(
            "A page for people", {"200": parts.body("The page", "text/html", text), **parts.problems("401")}, "server"
        ),
        "/healthz": parts.get(
            "Liveness, with details",
            {
                "200": parts.body("The process is alive; `health` says how well", JSON, parts.ref("Health")),
                **parts.problems(),
            },
            "server",
            protected=False,
        ),
        "/readyz": parts.get(
            "Whether calls are taken",
            {"200": parts.body("They are", JSON, parts.ref("Ready")), **parts.problems("503")},
            "server",
            protected=False,
        ),
        "/metrics": parts.get(
            "Prometheus metrics",
            {"200": parts.body("Text format 0.0.4", "text/plain", text), **parts.problems("401")},
            "server",
        ),
        "/openapi.json": parts.get(
            "This document",
            {"200": parts.body("OpenAPI 3.1", JSON, {"type": "object"}), **parts.problems("401")},
            "server",
        ),
    }


def _call_paths() -> dict[str, Any]:
    recording = {
        "200": parts.body("A stereo WAV, 8 kHz: left the caller, right the server", "audio/wav", _WAV, _RANGED),
        "206": parts.body("The range asked for", "audio/wav", _WAV, _RANGED),
        **parts.problems("401", "404", "416", "503"),
    }
    message = {**recording, "200": parts.body("A WAV, 16 kHz mono", "audio/wav", _WAV, _RANGED)}
    return {
        "/v1/calls": parts.get(
            "Calls, newest first",
            {"200": parts.body("A page", JSON, parts.ref("CallPage")), **parts.problems("400", "401", "503")},
            "calls",
            _CALLS_QUERY,
        ),
        "/v1/calls/{id}": parts.get(
            "A call with its legs and turns",
            {"200": parts.body("The call", JSON, parts.ref("CallDetail")), **parts.problems("401", "404", "503")},
            "calls",
            (_CALL_ID,),
        ),
        "/v1/calls/{id}/inputs": parts.get(
            "What was given to a call's dialog, in order; it replays",
            {"200": parts.body("The inputs", JSON, parts.ref("CallInputs")), **parts.problems("401", "404", "503")},
            "calls",
            (_CALL_ID,),
        ),
        "/v1/calls/{id}/recording": parts.get("The recording of a call", recording, "calls", (_CALL_ID,)),
        "/v1/messages/{name}": parts.get("A message that a caller left", message, "calls", (_MESSAGE,)),
    }


def _plan_paths() -> dict[str, Any]:
    return {
        "/v1/plans": parts.get(
            "Dialplans in force",
            {
                "200": parts.body("The plans and the faults of their files", JSON, parts.ref("PlanList")),
                **parts.problems("401", "503"),
            },
            "plans",
        ),
        "/v1/plans/{name}": parts.get(
            "A dialplan in force, with the calls running on it",
            {"200": parts.body("The plan", JSON, parts.ref("PlanDetail")), **parts.problems("401", "404", "503")},
            "plans",
            (_PLAN_NAME,),
        ),
        "/v1/plans/reload": parts.post(
            "Load the dialplans now; one with faults leaves the version before it in force",
            {"200": parts.body("What is new, and every fault", JSON, parts.ref("Reloaded")), **parts.problems("401")},
            "plans",
        ),
    }


def _kb_paths() -> dict[str, Any]:
    saved = {"200": parts.body("What became of it; searches see it", JSON, parts.ref("KbSaved"))}
    broken = parts.problems("400", "401", "404", "409", "503")
    missing = parts.problems("401", "404", "503")
    one = (_ENTRY_ID,)
    return {
        "/v1/kb/search": parts.post(
            "The entries that answer a question, best first, with their scores",
            {"200": parts.body("What was found", JSON, parts.ref("KbFound")), **parts.problems("400", "401", "503")},
            "kb",
            body="KbQuery",
        ),
        "/v1/kb/entries": parts.get(
            "Entries by id",
            {"200": parts.body("A page", JSON, parts.ref("KbPage")), **parts.problems("400", "401", "503")},
            "kb",
            _ENTRIES_QUERY,
        )
        | parts.post(
            "A new entry",
            {"201": saved["200"], **parts.problems("400", "401", "409", "503")},
            "kb",
            body="KbEntry",
        ),
        "/v1/kb/entries/{id}": parts.get(
            "An entry", {"200": parts.body("The entry", JSON, parts.ref("KbEntry")), **missing}, "kb", one
        )
        | {
            "put": parts.operation(
                "Make or change an entry; with `version` only if that is the newest",
                saved | broken,
                "kb",
                one,
                "KbEntry",
            ),
            "delete": parts.operation("Take an entry out; its versions stay", saved | missing, "kb", one),
        },
        "/v1/kb/entries/{id}/versions": parts.get(
            "Every version of an entry, the newest first",
            {"200": parts.body("The versions", JSON, parts.ref("KbVersions")), **missing},
            "kb",
            one,
        ),
        "/v1/kb/entries/{id}/rollback": parts.post(
            "Put an earlier version back, as a new one", saved | broken, "kb", one, "KbRollback"
        ),
    }


def _review_paths() -> dict[str, Any]:
    plan = parts.query("plan", "The name of a dialplan", type="string", pattern=f"^{PLAN}$") | {"required": True}
    language = parts.query("language", "Of the utterances", type="string", enum=list(LANGUAGES), default="en")
    return {
        "/v1/intents/review": parts.get(
            "What callers said that nobody understood, in groups, those that cost most callers first",
            {"200": parts.body("The groups", JSON, parts.ref("Groups")), **parts.problems("400", "401", "503")},
            "intents",
            (plan, language),
        )
        | parts.post(
            "What a decision on a group does to sentences that were left out; with `live` it is in force",
            {
                "200": parts.body("What it does, or did", JSON, parts.ref("Outcome")),
                **parts.problems("400", "401", "503"),
            },
            "intents",
            body="ReviewDecision",
        ),
    }


def document(outbound: bool = True) -> dict[str, Any]:
    """The whole document, ready for JSON; `outbound`: with the routes of outbound calls."""
    types = [CallPage, CallDetail, CallInputs, PlanList, PlanDetail, Reloaded, Health, Ready, Problem]
    types += [Groups, ReviewDecision, Outcome]
    types += [KbQuery, KbFound, KbEntry, KbPage, KbVersions, KbSaved, KbRollback]
    types += openapi_jobs.TYPES if outbound else ()
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
            *([{"name": "jobs", "description": "Outbound calls"}] if outbound else []),
        ],
        "paths": _server_paths()
        | _call_paths()
        | _plan_paths()
        | _kb_paths()
        | _review_paths()
        | (openapi_jobs.paths() if outbound else {}),
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
