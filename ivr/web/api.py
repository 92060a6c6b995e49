"""The routes. Reads the store and a status function; changes the dialplans, by loading them anew, and through `web.kb`
the entries of the knowledge base.

Runs on the asyncio thread. Every route but `/healthz` and `/readyz` needs the bearer token; every error is a
`problem+json`; HEAD works wherever GET does.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from ivr import metrics
from ivr.outbound.live import OutboundCalls
from ivr.store.store import BadCursor, Store, recording_path
from ivr.web import openapi, query
from ivr.web.guard import BODY_LIMIT_BYTES, Guard, body_limit
from ivr.web.jobs import KEY_PATHS, JobsApi
from ivr.web.kb import KbApi, Searching
from ivr.web.page import PAGE, PAGE_POLICY
from ivr.web.problem import RETRY_AFTER_S, Refusal, middleware
from ivr.web.review import ReviewApi, Reviewing
from ivr.web.status import PlanDetail, PlanList, Reloaded, Status, health

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
_CALL_ID = re.compile(r"[A-Za-z0-9._~-]{1,64}")
_MESSAGE = re.compile(r"[0-9a-f]{32}\.wav")


def create_app(
    store: Store,
    status: Callable[[], Status],
    reload: Callable[[], Awaitable[Reloaded]],
    token: str,
    recordings_dir: Path | None = None,
    messages_dir: Path | None = None,
    knowledge: Searching | None = None,
    reviewing: Reviewing | None = None,
    token_env: str = "IVR_TOKEN",  # noqa: S107 - the name of a variable, not a token
    outbound: OutboundCalls | None = None,
) -> web.Application:
    """The application; `ivr.web.server.start` runs it.

    Args:
        store: open by the time of the first request.
        status: called for every health request; must be quick and not raise.
        reload: loads the dialplans now; called by one request at a time.
        token: what clients send; empty shuts all but the health routes.
        recordings_dir: where recordings lie, None when calls are not recorded.
        messages_dir: where the messages lie that callers left.
        knowledge: searches the knowledge base; None where there is none.
        reviewing: carries the trainer's loop out; None where there is none.
        token_env: name of the environment variable of the token, for the text of a 401.
        outbound: orders and shows outbound calls; None where none are configured, and then it has no routes.
    """
    guard = Guard(token, token_env, OPEN_PATHS, outbound.keys if outbound else (), KEY_PATHS)
    app = web.Application(middlewares=[middleware, guard.token, body_limit], client_max_size=BODY_LIMIT_BYTES)
    api = _Api(store, status, reload, recordings_dir, messages_dir, openapi.document(outbound is not None))
    for path, handler in (
        ("/", api.page),
        ("/healthz", api.healthz),
        ("/readyz", api.readyz),
        ("/metrics", api.metrics),
        ("/openapi.json", api.openapi),
        ("/v1/calls", api.calls),
        ("/v1/calls/{id}", api.call),
        ("/v1/calls/{id}/inputs", api.inputs),
        ("/v1/calls/{id}/recording", api.recording),
        ("/v1/messages/{name}", api.message),
        ("/v1/plans", api.plans),
        ("/v1/plans/{name}", api.plan),
    ):
        app.router.add_get(path, handler)
    app.router.add_post("/v1/plans/reload", api.reload)
    app.router.add_routes(KbApi(store, knowledge).routes())
    app.router.add_routes(ReviewApi(reviewing).routes())
    if outbound is not None:
        app.router.add_routes(JobsApi(outbound).routes())
    app.on_response_prepare.append(_headers)
    return app


class _Api:
    def __init__(self, store: Store, status: Callable[[], Status], reload: Callable[[], Awaitable[Reloaded]],
                 recordings_dir: Path | None, messages_dir: Path | None, document: dict) -> None:  # fmt: skip
        self._store = store
        self._status = status
        self._reload = reload
        self._reloading = asyncio.Lock()
        self._recordings, self._messages = recordings_dir, messages_dir
        self._openapi = msgspec.json.encode(document)

    async def page(self, _request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html", headers={"Content-Security-Policy": PAGE_POLICY})

    async def healthz(self, _request: web.Request) -> web.Response:
        return _json(health(self._status(), self._store.health()))

    async def readyz(self, _request: web.Request) -> web.Response:
        state = self._status().state
        if state != "ready":
            raise Refusal(503, f"the server is {state}", headers={"Retry-After": str(RETRY_AFTER_S)})
        return _json({"ready": True})

    async def metrics(self, _request: web.Request) -> web.Response:
        return web.Response(
            body=await asyncio.to_thread(metrics.render), headers={"Content-Type": metrics.CONTENT_TYPE}
        )

    async def openapi(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._openapi, content_type="application/json")

    async def calls(self, request: web.Request) -> web.Response:
        cursor, limit, filters = query.parse(request.query)
        try:
            return _json(await self._store.calls(cursor, limit, filters))
        except BadCursor as error:
            raise Refusal(400, str(error), field="cursor") from None

    async def call(self, request: web.Request) -> web.Response:
        return _json(await self._find(request))

    async def inputs(self, request: web.Request) -> web.Response:
        call_id = request.match_info["id"]
        found = await self._store.inputs(call_id) if _CALL_ID.fullmatch(call_id) else None
        if found is None:
            raise Refusal(404, "no call has this id")
        return _json(found)

    async def recording(self, request: web.Request) -> web.StreamResponse:
        call = (await self._find(request)).call
        if call.purged_at is not None:
            raise Refusal(404, f"the recording was removed at {call.purged_at.isoformat()}")
        if not call.recording:
            raise Refusal(404, "this call has no recording" if call.ended_at else "this call has not ended yet")
        path = recording_path(self._recordings, call.recording)
        return await _wav(request, path, f"{call.id}.wav", "the recording is not in the recordings folder any more")

    async def message(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        path = recording_path(self._messages, name) if _MESSAGE.fullmatch(name) else None
        return await _wav(request, path, name, "no message has this name")

    async def plans(self, _request: web.Request) -> web.Response:
        return _json(await self._plans())

    async def plan(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        for plan in (await self._plans()).plans:
            if plan.name == name:
                return _json(plan)
        raise Refusal(404, "no plan of this name is in force; GET /v1/plans lists them")

    async def reload(self, _request: web.Request) -> web.Response:
        async with self._reloading:
            return _json(await self._reload())

    async def _plans(self) -> PlanList:
        status, running = self._status(), await self._store.running()
        plans = (
            PlanDetail(**msgspec.structs.asdict(plan), running=tuple(r for r in running if r.plan == plan.name))
            for plan in status.plans
        )
        return PlanList(plans=tuple(plans), problems=status.plan_problems)

    async def _find(self, request: web.Request) -> Any:
        call_id = request.match_info["id"]
        detail = await self._store.call(call_id) if _CALL_ID.fullmatch(call_id) else None
        if detail is None:
            raise Refusal(404, "no call has this id")
        return detail


def _json(body: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


async def _wav(request: web.Request, path: Path | None, name: str, missing: str) -> web.StreamResponse:
    size = await asyncio.to_thread(_size, path)
    if path is None or size is None:
        raise Refusal(404, missing)
    _check_range(request, size)
    headers = {"Content-Type": "audio/wav", "Content-Disposition": f'inline; filename="{name}"'}
    return web.FileResponse(path, headers=headers)


def _size(path: Path | None) -> int | None:
    try:
        return path.stat().st_size if path is not None and path.is_file() else None
    except OSError:
        return None


def _check_range(request: web.Request, size: int) -> None:
    """RFC 9110 section 14: a range that cannot be served is a 416 with the size there is."""
    try:
        asked = request.http_range
        if asked.start is None or asked.start < size:
            return
    except ValueError:
        pass
    raise Refusal(416, f"the recording has {size} bytes", headers={"Content-Range": f"bytes */{size}"})


async def _headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "ivr"
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
