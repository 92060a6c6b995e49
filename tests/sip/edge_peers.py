"""What the tests of the edge share: a server, sipp scenarios built from steps, raw messages, and a listening victim."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
import struct
import tempfile
import wave
from collections.abc import AsyncIterator
from math import pi, sin
from pathlib import Path

from ivr.bench.harness import port_free
from ivr.config import Config, Lines, Number, Sip, Trunk
from ivr.line.messages import Segment
from ivr.telephony.leg import Leg
from ivr.telephony.pool import LinePool

_MEDIA_FIRST, _MEDIA_EACH = 30_000, 400
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 6
_media = itertools.cycle(range(_MEDIA_FIRST + _worker * _MEDIA_EACH, _MEDIA_FIRST + (_worker + 1) * _MEDIA_EACH, 4))


def tone(path: Path, seconds: int = 5) -> str:
    """A prompt of 440 Hz, 16 kHz mono 16 bit."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        samples = (int(8_000 * sin(2 * pi * 440 * n / 16_000)) for n in range(seconds * 16_000))
        file.writeframes(b"".join(struct.pack("<h", s) for s in samples))
    return str(path)


class Rung(asyncio.Queue):
    """Legs in the order they rang; waiting for one that never does is a failure, not a hang."""

    async def get(self) -> Leg:
        async with asyncio.timeout(15):
            return await super().get()


class Server:
    """A pool whose every call is answered and hears a tone."""

    def __init__(self, config: Config, prompt: str) -> None:
        self.config = config
        self.pool = LinePool(config, self._take)
        self.rung = Rung()
        self.answers = True
        self._prompt = prompt

    @property
    def address(self) -> str:
        return f"{self.config.sip.host}:{self.config.sip.port}"

    async def _take(self, leg: Leg) -> None:
        self.rung.put_nowait(leg)
        if self.answers:
            leg.answer()
            leg.play([Segment(self._prompt, barge_in="none")])
        else:
            leg.ring()
        await leg.wait_ended()

    async def idle(self) -> None:
        """Wait until no call is left."""
        while legs := self.pool.legs:
            await legs[0].wait_ended()
        while not self.rung.empty():
            self.rung.get_nowait()


def config(
    port: int,
    rtp: int,
    processes: int,
    trunk: tuple[Trunk, ...] = (),
    numbers: tuple[str, ...] = ("4xx",),
    flood: int = 1_000,
    **sip: object,
) -> Config:
    return Config(
        sip=Sip(port=port, rtp_port=rtp, flood_per_second=flood, **sip),
        lines=Lines(processes=processes, reserve_legs=0),
        number=tuple(Number(pattern=pattern, plan="main") for pattern in numbers),
        trunk=trunk,
    )


@contextlib.asynccontextmanager
async def server(settings: Config, folder: Path) -> AsyncIterator[Server]:
    running = Server(settings, tone(folder / "tone.wav"))
    await running.pool.start()
    try:
        yield running
    finally:
        await running.pool.close()


# sipp ---------------------------------------------------------------------------------------------------------------

_SDP = """
v=0
o=stranger 1 1 IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [auto_media_port] RTP/AVP 0 8
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
"""
_COMMON = """Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:stranger@[local_ip]:[local_port]>;tag=[pid]T[call_number]
Call-ID: [call_id]
Contact: <sip:stranger@[local_ip]:[local_port];transport=[transport]>
Max-Forwards: 70
"""


def _send(text: str, retrans: bool = True) -> str:
    return f"<send{' retrans=' + chr(34) + '500' + chr(34) if retrans else ''}><![CDATA[\n{text}\n]]></send>"


def invite(*headers: str) -> str:
    extra = "".join(h + "\n" for h in headers)
    return _send(
        f"INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0\n{_COMMON}To: <sip:[service]@[remote_ip]>\n"
        f"CSeq: 1 INVITE\n{extra}Content-Type: application/sdp\nContent-Length: [len]\n{_SDP}"
    )


def expect(code: int, optional: bool = False, check: str = "") -> str:
    """A response; `check` is a regular expression that its headers must hold."""
    attributes = ' optional="true"' if optional else ' rrs="true"' if code == 200 else ""
    if not check:
        return f'<recv response="{code}"{attributes}/>'
    action = f'<action><ereg regexp="{check}" search_in="msg" check_it="true" assign_to="1"/></action>'
    return f'<recv response="{code}"{attributes}>{action}</recv><Reference variables="1"/>'


def cancelled() -> str:
    """200 to the CANCEL and 487 to the INVITE in either order (the edge's processes race), then the 487's ACK."""
    return (
        '<recv response="487" optional="true" next="1"/><recv response="200"/><recv response="487" next="2"/>'
        f'<label id="1"/><recv response="200"/><label id="2"/>{ack(refused=True, after=8)}'
    )


def ack(refused: bool = False, after: int = 2) -> str:
    """Of a final response; a refusal's is sent within the INVITE's transaction, `after` steps later than the INVITE."""
    branch = _COMMON.replace("[branch]", f"[branch-{after}]") if refused else _COMMON
    line = "sip:[service]@[remote_ip]:[remote_port]" if refused else "[next_url]"
    routes = "" if refused else "[routes]\n"
    return _send(
        f"ACK {line} SIP/2.0\n{branch}{routes}To: <sip:[service]@[remote_ip]>[peer_tag_param]\nCSeq: 1 ACK\n"
        "Content-Length: 0\n",
        retrans=False,
    )


def request(method: str, cseq: int = 2, *headers: str) -> str:
    """A request within the dialog, along its route set."""
    extra = "".join(h + "\n" for h in headers)
    return _send(
        f"{method} [next_url] SIP/2.0\n{_COMMON}[routes]\nTo: <sip:[service]@[remote_ip]>[peer_tag_param]\n"
        f"CSeq: {cseq} {method}\n{extra}Content-Length: 0\n"
    )


def cancel() -> str:
    common = _COMMON.replace("[branch]", "[branch-3]")
    return _send(
        f"CANCEL sip:[service]@[remote_ip]:[remote_port] SIP/2.0\n{common}To: <sip:[service]@[remote_ip]>\n"
        "CSeq: 1 CANCEL\nContent-Length: 0\n"
    )


def pause(ms: int) -> str:
    return f'<pause milliseconds="{ms}"/>'


def await_request(method: str) -> str:
    return f'<recv request="{method}"/>'


OK = _send(
    "SIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\nContent-Length: 0\n", False
)
CALL = (invite(), expect(100, True), expect(180, True), expect(200), ack())
HANGUP = (request("BYE", 9), expect(200))


def _written(folder: Path, steps: tuple[str, ...]) -> Path:
    path, body = folder / "scenario.xml", "\n".join(steps)
    path.write_text(f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="steps">\n{body}\n</scenario>\n')
    return path


class Sipp:
    """A running sipp."""

    def __init__(self, process: asyncio.subprocess.Process, errors: Path) -> None:
        self._process = process
        self._errors = errors

    async def passes(self) -> None:
        """Wait for its end; every call must have gone as the steps say."""
        await self._process.wait()
        said = self._errors.read_text(errors="replace")[-3_000:] if self._errors.exists() else ""
        assert self._process.returncode == 0, f"sipp ended with {self._process.returncode}: {said}"


def _media_port() -> int:
    """One for audio, that and two more for video as sipp wants it, in ports nothing else of the tests takes."""
    for _ in range(_MEDIA_EACH // 4):
        port = next(_media)
        if port_free(port) and port_free(port + 2):
            return port
    raise RuntimeError(f"no free ports for sipp from {_MEDIA_FIRST} on")


@contextlib.asynccontextmanager
async def sipp(
    remote: str, port: int, *steps: str, calls: int = 1, per_second: int = 10, source: str = "127.0.0.1",
    number: str = "400", transport: str = "u1", media: int = 0,
) -> AsyncIterator[Sipp]:  # fmt: skip
    """Run the steps as a caller at `source:port`, its audio at port `media`, by default a free one."""
    with tempfile.TemporaryDirectory() as folder:
        scenario, errors = _written(Path(folder), steps), Path(folder, "errors.log")
        media = media or _media_port()
        process = await asyncio.create_subprocess_exec(
            "sipp", remote, "-sf", str(scenario), "-i", source, "-p", str(port), "-mi", source, "-mp", str(media),
            "-s", number, "-m", str(calls), "-l", str(calls), "-r", str(per_second), "-t", transport, "-nostdin",
            "-timeout", "25s", "-timeout_error", "-recv_timeout", "8000", "-trace_err", "-error_file", str(errors),
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield Sipp(process, errors)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def sipp_passes(remote: str, port: int, *steps: str, **options: object) -> None:
    async with sipp(remote, port, *steps, **options) as running:
        await running.passes()


# Raw messages -------------------------------------------------------------------------------------------------------


def message(first: str, *headers: str, body: str = "", via: str = "127.0.0.1:9", **replaced: str) -> bytes:
    """A request; headers given in `replaced` (`via_`, `from_`, `to`, `call_id`, `cseq`) replace the usual ones."""
    usual = {
        "via_": f"Via: SIP/2.0/UDP {via};branch=z9hG4bK-{abs(hash((first, headers, via))) % 10**9}",
        "from_": "From: <sip:stranger@127.0.0.1>;tag=s1",
        "to": "To: <sip:400@127.0.0.1>",
        "call_id": f"Call-ID: {abs(hash((first, headers)))}@stranger",
        "cseq": f"CSeq: 1 {first.split(' ', 1)[0]}",
        "contact": f"Contact: <sip:stranger@{via}>",
        "hops": "Max-Forwards: 70",
    } | replaced
    lines = [f"{first} SIP/2.0", *(v for v in usual.values() if v), *headers, f"Content-Length: {len(body)}", "", body]
    return "\r\n".join(lines).encode()


def torture(rfc4475: bool = True) -> list[bytes]:
    """Our own nasty messages, and those of RFC 4475 where IVR_DATA names the evaluation data."""
    here, data = Path(__file__).parent, os.environ.get("IVR_DATA", "")
    paths = sorted((here / "torture").glob("*.sip"))
    assert len(paths) >= 40
    paths += sorted(Path(data, "sip_torture", "rfc4475").glob("*.dat")) if rfc4475 and data else []
    return [path.read_bytes() for path in paths]


class Udp:
    """A UDP socket that sends to one place and collects what comes."""

    def __init__(self, source: str, port: int, remote: str) -> None:
        host, _, remote_port = remote.partition(":")
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind((source, port))
        self._sock.setblocking(False)
        self._remote = (host, int(remote_port))

    def send(self, data: bytes) -> None:
        self._sock.sendto(data, self._remote)

    async def receive(self, within_s: float = 2.0) -> str:
        """The next datagram, empty when none comes."""
        try:
            async with asyncio.timeout(within_s):
                return (await asyncio.get_running_loop().sock_recv(self._sock, 65_535)).decode("utf-8", "replace")
        except TimeoutError:
            return ""

    async def ask(self, data: bytes, within_s: float = 2.0) -> str:
        """The status of the final answer, or empty."""
        self.send(data)
        while answer := await self.receive(within_s):
            if not answer.startswith("SIP/2.0 1"):
                return answer.split(" ", 2)[1]
        return ""

    def __enter__(self) -> Udp:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()


async def tcp_exchange(source: str, remote: str, data: bytes, within_s: float = 1.0) -> bytes:
    """Send over a fresh TCP connection and return what comes until it is closed or the time is over.

    A single line process accepts few connections at a time, and none for a while when there are too many.
    """
    host, _, port = remote.partition(":")
    async with asyncio.timeout(30):
        while True:
            try:
                reader, writer = await asyncio.open_connection(host, int(port), local_addr=(source, 0))
                break
            except ConnectionRefusedError:
                await asyncio.sleep(0.1)
    got = b""
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(within_s):
            writer.write(data)
            await writer.drain()
            while part := await reader.read(65_535):
                got += part
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return got


class Victim:
    """Somebody whom nobody may ring: counts what arrives at `host:port` by UDP and TCP."""

    def __init__(self, host: str, port: int) -> None:
        self.received: list[bytes] = []
        self._place = (host, port)

    async def __aenter__(self) -> Victim:
        loop = asyncio.get_running_loop()
        victim = self

        class Receiver(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, _address: object) -> None:
                victim.received.append(data)

        self._udp, _ = await loop.create_datagram_endpoint(Receiver, local_addr=self._place)
        self._tcp = await asyncio.start_server(self._taken, *self._place)
        return self

    async def _taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.received.append(await reader.read(65_535))
        writer.close()

    async def __aexit__(self, *_: object) -> None:
        self._udp.close()
        self._tcp.close()
        await self._tcp.wait_closed()
