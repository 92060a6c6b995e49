"""What others may do to a line process, played by sipp: every exchange is checked on the wire."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket

import pytest
import pytest_asyncio
from line_driver import LineDriver
from sipp_peer import sipp, sipp_passes

from ivr.line import messages as m
from ivr.line.settings import LineSettings

pytestmark = pytest.mark.asyncio(loop_scope="module")
LINE = "127.0.0.1:21010"
ADDRESS = ("127.0.0.1", 21010)
_ports = itertools.count(21040)


def port() -> int:
    return next(_ports)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def process():
    settings = LineSettings(name="strangers", sip_port=21010, rtp_port=21100, rtp_ports=100, codecs=("G722", "PCMU"))
    async with LineDriver(settings) as driver:
        yield driver
        assert driver.seen(m.Failure) == []
        assert driver.log.count('"level": "error"') == 0


@pytest.fixture
def line(process):
    process.forget()
    return process


@contextlib.asynccontextmanager
async def answering(line: LineDriver, *, ring: bool = False):
    """Answer the next call, as a brain would; gives its leg."""

    async def answer() -> int:
        call = await line.expect(m.Incoming)
        if ring:
            line.send(m.Ring(call.leg))
            await asyncio.sleep(0.2)
        line.send(m.Answer(call.leg))
        return call.leg

    task = asyncio.create_task(answer())
    try:
        yield task
    finally:
        leg = await task
        await line.expect(m.LegEnded, leg=leg)


class Victim:
    """An address that nobody may be made to ring."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.keys = {"victim": str(self.socket.getsockname()[1])}

    def was_rung(self) -> bool:
        try:
            return bool(self.socket.recv(4096))
        except BlockingIOError:
            return False
        finally:
            self.socket.close()


async def test_a_plain_call_over_udp_tells_who_rang_what(line):
    """Number, caller and address come from the INVITE."""
    async with answering(line) as leg:
        await sipp_passes("uac-call-expect-200", LINE, port(), number="4001")
        await leg
    call = line.seen(m.Incoming)[0]
    assert (call.number, call.caller, call.source, call.peer) == ("4001", "tester", "127.0.0.1", "")


async def test_a_call_over_tcp(line):
    """The same port serves TCP."""
    async with answering(line) as leg:
        await sipp_passes("uac-call-expect-200", LINE, port(), transport="t1")
        await leg


async def test_refer_of_a_stranger_is_declined_and_dials_nobody(line):
    """RFC 3515 REFER, in a call: 603, and no INVITE leaves."""
    victim = Victim()
    async with answering(line) as leg:
        await sipp_passes("uac-refer-expect-603", LINE, port(), keys=victim.keys)
        await leg
    assert not victim.was_rung()
    assert [e.what for e in line.seen(m.Refused)] == ["transfer"]
    assert len(line.seen(m.Dialing)) == 0


async def test_invite_with_replaces_of_a_stranger_is_declined(line):
    """RFC 3891: 603, and the call that was to be replaced goes on to its own BYE."""
    async with answering(line) as leg:
        await sipp_passes("uac-replaces-expect-603", LINE, port())
        await leg
    assert [e.what for e in line.seen(m.Refused)] == ["replaces"]
    assert len(line.seen(m.Incoming)) == 1


def request(method: str, own: int, *, call: str = "", extra: str = "", body: str = "", tag: str = "") -> bytes:
    """A request out of any dialog, as plain text."""
    name = call or f"{method}{own}"
    return (
        f"{method} sip:400@{LINE} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{own};branch=z9hG4bK{name}\r\n"
        f"From: <sip:raw@127.0.0.1:{own}>;tag={name}\r\nTo: <sip:400@{LINE}>{tag}\r\nCall-ID: {name}\r\n"
        f"CSeq: 1 {method}\r\nContact: <sip:raw@127.0.0.1:{own}>\r\nMax-Forwards: 70\r\n{extra}"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


async def status_of(method: str, extra: str = "", *, tag: str = "", source: str = "127.0.0.1") -> bytes:
    """The status line's code that the line answers with."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((source, 0))
        sender.setblocking(False)
        await loop.sock_sendto(sender, request(method, sender.getsockname()[1], extra=extra, tag=tag), ADDRESS)
        async with asyncio.timeout(10):
            return (await loop.sock_recv(sender, 4096)).split(b" ")[1]


@pytest.mark.parametrize("method", ["REFER", "SUBSCRIBE", "MESSAGE", "REGISTER", "PUBLISH", "NOTIFY", "INFO"])
async def test_requests_out_of_any_dialog_are_refused(line, method):
    """Only INVITE and OPTIONS open anything here; nobody is dialled for a REFER."""
    victim = Victim()
    extra = f"Refer-To: <sip:0900123456@127.0.0.1:{victim.keys['victim']}>\r\nEvent: presence\r\nExpires: 60\r\n"
    assert await status_of(method, extra) == b"403"
    assert (await line.expect(m.Refused)).source == "127.0.0.1"
    assert not victim.was_rung()


async def test_a_call_from_outside_the_allowed_networks_is_refused(line):
    """127.0.0.2 is not in allow: 403, and the brain hears of the refusal, not of a call."""
    await sipp_passes("uac-invite-expect-403", LINE, port(), source="127.0.0.2")
    assert line.seen(m.Incoming) == []
    await line.expect(m.Refused, what="source", source="127.0.0.2")


async def test_options_from_outside_are_refused_too(line):
    assert await status_of("OPTIONS", source="127.0.0.2") == b"403"
    await line.expect(m.Refused, what="source", source="127.0.0.2")


@pytest.mark.parametrize("method", ["INVITE", "BYE", "REFER", "UPDATE"])
async def test_a_tag_in_to_opens_no_back_door(line, method):
    """A request that claims a dialog which is not there: 481, and no call comes of it."""
    victim = Victim()
    extra = f"Refer-To: <sip:0900123456@127.0.0.1:{victim.keys['victim']}>\r\n"
    assert await status_of(method, extra, tag=";tag=invented", source="127.0.0.2") == b"481"
    assert not victim.was_rung()
    assert line.seen(m.Incoming) == []


async def test_options_are_answered(line):
    await sipp_passes("uac-options-expect-200", LINE, port())


async def test_cancel_while_ringing_ends_the_leg(line):
    async with sipp("uac-cancel-while-ringing-expect-487", LINE, port()) as caller:
        call = await line.expect(m.Incoming)
        line.send(m.Ring(call.leg))
        await caller.passes()
        ended = await line.expect(m.LegEnded, leg=call.leg)
    assert (ended.cause, ended.by) == ("cancelled", "them")


async def test_hold_and_resume_by_reinvite(line):
    async with answering(line) as leg:
        await sipp_passes("uac-reinvite-hold-expect-200", LINE, port())
        await leg
    assert [e.state for e in line.seen(m.LegState)] == ["answered", "held", "resumed"]


async def test_update_in_a_call(line):
    async with answering(line) as leg:
        await sipp_passes("uac-update-expect-200", LINE, port())
        await leg


async def test_keys_by_info_in_both_notations(line):
    """application/dtmf-relay and application/dtmf."""
    async with answering(line) as leg:
        await sipp_passes("uac-info-dtmf-expect-200", LINE, port())
        await leg
    assert [(e.digit, e.method) for e in line.seen(m.Dtmf)] == [("5", "info"), ("7", "info")]


async def test_reliable_provisional_response(line):
    async with answering(line, ring=True) as leg:
        await sipp_passes("uac-prack-expect-200", LINE, port())
        await leg


async def test_session_timer_is_agreed_and_refreshed(line):
    async with answering(line) as leg:
        await sipp_passes("uac-session-timer-refresh-expect-200", LINE, port())
        await leg


async def test_too_small_a_session_interval_is_refused(line):
    await sipp_passes("uac-session-interval-expect-422", LINE, port())


async def test_late_offer(line):
    """An INVITE without SDP: the offer is ours."""
    async with answering(line) as leg:
        await sipp_passes("uac-invite-no-sdp-expect-200", LINE, port())
        await leg


async def test_no_common_codec_is_488_and_the_line_lives(line):
    await sipp_passes("uac-invite-g729-expect-488", LINE, port())
    await sipp_passes("uac-invite-broken-sdp-expect-488", LINE, port())
    assert line.seen(m.Incoming) == []
    async with answering(line) as leg:
        await sipp_passes("uac-call-expect-200", LINE, port())
        await leg


async def test_a_rejected_call_hears_the_code_and_retry_after(line):
    async with sipp("uac-invite-expect-404", LINE, port()) as caller:
        call = await line.expect(m.Incoming)
        line.send(m.Reject(call.leg, 404))
        await caller.passes()
        ended = await line.expect(m.LegEnded)
    assert (ended.cause, ended.by, ended.code) == ("rejected", "us", 404)


async def test_a_silent_brain_costs_the_call_not_the_line(line):
    """No answer to Incoming within two seconds: 503."""
    async with sipp("uac-invite-expect-503", LINE, port()) as caller:
        await line.expect(m.Incoming)
        await caller.passes()
        ended = await line.expect(m.LegEnded)
    assert (ended.cause, ended.by, ended.code) == ("brain_lost", "us", 503)


async def test_the_fifth_call_is_refused_before_answering(line):
    """As many legs as the library has, then 486; when they are gone the next call is served."""
    async with contextlib.AsyncExitStack() as stack:
        callers, legs = [], []
        for _ in range(line.ready.max_legs):
            callers.append(await stack.enter_async_context(sipp("uac-call-expect-bye", LINE, port())))
            call = await line.expect(m.Incoming)
            line.send(m.Answer(call.leg))
            await line.expect(m.LegState, leg=call.leg, state="answered")
            legs.append(call.leg)
        await sipp_passes("uac-invite-expect-486", LINE, port())
        for leg, caller in zip(legs, callers, strict=True):
            line.send(m.Hangup(leg))
            ended = await line.expect(m.LegEnded, leg=leg)
            assert (ended.cause, ended.by) == ("hangup", "us")
            await caller.passes()
    assert [e.what for e in line.seen(m.Refused)] == ["full"]
    async with answering(line) as leg:
        await sipp_passes("uac-call-expect-200", LINE, port())
        await leg


async def test_a_storm_of_tcp_connections_does_not_end_the_process(line):
    """The library asserts when its table of handles is full; the listener closes before that, and opens again."""
    for _ in range(150):
        with contextlib.suppress(OSError), socket.create_connection(ADDRESS, timeout=0.1):
            pass
        await asyncio.sleep(0.002)
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(ADDRESS, timeout=0.1):
            break
        await asyncio.sleep(0.05)
    else:
        raise AssertionError("TCP was not served again")
    async with answering(line) as leg:
        await sipp_passes("uac-call-expect-200", LINE, port(), transport="t1")
        await leg


async def test_a_storm_of_calls_does_not_end_the_process(line):
    """More calls at once than the library has handles for: the rest gets 503."""
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.bind(("127.0.0.1", 0))
    sender.setblocking(False)
    own = sender.getsockname()[1]
    sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 18\r\n"
    for number in range(120):
        invite = request("INVITE", own, call=f"storm{number}", extra="Content-Type: application/sdp\r\n", body=sdp)
        sender.sendto(invite, ADDRESS)
    codes = set()
    await line.expect(m.Refused, what="full")
    await asyncio.sleep(0.7)
    with contextlib.suppress(BlockingIOError):
        while True:
            codes.add(sender.recv(4096).split(b" ")[1])
    assert codes == {b"488", b"503"}
    async with answering(line) as leg:
        await sipp_passes("uac-call-expect-200", LINE, port())
        await leg
