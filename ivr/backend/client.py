"""The one HTTP client of the house: asks the back ends that the configuration names, and notifies them.

Whatever a back end does ends as a `Response`. Everything is bounded: time, size, questions under way, notifications
waiting. A host is only reached at an address that `addresses` lets pass, and the connection goes to that very address.
Redirects, cookies and proxies are ignored. Runs on the asyncio thread; knows nothing of calls or plans.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

import aiohttp
import msgspec
import structlog
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from ivr import __version__, metrics
from ivr.backend import webhooks
from ivr.backend.addresses import Network, why_refused
from ivr.backend.messages import BODY_LIMIT_BYTES, Method, Request, Response, decoded, path_fault
from ivr.config import Backend, secret

RETRY_PAUSES_S = (0.1, 0.3, 0.9)
NOTIFY_PAUSES_S = (1, 5, 25)
"""Between the tries of a notification; after the last it is given up."""
NOTIFICATIONS_LIMIT = 64
"""Notifications of one back end that are on their way or waiting for another try."""
CLOSE_WITHIN_S = 2

_REDIRECTS = frozenset({301, 302, 303, 307, 308})

log = structlog.get_logger(__name__)


class Backends:
    """Every back end of a configuration. Made inside a running loop; `close` ends it."""

    def __init__(self, backends: Iterable[Backend], resolver: AbstractResolver | None = None) -> None:
        """Reads tokens and webhook secrets from the environment. `resolver` is the system's if None."""
        resolver = resolver or aiohttp.ThreadedResolver()
        self._clients = {backend.name: _Client(backend, resolver) for backend in backends}
        self._deliveries: set[asyncio.Task[Response]] = set()
        self._stopping = asyncio.Event()

    async def fetch(self, request: Request) -> Response:
        """Ask, and ask again where that is allowed. Never raises for what is asked or for what a back end does.

        The answer is there within the request's timeout. Everything but GET carries an `Idempotency-Key` that stays
        over retries. A GET or PUT whose connection breaks before an answer is sent once more by aiohttp itself.
        """
        began = time.monotonic()
        client, refusal = self._reach(request.backend, request.path)
        if refusal is not None:
            answer = refusal
        elif client.questions >= client.limit:
            answer = Response("busy", reason=f"{client.limit} questions are under way")
        else:
            answer = await client.ask(request)
        answer = replace(answer, took_ms=_since_ms(began))
        log.info(
            "backend asked", backend=request.backend, method=request.method, outcome=answer.outcome,
            status=answer.status, reason=answer.reason, took_ms=answer.took_ms,
        )  # fmt: skip
        if client is not None:
            metrics.backend_asked(request.backend, answer.outcome, answer.took_ms)
        return answer

    def notify(self, backend: str, path: str, event: str, data: Mapping[str, object]) -> asyncio.Future[Response]:
        """Tell a back end that `event` happened. Returns at once; the future is for those who want to know the end.

        Any status of 200 to 299 ends it well; statuses of 500 and above, timeouts and broken connections are tried
        again after `NOTIFY_PAUSES_S` with the same webhook-id. Dropping or cancelling the future stops nothing. What
        does not arrive is logged and counted; notifications are not kept over a restart.
        """
        delivery = asyncio.create_task(self._deliver(backend, path, event, data))
        self._deliveries.add(delivery)
        delivery.add_done_callback(self._deliveries.discard)
        return asyncio.shield(delivery)

    async def deliver(self, backend: str, path: str, message_id: str, body: bytes) -> Response:
        """One try of a notification that somebody else keeps: `body` as it is, signed, its id the same at each try."""
        began = time.monotonic()
        client, refusal = self._reach(backend, path)
        answer = refusal or client.refusal_to_tell() or await client.tell_once(path, message_id, body)
        if client is not None:
            metrics.backend_notified(backend, answer.outcome)
        return replace(answer, took_ms=_since_ms(began))

    async def close(self) -> None:
        """Try every notification that waits once more, for at most `CLOSE_WITHIN_S`, and close all connections."""
        self._stopping.set()
        if self._deliveries:
            await asyncio.wait(self._deliveries, timeout=CLOSE_WITHIN_S)
        for delivery in self._deliveries:
            delivery.cancel()
        await asyncio.gather(*self._deliveries)
        for client in self._clients.values():
            await client.close()

    def _reach(self, backend: str, path: str) -> tuple[_Client | None, Response | None]:
        """The client of a back end, and why nothing may be sent to that path of it."""
        client = self._clients.get(backend)
        if client is None:
            fault = f"no [[backend]] has the name {backend}"
        elif self._stopping.is_set():
            fault = "the server is stopping"
        else:
            fault = client.fault or path_fault(path)
        return client, Response("refused", reason=fault) if fault else None

    async def _deliver(self, backend: str, path: str, event: str, data: Mapping[str, object]) -> Response:
        began = time.monotonic()
        message_id = f"msg_{uuid.uuid4().hex}"
        client, refusal = self._reach(backend, path)
        try:
            if refusal is not None:
                answer = refusal
            elif client.notifications >= NOTIFICATIONS_LIMIT:
                answer = Response("busy", reason=f"{NOTIFICATIONS_LIMIT} notifications are under way")
            else:
                answer = await client.tell(path, event, data, message_id, self._stopping)
        except asyncio.CancelledError:
            answer = Response("failed", reason="the server is stopping")
        answer = replace(answer, took_ms=_since_ms(began))
        told = {
            "backend": backend, "kind": event, "message_id": message_id, "outcome": answer.outcome,
            "status": answer.status, "reason": answer.reason, "took_ms": answer.took_ms,
        }  # fmt: skip
        if answer.outcome == "ok":
            log.info("backend notified", **told)
        else:
            log.warning("a notification did not arrive", **told)
        if client is not None:
            metrics.backend_notified(backend, answer.outcome)
        return answer


class _Client:
    """One back end: its connections, credentials and rules.

    `questions` and `notifications` are how many are under way, `limit` how many questions may be; `fault` says why it
    cannot be asked at all, empty when it can.
    """

    def __init__(self, backend: Backend, resolver: AbstractResolver) -> None:
        self._backend = backend
        networks = tuple(ipaddress.ip_network(network) for network in backend.networks)
        self.limit = backend.calls_at_once
        self.questions = self.notifications = 0
        self._telling = asyncio.Semaphore(backend.calls_at_once)
        token, self._webhook_secret = secret(backend.token_env).strip(), secret(backend.webhook_secret_env).strip()
        self.fault = self._address_fault(networks) or self._token_fault(token)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=_CheckedResolver(resolver, networks), limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            headers={"User-Agent": f"ivr/{__version__}"} | ({"Authorization": f"Bearer {token}"} if token else {}),
        )

    async def close(self) -> None:
        await self._session.close()

    async def ask(self, request: Request) -> Response:
        """One question with its retries, within its time."""
        headers = {"Accept": "application/json"}
        if request.method != "GET":
            headers["Idempotency-Key"] = str(uuid.uuid4())
        try:
            url = self._url(request.path).with_query(request.query)
            body = None if request.body is None else msgspec.json.encode(dict(request.body))
        except (TypeError, ValueError, RecursionError):
            return Response("refused", reason="the query or the body cannot be written")
        timeout_s = request.timeout_s or self._backend.timeout_s
        self.questions += 1
        try:
            async with asyncio.timeout(timeout_s):
                for pause_s in RETRY_PAUSES_S[: request.retries]:
                    answer = await self._try(request.method, url, headers, body, wants_json=True)
                    if not _worth_another(answer):
                        return answer
                    await asyncio.sleep(pause_s)
                return await self._try(request.method, url, headers, body, wants_json=True)
        except TimeoutError:
            return Response("timeout", reason=f"no answer within {timeout_s:g} s")
        finally:
            self.questions -= 1

    async def tell(
        self, path: str, event: str, data: Mapping[str, object], message_id: str, stopping: asyncio.Event
    ) -> Response:
        """One notification with its tries; once `stopping` is set there is one more, at once."""
        if refusal := self.refusal_to_tell():
            return refusal
        try:
            body = webhooks.payload(event, data, datetime.now(UTC))
        except (TypeError, ValueError, RecursionError):
            return Response("refused", reason="the data cannot be written as JSON")
        self.notifications += 1
        try:
            for pause_s in NOTIFY_PAUSES_S:
                last = stopping.is_set()
                answer = await self.tell_once(path, message_id, body)
                if last or not _worth_another(answer):
                    return answer
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await stopping.wait()
            return await self.tell_once(path, message_id, body)
        finally:
            self.notifications -= 1

    async def tell_once(self, path: str, message_id: str, body: bytes) -> Response:
        """One try of a notification."""
        async with self._telling:
            headers = webhooks.headers(self._webhook_secret, message_id, datetime.now(UTC), body)
            try:
                async with asyncio.timeout(self._backend.timeout_s):
                    return await self._try("POST", self._url(path), headers, body, wants_json=False)
            except TimeoutError:
                return Response("timeout", reason=f"no answer within {self._backend.timeout_s} s")

    async def _try(
        self, method: Method, url: URL, headers: Mapping[str, str], body: bytes | None, wants_json: bool
    ) -> Response:
        """One request and its response. Without `wants_json` the body of a good one is nobody's business."""
        if self._session.closed:
            return Response("refused", reason="the server is stopping")
        if body is not None:
            headers = {**headers, "Content-Type": "application/json"}
        try:
            async with self._session.request(method, url, headers=headers, data=body, allow_redirects=False) as answer:
                return await _read(answer, wants_json)
        except aiohttp.ClientConnectorDNSError as error:
            if isinstance(error.os_error, _AddressRefused):
                return Response("refused", reason=str(error.os_error))
            return Response("failed", reason=f"the name {url.host} cannot be resolved")
        except aiohttp.ClientSSLError:
            return Response("failed", reason="its TLS certificate is not trusted, or TLS failed")
        except aiohttp.ClientConnectorError as error:
            return Response("failed", reason=f"cannot connect: {error.os_error.strerror or 'no connection'}")
        except aiohttp.ClientResponseError:
            return Response("invalid", reason="it answers something that is not HTTP")
        except aiohttp.ClientPayloadError:
            return Response("failed", reason="the answer broke off")
        except (aiohttp.ClientError, OSError):
            return Response("failed", reason="the connection broke")

    def _url(self, path: str) -> URL:
        return URL(self._backend.url.rstrip("/") + path)

    def _address_fault(self, networks: tuple[Network, ...]) -> str:
        """Why the address written in the URL may not be used; a name is judged when it is resolved."""
        host = URL(self._backend.url).host
        try:
            kind = why_refused(host, networks)
        except ValueError:
            return ""
        return _not_listed(host, kind) if kind else ""

    def _token_fault(self, token: str) -> str:
        name = self._backend.token_env
        if name and not token:
            return f"the environment has no {name}"
        if not (token.isascii() and token.isprintable()) or " " in token:
            return f"{name} holds characters that no token has"
        return ""

    def refusal_to_tell(self) -> Response | None:
        """Why nothing can be signed for this back end, None when it can."""
        fault = self._signing_fault()
        return Response("refused", reason=fault) if fault else None

    def _signing_fault(self) -> str:
        name = self._backend.webhook_secret_env
        if name and not self._webhook_secret:
            return f"the environment has no {name}"
        return webhooks.secret_fault(self._webhook_secret) if name else ""


class _AddressRefused(OSError):
    """Every address of a name is one that must not be reached; the text names one."""


class _CheckedResolver(AbstractResolver):
    """Resolves by another resolver and gives on only what may be connected to."""

    def __init__(self, inner: AbstractResolver, networks: tuple[Network, ...]) -> None:
        self._inner = inner
        self._networks = networks

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        kinds = {result["host"]: why_refused(result["host"], self._networks) for result in found}
        allowed = [result for result in found if not kinds[result["host"]]]
        if kinds and not allowed:
            address, kind = next(iter(kinds.items()))
            raise _AddressRefused(f"{host} is {_not_listed(address, kind)}")
        return allowed

    async def close(self) -> None:
        await self._inner.close()


async def _read(answer: aiohttp.ClientResponse, wants_json: bool) -> Response:
    status = answer.status
    good = 200 <= status <= 299
    if status in _REDIRECTS:
        return Response("refused", status, reason=f"it answered {status}: redirects are not followed")
    if good and not wants_json:
        return Response("ok", status)
    body = await _body(answer)
    if body is None:
        data, fault = None, f"the answer is longer than {BODY_LIMIT_BYTES} bytes"
    else:
        data, fault = decoded(answer.content_type, body)
    if not good:
        return Response("status", status, data, f"it answered {status}")
    if fault:
        return Response("too_large" if body is None else "invalid", status, reason=fault)
    return Response("ok", status, data)


async def _body(answer: aiohttp.ClientResponse) -> bytes | None:
    """The whole body, unpacked; None when it is longer than the limit. aiohttp unpacks a piece at a time."""
    body = bytearray()
    async for piece in answer.content.iter_any():
        body += piece
        if len(body) > BODY_LIMIT_BYTES:
            return None
    return bytes(body)


def _worth_another(answer: Response) -> bool:
    return answer.outcome in ("failed", "timeout") or answer.status >= 500


def _not_listed(address: str, kind: str) -> str:
    return f"{address}, which is {kind} and not in the networks of this backend"


def _since_ms(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
