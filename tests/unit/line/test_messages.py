"""The messages between brain and line survive the wire, and nonsense is refused."""

from __future__ import annotations

import msgspec
import pytest

from ivr.line import messages as m
from ivr.line.settings import Amd, LineSettings, Peer

COMMANDS = [
    m.Configure(LineSettings("one", peers=(Peer("trunk", "sip.example", refer_targets=("sip:1@sip.example",)),))),
    m.Ring(1, True),
    m.Answer(1, "zh"),
    m.Reject(1, 503, "Busy", 5),
    m.Dial(7, "sip:2000@192.0.2.1", "trunk", 20_000, "zh"),
    m.Dial(8, "sip:2000@192.0.2.1", "trunk", 20_000, "zh", Amd(hang_up_cost=50.0)),
    m.Hangup(1, 0, "hangup"),
    m.Refer(1, "sip:3000@192.0.2.1"),
    m.Bridge(1, 2),
    m.Patch(1, "token", "/run/ivr/line-2", True),
    m.Unbridge(1),
    m.Play(1, 2, (m.Segment("/tmp/a.wav", "none", True, 500), m.Segment("/tmp/b.wav")), True, True),
    m.StopPlayout(1),
    m.Listen(1, 3),
    m.StopListening(1),
    m.EndpointWait(1, 4, 260),
    m.BargeIn(1, 4, True),
    m.SendDtmf(1, "12#", "info"),
    m.Record(1, "/tmp/r.wav"),
    m.Mute(1, True),
    m.Drain(),
    m.Shutdown(),
]
EVENTS = [
    m.Ready(1, 5060, 4),
    m.Incoming(1, "400", "行长", "192.0.2.1", "id@host", "trunk"),
    m.Dialing(7, 1, "id@host"),
    m.LegState(1, "answered", "G722"),
    m.LegEnded(1, "busy", "them", 486, "Busy Here", m.Quality(1, 2, 3.5, 4.5, "PCMU"), 7),
    m.DialFailed(7, "full"),
    m.AnsweredBy(1, "human", "stopped", 1_300),
    m.MachineAfterAll(1, "talks_on", 6_200),
    m.MachineReady(1, "beep", 9_000),
    m.Dtmf(1, "#", 20, "inband"),
    m.PlayoutStarted(1, 2, 40),
    m.PlayoutPaused(1, 2, 60),
    m.PlayoutResumed(1, 2, 60),
    m.PlayoutEnded(1, 2, 80, "barge_in", 20),
    m.SpeechStarted(1, 3, 4, 100, True, False),
    m.Audio(1, 4, bytes(range(256)) * 5),
    m.SpeechPaused(1, 4, 300, 200),
    m.SpeechResumed(1, 4, 400, 100),
    m.SpeechEnded(1, 4, 100, 400, 250, "endpoint"),
    m.NoInput(1, 3),
    m.Transferred(1, "accepted", 200),
    m.Bridged(1),
    m.Registration("trunk", False, 403, "Forbidden"),
    m.Refused("source", "198.51.100.7"),
    m.Failure("recording: no space", 1),
]


def body(message: m.Command | m.Event) -> bytes:
    packed = m.pack(message)
    assert int.from_bytes(packed[:4], "big") == len(packed) - 4
    return packed[4:]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: type(c).__name__)
def test_every_command_survives_the_wire(command):
    assert m.unpack_command(body(command)) == command


@pytest.mark.parametrize("event", EVENTS, ids=lambda e: type(e).__name__)
def test_every_event_survives_the_wire(event):
    assert m.unpack_event(body(event)) == event


def test_no_kind_is_left_out_of_this_test():
    """A new message must be listed above."""
    assert {type(c) for c in COMMANDS} == set(m.Command.__args__)
    assert {type(e) for e in EVENTS} == set(m.Event.__args__)


@pytest.mark.parametrize("nonsense", [b"", b"\xc1", b"\x93\x01", msgspec.msgpack.encode({"type": "Nothing"})])
def test_nonsense_is_a_decode_error(nonsense):
    for unpack in (m.unpack_command, m.unpack_event):
        with pytest.raises(msgspec.DecodeError):
            unpack(nonsense)


def test_an_event_is_no_command():
    with pytest.raises(msgspec.DecodeError):
        m.unpack_command(body(m.Ready(1, 5060, 4)))


def test_a_wrong_type_is_refused():
    with pytest.raises(msgspec.DecodeError):
        m.unpack_command(msgspec.msgpack.encode({"type": "Answer", "leg": "one"}))
