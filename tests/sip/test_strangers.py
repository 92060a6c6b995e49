"""Strangers at a single line process that holds the SIP port itself: baresip, transfers, sources, torture messages."""

import asyncio
import contextlib
import math
import wave
from array import array
from pathlib import Path

import pytest
import pytest_asyncio
from edge_peers import (
    CALL,
    HANGUP,
    Udp,
    Victim,
    ack,
    config,
    expect,
    invite,
    message,
    pause,
    request,
    server,
    sipp_passes,
    tcp_exchange,
    tone,
    torture,
)

from ivr.line.messages import SpeechStarted

pytestmark = pytest.mark.asyncio(loop_scope="module")

PORT, RTP, CALLER, BARESIP = 25_900, 25_910, 25_990, 25_980
VICTIM = ("127.0.0.4", 25_995)
BARESIP_CONFIG = """
sip_listen 127.0.0.1:{port}
module_path /usr/lib/baresip/modules
module g711.so
module g722.so
module aufile.so
module sndfile.so
module_tmp account.so
module_app menu.so
audio_source aufile,{folder}/speech.wav
audio_player aufile,{folder}/null.wav
audio_alert aufile,{folder}/null.wav
snd_path {folder}
rtp_ports 26800-26890
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ivr(tmp_path_factory):
    async with server(config(PORT, RTP, 1), tmp_path_factory.mktemp("single")) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def victim(ivr):
    async with Victim(*VICTIM) as listening:
        yield listening
        async with asyncio.timeout(10):
            await ivr.idle()
        assert listening.received == []


@pytest_asyncio.fixture(loop_scope="module")
async def baresip(ivr, tmp_path):
    """baresip on its way to 400, with speech for a microphone and everything it hears written to files."""
    await _prepare(tmp_path)
    process = await asyncio.create_subprocess_exec(
        "baresip", "-f", str(tmp_path), "-e", f"/dial sip:400@{ivr.address}", "-t", "30",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield tmp_path
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _prepare(folder: Path) -> None:
    (folder / "config").write_text(BARESIP_CONFIG.format(port=BARESIP, folder=folder))
    (folder / "accounts").write_text(f"<sip:baresip@127.0.0.1:{BARESIP}>;regint=0;audio_codecs=PCMU,PCMA\n")
    (folder / "contacts").write_text("")
    tone(folder / "null.wav", 1)
    for command in (
        ("espeak-ng", "-v", "en", "-w", f"{folder}/raw.wav", "Hello, this is somebody with another telephone."),
        ("sox", f"{folder}/raw.wav", "-r", "8000", "-c", "1", "-b", "16", f"{folder}/speech.wav"),
    ):
        process = await asyncio.create_subprocess_exec(*command)
        assert await process.wait() == 0


async def test_baresip_calls_is_heard_and_hears_the_tone(ivr, baresip):
    async with asyncio.timeout(20):
        leg = await ivr.rung.get()
        assert leg.info.caller == "baresip"
        leg.listen(no_input_ms=0)
        async for event in leg.events:
            if isinstance(event, SpeechStarted):
                break
        assert leg.codec in ("PCMU", "PCMA", "G722")
        await asyncio.sleep(1)
        leg.hangup()
        await leg.wait_ended()
    heard = array("h")
    async with asyncio.timeout(5):
        while not heard:
            heard = await asyncio.to_thread(_heard, baresip)
    assert share_of(heard, 440, 8_000) > 0.5


def _heard(folder: Path) -> array:
    """What baresip's recorder wrote of us, empty while it has not closed the file."""
    for path in folder.glob("dump-*-dec.wav"):
        with contextlib.suppress(wave.Error, EOFError), wave.open(str(path), "rb") as file:
            return array("h", file.readframes(file.getnframes()))
    return array("h")


def share_of(samples: array, frequency_hz: int, rate_hz: int) -> float:
    """How much of the energy is at that frequency (Goertzel, in the loudest half second)."""
    window = rate_hz // 2
    parts = [samples[i : i + window] for i in range(0, len(samples) - window + 1, window)]
    loudest = max(parts, key=lambda part: sum(s * s for s in part))
    turn = 2 * math.pi * frequency_hz / rate_hz
    real = sum(s * math.cos(turn * n) for n, s in enumerate(loudest))
    imaginary = sum(s * math.sin(turn * n) for n, s in enumerate(loudest))
    return 2 * (real**2 + imaginary**2) / len(loudest) / max(1, sum(s * s for s in loudest))


async def test_refer_within_a_call_is_refused_and_no_invite_leaves(ivr, victim):
    target = f"Refer-To: <sip:0900123456@{VICTIM[0]}:{VICTIM[1]}>"
    await sipp_passes(ivr.address, CALLER, *CALL, request("REFER", 2, target), expect(603), pause(500), *HANGUP)


async def test_invite_with_replaces_is_refused_and_no_invite_leaves(ivr, victim):
    header = "Replaces: 1@127.0.0.1;to-tag=a;from-tag=b"
    refused = (invite(header), expect(100, True), expect(481), ack(refused=True))
    await sipp_passes(ivr.address, CALLER, *refused)


async def test_outside_the_allow_list_is_403(ivr):
    with Udp("127.0.0.2", CALLER, ivr.address) as outside:
        assert await outside.ask(message("INVITE sip:400@127.0.0.1", via=f"127.0.0.2:{CALLER}")) == "403"
    assert ivr.rung.empty()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_torture_messages_are_survived(ivr, transport):
    if transport == "udp":
        with Udp("127.0.0.1", CALLER, ivr.address) as stranger:
            for each in torture():
                stranger.send(each)
                await asyncio.sleep(0.015)
    else:
        for each in torture(rfc4475=False):
            await tcp_exchange("127.0.0.1", ivr.address, each, 0.03)
    async with asyncio.timeout(10):
        await ivr.idle()
    await sipp_passes(ivr.address, CALLER, *CALL, *HANGUP)
    status = ivr.pool.status()
    assert (status.lines_up, status.restarts) == (1, 0)
