"""The shipped plan `verify` in a running server: rung, proven by keys, confirmed; nothing of the proof on its disk."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from ivr.bench import outbound_site
from ivr.bench.outbound_site import FREE, Bank, Site, Telephones
from ivr.caller import Call

PLAN = Path(__file__).parents[2] / "dialplans" / "verify.yaml"
IN_CLEAR = re.compile(rb"1987\W{0,3}04\W{0,3}29|29\W{1,3}04\W{1,3}1987|19870429")


async def test_a_customer_proves_who_they_are_by_keys_and_confirms():
    async def customer(call: Call, _: str) -> None:
        await call.accept()
        for keys in ("1", "19870429", "1", "1"):
            await call.talking(20)
            await asyncio.sleep(1)  # into the question: keys interrupt it
            await call.press(keys)
        await call.wait_for(lambda: call.over, 30)

    telephones, bank = Telephones(customer), Bank()
    async with telephones.open() as port, bank.open():
        server = outbound_site.server(
            port, bank, {"fraud": FREE | {"amd": False}}, 1, 1, {"verify": PLAN},
            log={"format": "json", "level": "debug"}, store={"recordings": "var/recordings"},
        )  # fmt: skip
        async with server:
            site = Site(server)
            job = await site.verify({
                "idempotency_key": "tx-1", "phone": "+8613812345601", "language": "zh", "policy": "fraud",
                "name": "王小明", "phrase": "海棠", "proof": {"birth_date": "1987-04-29"},
                "transaction": {"amount": "129.90", "currency": "CNY", "merchant": "京东",
                                "at": "2026-11-23T09:30:00+08:00"},
            })  # fmt: skip
            await site.until_final(1, 80)
            ended = await site.ask("GET", f"/v1/verifications/{job['id']}")
            evidence = await site.ask("GET", f"/v1/verifications/{job['id']}/evidence")
            await server.stop()
            files = [path for path in server.folder.rglob("*") if path.is_file()]
            assert {path.name: found for path in files if (found := IN_CLEAR.search(path.read_bytes()))} == {}
    assert ended["disposition"] == "confirmed"
    assert not IN_CLEAR.search(repr(evidence).encode())
    identity = str(evidence)
    assert "'proven': True" in identity
    assert "'by': 'keys'" in identity
