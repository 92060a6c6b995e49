"""The test caller: a SIP user agent of its own, so that the server is measured by a stranger.

`async with Caller() as caller: call = await caller.dial("sip:400@127.0.0.1:5060")`. Any number of calls share the SIP
socket; each has its own RTP socket. `listen` makes it a called party, for transfer targets. Runs on asyncio's thread;
imports nothing of the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from ivr.caller import sdp
from ivr.caller.call import Call, CallFailed
from ivr.caller.dialog import ALLOW, Dialog
from ivr.caller.media import MediaStream
from ivr.caller.sip import BadMessage, Message, address_of, params_of, reply, uri_of
from ivr.caller.transport import Address, SipSocket, Unreachable

MAX_REMEMBERED_CALLS = 4_096


class Caller:
    """One user agent.

    bind, port: where SIP is sent from (port 0: any). user: the user part of From. codecs: in order of preference.
    keep_audio: False saves memory on thousands of calls; `Call.heard` and `Call.save` are empty then.
    """

    def __init__(self, bind: str = "127.0.0.1", port: int = 0, *, user: str = "caller", display: str = "",
                 codecs: tuple[str, ...] = ("PCMU", "PCMA"), keep_audio: bool = True) -> None:  # fmt: skip
        self._bind, self._port = bind, port
        self.user, self.display, self.codecs, self.keep_audio = user, display, codecs, keep_audio
        self.calls: dict[str, Call] = {}
        self.requests: list[Message] = []
        self._handler: Callable[[Call], Awaitable[None]] | None = None
        self._tasks: set[asyncio.Task] = set()
        self.socket: SipSocket

    async def __aenter__(self) -> Caller:
        self.socket = SipSocket(self._bind, self._port, self._on_request, self._on_stray)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(call.hangup() for call in list(self.calls.values())), return_exceptions=True)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.socket.close()

    @property
    def contact(self) -> str:
        return f"sip:{self.user}@{self.socket.host}:{self.socket.port}"

    def listen(self, handler: Callable[[Call], Awaitable[None]]) -> None:
        """Take calls: `handler(call)` runs for each INVITE and rings, accepts, rejects as it likes."""
        self._handler = handler

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` until it ends or the caller closes."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def options(self, uri: str, *, timeout_s: float = 4.0) -> Message:
        """Ask with OPTIONS; the response. Raises Unreachable."""
        dialog = Dialog.calling(uri, self.contact, self.contact)
        return await self.socket.request(dialog.request("OPTIONS"), await _resolved(uri), timeout_s=timeout_s)

    async def dial(self, uri: str, *, timeout_s: float = 8.0, ring_s: float = 60.0,
                   on_event: Callable[[dict[str, Any]], None] | None = None,
                   headers: tuple[tuple[str, str], ...] = (), user: str = "") -> Call:  # fmt: skip
        """Ring `uri` until it is answered.

        timeout_s: for the first response; ring_s: for the answer, then CANCEL. user: another user part of From.
        Raises CallFailed with the server's status and what it means.
        """
        try:
            to = await _resolved(uri)
        except (BadMessage, OSError) as error:
            raise CallFailed(f"{uri!r} cannot be rung: {error}") from None
        local = f"sip:{user or self.user}@{self.socket.host}:{self.socket.port}"
        dialog = Dialog.calling(uri, local, self.contact, self.display)
        call = Call(self, dialog, MediaStream(self._bind, keep_audio=self.keep_audio), uri, on_event=on_event)
        self._remember(call)
        invite = dialog.request("INVITE")
        invite.headers += [("supported", "timer, 100rel"), ("content-type", "application/sdp"), *headers]
        invite.body = call.offer()
        self.socket.stamp(invite)
        sequence = dialog.sequence
        call.note("invite", uri=uri)
        try:
            response = await self._invite(call, invite, to, timeout_s, ring_s)
        except Unreachable as error:
            call.finish("us", 0)
            raise CallFailed(str(error)) from None
        except asyncio.CancelledError:
            self.start(self._cancel(invite, to))
            call.finish("us", 487)
            raise
        call.ack(invite, response, sequence)
        if response.status >= 300:
            call.finish("them", response.status)
            raise CallFailed.by(response)
        call.state, call.answered_at = "answered", time.monotonic()
        call.note("answered")
        try:
            call.agree(response.body)
        except sdp.NoCommonCodec as error:
            await call.hangup()
            raise CallFailed(f"answered, but {error}", 488) from None
        return call

    async def _invite(self, call: Call, invite: Message, to: Address, timeout_s: float, ring_s: float) -> Message:
        """The final response to an INVITE; CANCELs it after `ring_s`."""

        def provisional(response: Message) -> None:
            if response.status == 100:
                call.note("trying")
                return
            call.dialog.learn(response)
            call.state = "ringing"
            call.note("ringing", code=response.status)
            with contextlib.suppress(sdp.NoCommonCodec):
                if response.body:
                    call.agree(response.body)
            if "100rel" in response.all("require"):
                self.start(self._prack(call, response))

        asking = asyncio.ensure_future(self.socket.request(invite, to, timeout_s=timeout_s, on_provisional=provisional))
        try:
            done, _ = await asyncio.wait({asking}, timeout=ring_s)
            if not done:
                await self._cancel(invite, to)
                done, _ = await asyncio.wait({asking}, timeout=4.0)
                if not done or (asking.exception() is None and asking.result().status == 487):
                    raise Unreachable(f"it rang {ring_s:g} s and nobody answered")
            return asking.result()
        except asyncio.CancelledError:
            if asking.done() and not asking.cancelled() and asking.exception() is None:
                asyncio.get_running_loop().call_soon(self._on_stray, asking.result())
            raise
        finally:
            asking.cancel()

    async def _cancel(self, invite: Message, to: Address) -> None:
        """CANCEL has the INVITE's Via, tags and number (RFC 3261 9.1)."""
        cancel = Message(method="CANCEL", uri=invite.uri)
        keep = ("via", "route", "max-forwards", "from", "to", "call-id")
        cancel.headers = [(k, v) for k, v in invite.headers if k in keep]
        cancel.set("cseq", f"{invite.cseq[0]} CANCEL")
        with contextlib.suppress(Unreachable):
            await self.socket.request(cancel, to, timeout_s=4.0)

    async def _prack(self, call: Call, response: Message) -> None:
        """Acknowledge a reliable provisional response (RFC 3262 4)."""
        number, method = response.cseq
        request = call.dialog.request("PRACK")
        request.set("rack", f"{response.get('rseq')} {number} {method}")
        with contextlib.suppress(Unreachable):
            await self.socket.request(request, call.dialog.hop(), timeout_s=4.0)

    def hop_of(self, request: Message) -> Address:
        """Where an out-of-dialog request went."""
        route = next(iter(request.all("route")), "")
        return address_of(uri_of(route) if route else request.uri)

    def _remember(self, call: Call) -> None:
        while len(self.calls) >= MAX_REMEMBERED_CALLS:
            oldest = next((key for key, other in self.calls.items() if other.over), None)
            if oldest is None:
                raise CallFailed("too many calls at once")
            del self.calls[oldest]
        self.calls[call.dialog.call_id] = call

    def _on_stray(self, response: Message) -> None:
        """A 200 to an INVITE that nobody waits for any more.

        Acknowledged already: the ACK was lost, so it goes again. Given up: ACK and BYE, since CANCEL came too late
        (RFC 3261 9.1).
        """
        call = self.calls.get(response.get("call-id"))
        if call is None or response.cseq[1] != "INVITE" or not 200 <= response.status < 300:
            return
        if call.acknowledged:
            call.send_ack()
        elif call.over:
            call.ack(Message(), response, response.cseq[0])
            self.start(call.bye())

    def _on_request(self, request: Message, source: Address) -> None:
        call = self.calls.get(request.get("call-id"))
        tagged = "tag" in params_of(request.get("to"))
        if call is not None and (tagged or request.method in ("CANCEL", "ACK")):
            call.on_request(request, source)
        elif request.method == "ACK":
            return
        elif request.method == "INVITE" and not tagged:
            self._on_invite(request, source)
        elif request.method == "OPTIONS":
            answer = reply(request, 200, "options")
            answer.headers += [("allow", ALLOW), ("accept", "application/sdp"), ("contact", f"<{self.contact}>")]
            self.socket.respond(request, answer, source)
        else:
            self.requests.append(request)
            del self.requests[:-100]
            self.socket.respond(request, reply(request, 481 if tagged else 501, "none"), source)

    def _on_invite(self, invite: Message, source: Address) -> None:
        if self._handler is None:
            self.socket.respond(invite, reply(invite, 480, "none"), source)
            return
        self.socket.respond(invite, reply(invite, 100), source)
        media = MediaStream(self._bind, keep_audio=self.keep_audio)
        call = Call(self, Dialog.called(invite, self.contact), media, uri_of(invite.get("from")))
        call.invite, call.invite_source = invite, source
        call.note("invited", uri=invite.uri)
        self._remember(call)
        try:
            call.agree(invite.body) if invite.body else None
        except sdp.NoCommonCodec:
            self.start(call.reject(488))
            return
        self.start(self._handle(call))

    async def _handle(self, call: Call) -> None:
        try:
            await self._handler(call)
        except CallFailed:
            call.finish("us", call.code)
        finally:
            if call.state in ("dialing", "ringing"):
                await call.reject(480)


async def _resolved(uri: str) -> Address:
    """The IPv4 address behind a SIP URI."""
    host, port = address_of(uri)
    found = await asyncio.get_running_loop().getaddrinfo(host, port, family=socket.AF_INET, type=socket.SOCK_DGRAM)
    return found[0][4][:2]
