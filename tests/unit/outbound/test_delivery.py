"""The deliverer of notifications as a task: what it does when it is told to end."""

from __future__ import annotations

import asyncio

import pytest

from ivr.outbound.delivery import Delivery


class Empty:
    """An outbox in which nothing is due."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def take(self, _limit, _now) -> list:
        self.asked.set()
        return []


@pytest.mark.parametrize("steps", range(5))
async def test_it_ends_although_it_is_woken_at_the_same_moment(steps):
    outbox = Empty()
    delivery = Delivery(outbox, None, ())
    running = asyncio.create_task(delivery.run())
    await outbox.asked.wait()
    await asyncio.sleep(0.01)
    delivery.wake()
    for _ in range(steps):
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(5):
            await asyncio.shield(running)
    assert running.cancelled()
