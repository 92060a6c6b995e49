"""A trunk by registration behind the edge; the registrar is another Kamailio that asks for digest."""

import asyncio
import contextlib
import os

import pytest
import pytest_asyncio
from edge_peers import CALL, HANGUP, Rung, config, server, sipp_passes

from ivr.config import Trunk
from ivr.telephony.leg import DialOutcome, Leg
from ivr.telephony.pool import LinePool

pytestmark = pytest.mark.asyncio(loop_scope="module")

PORT, RTP, CALLER, PEER_PORT = 25_800, 26_400, 25_870, 25_860
REGISTRAR, REGISTRAR_PORT = "127.0.0.5", 25_880
TRUNK = Trunk(
    name="carrier", host=REGISTRAR, port=REGISTRAR_PORT, register=True, username="4930", password_env="CARRIER_SECRET",
    prefixes=("5",),
)  # fmt: skip

REGISTRAR_CONFIG = """#!KAMAILIO
debug=-1
log_stderror=yes
children=1
auto_aliases=no
disable_tcp=yes
listen=udp:HOST:PORT
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "rr.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
modparam("registrar", "max_expires", 12)
modparam("registrar", "min_expires", 5)
request_route {
    if (REFUSING) {
        sl_send_reply("403", "Forbidden");
        exit;
    }
    if (is_method("REGISTER")) {
        if (!pv_www_authenticate("$td", "s3cret", "0")) {
            www_challenge("$td", "1");
            exit;
        }
        save("location");
        exit;
    }
    if (has_totag()) {
        if (loose_route()) t_relay();
        else if (is_method("ACK") && t_check_trans()) t_relay();
        exit;
    }
    if (is_method("CANCEL|ACK")) {
        if (t_check_trans()) t_relay();
        exit;
    }
    if ($rU == "400") {
        $rU = "4930";
        if (!lookup("location")) {
            sl_send_reply("480", "Not registered");
            exit;
        }
    } else {
        if (!pv_proxy_authenticate("$fd", "s3cret", "0")) {
            proxy_challenge("$fd", "1");
            exit;
        }
        consume_credentials();
        $du = "sip:127.0.0.1:PEER";
    }
    record_route();
    t_relay();
}
"""


@contextlib.asynccontextmanager
async def registrar(folder, refusing: bool = False):
    text = REGISTRAR_CONFIG.replace("HOST", REGISTRAR).replace("PORT", str(REGISTRAR_PORT))
    path = folder / "registrar.cfg"
    path.write_text(text.replace("PEER", str(PEER_PORT)).replace("REFUSING", "1 == 1" if refusing else "1 == 0"))
    process = await asyncio.create_subprocess_exec(
        "/usr/sbin/kamailio", "-DD", "-E", "-f", str(path), "-Y", str(folder), "-w", str(folder), "-m", "16", "-M", "4"
    )
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def until(condition) -> None:
    async with asyncio.timeout(25):
        while not condition():  # noqa: ASYNC110 - the status is polled, as /healthz does
            await asyncio.sleep(0.05)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("trunk")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ivr(folder):
    os.environ["CARRIER_SECRET"] = "s3cret"
    settings = config(PORT, RTP, 2, (TRUNK,), ("4930",), user_agent="ivr/1")
    async with server(settings, folder) as running:
        yield running
    del os.environ["CARRIER_SECRET"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def peer(ivr):
    """Who answers behind the trunk."""
    rung = Rung()

    async def take(leg: Leg) -> None:
        rung.put_nowait(leg)
        leg.answer()
        await leg.wait_ended()

    pool = LinePool(config(PEER_PORT, 26_700, 1, (), ("5xx",), allow=("127.0.0.0/8",)), take)
    await pool.start()
    pool.rung = rung
    yield pool
    await pool.close()


async def test_a_trunk_that_cannot_be_reached_is_said_to_be_lost(ivr):
    assert ivr.pool.status().registrations == {"carrier": False}
    assert ivr.pool.status().trunks_lost == ("carrier",)


async def test_registration_and_calls_both_ways_with_digest_then_lost_then_back(ivr, peer, folder):
    async with registrar(folder):
        await until(lambda: ivr.pool.status().registrations["carrier"])
        await sipp_passes(f"{REGISTRAR}:{REGISTRAR_PORT}", CALLER, *CALL, *HANGUP)
        leg = ivr.rung.get_nowait()
        assert (leg.info.number, leg.info.peer) == ("4930", "carrier")
        call = await ivr.pool.dial("500")
        assert isinstance(call, Leg), call
        theirs = await peer.rung.get()
        assert theirs.info.caller == "4930"
        call.hangup()
        assert (await theirs.wait_ended()).by == "them"
    async with registrar(folder, refusing=True):
        await until(lambda: ivr.pool.status().trunks_lost == ("carrier",))
        outcome = await ivr.pool.dial("500")
        assert isinstance(outcome, DialOutcome)
    async with registrar(folder):
        await until(lambda: not ivr.pool.status().trunks_lost)


async def test_no_password_stands_in_a_file(ivr):
    runtime = ivr.pool.edge.settings.runtime
    assert runtime.stat().st_mode & 0o077 == 0
    for path in runtime.rglob("*"):
        assert not path.is_file() or b"s3cret" not in path.read_bytes()
