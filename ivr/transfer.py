"""A conductor: connects a caller to the first of several to answer, or hands the call over; the outcome is a value.

Everyone is rung at once; whoever answers first is bridged and the others get CANCEL (CCXML 1.0, section 9.3 leaves
the choice to the document; ringing at once is what a caller waits least for). Runs in asyncio's thread, one task a
transfer, cancelled with the call.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

import structlog

from ivr.dialog.state import Connect
from ivr.telephony.leg import Leg
from ivr.telephony.pool import LinePool
from ivr.turn_log import TurnLog

log = structlog.get_logger(__name__)

HANGUP_WITHIN_S = 1
MAX_TARGETS = 8
_OUTCOMES = {"busy": "busy", "no_answer": "no_answer", "cancelled": "no_answer"}
_BEST_FIRST = ("no_answer", "busy", "failed")


async def hand_over(leg: Leg, target: str, timeout_s: int) -> str:
    """REFER the caller to `target` (RFC 3515): connected, busy, no_answer or failed."""
    outcome = await leg.refer(target, timeout_s * 1000)
    return "connected" if outcome == "accepted" else _OUTCOMES.get(outcome, "failed")


async def first_to_answer(
    lines: LinePool, leg: Leg, action: Connect, addresses: Mapping[str, str], language: str
) -> Leg | str:
    """Ring all targets and return the leg that answered first, or why none did.

    `addresses` maps names of agents to SIP URIs. Of several reasons the one that says most is given: somebody was
    rung and did not answer, somebody was busy, it failed.
    """
    targets = dict.fromkeys(addresses.get(t, t) for t in action.targets[:MAX_TARGETS])
    dials = {
        asyncio.create_task(
            lines.dial(target, timeout_ms=action.timeout_s * 1000, language=language, near=leg, reserved=True)
        )
        for target in targets
    }
    reasons: set[str] = set()
    winner: Leg | None = None
    try:
        waiting = dials
        while waiting and winner is None:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for answer in (task.result() for task in done):
                if isinstance(answer, Leg):
                    winner = winner or answer
                else:
                    log.info("transfer failed", cause=answer.cause, code=answer.code)
                    reasons.add(_OUTCOMES.get(answer.cause, "failed"))
        return winner or next((r for r in _BEST_FIRST if r in reasons), "failed")
    finally:
        for task in dials:
            task.cancel()
        for late in await asyncio.gather(*dials, return_exceptions=True):
            if isinstance(late, Leg) and late is not winner:
                late.hangup()


async def together(lines: LinePool, leg: Leg, other: Leg, turns: TurnLog) -> str:
    """Two people talk until the other side leaves (`connected`), or could not be connected (`failed`)."""
    drain = asyncio.create_task(_drain(other))
    await turns.connected(other)
    try:
        leg.stop_playout()
        if not await lines.bridge(leg, other):
            return "failed"
        log.info("connected", leg=leg.id, other=other.id)
        await other.wait_ended()
        return "connected"
    finally:
        other.hangup()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HANGUP_WITHIN_S):
                await turns.leg_ended(other, await other.wait_ended())
        drain.cancel()


async def _drain(leg: Leg) -> None:
    async for _ in leg.events:
        pass
