"""Trunks: registration, digest authentication, and the proxy in front."""

from __future__ import annotations

import asyncio

from line_driver import LineDriver
from sipp_peer import sipp, sipp_passes

from ivr.line import messages as m
from ivr.line.settings import LineSettings, Peer

LINE, TRUNK, EDGE = 21060, 21066, 21067


def settings(**more: object) -> LineSettings:
    return LineSettings(name="trunks", sip_port=LINE, rtp_port=21300, rtp_ports=60, **more)


def trunk(**more: object) -> Peer:
    return Peer("trunk", "127.0.0.1", TRUNK, username="bank", password="correct horse", **more)


async def test_a_line_registers_with_digest_and_says_so():
    async with sipp("uas-register-challenge", f"127.0.0.1:{LINE}", TRUNK) as registrar:
        await asyncio.sleep(0.3)
        async with LineDriver(settings(peers=(trunk(register_with=True),))) as line:
            news = await line.expect(m.Registration, peer="trunk")
            assert (news.registered, news.code) == (True, 200)
            await registrar.passes()


async def test_a_refused_registration_is_said():
    async with sipp("uas-register-refuse", f"127.0.0.1:{LINE}", TRUNK) as registrar:
        await asyncio.sleep(0.3)
        async with LineDriver(settings(peers=(trunk(register_with=True),))) as line:
            news = await line.expect(m.Registration, peer="trunk")
            assert (news.registered, news.code) == (False, 403)
            await registrar.passes()


async def test_a_challenged_call_is_placed_again_with_credentials():
    async with (
        LineDriver(settings(peers=(trunk(from_user="030123"),))) as line,
        sipp("uas-invite-challenge-expect-bye", f"127.0.0.1:{LINE}", TRUNK) as far_end,
    ):
        await asyncio.sleep(0.3)
        line.send(m.Dial(1, f"sip:2000@127.0.0.1:{TRUNK}", "trunk"))
        placed = await line.expect(m.Dialing, request=1)
        await line.expect(m.LegState, leg=placed.leg, state="answered")
        line.send(m.Hangup(placed.leg))
        await line.expect(m.LegEnded, leg=placed.leg)
        await far_end.passes()


async def test_everything_goes_through_the_edge_and_what_it_sends_is_trusted():
    """Out: the INVITE goes to the edge with its Route. In: the caller's address is the one that the edge saw."""
    behind = settings(edge=f"127.0.0.1:{EDGE}", allow=("192.0.2.0/24",), peers=(trunk(),))
    async with LineDriver(behind) as line:
        async with sipp("uas-edge-expect-route", f"127.0.0.1:{LINE}", EDGE, keys={"route": str(EDGE)}) as edge:
            await asyncio.sleep(0.3)
            line.send(m.Dial(1, "sip:2000@trunk.invalid", "trunk"))
            assert (await line.expect(m.LegEnded)).cause == "busy"
            await edge.passes()
        async with sipp("uac-edge-invite-expect-404", f"127.0.0.1:{LINE}", EDGE) as edge:
            call = await line.expect(m.Incoming)
            assert call.source == "198.51.100.7"
            line.send(m.Reject(call.leg, 404))
            await edge.passes()


async def test_without_an_edge_its_addresses_are_not_trusted():
    """A second Via says nothing when nobody is in front."""
    async with LineDriver(settings(allow=("192.0.2.0/24",))) as line:
        await sipp_passes("uac-invite-expect-403", f"127.0.0.1:{LINE}", EDGE)
        await line.expect(m.Refused, what="source", source="127.0.0.1")
