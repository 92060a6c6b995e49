"""The brain is killed: callers hear an apology and BYE, what rings stops, and a new brain starts cleanly."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from edge_peers import CALL, HANGUP, OK, ack, await_request, config, expect, invite, server, sipp, sipp_passes, tone

from ivr.telephony.child import environment
from ivr.telephony.ports import is_free

PORT, RTP, CALLER = 26_900, 26_960, 26_940


async def started(folder: Path, processes: int) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__).with_name("edge_server.py")), str(PORT), str(RTP), str(processes),
        tone(folder / "tone.wav", 1), stdout=asyncio.subprocess.PIPE, env=environment(),
    )  # fmt: skip
    async with asyncio.timeout(30):
        while (await process.stdout.readline()).strip() != b"ready":
            assert process.returncode is None
    return process


@pytest.mark.parametrize("processes", [1, 2])
async def test_the_brain_is_killed_with_calls_up_and_ringing(tmp_path, processes):
    loop = asyncio.get_running_loop()
    brain = await started(tmp_path, processes)
    address = f"127.0.0.1:{PORT}"
    ringing = (invite(), expect(100, True), expect(180), expect(503), ack(refused=True))
    async with (
        sipp(address, CALLER, *CALL, await_request("BYE"), OK) as talking,
        sipp(address, CALLER + 1, *ringing, number="401", media=26_920) as waiting,
    ):
        await asyncio.sleep(1)
        os.kill(brain.pid, signal.SIGKILL)
        killed = loop.time()
        await brain.wait()
        assert not is_free("127.0.0.1", PORT, tcp=True)
        await waiting.passes()
        await talking.passes()
        assert loop.time() - killed <= 10
    async with server(config(PORT, RTP, processes), tmp_path) as again:
        assert loop.time() - killed <= 20
        await sipp_passes(again.address, CALLER, *CALL, *HANGUP)
