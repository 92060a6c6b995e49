"""The verification of the demonstration: the bank asks, the customer's telephone rings, the bank has a signed answer.

The customer is `ivr.caller` behind the server's trunk: picks up at the second ring, says hello, proves who they are,
denies the transaction, all by voice (what is asked twice is answered by keys). The bank is a web server that checks
what it is told with the standardwebhooks library. Times count from the moment at which the order was sent.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
import msgspec

from ivr.bench.harness import Server
from ivr.bench.outbound_site import Bank, Told
from ivr.caller import Call, Caller
from ivr.caller.speak import speak
from ivr.errors import IvrError
from ivr.outbound.evidence import faults
from ivr.outbound.job import EvidenceRecord

WITHIN_S = 150
RINGS_S = 5.0
"""A telephone rings for one second of five: the second ring begins now (ITU-T E.180)."""
SECRET_ENV = "DEMO_BANK_SECRET"  # noqa: S105 - the name of a variable, not a secret


class Unproven(IvrError):
    """The verification did not go as it should."""


@dataclass(frozen=True)
class Customer:
    """Who is rung, and what they say: `hello`, then by the step that asks; `keys` when it is asked once more."""

    phone: str
    name: str
    merchant: str
    hello: str
    voice: str
    says: dict[str, str]
    keys: dict[str, str]


CUSTOMERS = {
    "en": Customer(
        "+442071838750", "Mary Miller", "Harbour Books", "Hello?", "slt",
        {"is_it_them": "Yes.", "check": "The twenty ninth of April, nineteen eighty seven.", "was_it_you": "No.",
         "sure_no": "Yes.", "to_desk": "No."},
        {"check": "19870429"},
    ),
    "zh": Customer(
        "+8613812345678", "王小明", "京东", "喂，你好。", "cmn-latn-pinyin+m1",
        {"is_it_them": "是的", "check": "一九八七年四月二十九号", "was_it_you": "不是", "sure_no": "是的",
         "to_desk": "不需要"},
        {"check": "19870429"},
    ),
}  # fmt: skip


def settings(bank: Bank, port: int) -> dict[str, Any]:
    """Sections of config.toml by which the server rings the customer, and tells the bank."""
    return {
        "trunk": [{"name": "carrier", "host": "127.0.0.1", "port": port, "prefixes": ["+44", "+86"]}],
        "backend": [
            {"name": "bank", "url": bank.url, "networks": ["127.0.0.0/8"], "webhook_secret_env": SECRET_ENV}
        ],
        "outbound": {"policies": {"fraud": {"always": True}}},
    }  # fmt: skip


def environment(bank: Bank) -> dict[str, str]:
    """The keys that such a server needs."""
    keys = {name: base64.b64encode(os.urandom(32)).decode() for name in ("IVR_EVIDENCE_KEY", "IVR_PROOF_KEY")}
    return keys | {SECRET_ENV: bank.secret}


async def verify(srv: Server, peer: Caller, bank: Bank, language: str) -> None:
    """One verification, from the order to its signed answer. Raises Unproven."""
    customer, picked_up = CUSTOMERS[language], asyncio.get_running_loop().create_future()

    async def pick_up(call: Call) -> None:
        picked_up.set_result(call)
        await call.ring()
        await asyncio.sleep(RINGS_S)
        await call.accept()
        await call.say(await asyncio.to_thread(speak, customer.hello, language, customer.voice))

    peer.listen(pick_up)
    order = {
        "idempotency_key": f"demo-{language}", "phone": customer.phone, "language": language, "policy": "fraud",
        "transaction": {"amount": "129.90", "currency": "CNY", "merchant": customer.merchant, "card_last4": "4242",
                        "at": datetime.now(UTC).isoformat(timespec="seconds")},
        "proof": {"birth_date": "1987-04-29"}, "name": customer.name, "callback_url": f"{bank.url}/hooks",
    }  # fmt: skip
    headers = {"Authorization": f"Bearer {srv.token}"}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{srv.http_port}", headers=headers) as client:
        begun = time.monotonic()

        def show(who: str, text: str, at: float | None = None) -> None:
            print(f"  {(at or time.monotonic()) - begun:6.2f} s  {who:9} {text}", flush=True)

        async with client.post("/v1/verifications", data=json.dumps(order)) as answer:
            job = await answer.json()
            show("bank", f"order taken: {answer.status}, {job.get('id', job)}")
        try:
            async with asyncio.timeout(WITHIN_S):
                call = await picked_up
                show("rings", f"INVITE for {customer.phone}", call.invited_at)
                talking = asyncio.create_task(_talk(srv, call, customer, language, show))
                await bank.until(lambda told: any(ends(job, one) for one in told), WITHIN_S)
                outcome = next(told.data for told in bank.told if ends(job, told))
                show("bank", f"told: {outcome['disposition']}; the signature is right")
                await talking
        except TimeoutError:
            raise Unproven(f"no answer within {WITHIN_S} s:\n{srv.last_words()}") from None
        if outcome["disposition"] != "denied":
            raise Unproven(f"the customer denied it, and the bank was told {outcome['disposition']}")
        async with client.get(f"/v1/verifications/{job['id']}/evidence") as answer:
            record = msgspec.json.decode(await answer.read(), type=EvidenceRecord)
        async with client.get("/v1/evidence/key") as answer:
            wrong = faults([record], (await answer.json())["public_key"])
        if wrong or record.hash != outcome["evidence"]["hash"]:
            raise Unproven(f"the evidence is not what was signed: {wrong}")
        show("evidence", f"record {record.index} of {record.server}, hash {record.hash[:16]}..., signature right")


def ends(job: dict[str, Any], told: Told) -> bool:
    """Whether that is the outcome of the job."""
    return told.type == "verification.completed" and told.data["job"] == job["id"]


async def _talk(srv: Server, call: Call, customer: Customer, language: str, show) -> None:
    """Answer what is asked, step by step as the server's record tells, until it hangs up."""
    answered = 0
    await call.wait_for(lambda: call.state == "answered", 10)
    show("picks up", f"“{customer.hello}”")
    while not call.over:
        turns = []
        with contextlib.suppress(IvrError):
            turns = (await srv.record_of(call.dialog.call_id, ended=False, within_s=2))["turns"]
        asked = [turn for turn in turns[answered:] if turn["step"] in customer.says]
        if not asked or not await call.quiet(0.6, 1.0):
            await call.wait_for(lambda: call.over, 0.1)
            continue
        turn, step = asked[-1], asked[-1]["step"]
        again = any(earlier["step"] == step for earlier in turns[:answered])
        answered, text = turn["index"] + 1, customer.says[step]
        show("asks", f"“{' '.join(said['text'] for said in turn['said'])}”")
        if again and step in customer.keys:
            show("customer", f"presses {customer.keys[step]}")
            await call.press(customer.keys[step])
            continue
        show("customer", f"“{text}”")
        await call.turn(await asyncio.to_thread(speak, text, language, customer.voice), text, timeout_s=15)
    show("over", "the server hung up" if call.ended_by == "them" else "the customer hung up")
