"""A server in a process of its own, to be killed: `python edge_server.py PORT RTP PROCESSES PROMPT`.

400 is answered and hears the prompt, 401 rings. Says `ready` on standard output.
"""

import asyncio
import sys

from ivr.config import Config, Lines, Number, Sip
from ivr.line.messages import Segment
from ivr.telephony.leg import Leg
from ivr.telephony.pool import LinePool


async def main(port: int, rtp: int, processes: int, prompt: str) -> None:
    async def take(leg: Leg) -> None:
        if leg.info.number == "401":
            leg.ring()
        else:
            leg.answer()
            leg.play([Segment(prompt, barge_in="none")])
        await leg.wait_ended()

    config = Config(
        sip=Sip(port=port, rtp_port=rtp),
        lines=Lines(processes=processes, reserve_legs=0),
        number=(Number(pattern="4xx", plan="main"),),
    )
    pool = LinePool(config, take, apology={"en": prompt})
    await pool.start()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
