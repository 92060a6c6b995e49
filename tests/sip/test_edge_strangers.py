"""What strangers may try at the edge, and that nothing leaves for anybody they name."""

import asyncio

import pytest
import pytest_asyncio
from edge_peers import (
    CALL,
    HANGUP,
    Udp,
    Victim,
    ack,
    config,
    expect,
    invite,
    message,
    pause,
    request,
    server,
    sipp_passes,
    tcp_exchange,
    torture,
)

from ivr.config import Trunk

pytestmark = pytest.mark.asyncio(loop_scope="module")

PORT, RTP, CALLER = 25_400, 25_600, 25_500
VICTIM_HOST, VICTIM_PORT = "127.0.0.3", 25_690
FLOOD = 40
TRUNK = Trunk(name="carrier", host=VICTIM_HOST, port=VICTIM_PORT, prefixes=("4", "09"), country="DE")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ivr(tmp_path_factory):
    settings = config(PORT, RTP, 2, (TRUNK,), flood=FLOOD)
    async with server(settings, tmp_path_factory.mktemp("strangers")) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def victim(ivr):
    """The trunk's own address, and one that is nobody's: neither may get a single byte."""
    async with Victim(VICTIM_HOST, VICTIM_PORT) as listening, Victim("127.0.0.4", VICTIM_PORT) as other:
        yield listening
        async with asyncio.timeout(10):
            await ivr.idle()
        assert listening.received == []
        assert other.received == []


async def test_outside_the_allow_list_there_is_silence(ivr):
    with Udp("127.0.0.2", CALLER, ivr.address) as outside:
        for method in ("OPTIONS", "INVITE", "REGISTER"):
            assert await outside.ask(message(f"{method} sip:400@127.0.0.1", via=f"127.0.0.2:{CALLER}"), 0.4) == ""
    options = message("OPTIONS sip:400@127.0.0.1").replace(b"/UDP", b"/TCP")
    assert await tcp_exchange("127.0.0.2", ivr.address, options, 0.5) == b""
    with Udp("127.0.0.1", CALLER, ivr.address) as inside:
        assert await inside.ask(message("OPTIONS sip:400@127.0.0.1", via=f"127.0.0.1:{CALLER}")) == "200"
    assert (await tcp_exchange("127.0.0.1", ivr.address, options, 0.5)).startswith(b"SIP/2.0 200")


async def test_refer_within_a_call_is_refused_and_dials_nobody(ivr, victim):
    target = f"Refer-To: <sip:0900123456@{VICTIM_HOST}:{VICTIM_PORT}>"
    await sipp_passes(ivr.address, CALLER, *CALL, request("REFER", 2, target), expect(403), pause(300), *HANGUP)


async def test_invite_with_replaces_is_refused_and_dials_nobody(ivr, victim):
    header = "Replaces: 1@127.0.0.1;to-tag=a;from-tag=b"
    await sipp_passes(ivr.address, CALLER, invite(header), expect(403), ack(refused=True))


async def test_refer_and_other_requests_outside_a_call_are_refused(ivr, victim):
    refer_to = f"Refer-To: <sip:0900123456@{VICTIM_HOST}:{VICTIM_PORT}>"
    with Udp("127.0.0.1", CALLER, ivr.address) as stranger:
        for method, code in (("REFER", "403"), ("MESSAGE", "405"), ("SUBSCRIBE", "405"), ("REGISTER", "405")):
            asked = message(f"{method} sip:400@127.0.0.1", refer_to, via=f"127.0.0.1:{CALLER}")
            assert await stranger.ask(asked) == code


@pytest.mark.parametrize("method", ["INVITE", "BYE", "INFO", "REFER", "ACK"])
async def test_a_forged_dialog_does_not_make_us_forward(ivr, victim, method):
    """To-tag, loose routes and contact aliases are the ways in which a proxy is talked into being an open relay."""
    place = f"{VICTIM_HOST}:{VICTIM_PORT}"
    edge = f"<sip:{ivr.address};lr>"
    uris = (f"sip:0900123456@{place}", f"sip:0900@127.0.0.1;alias={VICTIM_HOST}~{VICTIM_PORT}~1")
    routes = ((), (f"Route: {edge}",), (f"Route: {edge}", f"Route: <sip:{place};lr>"), (f"Route: <sip:{place};lr>",))
    with Udp("127.0.0.1", CALLER, ivr.address) as stranger:
        for uri in uris:
            for tag in (";tag=forged", ""):
                for route in routes:
                    forged = message(
                        f"{method} {uri}", *route, via=f"127.0.0.1:{CALLER}", to=f"To: <sip:400@127.0.0.1>{tag}"
                    )
                    stranger.send(forged)
        answers = [a for a in [await stranger.receive(0.5) for _ in range(16)] if a]
    assert not any(answer.startswith("SIP/2.0 2") for answer in answers)


async def test_a_caller_cannot_claim_to_come_from_the_trunk(ivr, victim):
    forged = f"Via: SIP/2.0/UDP {VICTIM_HOST};branch=z9hG4bK-forged;received={VICTIM_HOST};rport={CALLER}"
    with Udp("127.0.0.1", CALLER, ivr.address) as stranger:
        assert await stranger.ask(message("INVITE sip:400@127.0.0.1", via_=forged)) in ("", "400")
        assert ivr.rung.empty()
        claimed = f"Via: SIP/2.0/UDP {VICTIM_HOST}:{CALLER};branch=z9hG4bK-claimed"
        stranger.send(message("INVITE sip:400@127.0.0.1", via_=claimed))
        leg = await ivr.rung.get()
        assert (leg.info.source, leg.info.peer) == ("127.0.0.1", "")
        leg.hangup()


async def test_a_flood_is_met_with_silence_and_the_line_serves_again_afterwards(ivr, victim):
    with Udp("127.0.0.1", CALLER, ivr.address) as stranger:
        for n in range(FLOOD * 8):
            stranger.send(message("OPTIONS sip:400@127.0.0.1", f"X-Number: {n}", via=f"127.0.0.1:{CALLER}"))
        answers = 0
        while await stranger.receive(0.5):
            answers += 1
        assert answers <= FLOOD * 3
        async with asyncio.timeout(20):
            while not await stranger.ask(message("OPTIONS sip:1@127.0.0.1", via=f"127.0.0.1:{CALLER}"), 0.5):  # noqa: ASYNC110
                await asyncio.sleep(1)
    await sipp_passes(ivr.address, CALLER, *CALL, *HANGUP)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_torture_messages_are_survived(ivr, transport):
    messages = torture()
    if transport == "udp":
        with Udp("127.0.0.1", CALLER, ivr.address) as stranger:
            for each in messages:
                stranger.send(each)
                await asyncio.sleep(0.015)
    else:
        for each in messages:
            await tcp_exchange("127.0.0.1", ivr.address, each, 0.03)
    for leg in ivr.pool.legs:
        leg.hangup()
    async with asyncio.timeout(10):
        await ivr.idle()
        while (await tcp_exchange("127.0.0.1", ivr.address, OPTIONS, 0.5)) == b"":  # noqa: ASYNC110
            await asyncio.sleep(0.5)
    await sipp_passes(ivr.address, CALLER, *CALL, *HANGUP)
    status = ivr.pool.status()
    assert (status.lines_up, status.restarts) == (2, 0)


OPTIONS = message("OPTIONS sip:400@127.0.0.1").replace(b"/UDP", b"/TCP")
