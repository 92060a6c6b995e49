"""What customers must prove to know is nowhere in clear: not on the server's disk, not in what it tells the bank."""

from __future__ import annotations

import re

from ivr.bench import outbound_site
from ivr.bench.harness import ROOT
from ivr.bench.outbound_site import FREE, Bank, Site, Telephones
from ivr.caller import Call
from ivr.errors import Unavailable

BORN, LAST4 = "1973-08-17", "6408"
IN_CLEAR = re.compile(
    rb"(?<!\w)(?:1973\W{1,3}0?8\W{1,3}17|17\W{1,3}0?8\W{1,3}(?:19)?73|0?8\W{1,3}17\W{1,3}(?:19)?73)(?!\w)"
    rb"|(?<!\w)(?:19730817|17081973|6408)(?!\w)|August (?:the )?17|17(?:th)?(?: of)? August"
    + "|".join(("", "8月17", "八月十七")).encode(),
    re.IGNORECASE,
)
"""The date as people and programs write it, in figures and in words, also in Mandarin; the four characters alone."""


def order(n: int, language: str, **changes) -> dict:
    phone = f"+861381234560{n}" if language == "zh" else f"+44740012345{n}"
    return {
        "idempotency_key": f"tx-{n}", "phone": phone, "language": language, "policy": "fraud", "name": "王小明",
        "transaction": {"amount": "129.90", "currency": "CNY", "merchant": "京东", "at": "2026-11-23T09:30:00+08:00"},
        "proof": {"birth_date": BORN} if language == "zh" else {"id_last4": LAST4},
    } | changes  # fmt: skip


KEYED = ("is_it_them", "is_it_customer", "check", "was_it_you", "sure_yes")
"""Steps of the dialplan that ask."""


async def refused(site: Site, body: dict) -> str:
    try:
        await site.verify(body)
    except Unavailable as error:
        return str(error)
    raise AssertionError("it was taken")


def test_the_search_finds_what_it_looks_for():
    for text in (
        BORN,
        LAST4,
        "17.08.1973",
        "8/17/73",
        "on August 17",
        "1973年8月17日",
        "八月十七",
        '{"id_last4":"6408"}',
    ):
        assert IN_CLEAR.search(text.encode()), text
    assert not IN_CLEAR.search(b"2026-11-23T08:17:30.123Z job_640a8 1973-01-01")


async def test_proofs_are_in_clear_neither_on_disk_nor_in_what_is_told():
    async def pick_up(call: Call, number: str) -> None:
        """Key what is asked, step by step: both customers prove who they are, and confirm."""
        await call.accept()
        keys = {"check": BORN.replace("-", "") if number.startswith("+86") else LAST4}
        record, handled = (await server.record(call, ended=False))["call"]["id"], -1
        while not call.over:
            turns = (await server.get(f"/v1/calls/{record}"))["turns"]
            if turns and turns[-1]["index"] > handled and turns[-1]["step"] in KEYED:
                handled = turns[-1]["index"]
                await call.press(keys.get(turns[-1]["step"], "1"))
            await call.wait_for(lambda: call.over, 0.3)

    telephones, bank = Telephones(pick_up), Bank()
    async with telephones.open() as port, bank.open():
        server = outbound_site.server(
            port, bank, {"fraud": FREE | {"amd": False}}, 1, 2, {"verify": ROOT / "dialplans" / "verify.yaml"},
            log={"format": "json", "level": "debug"}, store={"recordings": "var/recordings"},
            agent=[{"name": "fraud-desk", "uri": "sip:desk@127.0.0.1:9"}],
        )  # fmt: skip
        async with server:
            site = Site(server)
            callback = f"{bank.url}/told"
            called = [await site.verify(order(n, lang, callback_url=callback)) for n, lang in ((1, "zh"), (2, "en"))]
            later = {"not_before": "2099-01-01T00:00:00Z", "expires_at": "2099-01-02T00:00:00Z"}
            said = [await refused(site, order(3, "zh", **later)), await refused(site, order(1, "zh", priority=1))]
            said.append(await refused(site, order(4, "en", proof={"id_last4": LAST4, "pin": BORN})))
            said.append(await refused(site, order(5, "zh", proof={"birth_date": f"{BORN} 25:00"})))
            jobs = await site.until_final(2, 120)
            assert [job["disposition"] for job in jobs] == ["confirmed"] * 2
            await site.ask("POST", "/v1/jobs/pause", b"{}")
            cancelled = await site.verify(order(6, "zh", callback_url=callback))
            await site.ask("POST", f"/v1/verifications/{cancelled['id']}/cancel", b"")
            waiting = await site.verify(order(7, "en", callback_url=callback))
            places = [f"/v1/verifications/{job['id']}" for job in (*called, cancelled, waiting)]
            shown = [await site.ask("GET", place + part) for place in places
                     for part in ("", "/events", "/why", "/webhooks")]  # fmt: skip
            await bank.until(lambda told: sum(t.type == "verification.completed" for t in told) == 3, 30)
            await server.stop()
            files = [path for path in server.folder.rglob("*") if path.is_file()]
            assert {"ivr.db", "server.log", "config.toml"} <= {path.name for path in files}
            assert [path.name for path in files if path.suffix == ".wav"] != []
            assert {path.name: found for path in files if (found := IN_CLEAR.search(path.read_bytes()))} == {}
    assert [body for body in bank.bodies if IN_CLEAR.search(body)] == []
    assert [text for text in (*said, repr(shown)) if IN_CLEAR.search(text.encode())] == []
