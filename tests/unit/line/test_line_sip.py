"""What a line makes of requests, addresses and status codes, without any SIP library."""

from __future__ import annotations

import pytest

from ivr.line.budget import CLOSED_KEPT_S, Handles
from ivr.line.settings import Peer
from ivr.line.sip import (
    Sources,
    dial_cause,
    dialable,
    host_of,
    info_key,
    masked,
    may_refer,
    opening,
    read_request,
    sdp_is_broken,
    sequence,
    transfer_outcome,
    user_of,
)
from ivr.line.timers import Timers

SDP = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


def request(
    method: str = "INVITE", uri: str = "sip:400@192.0.2.9", *, to: str = "", headers: str = "", body: str = "",
    content: str = "application/sdp",
) -> str:  # fmt: skip
    kind = f"Content-Type: {content}\r\n" if body else ""
    return (
        f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\r\n{headers}"
        f'From: "A, B" <sip:1000@example.org>;tag=7\r\nTo: <sip:400@192.0.2.9>{to}\r\nCall-ID: abc@192.0.2.1\r\n'
        f"CSeq: 5 {method}\r\n{kind}\r\n{body}"
    )


@pytest.mark.parametrize(
    ("uri", "user"),
    [("sip:400@host", "400"), ("<sip:+49301234@host;user=phone>", "+49301234"), ('"X" <sip:a:pw@host>;tag=1', "a"),
     ("sip:host", ""), ("sip:host:5060", ""), ("tel:+4930123;phone-context=x", "+4930123"), ("nonsense", ""),
     ("SIPS:bob@host", "bob")],
)  # fmt: skip
def test_user_part_of_a_uri(uri, user):
    assert user_of(uri) == user


@pytest.mark.parametrize(
    ("address", "host"),
    [("192.0.2.1:5060", "192.0.2.1"), ("192.0.2.1", "192.0.2.1"), ("[2001:db8::1]:5060", "2001:db8::1")],
)
def test_host_of_an_address(address, host):
    assert host_of(address) == host


def test_an_invite_tells_number_caller_source_and_call_id():
    read = read_request(request(), "192.0.2.1:5060")
    assert (read.number, read.caller, read.source, read.call_id) == ("400", "1000", "192.0.2.1", "abc@192.0.2.1")


def test_more_blanks_than_there_should_be_do_no_harm():
    """RFC 4475 lwsstart: spaces around the Request-URI."""
    assert read_request(request().replace("INVITE sip", "INVITE  sip", 1), "192.0.2.1").number == "400"


def test_behind_the_edge_the_source_is_in_the_second_via():
    """What the edge saw (received) counts before what the caller claimed."""
    claimed = "Via: SIP/2.0/UDP 10.0.0.5:5070;branch=z9hG4bK2\r\n"
    seen = "Via: SIP/2.0/UDP 10.0.0.5:5070;received=198.51.100.7;branch=z9hG4bK2\r\n"
    edge = frozenset({"192.0.2.1"})
    assert read_request(request(headers=claimed), "192.0.2.1:5060", edge).source == "10.0.0.5"
    assert read_request(request(headers=seen), "192.0.2.1:5060", edge).source == "198.51.100.7"
    assert read_request(request(headers=seen), "192.0.2.77:5060", edge).source == "192.0.2.77"


def test_text_off_the_wire_is_cleaned_and_bounded():
    """Bytes that are no UTF-8 come as surrogates; control characters and novels do not go on."""
    read = read_request(request(uri="sip:4\udcff\x07" + "9" * 999 + "@h"), "192.0.2.1")
    assert read.number == "4?" + "9" * 253


@pytest.mark.parametrize(("to", "inside"), [("", False), (";tag=8", True), (" ; TAG = 8", True)])
def test_a_tag_in_to_claims_a_dialog(to, inside):
    assert opening(request("BYE", to=to)) == ("BYE", inside)


SOURCES = Sources(("192.0.2.0/24", "2001:db8::/32"), {"198.51.100.7": "trunk"}, frozenset({"203.0.113.1"}))


@pytest.mark.parametrize(
    ("source", "admitted"),
    [("192.0.2.200", True), ("2001:db8::7", True), ("198.51.100.7", True), ("203.0.113.1", True),
     ("192.0.3.1", False), ("example.org", False), ("", False)],
)  # fmt: skip
def test_who_may_ring(source, admitted):
    assert SOURCES.admits(source) is admitted


@pytest.mark.parametrize(
    ("method", "to", "source", "verdict"),
    [("INVITE", "", "192.0.2.1", 0), ("OPTIONS", "", "192.0.2.1", 0), ("INVITE", "", "198.51.100.99", 403),
     ("ACK", "", "198.51.100.99", -1), ("REFER", "", "192.0.2.1", 403), ("MESSAGE", "", "192.0.2.1", 403),
     ("BYE", ";tag=1", "198.51.100.99", 0), ("REFER", ";tag=1", "192.0.2.1", 0)],
)  # fmt: skip
def test_what_passes_the_door(method, to, source, verdict):
    assert SOURCES.judge(request(method, to=to), source) == verdict


PEER = Peer("trunk", "pbx.example", refer_targets=("sip:2001@pbx.example", "sip:queue*", "sip:9*@pbx.example", "+4930"))


@pytest.mark.parametrize(
    ("target", "allowed"),
    [("sip:2001@pbx.example", True), ("<sip:2001@pbx.example;transport=tcp?Replaces=x>", True),
     ("sip:2001@pbx.example.evil", False), ("sip:2002@pbx.example", False), ("sip:queue1@evil", False),
     ("sip:99@pbx.example", True), ("sip:99@pbx.example.evil", False), ("sip:99@pbx.example:99", False),
     ("sip:+49301234@pbx.example", True), ("sip:+49301234@evil.example", False),
     ("sip:0900123@pbx.example", False), ("", False)],
)  # fmt: skip
def test_only_listed_targets_may_be_referred_to(target, allowed):
    """A prefix of a number holds at the peer's own host only; `*` stands at the end of a user part only."""
    assert may_refer(PEER, target) is allowed


def test_nobody_refers_without_being_a_peer():
    assert not may_refer(None, "sip:2001@pbx.example")
    assert not may_refer(Peer("trunk", "pbx.example"), "sip:2001@pbx.example")


@pytest.mark.parametrize(
    ("code", "cause"),
    [(486, "busy"), (600, "busy"), (408, "no_answer"), (480, "no_answer"), (487, "no_answer"), (603, "rejected"),
     (403, "rejected"), (404, "unreachable"), (410, "unreachable"), (484, "unreachable"), (500, "unreachable"),
     (503, "unreachable"), (604, "unreachable"), (302, "failed")],
)  # fmt: skip
def test_what_a_final_response_means(code, cause):
    assert dial_cause(code) == cause


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(200, "accepted"), (486, "busy"), (480, "no_answer"), (603, "rejected"), (404, "failed"), (503, "failed")],
)
def test_what_the_end_of_a_transfer_means(code, outcome):
    assert transfer_outcome(code) == outcome


@pytest.mark.parametrize(
    ("body", "broken"),
    [(SDP, False), (SDP.replace("\r\n", "\n"), False), ("", False), ("v=0\r\nnonsense\r\n", True),
     (SDP.replace("v=0", "v=1"), True), (SDP.replace("m=audio 4000 RTP/AVP 0", "m=audio"), True),
     (SDP.replace("c=IN IP4 192.0.2.1\r\n", ""), True), (SDP.partition("m=")[0], True)],
)  # fmt: skip
def test_sdp_that_cannot_be_one(body, broken):
    assert sdp_is_broken(request(body=body)) is broken


def test_other_bodies_are_not_judged_as_sdp():
    assert not sdp_is_broken(request(body="hello", content="text/plain"))


@pytest.mark.parametrize(
    ("body", "key"), [("5", "5"), (" # \r\n", "#"), ("11", "#"), ("10", "*"), ("a", "A"), ("55", ""), ("", "")]
)
def test_a_key_by_info(body, key):
    message = request("INFO", to=";tag=1", body=body, content="application/dtmf")
    assert (info_key(message), sequence(message)) == (key, "5 INFO")


def test_relay_notation_is_left_to_the_library():
    assert info_key(request("INFO", body="Signal=5\r\nDuration=160\r\n", content="application/dtmf-relay")) == ""


def test_a_peer_behind_tcp_is_dialled_by_tcp():
    tcp = Peer("t", "h", transport="tcp")
    assert dialable("sip:1@h", tcp) == "sip:1@h;transport=tcp"
    assert dialable("sip:1@h;transport=udp", tcp) == "sip:1@h;transport=udp"
    assert dialable("sip:1@h", PEER) == "sip:1@h"


@pytest.mark.parametrize(
    ("text", "shown"),
    [("to sip:+4930123456@host", "to sip:*********56@host"), ("from 192.168.100.200:5060", "from 192.168.100.200:5060"),
     ("code 486", "code 486")],
)  # fmt: skip
def test_numbers_are_masked_and_addresses_are_not(text, shown):
    assert masked(text) == shown


def test_handles_closed_a_moment_ago_still_count():
    handles = Handles(3)
    handles.live = 1
    handles.closed(10.0)
    assert handles.room(10.1) == 1
    handles.closed(10.1)
    assert handles.room(10.2) == 0
    assert handles.room(10.05 + CLOSED_KEPT_S) == 1
    assert handles.room(10.2 + CLOSED_KEPT_S) == 2


def test_what_turns_out_to_live_was_not_closed():
    handles = Handles(2)
    handles.closed(1.0)
    handles.kept()
    handles.kept()
    assert handles.room(1.0) == 2


def test_timers_come_due_in_order_and_die_with_their_leg():
    timers: Timers[str] = Timers()
    done: list[str] = []
    timers.add(2.0, 1, lambda s: done.append(f"late {s}"))
    timers.add(1.0, 1, lambda s: done.append(f"first {s}"))
    timers.add(1.0, 2, lambda s: done.append(f"second {s}"))
    timers.add(1.0, 3, lambda s: done.append(f"never {s}"))
    timers.forget(3)
    for leg, then in timers.due(1.5):
        then(f"leg {leg}")
    assert done == ["first leg 1", "second leg 2"]
    assert len(timers) == 1
