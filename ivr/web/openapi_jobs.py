"""The part of the OpenAPI document about outbound calls. Pure."""

from __future__ import annotations

from typing import Any, get_args

from ivr.outbound.job import (
    Decision,
    Disposition,
    Events,
    EvidenceRecord,
    Job,
    JobPage,
    Pause,
    State,
    Suppression,
    SuppressionPage,
    Webhook,
)
from ivr.outbound.live import PolicyStates
from ivr.outbound.orders import NewPlanJob, NewVerification
from ivr.web import openapi_parts as parts
from ivr.web.jobs import ENTRY_ID, JOB_ID, BulkLine, Done, NewSuppression, PauseOrder, PublicKey
from ivr.web.openapi_parts import JSON
from ivr.web.query import CURSOR_MAX, LIMIT_DEFAULT, LIMIT_MAX, TEXT_MAX

TYPES = (
    Job, JobPage, Decision, Events, Webhook, EvidenceRecord, PolicyStates, Pause, Suppression, SuppressionPage,
    NewVerification, NewPlanJob, BulkLine, PauseOrder, NewSuppression, Done, PublicKey,
)  # fmt: skip
_NDJSON = "application/x-ndjson"
_SEEN = ("401", "403", "404", "429", "503")
_ASKED = ("400", "401", "403", "429", "503")
_ID = {
    "name": "id", "in": "path", "required": True, "description": "The id of a job",
    "schema": {"type": "string", "pattern": f"^{JOB_ID.pattern}$"},
}  # fmt: skip
_ENTRY = _ID | {"description": "The id of an entry", "schema": {"type": "string", "pattern": f"^{ENTRY_ID.pattern}$"}}
_KEY = {
    "name": "Idempotency-Key", "in": "header", "description": "Instead of `idempotency_key` in the body",
    "schema": {"type": "string", "maxLength": 128},
}  # fmt: skip
_TEXT = {"type": "string", "minLength": 1, "maxLength": TEXT_MAX}
_PAGE = (
    parts.query("cursor", "`next` of the page before", type="string", minLength=1, maxLength=CURSOR_MAX),
    parts.query("limit", "On a page", type="integer", minimum=1, maximum=LIMIT_MAX, default=LIMIT_DEFAULT),
)
_FILTERS = (
    *_PAGE,
    parts.query("since", "Created at this time or later", type="string", format="date-time"),
    parts.query("until", "Created before this time", type="string", format="date-time"),
    parts.query("state", "The state", type="string", enum=list(get_args(State))),
    parts.query("disposition", "How it ended", type="string", enum=list(get_args(Disposition))),
    *(parts.query(n, "Exactly this", **_TEXT) for n in ("policy", "phone", "contact", "idempotency_key")),
)

_TRANSACTION = {"amount": "129.90", "currency": "CNY", "merchant": "京东", "at": "2026-11-23T09:30:00+08:00",
                "card_last4": "4242"}  # fmt: skip
_EXAMPLES = {
    "NewVerification": {
        "zh": {"idempotency_key": "tx-20261123-0017", "phone": "+8613812345678", "language": "zh", "policy": "fraud",
               "transaction": _TRANSACTION, "proof": {"birth_date": "1987-04-29"}, "name": "王小明", "phrase": "海棠"},
        "en": {"idempotency_key": "tx-20261123-0018", "phone": "+442071838750", "language": "en", "policy": "fraud",
               "transaction": _TRANSACTION | {"currency": "GBP", "merchant": "Harbour Books"},
               "proof": {"id_last4": "731X"}, "priority": 9, "metadata": {"case": "A-7"}},
    },
    "NewPlanJob": {
        "zh": {"idempotency_key": "s-1", "phone": "+8613812345679", "language": "zh", "policy": "fraud",
               "plan": "survey", "variables": {"branch": "朝阳"}},
        "en": {"idempotency_key": "s-2", "phone": "+442071838751", "language": "en", "policy": "fraud",
               "plan": "survey", "variables": {"branch": "Leeds"}},
    },
}  # fmt: skip


def _answer(text: str, name: str) -> dict[str, Any]:
    return parts.body(text, JSON, parts.ref(name))


def _of_kind(base: str, order: str, one: str) -> dict[str, Any]:
    """The paths of one kind of job; `order` names the schema of what is posted."""
    get, post, problems = parts.get, parts.post, parts.problems
    ids = (_ID,)
    webhooks = parts.body("In order", JSON, {"type": "array", "items": parts.ref("Webhook")})
    job, page = _answer("The job", "Job"), _answer("A page", "JobPage")
    bulk = post(f"Order many: one {one} a line", {
        "200": parts.body("One result a line, in order", _NDJSON, parts.ref("BulkLine")), **problems(*_ASKED),
    }, "jobs")  # fmt: skip
    bulk["post"]["requestBody"] = {"required": True, "content": {_NDJSON: {"schema": parts.ref(order)}}}
    changed = {"202": _answer("The job as it is now", "Job"), **problems(*_SEEN, "409")}
    create = post(f"Order a {one}", {"202": job, **problems(*_ASKED, "409")}, "jobs", (_KEY,), order)
    examples = {language: {"value": body} for language, body in _EXAMPLES[order].items()}
    create["post"]["requestBody"]["content"][JSON]["examples"] = examples
    return {
        base: get("Jobs, the newest first", {"200": page, **problems(*_ASKED)}, "jobs", _FILTERS) | create,
        f"{base}/bulk": bulk,
        f"{base}/{{id}}": get("A job", {"200": job, **problems(*_SEEN)}, "jobs", ids),
        f"{base}/{{id}}/why": get(
            "Which rules hold it, and when it may ring", {"200": _answer("What the rules say", "Decision"),
            **problems(*_SEEN)}, "jobs", ids,
        ),
        f"{base}/{{id}}/events": get(
            "Everything that happened to it", {"200": _answer("In order", "Events"), **problems(*_SEEN)}, "jobs", ids
        ),
        f"{base}/{{id}}/webhooks": get("What was told of it", {"200": webhooks, **problems(*_SEEN)}, "jobs", ids),
        f"{base}/{{id}}/evidence": get(
            "What is testified of its outcome", {"200": _answer("The record", "EvidenceRecord"), **problems(*_SEEN)},
            "jobs", ids,
        ),
        f"{base}/{{id}}/cancel": post("Cancel it, also during its call", changed, "jobs", ids),
        f"{base}/{{id}}/retry": post("Skip its ladder; every other rule holds", changed, "jobs", ids),
        f"{base}/{{id}}/redeliver": post(
            "Send its latest webhook once more", {"202": _answer("How many", "Done"), **problems(*_SEEN, "409")},
            "jobs", ids,
        ),
    }  # fmt: skip


def paths() -> dict[str, Any]:
    """Everything about outbound calls."""
    get, post, problems = parts.get, parts.post, parts.problems
    done = _answer("How many changed", "Done")
    entries = get(
        "The do-not-call list", {"200": _answer("A page", "SuppressionPage"), **problems(*_ASKED)}, "jobs",
        (*_PAGE, parts.query("phone", "Only of this number", **_TEXT)),
    )  # fmt: skip
    entry = post("Do not call a number", {"201": _answer("The entry", "Suppression"), **problems(*_ASKED)}, "jobs",
                 body="NewSuppression")  # fmt: skip
    return {
        **_of_kind("/v1/verifications", "NewVerification", "verification"),
        **_of_kind("/v1/jobs", "NewPlanJob", "call by a dialplan"),
        "/v1/jobs/policies": get(
            "Every policy and what holds its jobs", {"200": _answer("The policies", "PolicyStates"),
            **problems(*_ASKED)}, "jobs",
        ),
        "/v1/jobs/pause": post(
            "Pause a policy, or everything", {"200": _answer("The pause", "Pause"), **problems(*_ASKED)}, "jobs",
            body="PauseOrder",
        ),
        "/v1/jobs/resume": post(
            "Resume a policy, or everything", {"200": done, **problems(*_ASKED)}, "jobs", body="PauseOrder"
        ),
        "/v1/suppressions": entries | entry,
        "/v1/suppressions/{id}": {
            "delete": parts.operation("Take an entry off", {"200": done, **problems(*_SEEN)}, "jobs", (_ENTRY,))
        },
        "/v1/evidence/key": get(
            "The key that evidence is signed with", {"200": _answer("The key", "PublicKey"), **problems(*_ASKED)},
            "jobs",
        ),
    }  # fmt: skip
