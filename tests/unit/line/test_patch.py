"""PatchBoard: two line processes' ends, here in one test, without threads."""

from __future__ import annotations

import selectors
import socket

import pytest

from ivr.line.messages import FRAME_BYTES, Bridged, Failure, Patch
from ivr.line.patch import MAX_STRANGERS, RING_FRAMES, Link, PatchBoard


class Leg:
    def __init__(self, leg: int) -> None:
        self.leg = leg
        self.link: Link | None = None

    def patch_opened(self, link: Link) -> None:
        self.link = link

    def patch_closed(self, link: Link) -> None:
        assert link is self.link
        self.link = None


class Process:
    def __init__(self, path: str) -> None:
        self.path = path
        self.events: list = []
        self.selector = selectors.DefaultSelector()
        self.board = PatchBoard(path, self.events.append, self.selector)

    def patch(self, leg: Leg, token: str, to: Process | None = None) -> None:
        command = Patch(leg.leg, token, to.path if to else "", connect=to is not None)
        self.board.requests.append((command, leg))

    def turn(self) -> None:
        self.board.handle_requests()
        for key, _ in self.selector.select(0):
            key.data()


@pytest.fixture
def processes(tmp_path):
    pair = Process(str(tmp_path / "a.sock")), Process(str(tmp_path / "b.sock"))
    yield pair
    for process in pair:
        process.board.close()
        process.selector.close()


def settle(*processes: Process) -> None:
    for _ in range(4):
        for process in processes:
            process.turn()


def frame(value: int) -> bytes:
    return bytes([value]) * FRAME_BYTES


@pytest.mark.parametrize("order", ["waiting first", "connecting first"])
def test_two_legs_hear_each_other(processes, order):
    a, b = processes
    one, two = Leg(1), Leg(2)
    if order == "waiting first":
        b.patch(two, "secret")
        settle(a, b)
        a.patch(one, "secret", b)
    else:
        a.patch(one, "secret", b)
        settle(a, b)
        b.patch(two, "secret")
    settle(a, b)
    assert a.events == [Bridged(1)]
    assert b.events == [Bridged(2)]
    one.link.send(frame(7))
    two.link.send(frame(8))
    settle(a, b)
    assert list(two.link.incoming) == [frame(7)]
    assert list(one.link.incoming) == [frame(8)]


def joined(a: Process, b: Process) -> tuple[Leg, Leg]:
    one, two = Leg(1), Leg(2)
    b.patch(two, "t")
    a.patch(one, "t", b)
    settle(a, b)
    return one, two


def test_a_slow_reader_hears_the_newest_40_ms(processes):
    a, b = processes
    one, two = joined(a, b)
    for value in range(5):
        one.link.send(frame(value))
        b.turn()
    assert list(two.link.incoming) == [frame(3), frame(4)]
    assert RING_FRAMES == 2


def test_releasing_one_end_frees_both(processes):
    a, b = processes
    one, two = joined(a, b)
    a.board.requests.append(one)
    settle(a, b)
    assert one.link is None
    assert two.link is None
    assert len(a.selector.get_map()) == len(b.selector.get_map()) == 1


def test_a_wrong_token_joins_nothing(processes):
    a, b = processes
    one, two = Leg(1), Leg(2)
    b.patch(two, "right")
    a.patch(one, "wrong", b)
    settle(a, b)
    assert two.link is None
    assert b.events == []


def test_a_peer_that_is_not_there_is_a_failure(processes, tmp_path):
    a, _ = processes
    leg = Leg(1)
    a.board.requests.append((Patch(1, "t", str(tmp_path / "nobody.sock"), True), leg))
    settle(a)
    assert [type(e) for e in a.events] == [Failure]
    assert leg.link is None


def test_a_second_patch_replaces_the_first(processes):
    a, b = processes
    one, two = joined(a, b)
    three = Leg(3)
    b.patch(three, "u")
    a.patch(one, "u", b)
    settle(a, b)
    assert two.link is None
    one.link.send(frame(1))
    settle(a, b)
    assert list(three.link.incoming) == [frame(1)]


def test_strangers_are_bounded(processes):
    a, _ = processes
    crowd = []
    for _ in range(MAX_STRANGERS + 5):
        knocking = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        knocking.connect(a.path)
        crowd.append(knocking)
        a.turn()
    settle(a)
    assert len(a.selector.get_map()) == 1 + MAX_STRANGERS
    for knocking in crowd:
        knocking.close()


def test_packets_of_another_size_are_dropped(processes):
    a, b = processes
    one, two = joined(a, b)
    one.link.connection.send(b"x" * 10)
    settle(a, b)
    assert not two.link.incoming


def test_the_socket_is_for_its_owner_only(processes):
    import os
    import stat

    assert stat.S_IMODE(os.stat(processes[0].path).st_mode) == 0o600
