"""SIGTERM lets calls finish, a second one ends everything; nothing is left of the server's processes."""

import asyncio
import os
import signal

import pytest

from ivr.bench.harness import Server, descendants, plan_main
from ivr.caller import Caller
from ivr.caller.call import CallFailed


def alive(pids):
    return [pid for pid in pids if os.path.exists(f"/proc/{pid}/stat")]


async def test_the_first_sigterm_drains_and_the_second_ends_everything():
    """The call goes on, a new one gets 503; then BYE, the record says why, and no child is left."""
    async with Server(**plan_main((("400", "en"),))) as server, Caller() as caller:
        family = [server.pid, *descendants(server.pid)]
        call = await caller.dial(server.uri("400"))
        await call.talking()
        os.kill(server.pid, signal.SIGTERM)
        await asyncio.sleep(0.5)
        assert not call.over
        with pytest.raises(CallFailed, match="503"):
            await caller.dial(server.uri("400"))
        assert len(family) >= 3
        os.kill(server.pid, signal.SIGTERM)
        assert await call.wait_for(lambda: call.over, 5)
        async with asyncio.timeout(8):
            await server.process.wait()
        assert server.process.returncode == 0
        assert alive(family) == []


async def test_a_server_that_drains_ends_when_its_last_call_does():
    """Nobody has to send a second signal."""
    async with Server(**plan_main((("400", "en"),))) as server, Caller() as caller:
        call = await caller.dial(server.uri("400"))
        await call.talking()
        os.kill(server.pid, signal.SIGTERM)
        await asyncio.sleep(0.3)
        await call.hangup()
        async with asyncio.timeout(15):
            await server.process.wait()
        assert server.process.returncode == 0
