"""The line's end of its socket: whole messages, bounded queues, silence after a leg's last event."""

from __future__ import annotations

import socket

import pytest

from ivr.errors import Unavailable
from ivr.line import messages as m
from ivr.line.channel import OUTBOX_BYTES, Inbox, Outbox, first_settings
from ivr.line.settings import LineSettings


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    yield ours, theirs
    ours.close()
    theirs.close()


def bodies(inbox: Inbox) -> list[m.Command]:
    found = []
    while (body := inbox.next()) is not None:
        found.append(m.unpack_command(body))
    return found


def received(sock: socket.socket) -> list[m.Event]:
    data, events = b"", []
    try:
        while chunk := sock.recv(1 << 16):
            data += chunk
    except BlockingIOError:
        pass
    while data:
        size = int.from_bytes(data[:4], "big")
        events.append(m.unpack_event(data[4 : 4 + size]))
        data = data[4 + size :]
    return events


def test_commands_are_cut_out_of_the_stream_wherever_it_breaks(ends):
    ours, theirs = ends
    stream = m.pack(m.Answer(1)) + m.pack(m.Hangup(1)) + m.pack(m.Shutdown())
    inbox = Inbox(ours)
    seen = []
    for place in range(0, len(stream), 7):
        theirs.send(stream[place : place + 7])
        inbox.fill()
        seen += bodies(inbox)
    assert seen == [m.Answer(1), m.Hangup(1), m.Shutdown()]
    theirs.close()
    inbox.fill()
    assert inbox.ended


def test_a_message_beyond_all_measure_is_nonsense(ends):
    ours, theirs = ends
    theirs.send((m.MAX_MESSAGE_BYTES + 1).to_bytes(4, "big"))
    inbox = Inbox(ours)
    inbox.fill()
    with pytest.raises(ValueError, match="bytes"):
        inbox.next()


def test_nothing_of_a_leg_follows_its_end(ends):
    """Whichever thread it comes from."""
    outbox = Outbox(ends[0])
    outbox.send(m.LegEnded(1, "hangup", "us"))
    outbox.send(m.NoInput(1, 1))
    outbox.send(m.NoInput(2, 1))
    assert received(ends[1]) == [m.LegEnded(1, "hangup", "us"), m.NoInput(2, 1)]


def test_a_brain_that_does_not_read_loses_audio_first_and_then_counts_as_dead(ends):
    outbox = Outbox(ends[0])
    audio = m.Audio(1, 1, bytes(1 << 18))
    while not outbox.dropped:
        outbox.send(audio)
    assert outbox.waiting > OUTBOX_BYTES
    outbox.send(m.Failure("still heard"))
    assert not outbox.broken
    words = m.Failure("x" * (1 << 18))
    while not outbox.broken:
        outbox.send(words)
    assert outbox.waiting < 2 * OUTBOX_BYTES + (1 << 19)


def test_what_waited_leaves_in_order_once_the_brain_reads(ends):
    outbox = Outbox(ends[0])
    sent = [m.Failure(f"{n}" * 5_000) for n in range(200)]
    for event in sent:
        outbox.send(event)
    assert outbox.waiting
    seen = []
    while outbox.waiting:
        seen += _whole(ends[1], outbox)
    assert seen == sent


def _whole(theirs: socket.socket, outbox: Outbox) -> list[m.Event]:
    """Everything that comes until the outbox is empty, decoded at the end."""
    data = b""
    while True:
        try:
            data += theirs.recv(1 << 16)
        except BlockingIOError:
            if not outbox.waiting:
                break
            outbox.flush()
    events = []
    while data:
        size = int.from_bytes(data[:4], "big")
        events.append(m.unpack_event(data[4 : 4 + size]))
        data = data[4 + size :]
    return events


def test_a_brain_that_is_gone_breaks_the_outbox(ends):
    ours, theirs = ends
    theirs.close()
    outbox = Outbox(ours)
    outbox.send(m.Failure("to nobody"))
    assert outbox.broken


def test_configure_comes_first(ends):
    ours, theirs = ends
    theirs.send(m.pack(m.Configure(LineSettings("one"))))
    assert first_settings(ours).name == "one"


@pytest.mark.parametrize("start", [m.pack(m.Shutdown()), b"\x00\x00\x00\x01\xc1", b"\xff\xff\xff\xff"])
def test_anything_else_first_is_refused(ends, start):
    ours, theirs = ends
    theirs.send(start)
    with pytest.raises(Unavailable):
        first_settings(ours)
