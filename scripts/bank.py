#!/usr/bin/env python3
"""A small bank over HTTP, for the bank example: what a telephone service asks somebody else's computer.

  GET  /branches?near=PLACE&lang=en|zh&skip=N   the nearest branch, or the one after N others: {"name", "address",
                                                "hours", "distance", "more"}; 404 when there is none (any more)
  POST /identity?lang=en|zh {"last_four", "birth_date"}
                                                200 {"customer", "name", "card"}, 403 {"failed", "left"} or, from the
                                                third failed check on, 423 {"failed"}
  GET  /customers/ID/balance?lang=en|zh         {"balance": "12.50 CNY", "account"}
  GET  /customers/ID/card                       {"status": "made", "sent" or "delivered", "expected": "2026-01-31"};
                                                404 when none was ordered
  POST /cards/block {"last_four"} or {"customer"}
                                                {"reference", "blocked": true}
  GET  /cards/blocked                           {"blocked": [{"reference", "customer"}]}, newest first
  POST /complaints {"text", "customer"?}        {"reference"}
  GET  /complaints                              {"complaints": [{"reference", "customer", "text"}]}, the last 100,
                                                newest first
  POST /events                                  takes Standard Webhooks signed with BANK_WEBHOOK_SECRET: 204
  GET  /events                                  {"events": [{"id", "at", "payload"}]}, the last 100, newest first

PLACE is an id of dialplans/bank.places.yaml. Errors are {"error", "mend"}, with the fields above where there are any.
POST bodies are JSON of at most 64 KiB. `Idempotency-Key` on /cards/block and /complaints: the same key with the same
request has the same reference, with another request 422. Every request but POST /events, which is signed, needs
`Authorization: Bearer` with the value of BANK_TOKEN, when that is set. Who rings from where proves nothing: no request
takes a caller's number.

  customer  card  born        name                       balance          new card
  C1001     8620  1985-03-12  Li Na, 李娜                12580.50 CNY     sent
  C1002     0957  1990-10-01  Wang Wei, 王伟             289.50 CNY       made
  C1003     6688  2001-07-23  Zhang Min, 张敏            3500.00 CNY      delivered
  C1004     1234  1988-06-06  Chen Jie, 陈杰             0.00 CNY         none
  C1005     7315  1979-11-30  Liu Yang, 刘洋             45210.08 CNY     sent
  C1006     2049  1966-02-28  Zhao Lei, 赵磊             -120.35 CNY      none
  C1007     3391  1995-12-25  Sun Li, 孙丽               812.00 USD       made
  C1008     4477  1972-09-09  Anna Schmidt, 安娜·施密特  1500.75 EUR      none
  C1009     4477  1983-01-15  John Smith, 约翰·史密斯    99.99 GBP        sent
  C1010     0000  2000-02-29  Wu Fang, 吴芳              52000 JPY        none
  C1011     5108  1958-05-04  Zhou Qiang, 周强           1000000.00 CNY   delivered
  C1012     9002  1992-08-18  Mary Johnson, 玛丽·约翰逊  12.50 CNY        none
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import binascii
import hmac
import logging
import os
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import yaml
from aiohttp import web
from bank_branches import Language, Position, nearest, say_distance, say_hours
from bank_ledger import CUSTOMERS, Customer, Event, Failed, KeyReused, Ledger, holders
from standardwebhooks import Webhook, WebhookVerificationError

PLACES = Path(__file__).resolve().parents[1] / "dialplans" / "bank.places.yaml"
CHINA = timezone(timedelta(hours=8))
BODY_LIMIT_BYTES = 65_536
BODY_WITHIN_S = 10
SECRET_BYTES = range(24, 65)  # Standard Webhooks, "Signature scheme"
MAKE_A_KEY = "export BANK_TOKEN=$(openssl rand -hex 16)"
LOG_FORMAT = "%r %s"
SLOW_S = 30
BIG_BYTES = 10_000_000

T = TypeVar("T")
LastFour = Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{4}\Z")]


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    """What a request may hold, and nothing else."""


class Spoken(Strict):
    lang: Language = "en"


class BranchQuery(Spoken, kw_only=True):
    near: str
    skip: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 0


class Identity(Strict):
    last_four: LastFour
    birth_date: date


class Block(Strict):
    last_four: LastFour | None = None
    customer: str | None = None


class Complaint(Strict):
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]
    customer: str | None = None


class Refusal(Exception):
    """An answer that is an error: what is wrong, what to do about it, and fields of its own."""

    def __init__(self, status: int, error: str, mend: str, **fields: Any) -> None:
        super().__init__(error)
        self.status = status
        self.body = {"error": error, "mend": mend, **fields}


class CannotStart(Exception):
    """Something in the environment, the arguments or a file keeps the bank from opening; its text says what to do."""


def answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(content), status=status, headers=headers, content_type="application/json"
    )


# Every request ------------------------------------------------------------------------------------------------------


@web.middleware
async def errors_as_json(request: web.Request, handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refusal as refusal:
        headers = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else None
        return answer(refusal.body, refusal.status, headers)
    except web.HTTPRequestEntityTooLarge:
        mend = f"send at most {BODY_LIMIT_BYTES} bytes"
        return answer({"error": "the body is too large", "mend": mend}, 413, {"Connection": "close"})
    except web.HTTPException as error:
        allowed = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        mend = "scripts/bank --help lists what can be asked"
        return answer({"error": error.reason, "mend": mend}, error.status, allowed)
    except KeyReused:
        mend = "take a new key for a new request"
        return answer({"error": "this Idempotency-Key came with another request", "mend": mend}, 422)
    except sqlite3.Error as error:
        print(f"bank: the state cannot be read or written: {error}", file=sys.stderr)
        return answer({"error": "the books cannot be read or written", "mend": "look at the file of --state"}, 503)
    except Exception:
        traceback.print_exc()
        return answer({"error": "the bank has a fault", "mend": "its standard error says which"}, 500)


def bearer(token: str):
    """A middleware that lets nobody in without `token` (RFC 6750). Webhooks are signed instead."""

    expected = token.encode("utf-8", "surrogateescape")

    @web.middleware
    async def check(request: web.Request, handler) -> web.StreamResponse:
        if (request.method, request.path) != ("POST", "/events"):
            scheme, _, given = request.headers.get("Authorization", "").partition(" ")
            same = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), expected)
            if scheme.lower() != "bearer" or not same:
                mend = "send `Authorization: Bearer` with the value of BANK_TOKEN"
                raise Refusal(401, "no such token", mend)
        return await handler(request)

    return check


def query(request: web.Request, kind: type[T]) -> T:
    given = dict(request.query)
    if len(given) != len(request.query):
        raise Refusal(400, "a parameter is given twice", "give each once")
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise Refusal(400, f"query: {error}", "scripts/bank --help lists the parameters") from None


async def raw(request: web.Request) -> bytes:
    """The body, when it says that it is JSON, which no foreign web page can without asking first."""
    if request.content_type != "application/json":
        raise Refusal(415, "the body is not JSON", "send `Content-Type: application/json`")
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            return await request.read()
    except TimeoutError:
        raise Refusal(408, "the body came too slowly", f"send it within {BODY_WITHIN_S} s") from None


async def body(request: web.Request, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(await raw(request), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, f"body: {error}", "scripts/bank --help lists the fields") from None


def idempotency(request: web.Request, content: msgspec.Struct) -> tuple[str, bytes]:
    """The request's key, empty without one, and what must be the same when the key comes again."""
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > 255 or not (key.isascii() and key.isprintable()):
        raise Refusal(400, "Idempotency-Key cannot be used", "at most 255 printable ASCII characters")
    return key, request.path.encode() + msgspec.json.encode(content)


def find_customer(customer_id: str) -> Customer:
    customer = CUSTOMERS.get(customer_id)
    if customer is None:
        raise Refusal(404, "there is no such customer", "take the id that POST /identity gave")
    return customer


# The bank -----------------------------------------------------------------------------------------------------------


class Bank:
    """The routes.

    Args:
        places: positions by id.
        today: tells the date in China.
        webhook: checks signatures; without it no event is taken.
    """

    def __init__(
        self, ledger: Ledger, places: Mapping[str, Position], today: Callable[[], date], webhook: Webhook | None
    ) -> None:
        self._ledger = ledger
        self._places = places
        self._today = today
        self._webhook = webhook

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/branches", self.branch),
            web.post("/identity", self.identity),
            web.get("/customers/{id}/balance", self.balance),
            web.get("/customers/{id}/card", self.card),
            web.post("/cards/block", self.block),
            web.get("/cards/blocked", self.blocked),
            web.post("/complaints", self.complaint),
            web.get("/complaints", self.complaints),
            web.post("/events", self.take_event),
            web.get("/events", self.events),
        ]

    async def branch(self, request: web.Request) -> web.Response:
        asked = query(request, BranchQuery)
        at = self._places.get(asked.near)
        if at is None:
            raise Refusal(400, "there is no such place", f"near: an id of {PLACES.parent.name}/{PLACES.name}")
        found = nearest(at)[asked.skip :]
        if not found:
            raise Refusal(404, f"there is no {'other ' if asked.skip else ''}branch near it", "say so")
        metres, branch = found[0]
        return answer(
            {
                "name": branch.name(asked.lang),
                "address": branch.address(asked.lang),
                "hours": say_hours(branch.week, self._today(), asked.lang),
                "distance": say_distance(metres, asked.lang),
                "more": len(found) > 1,
            }
        )

    async def identity(self, request: web.Request) -> web.Response:
        lang = query(request, Spoken).lang
        given = await body(request, Identity)
        found = self._ledger.identify(given.last_four, given.birth_date)
        if isinstance(found, Customer):
            return answer({"customer": found.id, "name": found.name(lang), "card": found.last_four})
        return self._not_identified(found)

    @staticmethod
    def _not_identified(result: Failed) -> web.Response:
        if result.left:
            error = {"error": "card and birth date do not belong together", "mend": "ask again"}
            return answer({**error, "failed": result.failed, "left": result.left}, 403)
        error = {"error": "too many failed checks: locked", "mend": "let a person look at their papers"}
        return answer({**error, "failed": result.failed}, 423)

    async def balance(self, request: web.Request) -> web.Response:
        lang = query(request, Spoken).lang
        customer = find_customer(request.match_info["id"])
        return answer({"balance": customer.balance, "account": customer.account(lang)})

    async def card(self, request: web.Request) -> web.Response:
        query(request, Strict)
        customer = find_customer(request.match_info["id"])
        if customer.card is None:
            raise Refusal(404, "no new card was ordered", "say so")
        status, days = customer.card
        return answer({"status": status, "expected": self._today() + timedelta(days)})

    async def block(self, request: web.Request) -> web.Response:
        query(request, Strict)
        given = await body(request, Block)
        if (given.last_four is None) == (given.customer is None):
            raise Refusal(400, "which card?", "send either last_four or customer")
        if given.customer is not None:
            customer = find_customer(given.customer)
        else:
            owners = holders(given.last_four or "")
            if not owners:
                raise Refusal(404, "no card ends so", "ask for the digits again")
            if len(owners) > 1:
                raise Refusal(409, "several cards end so", "identify the caller and send customer")
            customer = owners[0]
        reference = self._ledger.block(customer.id, *idempotency(request, given))
        return answer({"reference": reference, "blocked": True})

    async def blocked(self, request: web.Request) -> web.Response:
        query(request, Strict)
        found = self._ledger.blocks()
        return answer({"blocked": [{"reference": b.reference, "customer": b.customer} for b in found]})

    async def complaint(self, request: web.Request) -> web.Response:
        query(request, Strict)
        given = await body(request, Complaint)
        if given.customer is not None:
            find_customer(given.customer)
        reference = self._ledger.complain(given.text, given.customer, *idempotency(request, given))
        return answer({"reference": reference})

    async def complaints(self, request: web.Request) -> web.Response:
        query(request, Strict)
        return answer({"complaints": self._ledger.complaints()})

    async def take_event(self, request: web.Request) -> web.Response:
        if self._webhook is None:
            raise Refusal(503, "this bank takes no events", "start it with BANK_WEBHOOK_SECRET set")
        payload = await raw(request)
        try:
            self._webhook.verify(payload, dict(request.headers), json_parse=False)
        except (WebhookVerificationError, ValueError) as error:  # ValueError: what is no signature at all
            mend = "sign it with BANK_WEBHOOK_SECRET as Standard Webhooks says, not more than 5 minutes ago"
            raise Refusal(401, f"the signature does not hold: {error}", mend) from None
        try:
            msgspec.json.decode(payload, type=dict)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refusal(400, f"body: {error}", "send a JSON object") from None
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._ledger.remember(Event(request.headers["webhook-id"], at, payload))
        return web.Response(status=204)

    async def events(self, request: web.Request) -> web.Response:
        query(request, Strict)
        rows = self._ledger.events()
        return answer({"events": [{"id": e.id, "at": e.at, "payload": msgspec.Raw(e.payload)} for e in rows]})


# Faults on purpose --------------------------------------------------------------------------------------------------


async def slow(_: web.Request) -> web.Response:
    await asyncio.sleep(SLOW_S)
    return answer({"slow": True})


async def not_json(_: web.Request) -> web.Response:
    return web.Response(body=b"<html>Service temporarily", content_type="application/json")


async def big(_: web.Request) -> web.Response:
    return answer({"big": "x" * BIG_BYTES})


async def redirect(_: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": "/customers/C1001/balance"})


async def broken(_: web.Request) -> web.Response:
    return answer({"error": "broken on purpose", "mend": "ask something else"}, 500)


FAULTS = {"slow": slow, "not-json": not_json, "big": big, "redirect": redirect, "500": broken}


# Opening ------------------------------------------------------------------------------------------------------------


def load_places(file: Path) -> dict[str, Position]:
    """Where each place is, by its id. Raises CannotStart."""
    try:
        tree = yaml.load(file.read_text("utf-8"), Loader=yaml.CSafeLoader)
        return {place["id"]: msgspec.convert(place["at"], Position) for place in tree["places"]}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, msgspec.ValidationError, KeyError, TypeError) as error:
        raise CannotStart(f"{file}: {type(error).__name__}: {error} (put the file back as it was shipped)") from None


def open_webhook(secret: str) -> Webhook | None:
    """What checks signatures. Raises CannotStart when `secret` is none of Standard Webhooks; None when it is empty."""
    if not secret:
        return None
    try:
        size = len(base64.b64decode(secret.removeprefix("whsec_"), validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if size not in SECRET_BYTES:
        raise CannotStart("BANK_WEBHOOK_SECRET is no secret (make one: echo whsec_$(openssl rand -base64 32))")
    return Webhook(secret)


def open_ledger(state: Path | None) -> Ledger:
    """Raises CannotStart."""
    try:
        return Ledger(str(state or ":memory:"))
    except sqlite3.Error as error:
        raise CannotStart(f"--state {state}: {error} (name a file that this bank wrote, or a new one)") from None


def make_app(options: argparse.Namespace, environ: Mapping[str, str]) -> web.Application:
    """The whole bank. Raises CannotStart."""
    token = environ.get("BANK_TOKEN", "").strip()
    if not token and not options.host.is_loopback:
        raise CannotStart(f"without a token only on loopback ({MAKE_A_KEY})")
    if not token:
        print(f"bank: no token, so anybody on this machine may ask ({MAKE_A_KEY})", file=sys.stderr)
    webhook = open_webhook(environ.get("BANK_WEBHOOK_SECRET", ""))
    places = load_places(PLACES)
    ledger = open_ledger(options.state)

    def today() -> date:
        return options.date or datetime.now(CHINA).date()

    async def close(_: web.Application) -> None:
        ledger.close()

    guards = [errors_as_json, *([bearer(token)] if token else [])]
    app = web.Application(middlewares=guards, client_max_size=BODY_LIMIT_BYTES)
    app.add_routes(Bank(ledger, places, today, webhook).routes())
    if options.faults:
        app.add_routes([web.get(f"/faults/{name}", fault) for name, fault in FAULTS.items()])
    app.on_cleanup.append(close)
    return app


async def serve(app: web.Application, host: str, port: int, log: bool) -> None:
    """Until SIGINT or SIGTERM; with `log` every request's line and status go to standard output. Raises CannotStart."""
    # What a handler does wrong is told by errors_as_json; what a stranger sends is not worth a traceback.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    access_log = logging.getLogger("bank.access") if log else None
    runner = web.AppRunner(app, access_log=access_log, access_log_format=LOG_FORMAT, shutdown_timeout=2)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise CannotStart(f"{host}:{port}: {error.strerror} (choose another with --port)") from None
        ended = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        print(f"bank: http://{host}:{runner.addresses[0][1]}", flush=True)
        await ended.wait()
    finally:
        await runner.cleanup()


def port(text: str) -> int:
    number = int(text)
    if number not in range(65_536):
        raise ValueError(text)
    return number


def day(text: str) -> date:
    return date.fromisoformat(text)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/bank", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--host", type=IPv4Address, default="127.0.0.1", help="IPv4 address (default: %(default)s)")
    parser.add_argument("--port", type=port, default=8090, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--state", type=Path, help="SQLite file of what must survive; without it, nothing does")
    parser.add_argument("--date", type=day, metavar="YYYY-MM-DD", help="take this for today")
    parser.add_argument("--log", action="store_true", help="print every request that was answered, without its body")
    parser.add_argument("--faults", action="store_true", help=f"also answer badly: GET /faults/{{{','.join(FAULTS)}}}")
    options = parser.parse_args()
    try:
        app = make_app(options, os.environ)
        if options.log:
            logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
        asyncio.run(serve(app, str(options.host), options.port, options.log))
    except CannotStart as error:
        print(f"bank: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
