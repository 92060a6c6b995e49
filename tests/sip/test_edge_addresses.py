"""The edge behind NAT: a public address that this host cannot reach itself."""

import asyncio

import pytest
from edge_peers import CALL, HANGUP, OK, await_request, config, expect, invite, pause, server, sipp, sipp_passes

PUBLIC = "127.0.0.9"


@pytest.mark.parametrize("transport", ["u1", "t1"])
async def test_both_sides_can_hang_up_though_only_the_outside_knows_the_public_address(tmp_path, transport):
    async with server(config(26_800, 26_830, 2, public_address=PUBLIC), tmp_path) as ivr:
        said = (invite(), expect(100, True), expect(180, True), expect(200, check=f"Record-Route:.*{PUBLIC}"))
        await sipp_passes(ivr.address, 26_825, *said, *CALL[-1:], pause(100), *HANGUP, transport=transport)
        assert (await ivr.rung.get_nowait().wait_ended()).by == "them"
        async with sipp(ivr.address, 26_825, *CALL, await_request("BYE"), OK, transport=transport) as caller:
            leg = await ivr.rung.get()
            await leg.wait_answered()
            await asyncio.sleep(0.2)  # two workers of the edge may let BYE overtake 200
            leg.hangup()
            await caller.passes()
