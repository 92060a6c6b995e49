"""The routes of outbound calls: order them, see them, say why they wait, stop them.

`/v1/verifications` is `/v1/jobs` for one kind of job: the same handlers, which show and take that kind only. A client
with a key of its own sees its own jobs. Runs on the asyncio thread. Knows no rule and no SQL.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, get_args

import msgspec
from aiohttp import web
from multidict import MultiMapping

from ivr.errors import Rejected, Unavailable
from ivr.outbound.job import Created, Disposition, Job, Kind, NewJob, State, Suppression
from ivr.outbound.live import OutboundCalls
from ivr.outbound.orders import BadOrder, decoded
from ivr.outbound.zones import phone_fault
from ivr.store.job_pages import JobFilter
from ivr.store.jobs import Finished
from ivr.store.store import BadCursor
from ivr.web import query
from ivr.web.guard import BODY, CLIENT, Client
from ivr.web.problem import FieldError, Refusal

BULK_BYTES = 16 * 1024 * 1024
BULK_LINES = 10_000
LINE_BYTES = 16_384
BULK_WITHIN_S = 60
_AT_ONCE = 250
JOB_ID = re.compile("job_[0-9a-f]{32}")
ENTRY_ID = re.compile("dnc_[0-9a-f]{32}")
FILTERS = (
    "cursor", "limit", "since", "until", "state", "policy", "phone", "contact", "disposition", "idempotency_key"
)  # fmt: skip
KEY_PATHS = ("/v1/jobs", "/v1/verifications", "/v1/suppressions", "/v1/evidence", "/openapi.json")
"""What a key of `[[outbound.key]]` opens."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class BulkLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one line of a bulk create: `status` as if it had come alone."""

    line: int
    status: int
    id: str = ""
    replayed: bool = False
    detail: str = ""
    errors: tuple[FieldError, ...] = ()


class PauseOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pause or resume one policy; all outbound calls when `policy` is empty."""

    policy: Annotated[str, msgspec.Meta(max_length=32)] = ""
    reason: Annotated[str, msgspec.Meta(max_length=200)] = ""


class NewSuppression(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Do not call a number: for one policy, or for all when `policy` is empty; for ever without `expires_at`."""

    phone: Annotated[str, msgspec.Meta(max_length=32)]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    policy: Annotated[str, msgspec.Meta(max_length=32)] = ""
    expires_at: datetime | None = None


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """How many things a request changed."""

    changed: int


class PublicKey(msgspec.Struct, frozen=True, kw_only=True):
    """The Ed25519 key that evidence is signed with: 32 bytes in base64."""

    algorithm: str
    public_key: str


class JobsApi:
    """Handlers; `routes` says where they belong."""

    def __init__(self, outbound: OutboundCalls) -> None:
        self._outbound = outbound

    def routes(self) -> tuple[web.RouteDef, ...]:
        """Of all the handlers. Those that change something need another scope than those that read."""
        kinds: tuple[tuple[str, Kind | None], ...] = (("/v1/verifications", "verification"), ("/v1/jobs", None))
        routes = [
            web.get("/v1/jobs/policies", _scoped("jobs:read", self.policies)),
            web.post("/v1/jobs/pause", _scoped("jobs:operate", self.pause)),
            web.post("/v1/jobs/resume", _scoped("jobs:operate", self.resume)),
            web.get("/v1/suppressions", _scoped("jobs:operate", self.suppressions)),
            web.post("/v1/suppressions", _scoped("jobs:operate", self.suppress)),
            web.delete("/v1/suppressions/{id}", _scoped("jobs:operate", self.unsuppress)),
            web.get("/v1/evidence/key", _scoped("jobs:read", self.public_key)),
        ]
        for base, kind in kinds:
            of_kind, one = _OfKind(self._outbound, kind), f"{base}/{{id:job_[^/]+}}"
            routes += [
                web.post(base, _scoped("jobs:create", of_kind.create)),
                web.get(base, _scoped("jobs:read", of_kind.jobs)),
                web.post(f"{base}/bulk", _scoped("jobs:create", of_kind.bulk)),
                web.get(one, _scoped("jobs:read", of_kind.job)),
                web.get(f"{one}/why", _scoped("jobs:read", of_kind.why)),
                web.get(f"{one}/events", _scoped("jobs:read", of_kind.events)),
                web.get(f"{one}/webhooks", _scoped("jobs:read", of_kind.webhooks)),
                web.get(f"{one}/evidence", _scoped("jobs:read", of_kind.evidence)),
                web.post(f"{one}/cancel", _scoped("jobs:cancel", of_kind.cancel)),
                web.post(f"{one}/retry", _scoped("jobs:operate", of_kind.retry)),
                web.post(f"{one}/redeliver", _scoped("jobs:operate", of_kind.redeliver)),
            ]
        return tuple(routes)

    async def policies(self, _request: web.Request) -> web.Response:
        return _json(await self._outbound.policies())

    async def pause(self, request: web.Request) -> web.Response:
        order = self._pause_order(request)
        return _json(await self._outbound.jobs.pause(order.policy, request[CLIENT].name, order.reason))

    async def resume(self, request: web.Request) -> web.Response:
        order = self._pause_order(request)
        return _json(Done(changed=int(await self._outbound.jobs.resume(order.policy))))

    async def suppressions(self, request: web.Request) -> web.Response:
        query.known(request.query, ("cursor", "limit", "phone"))
        cursor = query.text(request.query, "cursor") or ""
        if cursor and not ENTRY_ID.fullmatch(cursor):
            raise Refusal(400, "not a cursor that a page gave out", field="cursor")
        limit, phone = query.limit_of(request.query), query.text(request.query, "phone")
        return _json(await self._outbound.pages.suppressions(cursor, limit, phone))

    async def suppress(self, request: web.Request) -> web.Response:
        order = _body(request[BODY], NewSuppression)
        if fault := phone_fault(order.phone):
            raise Refusal(400, fault, field="phone")
        self._check_policy(order.policy)
        expires_at = order.expires_at
        if expires_at is not None and (expires_at.tzinfo is None or expires_at <= datetime.now(UTC)):
            raise Refusal(400, "a time to come, with its zone, like 2027-01-31T00:00:00Z", field="expires_at")
        entry: Suppression = await self._outbound.jobs.suppress(order.phone, order.reason, order.policy, expires_at)
        return _json(entry, 201)

    async def unsuppress(self, request: web.Request) -> web.Response:
        entry_id = request.match_info["id"]
        if not ENTRY_ID.fullmatch(entry_id) or not await self._outbound.jobs.unsuppress(entry_id):
            raise Refusal(404, "no entry of the do-not-call list has this id")
        return _json(Done(changed=1))

    async def public_key(self, _request: web.Request) -> web.Response:
        return _json(PublicKey(algorithm="Ed25519", public_key=self._outbound.signer.public_key))

    def _pause_order(self, request: web.Request) -> PauseOrder:
        order = _body(request[BODY], PauseOrder)
        self._check_policy(order.policy)
        return order

    def _check_policy(self, name: str) -> None:
        if name and name not in self._outbound.rules.policies:
            raise Refusal(400, f"one of {', '.join(self._outbound.rules.policies)}", field="policy")


class _OfKind:
    """The handlers of one kind of job; `kind` None shows all kinds and creates jobs that run a dialplan."""

    def __init__(self, outbound: OutboundCalls, kind: Kind | None) -> None:
        self._outbound = outbound
        self._kind = kind

    async def create(self, request: web.Request) -> web.Response:
        new = self._order(request[BODY], request[CLIENT], request.headers.get("Idempotency-Key", ""))
        created = (await self._outbound.jobs.create([new]))[0]
        if isinstance(created, Rejected):
            raise created
        if created.what == "conflict":
            raise Refusal(409, f"job {created.job.id} has this key, by another request", field="idempotency_key")
        headers = {"Location": f"{request.path}/{created.job.id}"}
        if created.what == "replayed":
            headers["Idempotent-Replayed"] = "true"
        return _json(created.job, 202, headers)

    async def bulk(self, request: web.Request) -> web.StreamResponse:
        """One order a line (NDJSON); one result a line, in order, as soon as a stretch of them is written."""
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        waiting: list[tuple[int, bytes]] = []
        try:
            async with asyncio.timeout(BULK_WITHIN_S):
                async for number, line in _lines(request):
                    waiting.append((number, line))
                    if len(waiting) == _AT_ONCE:
                        await self._answer(request, response, waiting)
                await self._answer(request, response, waiting)
        except TimeoutError:
            raise Refusal(408, "the body came too slowly", headers={"Connection": "close"}) from None
        except Refusal as refusal:
            if not response.prepared:
                raise
            await self._answer(request, response, waiting)
            await response.write(_line(BulkLine(line=0, status=refusal.status, detail=refusal.detail)))
        if not response.prepared:
            raise Refusal(400, "no order in it: one JSON object a line")
        await response.write_eof()
        return response

    async def _answer(
        self, request: web.Request, response: web.StreamResponse, waiting: list[tuple[int, bytes]]
    ) -> None:
        if not waiting:
            return
        results: dict[int, BulkLine] = {}
        orders: list[tuple[int, NewJob]] = []
        for number, line in waiting:
            await asyncio.sleep(0)  # checking takes a good part of a millisecond, and callers are being answered here
            try:
                orders.append((number, self._order(line, request[CLIENT])))
            except Refusal as refusal:
                detail, errors = refusal.detail, refusal.errors
                results[number] = BulkLine(line=number, status=refusal.status, detail=detail, errors=errors)
        try:
            created = await self._outbound.jobs.create([new for _, new in orders])
            results |= {number: _line_of(number, each) for (number, _), each in zip(orders, created, strict=True)}
        except Unavailable as error:
            if not response.prepared:
                raise
            results |= {number: BulkLine(line=number, status=503, detail=str(error)) for number, _ in orders}
        if not response.prepared:
            await response.prepare(request)
        await response.write(b"".join(_line(results[number]) for number, _ in waiting))
        waiting.clear()

    async def jobs(self, request: web.Request) -> web.Response:
        cursor, limit, filters = _filters(request.query)
        owner = None if request[CLIENT].sees_all else request[CLIENT].name
        filters = msgspec.structs.replace(filters, kind=self._kind, client=owner)
        try:
            return _json(await self._outbound.pages.page(cursor, limit, filters))
        except BadCursor as error:
            raise Refusal(400, str(error), field="cursor") from None

    async def job(self, request: web.Request) -> web.Response:
        return _json(await self._find(request))

    async def why(self, request: web.Request) -> web.Response:
        return _json(await self._outbound.why((await self._find(request)).id))

    async def events(self, request: web.Request) -> web.Response:
        return _json(await self._outbound.pages.events((await self._find(request)).id))

    async def webhooks(self, request: web.Request) -> web.Response:
        return _json(await self._outbound.pages.webhooks((await self._find(request)).id))

    async def evidence(self, request: web.Request) -> web.Response:
        record = await self._outbound.pages.evidence((await self._find(request)).id)
        if record is None:
            raise Refusal(404, "the job has no outcome yet, so nothing is testified")
        return _json(record)

    async def cancel(self, request: web.Request) -> web.Response:
        return await self._changed(request, self._outbound.cancel)

    async def retry(self, request: web.Request) -> web.Response:
        return await self._changed(request, self._outbound.jobs.retry)

    async def redeliver(self, request: web.Request) -> web.Response:
        job = await self._find(request)
        sent = await self._outbound.outbox.redeliver(job.id, self._outbound.jobs.now())
        if not sent:
            raise Refusal(409, "the job had nothing to tell yet, or has no callback_url")
        self._outbound.delivery.wake()
        return _json(Done(changed=sent), 202)

    async def _changed(self, request: web.Request, change: Callable[[str, str], Awaitable[Job | None]]) -> web.Response:
        """A job after something was asked of it."""
        job = await self._find(request)
        try:
            changed = await change(job.id, request[CLIENT].name)
        except Finished as error:
            raise Refusal(409, str(error)) from None
        return _json(changed, 202)

    def _order(self, body: bytes, client: Client, key: str = "") -> NewJob:
        try:
            return self._outbound.order(self._kind or "plan", body, client.name, key)
        except BadOrder as error:
            raise Refusal(400, str(error), field=error.field) from None

    async def _find(self, request: web.Request) -> Job:
        """The job of the path, if it is of this kind and the client's to see."""
        job_id = request.match_info["id"]
        job = await self._outbound.pages.job(job_id) if JOB_ID.fullmatch(job_id) else None
        client = request[CLIENT]
        if job is None or self._kind not in (None, job.kind) or not (client.sees_all or client.name == job.client):
            raise Refusal(404, "no job has this id")
        return job


def _scoped(scope: str, handler: Handler) -> Handler:
    async def checked(request: web.Request) -> web.StreamResponse:
        request[CLIENT].check(scope)
        return await handler(request)

    return checked


def _body(body: bytes, kind: type[msgspec.Struct]) -> Any:
    try:
        return decoded(body, kind)
    except BadOrder as error:
        raise Refusal(400, str(error), field=error.field) from None


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    encoded = msgspec.json.encode(body)
    return web.Response(body=encoded, content_type="application/json", status=status, headers=headers)


def _line_of(number: int, created: Created | Rejected) -> BulkLine:
    """What became of a line that was in order."""
    if isinstance(created, Rejected):
        return BulkLine(line=number, status=400, detail=str(created))
    if created.what == "conflict":
        says = f"job {created.job.id} has this key, by another request"
        errors = (FieldError(field="idempotency_key", detail=says),)
        return BulkLine(line=number, status=409, detail=says, errors=errors)
    return BulkLine(line=number, status=202, id=created.job.id, replayed=created.what == "replayed")


def _line(result: BulkLine) -> bytes:
    return msgspec.json.encode(result) + b"\n"


async def _lines(request: web.Request):
    """(number from 1, line) of a body that is read as it comes; empty lines are passed over. Raises Refusal."""
    left, number, size = b"", 0, 0
    async for piece in request.content.iter_any():
        size += len(piece)
        if size > BULK_BYTES:
            raise Refusal(413, f"at most {BULK_BYTES} bytes", headers={"Connection": "close"})
        *lines, left = (left + piece).split(b"\n")
        for line in (*lines, *((left,) if len(left) > LINE_BYTES else ())):
            number += 1
            _check_line(number, line)
            if line.strip():
                yield number, line
    if left.strip():
        _check_line(number + 1, left)
        yield number + 1, left


def _check_line(number: int, line: bytes) -> None:
    close = {"Connection": "close"}
    if number > BULK_LINES:
        raise Refusal(413, f"more than {BULK_LINES} lines; send the rest in another request", headers=close)
    if len(line) > LINE_BYTES:
        raise Refusal(413, f"line {number} is longer than {LINE_BYTES} bytes", headers=close)


def _filters(given: MultiMapping[str]) -> tuple[str, int, JobFilter]:
    """(cursor, limit, filters). Raises Refusal."""
    query.known(given, FILTERS)
    for name, words in (("state", get_args(State)), ("disposition", get_args(Disposition))):
        if (value := query.text(given, name)) is not None and value not in words:
            raise Refusal(400, f"one of {', '.join(words)}", field=name)
    texts = {n: query.text(given, n) for n in ("state", "policy", "phone", "contact", "disposition", "idempotency_key")}
    filters = JobFilter(**texts, since=query.time_of(given, "since"), until=query.time_of(given, "until"))
    if filters.since and filters.until and filters.until <= filters.since:
        raise Refusal(400, "not after `since`", field="until")
    return query.text(given, "cursor", query.CURSOR_MAX) or "", query.limit_of(given), filters
