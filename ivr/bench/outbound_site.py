"""What outbound calls are measured with: telephones that count their INVITEs, a bank that is told, a server.

Every number is a telephone of one SIP user agent behind the server's trunk. The bank checks the signature of what it is
told with the library of Standard Webhooks. Runs on asyncio's thread.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from ivr.bench import plans
from ivr.bench.harness import Server
from ivr.caller import Call, Caller
from ivr.caller.sip import user_of
from ivr.errors import Unavailable

FINAL = ("done", "failed", "cancelled", "expired")
SECRET_ENV = "BENCH_BANK_SECRET"  # noqa: S105 - the name of a variable, not a secret
FREE = {
    "always": True, "trunk": "carrier", "attempts": 6, "attempts_per_number": 50, "attempts_per_contact": 50,
    "gap_s": 0, "calls_per_second": 1_000, "calls_at_once": 1_000, "breaker": {"share": 1.0, "attempts": 100},
}  # fmt: skip
"""A policy that holds nothing; a bench changes what it is about."""
_NO_LIMITS = {"calls_per_hour": 100_000, "calls_per_hour_per_prefix": 100_000, "jobs_at_once": 1_000,
              "jobs_per_second": 1_000}  # fmt: skip


@dataclass(frozen=True)
class Rung:
    """An INVITE that reached a telephone: `at` by the wall clock, `at_s` by the monotonic one."""

    number: str
    sip_call_id: str
    at: float
    at_s: float
    call: Call


class Telephones:
    """The SIP peer behind the trunk. `pick_up(call, number)` is what each of them does when it rings."""

    def __init__(self, pick_up: Callable[[Call, str], Awaitable[None]]) -> None:
        self.rung: list[Rung] = []
        self._pick_up = pick_up

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[int]:
        """Listens; gives the port."""
        async with Caller(user="telephones", keep_audio=False) as agent:
            agent.listen(self._ring)
            yield agent.socket.port

    async def _ring(self, call: Call) -> None:
        number = user_of(call.invite.uri)
        at = time.time() - (time.monotonic() - call.invited_at)
        self.rung.append(Rung(number, call.dialog.call_id, at, call.invited_at, call))
        await self._pick_up(call, number)

    def of(self, number: str) -> list[Rung]:
        """The INVITEs to one number, in order."""
        return [rung for rung in self.rung if rung.number == number]


@dataclass(frozen=True)
class Told:
    """A notification that arrived and whose signature is right."""

    id: str
    type: str
    data: Mapping[str, Any]
    at: float


class Bank:
    """The receiver of webhooks. `told`: what arrived, repeated deliveries too; `refused`: with a wrong signature."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.refused = 0
        self.url = ""
        self.bodies: list[bytes] = []
        self.secret = "whsec_" + base64.b64encode(os.urandom(32)).decode()
        self._arrived = asyncio.Event()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Bank]:
        app = web.Application()
        app.router.add_post("/{tail:.*}", self._take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def until(self, enough: Callable[[Sequence[Told]], bool], within_s: float) -> None:
        """Wait until what arrived is `enough`. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while not enough(self.told):
                await self._arrived.wait()
                self._arrived.clear()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            said = Webhook(self.secret).verify(body, dict(request.headers))
        except WebhookVerificationError:
            self.refused += 1
            return web.Response(status=401)
        self.bodies.append(body)
        self._arrived.set()
        self.told.append(Told(request.headers["webhook-id"], said["type"], said["data"], time.time()))
        return web.Response(status=204)


class Site:
    """A server with outbound calls, as its client sees it."""

    def __init__(self, server: Server) -> None:
        self.server = server

    async def ask(self, method: str, path: str, body: bytes | None = None) -> Any:
        """JSON of an answer. Raises Unavailable with the problem when it is none of 200 to 299, OSError."""
        headers = {"Authorization": f"Bearer {self.server.token}"}
        url = f"http://127.0.0.1:{self.server.http_port}{path}"
        timeout = aiohttp.ClientTimeout(total=60)
        async with (
            aiohttp.ClientSession(headers=headers, timeout=timeout) as client,
            client.request(method, url, data=body) as answer,
        ):
            read = await answer.read()
            if answer.status >= 300:
                raise Unavailable(f"{method} {path}: {answer.status} {read.decode('utf-8', 'replace')[:500]}")
            return json.loads(read)

    async def verify(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """The job that a verification became. Raises Unavailable when it was refused."""
        return await self.ask("POST", "/v1/verifications", json.dumps(order).encode())

    async def order(self, orders: Sequence[Mapping[str, Any]]) -> list[str]:
        """The ids of jobs ordered in bulk. Raises Unavailable for one that was refused."""
        body = b"\n".join(json.dumps(order).encode() for order in orders)
        url = f"http://127.0.0.1:{self.server.http_port}/v1/jobs/bulk"
        headers = {"Authorization": f"Bearer {self.server.token}"}
        async with aiohttp.ClientSession(headers=headers) as client, client.post(url, data=body) as answer:
            results = [json.loads(line) for line in (await answer.read()).splitlines()]
        if bad := [result for result in results if result["status"] != 202]:
            raise Unavailable(f"an order was refused: {bad[0]}")
        return [result["id"] for result in results]

    async def jobs(self) -> list[dict[str, Any]]:
        """Every job, the newest first."""
        found, cursor = [], ""
        while True:
            page = await self.ask("GET", f"/v1/jobs?limit=200{cursor}")
            found += page["jobs"]
            if not page["next"]:
                return found
            cursor = f"&cursor={page['next']}"

    async def until_final(self, count: int, within_s: float) -> list[dict[str, Any]]:
        """All jobs, once `count` of them have ended. Raises Unavailable when they have not in time."""
        end = time.monotonic() + within_s
        ended = -1
        while time.monotonic() < end:
            with contextlib.suppress(aiohttp.ClientError, OSError, Unavailable):
                jobs = await self.jobs()
                ended = sum(job["state"] in FINAL for job in jobs)
                if ended >= count:
                    return jobs
            await asyncio.sleep(2.0)
        raise Unavailable(f"after {within_s:g} s {ended} of {count} jobs have ended:\n{self.server.last_words()}")


def server(port: int, bank: Bank, policies: Mapping[str, Any], processes: int, most: int,
           plan: Mapping[str, str | Path], inbound: str = "quiet", **settings: Any) -> Server:  # fmt: skip
    """A server with a trunk at `port`, that many line processes, and at most `most` outbound calls at once.

    `inbound`: the plan of its numbers, 490 in English and 491 in Mandarin.
    """
    numbers = [{"pattern": n, "plan": inbound, "language": language} for n, language in (("490", "en"), ("491", "zh"))]
    texts = {"quiet": plans.named("quiet", plans.loop("yes_no", no_input_ms=120_000)), **plan}
    trunk = {"name": "carrier", "host": "127.0.0.1", "port": port, "prefixes": ["+86", "+44"], "limits": _NO_LIMITS}
    made = Server(texts, numbers, {
        "lines": {"processes": processes, "reserve_legs": 0}, "sip": {"flood_per_second": 1000}, "trunk": [trunk],
        "backend": [{"name": "bank", "url": bank.url, "networks": ["127.0.0.0/8"], "webhook_secret_env": SECRET_ENV}],
        "outbound": {"calls_at_once": most, "inbound_legs": 0, "policies": policies} | settings.pop("outbound", {}),
        **settings,
    })  # fmt: skip
    made.environment = {
        "IVR_EVIDENCE_KEY": base64.b64encode(os.urandom(32)).decode(),
        "IVR_PROOF_KEY": base64.b64encode(os.urandom(32)).decode(), SECRET_ENV: bank.secret,
    }  # fmt: skip
    return made


def phones(count: int, chance: random.Random) -> list[tuple[str, str]]:
    """Different numbers that exist, each with its language; every other one is Chinese."""
    chinese = (f"+86138{n:08}" for n in chance.sample(range(10**8), count))
    british = (f"+447400{n:06}" for n in chance.sample(range(10**6), count))
    return [(next(chinese), "zh") if n % 2 else (next(british), "en") for n in range(count)]
