"""Three line processes behind Kamailio at one address: calls in and out, capacity, bridging, deaths."""

import asyncio
import os
import signal

import pytest
import pytest_asyncio
from edge_peers import (
    CALL,
    HANGUP,
    OK,
    Rung,
    Server,
    ack,
    await_request,
    cancel,
    cancelled,
    config,
    expect,
    invite,
    pause,
    server,
    sipp,
    sipp_passes,
)

from ivr.config import Config, Lines, Number, Sip, Trunk
from ivr.line.messages import LegEnded, LegState, PlayoutEnded, Segment, SpeechStarted
from ivr.telephony.leg import DialOutcome, Leg
from ivr.telephony.pool import LinePool

pytestmark = pytest.mark.asyncio(loop_scope="module")

PORT, RTP, PEER_PORT, CALLER = 25_100, 25_300, 25_200, 25_220
TRUNK = Trunk(name="carrier", host="127.0.0.1", port=PEER_PORT, from_user="4930", prefixes=("4", "5"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("edge")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ivr(folder):
    async with server(config(PORT, RTP, 3, (TRUNK,)), folder) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def peer(ivr):
    """Another server, a single process, which is the trunk: it dials us and is dialled."""
    settings = Config(
        sip=Sip(port=PEER_PORT, rtp_port=25_700),
        lines=Lines(reserve_legs=0),
        number=(Number(pattern="5xx", plan="main"),),
        trunk=(Trunk(name="us", host="127.0.0.1", port=PORT, prefixes=("4",), from_user="100"),),
    )
    rung = Rung()

    async def take(leg: Leg) -> None:
        rung.put_nowait(leg)
        if leg.info.number == "586":
            leg.reject(486)
        elif leg.info.number == "580":
            leg.ring()
        else:
            leg.answer()
        await leg.wait_ended()

    pool = LinePool(settings, take)
    await pool.start()
    pool.rung = rung
    yield pool
    await pool.close()


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def _nothing_left(ivr: Server):
    yield
    async with asyncio.timeout(10):
        await ivr.idle()


async def test_a_call_over_udp_and_one_over_tcp_go_through_the_one_address(ivr):
    for transport in ("u1", "t1"):
        await sipp_passes(ivr.address, CALLER, *CALL, pause(200), *HANGUP, transport=transport)
        leg = ivr.rung.get_nowait()
        assert (leg.info.source, leg.info.caller) == ("127.0.0.1", "stranger")
        assert (await leg.wait_ended()).by == "them"


async def test_we_hang_up_a_call_over_tcp(ivr):
    async with sipp(ivr.address, CALLER, *CALL, await_request("BYE"), OK, transport="t1") as caller:
        leg = await ivr.rung.get()
        await leg.wait_answered()
        await asyncio.sleep(0.2)  # two workers of the edge may let BYE overtake 200
        leg.hangup()
        await caller.passes()


async def test_a_caller_that_forgets_the_route_set_is_served_all_the_same(ivr):
    steps = [step.replace("[routes]\n", "") for step in (*CALL, pause(200), *HANGUP)]
    await sipp_passes(ivr.address, CALLER, *steps)


async def test_cancel_while_ringing(ivr):
    ivr.answers = False
    try:
        steps = (invite(), expect(100, True), expect(180), cancel(), cancelled())
        await sipp_passes(ivr.address, CALLER, *steps)
        assert (await ivr.rung.get_nowait().wait_ended()).cause == "cancelled"
    finally:
        ivr.answers = True


async def test_options_are_answered_by_the_edge(ivr):
    await sipp_passes(ivr.address, CALLER, invite().replace("INVITE", "OPTIONS"), expect(200, check="Allow:.*INVITE"))


async def test_an_unknown_number_is_404_from_whichever_line(ivr):
    for _ in range(3):
        await sipp_passes(
            ivr.address, CALLER, invite(), expect(100, True), expect(404), ack(refused=True), number="999"
        )


async def test_twelve_calls_fill_three_lines_and_the_thirteenth_is_refused_before_answering(ivr):
    async with sipp(ivr.address, CALLER, *CALL, pause(3_000), *HANGUP, calls=12, per_second=50) as twelve:
        legs = [await ivr.rung.get() for _ in range(12)]
        assert sorted(len(line.legs) for line in ivr.pool.lines) == [4, 4, 4]
        assert all([await leg.wait_answered() for leg in legs])
        refused = (invite(), expect(100, True), expect(503, check="Retry-After: *[1-9]"), ack(refused=True))
        await sipp_passes(ivr.address, CALLER + 1, *refused, media=26_200)
        assert ivr.pool.status().legs_used == 12
        await twelve.passes()


async def test_two_callers_on_different_processes_are_bridged_and_hear_each_other(ivr, peer, spoken):
    calls = [await peer.dial("400") for _ in range(3)]
    ours = [await ivr.rung.get() for _ in calls]
    assert all(isinstance(call, Leg) for call in calls)
    first, second = next((a, b) for a in ours for b in ours if a.id.split(".")[0] != b.id.split(".")[0])
    by_call_id = {call.info.sip_call_id: call for call in calls}
    speaker, hearer = by_call_id[first.info.sip_call_id], by_call_id[second.info.sip_call_id]
    assert await ivr.pool.bridge(first, second)
    for says, hears in ((speaker, hearer), (hearer, speaker)):
        hears.listen(no_input_ms=0)
        says.play([Segment(spoken)])
        assert await event(hears, SpeechStarted)
        assert (await event(says, PlayoutEnded)).reason == "finished"
    speaker.hangup()
    await first.wait_ended()
    assert second.ended is None
    for call in calls:
        call.hangup()


async def test_dialling_out_through_the_edge(ivr, peer):
    leg = await ivr.pool.dial("500")
    assert isinstance(leg, Leg)
    theirs = await peer.rung.get()
    assert (theirs.info.number, theirs.info.caller) == ("500", "4930")
    theirs.hangup()
    assert (await event(leg, LegEnded)).by == "them"
    leg = await ivr.pool.dial("501")
    theirs = await peer.rung.get()
    leg.hangup()
    assert (await theirs.wait_ended()).by == "them"
    busy = await ivr.pool.dial("586")
    assert isinstance(busy, DialOutcome)
    assert (busy.cause, busy.code) == ("busy", 486)


async def test_giving_up_a_dialled_call_cancels_it_at_the_far_end(ivr, peer):
    while not peer.rung.empty():
        peer.rung.get_nowait()
    legs: list[Leg] = []
    dialling = asyncio.create_task(ivr.pool.dial("580", on_leg=legs.append))
    theirs = await peer.rung.get()
    while not legs:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert (await event(legs[0], LegState)).state == "ringing"
    dialling.cancel()
    assert (await theirs.wait_ended()).cause == "cancelled"


async def test_what_no_prefix_opens_is_not_dialled(ivr):
    outcome = await ivr.pool.dial("600")
    assert isinstance(outcome, DialOutcome)
    assert outcome.cause == "not_allowed"


async def test_a_killed_line_costs_its_calls_only_and_comes_back(ivr):
    loop = asyncio.get_running_loop()
    async with sipp(ivr.address, CALLER, *CALL, pause(3_000), *HANGUP, calls=3, per_second=50):
        legs = [await ivr.rung.get() for _ in range(3)]
        killed = ivr.pool.lines[0]
        lost = list(killed.legs.values())
        assert len(lost) == 1
        os.kill(killed.pid, signal.SIGKILL)
        died = loop.time()
        assert (await lost[0].wait_ended()).cause == "line_lost"
        for n in range(2):
            await sipp_passes(ivr.address, CALLER + 1, *CALL, *HANGUP, media=26_200 + 10 * n)
        await ivr.pool.wait_lines_up()
        assert loop.time() - died < 10
        assert [leg.ended for leg in legs if leg is not lost[0]] == [None, None]
    for leg in ivr.pool.legs:
        leg.hangup()


async def test_a_killed_edge_comes_back_and_calls_that_were_up_go_on(ivr, peer):
    before = ivr.pool.status().restarts
    call = await peer.dial("400")
    assert isinstance(call, Leg)
    guard = ivr.pool.edge.pid
    os.kill(guard, signal.SIGKILL)
    while ivr.pool.status().restarts == before or not ivr.pool.status().edge_up:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    assert call.ended is None
    call.hangup()
    await (await ivr.rung.get()).wait_ended()
    await sipp_passes(ivr.address, CALLER, *CALL, *HANGUP)


async def event(leg: Leg, kind: type):
    """The next event of that kind."""
    async with asyncio.timeout(15):
        async for found in leg.events:
            if isinstance(found, kind):
                return found
    raise AssertionError(f"the leg ended without {kind.__name__}")


@pytest.fixture(scope="module")
def spoken(folder) -> str:
    import subprocess

    raw, path = folder / "raw.wav", folder / "spoken.wav"
    subprocess.run(["espeak-ng", "-v", "en", "-w", str(raw), "Good morning, can you hear me?"], check=True)
    subprocess.run(["sox", str(raw), "-r", "16000", "-c", "1", "-b", "16", str(path)], check=True)
    return str(path)
