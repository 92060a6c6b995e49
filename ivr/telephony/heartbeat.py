"""Whether a line process still answers: OPTIONS to its SIP port, any answer counts (RFC 3261 section 11).

A process whose SIP thread hangs keeps its socket to the brain open; only asking tells. Asyncio's thread only.
"""

from __future__ import annotations

import asyncio
import secrets

BEAT_S = 5.0
ANSWER_WITHIN_S = 4.0
MISSES = 3
"""Beats without an answer, in a row, after which a line counts as hung."""


class _Answered(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, _address: object) -> None:
        if not self.answer.done():
            self.answer.set_result(data)

    def error_received(self, error: Exception) -> None:
        """Nobody holds the port: the process is on its way out, which its socket tells better."""


async def answers(host: str, port: int) -> bool:
    """Whether somebody answers OPTIONS at UDP `host:port` in time."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(_Answered, remote_addr=(host, port))
    try:
        ours = transport.get_extra_info("sockname")
        transport.sendto(_options(host, port, ours[0], ours[1]))
        async with asyncio.timeout(ANSWER_WITHIN_S):
            return (await protocol.answer).startswith(b"SIP/2.0 ")
    except TimeoutError:
        return False
    finally:
        transport.close()


def _options(host: str, port: int, our_host: str, our_port: int) -> bytes:
    there, here = (f"[{h}]" if ":" in h else h for h in (host, our_host))
    token = secrets.token_hex(8)
    return (
        f"OPTIONS sip:{there}:{port} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {here}:{our_port};rport;branch=z9hG4bK{token}\r\n"
        f"From: <sip:brain@{here}>;tag={token}\r\nTo: <sip:{there}:{port}>\r\nCall-ID: {token}@brain\r\n"
        f"CSeq: 1 OPTIONS\r\nMax-Forwards: 1\r\nContact: <sip:brain@{here}:{our_port}>\r\nContent-Length: 0\r\n\r\n"
    ).encode()
