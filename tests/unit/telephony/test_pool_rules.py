"""Admission, supervision, dialling and bridging of a pool of fake lines."""

import asyncio

import pytest
import pytest_asyncio

from ivr.config import Config, Lines, Number, Sip, Trunk
from ivr.errors import Unavailable
from ivr.line.fake import FakeWorld
from ivr.line.messages import Bridge, DialFailed, Drain, Hangup, LegEnded, Patch, Reject, Unbridge
from ivr.telephony.edge import EdgeStatus
from ivr.telephony.leg import DialOutcome, Leg
from ivr.telephony.line import Line, restart_delay_s
from ivr.telephony.pool import LinePool

PORT = 26_950


class StubEdge:
    """Stands where Kamailio does and remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, bool]] = []

    async def start(self) -> None:
        self.told.append((-1, True))

    async def close(self) -> None:
        self.told.append((-1, False))

    def line_up(self, index: int, up: bool) -> None:
        self.told.append((index, up))

    def status(self) -> EdgeStatus:
        return EdgeStatus(True, 0, {"carrier": False})


class House:
    """A pool over a fake world; calls are answered and wait."""

    def __init__(self, **lines) -> None:
        self.world = FakeWorld({"sip:500@192.0.2.1:5060": "answer", "sip:501@192.0.2.1:5060": "ring"})
        self.edge = StubEdge()
        self.rung: asyncio.Queue[Leg] = asyncio.Queue()
        self.session = self.wait
        processes = lines.get("processes", 1)
        self.pool = LinePool(
            Config(
                sip=Sip(port=PORT),
                lines=Lines(**{"reserve_legs": 0} | lines),
                number=(Number(pattern="4xx", plan="main"),),
                trunk=(
                    Trunk(name="carrier", host="192.0.2.1", prefixes=("5",), register=True, username="u"),
                ),
            ),
            self._take,
            edge=self.edge if processes > 1 else None,
            launch=self.world.launch,
        )  # fmt: skip

    async def _take(self, leg: Leg) -> None:
        self.rung.put_nowait(leg)
        await self.session(leg)

    async def wait(self, leg: Leg) -> None:
        leg.answer()
        await leg.wait_ended()

    async def call(self, port: int = 0):
        caller = self.world.ring("400", port=port)
        leg = await self.rung.get()
        await leg.wait_answered()
        return caller, leg


@pytest_asyncio.fixture
async def house():
    houses: list[House] = []

    async def build(**lines) -> House:
        houses.append(House(**lines))
        await houses[-1].pool.start()
        return houses[-1]

    async with asyncio.timeout(20):
        yield build
    for each in houses:
        await each.pool.close()
        await each.world.close()


async def test_reserved_legs_are_kept_from_callers_and_given_to_transfers(house):
    h = await house(reserve_legs=2)
    calls = [await h.call() for _ in range(2)]
    third = h.world.ring("400")
    await third.until("ended")
    assert third.code == 486
    outcome = await h.pool.dial("500")
    assert isinstance(outcome, DialOutcome)
    assert outcome.cause == "full"
    transfers = [await h.pool.dial("500", reserved=True) for _ in range(2)]
    assert all(isinstance(leg, Leg) for leg in transfers)
    assert (await h.pool.dial("500", reserved=True)).cause == "full"
    assert h.pool.status().legs_used == h.pool.status().legs_total == 4
    assert len(calls) == 2


async def test_the_number_decides_and_draining_refuses_with_retry_after(house):
    h = await house()
    unknown = h.world.ring("300")
    await unknown.until("ended")
    assert unknown.code == 404
    _, leg = await h.call()
    assert (leg.info.plan, leg.info.language, leg.info.direction) == ("main", "en", "in")
    assert not await h.pool.drain(0.01)
    assert any(isinstance(c, Drain) for c in h.world.lines[0].commands)
    late = h.world.ring("400")
    await late.until("ended")
    assert late.code == 503
    leg.hangup()
    assert await h.pool.drain(5)


async def test_a_call_that_raced_with_draining_gets_503_and_retry_after(house):
    h = await house()
    h.pool._draining = True
    late = h.world.ring("400")
    await late.until("ended")
    refused = [c for c in h.world.lines[0].commands if isinstance(c, Reject)]
    assert [(c.code, c.retry_after_s > 0) for c in refused] == [(503, True)]


async def test_a_session_that_ends_or_breaks_leaves_no_call_behind(house):
    h = await house()

    async def leave(leg: Leg) -> None:
        leg.answer()

    async def fail(leg: Leg) -> None:
        leg.answer()
        raise RuntimeError("a bug")

    for session, cause in ((leave, "hangup"), (fail, "failed")):
        h.session = session
        caller = h.world.ring("400")
        await caller.until("ended")
        leg = await h.rung.get()
        assert (await leg.wait_ended()).cause == cause
    assert h.pool.status().legs_used == 0


async def test_the_longest_call_is_ended(house):
    h = await house(max_call_s=0)
    caller = h.world.ring("400")
    await caller.until("ended")
    leg = await h.rung.get()
    await leg.wait_ended()
    assert leg.limit_reached


async def test_a_dead_line_takes_only_its_calls_and_the_edge_is_told(house):
    h = await house(processes=2)
    _, first = await h.call(PORT + 10)
    _, second = await h.call(PORT + 11)
    next(line for line in h.world.lines if line.settings.sip_port == PORT + 10).kill()
    ended = [event async for event in first.events][-1]
    assert isinstance(ended, LegEnded)
    assert ended.cause == "line_lost"
    await h.pool.wait_lines_up()
    assert second.ended is None
    assert h.edge.told == [(0, True), (1, True), (-1, True), (0, False), (0, True)]
    assert h.pool.status().restarts == 1
    _, again = await h.call(PORT + 10)
    assert again.id != first.id


async def test_dialling_on_a_line_that_dies_is_a_value(house):
    h = await house()
    dialling = asyncio.create_task(h.pool.dial("501"))
    while not h.world.dialled:  # noqa: ASYNC110
        await asyncio.sleep(0)
    h.world.lines[0].kill()
    outcome = await dialling
    assert isinstance(outcome, DialOutcome)
    assert outcome.cause == "line_lost"


async def test_a_cancelled_dial_hangs_up_even_before_the_line_has_answered(house):
    h = await house()
    dialling = asyncio.create_task(h.pool.dial("501"))
    await asyncio.sleep(0)
    dialling.cancel()
    await asyncio.gather(dialling, return_exceptions=True)
    while h.pool.status().legs_used:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert [c.cause for c in h.world.lines[0].commands if isinstance(c, Hangup)] == ["cancelled"]


async def test_who_dials_sees_the_leg_before_it_is_answered(house):
    h = await house()
    seen: list[tuple[str, str]] = []
    leg = await h.pool.dial("500", on_leg=lambda leg: seen.append((leg.id, leg.info.sip_call_id)))
    assert isinstance(leg, Leg)
    assert seen == [(leg.id, leg.info.sip_call_id)]
    assert leg.info.peer == "carrier"


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_line_with_no_native_call_left_is_asked_again_or_passed_over(house, monkeypatch, processes):
    monkeypatch.setattr("ivr.telephony.pool.FULL_RETRY_S", 0.0)
    h = await house(processes=processes)
    full = h.world.lines[0]
    take = full._dial
    refusals = [2]

    def dial(command) -> None:
        refusals[0] -= 1
        if refusals[0] >= 0:
            full.emit(DialFailed(command.request, "full", "every leg is taken"))
        else:
            take(command)

    full._dial = dial
    legs = [await h.pool.dial("500") for _ in range(2)]
    assert all(isinstance(leg, Leg) for leg in legs)
    assert len(h.world.dialled) == 2


async def test_a_line_that_stays_full_is_a_value(house, monkeypatch):
    monkeypatch.setattr("ivr.telephony.pool.FULL_PATIENCE_S", 0.0)
    h = await house()
    full = h.world.lines[0]
    full._dial = lambda command: full.emit(DialFailed(command.request, "full", "every leg is taken"))
    assert await h.pool.dial("500") == DialOutcome("full", 0, "every leg is taken")


async def test_a_transfer_prefers_the_line_of_its_caller(house):
    h = await house(processes=2)
    _, first = await h.call(PORT + 11)
    for _ in range(3):
        dialled = await h.pool.dial("500", near=first)
        assert dialled.id.split(".")[0] == first.id.split(".")[0]
    elsewhere = await h.pool.dial("500", near=first)
    assert elsewhere.id.split(".")[0] != first.id.split(".")[0]


async def test_one_line_bridges_natively_two_are_patched(house):
    h = await house(processes=2)
    legs = [(await h.call(port))[1] for port in (PORT + 10, PORT + 10, PORT + 11)]
    assert await h.pool.bridge(legs[0], legs[1])
    one, two = sorted(h.world.lines, key=lambda line: line.settings.sip_port)
    assert [c for c in one.commands if isinstance(c, Bridge)] == [Bridge(legs[0].number, legs[1].number)]
    assert await h.pool.bridge(legs[0], legs[2])
    patches = [c for line in (one, two) for c in line.commands if isinstance(c, Patch)]
    assert len({(c.token, c.path) for c in patches}) == 1
    assert sorted(c.connect for c in patches) == [False, True]
    assert patches[0].path == two.settings.patch_path
    assert Unbridge(legs[1].number) in one.commands


async def test_when_one_side_ends_the_other_is_parted(house):
    h = await house()
    (caller, first), (_, second) = await h.call(), await h.call()
    assert await h.pool.bridge(first, second)
    caller.hangup()
    await first.wait_ended()
    while Unbridge(second.number) not in h.world.lines[0].commands:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert second.ended is None
    assert not await h.pool.bridge(first, second)
    assert not await h.pool.bridge(second, second)


async def test_status_says_which_trunk_is_lost(house):
    alone, several = await house(), await house(processes=2)
    await asyncio.sleep(0.01)
    assert alone.pool.status().trunks_lost == ()
    assert several.pool.status().registrations == {"carrier": False}
    assert several.pool.status().trunks_lost == ("carrier",)


async def test_a_reader_who_has_given_up_loses_the_call_not_the_server(house):
    h = await house()

    async def deaf(leg: Leg) -> None:
        leg.answer()
        await asyncio.Event().wait()

    h.session = deaf
    caller = h.world.ring("400")
    await caller.until("answered")
    caller.press("1" * 2_001)
    await caller.until("ended")


async def test_a_line_that_cannot_start_is_unavailable(monkeypatch):
    monkeypatch.setattr("ivr.telephony.line.restart_delay_s", lambda _deaths: 0.0)

    class Broken:
        async def launch(self, _index: int):
            line = await FakeWorld().launch()
            line.kill()
            return line

    pool = LinePool(
        Config(sip=Sip(port=PORT), number=(Number(pattern="4xx", plan="main"),)),
        lambda _leg: None,
        launch=Broken().launch,
    )
    with pytest.raises(Unavailable, match="line-0 ended"):
        await pool.start()


def test_restarts_back_off():
    assert [restart_delay_s(n) for n in range(1, 9)] == [0, 1, 2, 4, 8, 16, 30, 30]
    assert isinstance(Line.capacity, property)
