"""SIP over one UDP socket: client and server transactions with their retransmissions (RFC 3261 17 and 18).

Runs on asyncio's thread. A refused port is noticed at once (IP_RECVERR), not after 32 s of silence.
Knows nothing of dialogs or media: requests go to `on_request`, 2xx repeats of an INVITE to `on_stray`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from ivr.caller.sip import BadMessage, Message, address_of, new_branch, params_of, parse, reply
from ivr.errors import IvrError

T1_S, T2_S = 0.5, 4.0
IP_RECVERR, MSG_ERRQUEUE = 11, 0x2000
REMEMBERED = 2_048

Address = tuple[str, int]


class Unreachable(IvrError):
    """No response came: the port is closed, or the time ran out."""


def _ignore(_: Message) -> None:
    pass


@dataclass
class _Client:
    """A request of ours that waits for its final response."""

    request: Message
    to: Address
    responses: asyncio.Queue[Message | Unreachable] = field(default_factory=lambda: asyncio.Queue(64))
    answered: bool = False


class SipSocket:
    """`on_request(message, source)` gets each new request once; answers go out by `respond`."""

    def __init__(self, host: str, port: int, on_request: Callable[[Message, Address], None],
                 on_stray: Callable[[Message], None]) -> None:  # fmt: skip
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        try:
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            raise Unreachable(f"cannot use {host}:{port} for SIP: {error.strerror}") from None
        self.host, self.port = self._socket.getsockname()
        self._on_request, self._on_stray = on_request, on_stray
        self._clients: dict[tuple[str, str], _Client] = {}
        self._served: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        asyncio.get_running_loop().add_reader(self._socket, self._readable)

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()

    def send(self, message: Message, to: Address) -> None:
        """One datagram, no transaction: ACK, and responses that are kept elsewhere."""
        self._put(message.pack(), to)

    def stamp(self, request: Message, branch: str = "") -> Message:
        """Put our Via on top; a new branch unless one is given."""
        via = f"SIP/2.0/UDP {self.host}:{self.port};rport;branch={branch or new_branch()}"
        request.headers.insert(0, ("via", via))
        return request

    async def request(self, request: Message, to: Address, *, timeout_s: float = 32.0,
                      on_provisional: Callable[[Message], None] = _ignore) -> Message:  # fmt: skip
        """Send and retransmit until the final response, which is returned. Raises Unreachable.

        `timeout_s` counts while nothing has come; once a provisional response to an INVITE came it counts no more
        (the caller of this function decides how long to ring).
        """
        if not request.branch:
            self.stamp(request)
        client = _Client(request, to)
        key = (request.branch, request.method)
        self._clients[key] = client
        resend = asyncio.get_running_loop().create_task(self._retransmit(client, timeout_s))
        try:
            while True:
                response = await client.responses.get()
                if isinstance(response, Unreachable):
                    raise response
                if response.status < 200:
                    on_provisional(response)
                    continue
                return response
        finally:
            resend.cancel()
            del self._clients[key]
            while not client.responses.empty():
                if isinstance(late := client.responses.get_nowait(), Message) and late.status >= 200:
                    self._on_stray(late)

    def respond(self, request: Message, response: Message, source: Address) -> None:
        """Answer a request and remember the answer for its retransmissions."""
        data = response.pack()
        self._served[(request.branch, request.method)] = data
        while len(self._served) > REMEMBERED:
            self._served.popitem(last=False)
        self._put(data, self._back(response, source))

    @staticmethod
    def _back(response: Message, source: Address) -> Address:
        """Where a response goes: the source port with rport (RFC 3581), else the port of Via."""
        via = next(iter(response.all("via")), "")
        if "rport" in params_of(via):
            return source
        sent_by = via.partition(" ")[2].partition(";")[0].strip()
        with contextlib.suppress(BadMessage):
            return source[0], address_of("sip:" + sent_by)[1]
        return source

    async def _retransmit(self, client: _Client, timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        end, wait = loop.time() + timeout_s, T1_S
        data = client.request.pack()
        invite = client.request.method == "INVITE"
        while loop.time() < end:
            self._put(data, client.to)
            await asyncio.sleep(min(wait, max(0.0, end - loop.time())))
            if client.answered and invite:
                return
            wait = wait * 2 if invite else min(wait * 2, T2_S)
        host, port = client.to
        client.responses.put_nowait(Unreachable(f"nothing answered at {host}:{port} within {timeout_s:g} s"))

    def _put(self, data: bytes, to: Address) -> None:
        for _ in range(2):
            try:
                self._socket.sendto(data, to)
            except ConnectionRefusedError:
                self._drain_errors()
                continue
            except OSError as error:
                self._fail(to, f"cannot send to {to[0]}:{to[1]}: {error.strerror}")
            return

    def _readable(self) -> None:
        for _ in range(100):
            try:
                data, source = self._socket.recvfrom(65_535)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self._drain_errors()
                continue
            with contextlib.suppress(BadMessage):
                self._take(parse(data), source[:2])

    def _drain_errors(self) -> None:
        """Read the kernel's error queue: it names the destination that refused."""
        while True:
            try:
                _, _, _, to = self._socket.recvmsg(512, 512, MSG_ERRQUEUE)
            except OSError:
                return
            self._fail(to[:2], f"nobody listens at {to[0]}:{to[1]} (connection refused)")

    def _fail(self, to: Address, text: str) -> None:
        for client in list(self._clients.values()):
            if client.to == to and not client.responses.full():
                client.responses.put_nowait(Unreachable(text))

    def _take(self, message: Message, source: Address) -> None:
        if message.status:
            client = self._clients.get((message.branch, message.cseq[1]))
            if client is None:
                self._on_stray(message)
            elif not client.responses.full():
                client.answered = True
                client.responses.put_nowait(message)
            return
        key = (message.branch, message.method)
        if message.method != "ACK" and key in self._served:
            if self._served[key]:
                self._put(self._served[key], source)
            return
        if message.method != "ACK":
            self._served[key] = b""
        if not message.get("call-id") or message.cseq[1] != message.method:
            if message.method != "ACK":
                self.respond(message, reply(message, 400), source)
            return
        self._on_request(message, source)
