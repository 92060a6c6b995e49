"""Who answered, through real SIP and RTP: a stranger's telephone plays people and answering machines in both languages.

The four calls run at once on one line process.
"""

import asyncio

import numpy as np
import pytest

from ivr.bench.amd_calls import tone
from ivr.caller import Caller
from ivr.caller.speak import speak
from ivr.config import Config, Lines, Sip, Trunk
from ivr.line.messages import AnsweredBy, MachineAfterAll, MachineReady
from ivr.line.settings import Amd
from ivr.telephony.leg import Leg
from ivr.telephony.pool import LinePool

PORT, RTP_PORT = 25_110, 27_200
AMD = Amd(greeting_end_ms=10_000)
# A busy machine tears audio that is sent in real time, and perhaps a beep; the first whole one counts.
BEEPS = 3
HUMAN = [(AnsweredBy, "stopped")]
MACHINE = [(AnsweredBy, "cadence"), (MachineReady, "beep")]
# By the number that is dialled: the language, the voice, what is said, whether a beep follows, and what we must find.
CALLEES = {
    "401": ("en", "slt", "Hello?", False, HUMAN),
    "402": ("zh", "cmn-latn-pinyin+f3", "喂，你好。", False, HUMAN),
    "403": ("en", "slt", "Hello, you have reached the Miller family. We are out at the moment, so please leave a "
            "message after the tone.", True, MACHINE),
    "404": ("zh", "cmn-latn-pinyin+f3", "您好，我现在不方便接听电话，请在提示音之后留言。", True, MACHINE),
}  # fmt: skip


async def callee(call) -> None:
    """Rings with a tone as early media, answers, says its piece and waits to be hung up on."""
    language, voice, text, beeps, _ = CALLEES[call.invite.uri.partition(":")[2].partition("@")[0]]
    said = [np.zeros(2_400, np.int16), speak(text, language, voice)]
    if beeps:
        said += [np.zeros(4_000, np.int16), tone(1_000, 0.8)] * BEEPS
    await call.ring(183)
    await call.say(tone(425, 0.6), trim=False)
    await call.accept()
    await call.say(np.concatenate(said), trim=False)
    await call.wait_for(lambda: call.over, 20)


async def answered(pool: LinePool, number: str, wanted: int) -> list[tuple[type, str]]:
    """What we are told of who answered, until as many events as are wanted or somebody is found a machine after all."""
    leg = await pool.dial(number, "t", amd=AMD)
    assert isinstance(leg, Leg), leg
    found: list[tuple[type, str]] = []
    async for event in leg.events:
        if isinstance(event, AnsweredBy | MachineAfterAll | MachineReady):
            found.append((type(event), event.cause))
            if len(found) == wanted or isinstance(event, MachineAfterAll):
                break
    leg.hangup()
    await leg.wait_ended()
    return found


@pytest.mark.asyncio
async def test_people_and_machines_are_told_apart_in_both_languages():
    async with Caller(user="far") as far:
        far.listen(callee)
        config = Config(
            sip=Sip(port=PORT, rtp_port=RTP_PORT),
            lines=Lines(processes=1, reserve_legs=0),
            trunk=(Trunk(name="t", host="127.0.0.1", port=far.socket.port, prefixes=("4",)),),
        )
        pool = LinePool(config, lambda leg: leg.wait_ended())
        try:
            await pool.start()
            async with asyncio.timeout(30):
                found = await asyncio.gather(*(answered(pool, n, len(c[4])) for n, c in CALLEES.items()))
        finally:
            await pool.close()
    assert dict(zip(CALLEES, found, strict=True)) == {number: wanted for number, (*_, wanted) in CALLEES.items()}
