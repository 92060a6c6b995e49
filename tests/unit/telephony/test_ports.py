"""Ports that somebody still sends to are not given to a new call."""

import asyncio
import socket

import pytest

from ivr.line.settings import LineSettings
from ivr.telephony.ports import quiet_stretch, spoken_to, with_fresh_ports


@pytest.mark.parametrize(
    ("spoken_to", "chosen"),
    [
        ((), (1_000, 100)),
        ((1_000, 1_001), (1_002, 98)),
        ((1_099,), (1_000, 99)),
        ((1_050,), (1_000, 50)),
        ((1_041,), (1_042, 58)),
        ((1_010, 1_011, 1_060), (1_012, 48)),
        ((900, 1_100), (1_000, 100)),
        (tuple(range(1_000, 1_100, 2)), (1_000, 100)),
    ],
)
def test_the_longest_run_of_quiet_ports_is_taken_from_an_even_one_on(spoken_to, chosen):
    assert quiet_stretch(1_000, 100, spoken_to) == chosen


async def test_a_port_is_heard_when_packets_come_or_somebody_holds_it():
    first = 26_960
    with socket.socket(type=socket.SOCK_DGRAM) as held, socket.socket(type=socket.SOCK_DGRAM) as stranger:
        held.bind(("127.0.0.1", first + 6))
        listening = asyncio.create_task(spoken_to("127.0.0.1", first, 10))
        await asyncio.sleep(0)
        stranger.sendto(b"rtp", ("127.0.0.1", first + 4))
        assert await listening == {first + 4, first + 6}


async def test_the_next_process_takes_the_other_half():
    settings = LineSettings("line-0", rtp_port=26_960, rtp_ports=20)
    first = await with_fresh_ports(settings, 1)
    second = await with_fresh_ports(settings, 2)
    assert (first.rtp_port, first.rtp_ports) == (26_970, 10)
    assert (second.rtp_port, second.rtp_ports) == (26_960, 10)
