"""Ringing back over real SIP, in both languages: on the public number an open order is finished by whom it is for,
after the same check; nobody else changes it, or hears that there is one.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ivr.bench import outbound_site
from ivr.bench.outbound_site import FREE, Bank, Site, Telephones
from ivr.caller import Call, Caller
from ivr.caller.speak import speak
from ivr.errors import Unavailable

PLAN = Path(__file__).parents[2] / "dialplans" / "verify.yaml"
BORN, KEYS, WRONG = "1987-04-29", "19870429", "19870428"
BUSY, PROMISES = ("+8613812345677", "zh", "491"), ("+442071838750", "en", "490")
STRANGER = "+8613812345611"
WORDS = ("I will call you back", "en", "slt")
FAILS = (("check", WRONG), ("check", WRONG))
DENIES = (("check", KEYS), ("was_it_you", "2"), ("sure_no", "1"))


class Desk:
    """The server, and who rings it or is rung by it."""

    site: Site

    def __init__(self, callers: Caller) -> None:
        self.callers = callers
        self.called: list[str] = []

    async def answer(self, call: Call, phone: str) -> None:
        """One telephone is busy; at the other somebody picks up, and says that they will ring us."""
        if phone == BUSY[0]:
            await call.reject(486)
            return
        await call.accept()
        for times in (1, 2, 3):
            await self.asked(call, "is_it_customer", times)
            await call.quiet()
            if not call.over:
                await call.say(speak(*WORDS))

    async def asked(self, call: Call, step: str, times: int) -> None:
        """Wait until a step has asked so often in a call, and asks."""
        while not call.over:
            turns = (await self.site.server.record_of(call.dialog.call_id, ended=False))["turns"]
            if [turn["step"] for turn in turns].count(step) >= times and turns[-1]["step"] == step:
                await call.talking(5)
                return

    async def ring(self, phone: str, number: str, keys: tuple[tuple[str, str], ...], last: str) -> list[Any]:
        """A call of the public number that presses keys at steps and hangs up at `last`; all that was said to there."""
        call = await self.callers.dial(self.site.server.uri(number), user=phone)
        for place, (step, digits) in enumerate(keys):
            await self.asked(call, step, [each for each, _ in keys[: place + 1]].count(step))
            await call.press(digits)
        await self.asked(call, last, 1)
        await call.hangup()
        turns = (await self.site.server.record(call))["turns"]
        turns = turns[: 1 + [turn["step"] for turn in turns].index(last)]
        return [(turn["step"], [said["text"] for said in turn["said"]]) for turn in turns]

    async def until(self, job: dict[str, Any], *states: str) -> dict[str, Any]:
        while True:
            found = await self.site.ask("GET", f"/v1/verifications/{job['id']}")
            if found["state"] in states:
                return found
            await asyncio.sleep(0.1)

    async def attempts(self, job: dict[str, Any]) -> list[str]:
        found = await self.site.ask("GET", f"/v1/verifications/{job['id']}/events")
        return [attempt["outcome"] for attempt in found["attempts"]]


def order(bank: Bank, phone: str, language: str) -> dict[str, Any]:
    return {
        "idempotency_key": phone, "phone": phone, "language": language, "policy": "fraud",
        "proof": {"birth_date": BORN}, "callback_url": f"{bank.url}/told",
        "transaction": {"amount": "129.90", "currency": "CNY", "merchant": "京东", "at": "2026-11-23T09:30:00+08:00"},
    }  # fmt: skip


async def rings_back(desk: Desk, bank: Bank, who: tuple[str, str, str], before: str) -> None:
    """Strangers ring and change nothing, then whom it is for rings and denies."""
    phone, language, number = who
    job = await desk.site.verify(order(bank, phone, language))
    waits = await desk.until(job, "held", "done", "failed")
    assert (waits["state"], await desk.attempts(job)) == ("held", [before]), desk.site.server.last_words(30)
    nobody, pretends = await asyncio.gather(
        desk.ring(STRANGER, number, FAILS, "a_person"), desk.ring(phone, number, FAILS, "a_person")
    )
    assert nobody == pretends
    still = await desk.until(job, "held")
    assert (still["attempts"], still["held_by"], still["due_at"]) == (1, waits["held_by"], waits["due_at"])
    assert [told.type for told in bank.told if told.data["job"] == job["id"]].count("verification.completed") == 0
    heard = await desk.ring(phone, number, DENIES, "to_desk")
    assert "京东" in str(heard)
    assert (await desk.until(job, "done"))["disposition"] == "denied"
    assert await desk.attempts(job) == [before, "reached"]
    evidence = await desk.site.ask("GET", f"/v1/verifications/{job['id']}/evidence")
    assert evidence["body"]["call"]["identity"]["proven"]
    with pytest.raises(Unavailable, match="409"):
        await desk.site.ask("POST", f"/v1/verifications/{job['id']}/retry")


async def test_who_rings_back_and_proves_it_finishes_the_order_and_nobody_else_learns_of_it():
    async with Caller(user="callers", keep_audio=False) as callers, Bank().open() as bank:
        desk = Desk(callers)
        telephones = Telephones(desk.answer)
        policies = {"fraud": FREE | {"amd": False, "retry": {"busy_s": [3600]}}}
        async with telephones.open() as port:
            server = outbound_site.server(port, bank, policies, 2, 2, {"verify": PLAN}, inbound="verify")
            async with server:
                desk.site = Site(server)
                async with asyncio.TaskGroup() as both:
                    both.create_task(rings_back(desk, bank, BUSY, "busy"))
                    both.create_task(rings_back(desk, bank, PROMISES, "rings_back"))
                assert sorted(rung.number for rung in telephones.rung) == sorted((BUSY[0], PROMISES[0]))
                ended = [told for told in bank.told if told.type == "verification.completed"]
                assert [told.data["disposition"] for told in ended] == ["denied", "denied"]
                assert (bank.refused, len({told.id for told in ended})) == (0, 2)
                assert await server.stop(60) == 0
