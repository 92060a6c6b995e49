"""A server that only dials, in a process of its own, to be killed: `python dialing_server.py FOLDER`.

Rings what is in the queue of `FOLDER/config.toml` through one real line process; an answered call lasts as long as its
leg. Says `ready` on standard output.
"""

import asyncio
import sys

from ivr import config
from ivr.backend.client import Backends
from ivr.outbound.attempt import Conclude
from ivr.outbound.job import CallResult, Outgoing
from ivr.outbound.live import OutboundCalls
from ivr.store.store import Store
from ivr.telephony.leg import Leg
from ivr.telephony.pool import LinePool


class Terms:
    """What an order is held against of a dialplan."""

    languages = ("en", "zh")
    given = ()


async def converse(leg: Leg, _plan: str, _outgoing: Outgoing, _conclude: Conclude) -> CallResult:
    ended = await leg.wait_ended()
    return CallResult(ended.cause, ended.by)


async def nobody(leg: Leg) -> None:
    leg.reject(404)


async def main(folder: str) -> None:
    settings = config.load(f"{folder}/config.toml")
    store = Store(settings.store.url, settings.root)
    await store.open()
    outbound = OutboundCalls(settings, store, Backends(settings.backend), lambda _name: Terms())
    lines = LinePool(settings, nobody, on_free=outbound.wake)
    await lines.start()
    outbound.dial(lines, converse)
    print("ready", flush=True)
    await outbound.run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
