"""One call of the test caller: its SIP dialog, its media, and taking turns with whatever answers.

A `Call` is made by `Caller.dial` or handed to a handler by `Caller.listen`. Runs on asyncio's thread. All `*_s` in
timeline and turns count from the INVITE. Imports nothing of the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import wave
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ivr.caller import sdp
from ivr.caller.media import MediaStream
from ivr.caller.rtp import RATE_HZ
from ivr.caller.sip import Message, params_of, reply, uri_of
from ivr.caller.talk import Spell, trimmed
from ivr.caller.transport import T1_S, T2_S, Address, Unreachable
from ivr.errors import IvrError

if TYPE_CHECKING:
    from ivr.caller.agent import Caller
    from ivr.caller.dialog import Dialog

WORDS = {
    400: "the server did not understand the INVITE",
    403: "the server refuses calls from this address: add it to sip.allow",
    404: "no such number is served there",
    408: "the server gave up waiting",
    415: "the server does not take our description of the media",
    480: "nobody is available there now",
    486: "busy: every line is taken",
    487: "the call was cancelled",
    488: "no codec in common",
    500: "the server failed",
    503: "the server takes no calls now: full, or draining",
    603: "declined",
}


class CallFailed(IvrError):
    """A call was not answered. `code` is the SIP status, 0 when nothing came; `retry_after_s` as the server said."""

    def __init__(self, text: str, code: int = 0, retry_after_s: int = 0) -> None:
        super().__init__(text)
        self.code, self.retry_after_s = code, retry_after_s

    @classmethod
    def by(cls, response: Message) -> CallFailed:
        """In the words a person understands."""
        after = response.get("retry-after").partition(";")[0].partition("(")[0].strip()
        wait = f"; it says try again after {after} s" if after.isdigit() else ""
        words = WORDS.get(response.status, "refused")
        text = f"{response.status} {response.reason}: {words}{wait}"
        return cls(text, response.status, int(after) if after.isdigit() else 0)


@dataclass
class Turn:
    """One utterance of ours and what came back. Seconds since the INVITE, but `gap_s` and `heard_s`.

    `gap_s` runs from the last speech sample sent to the first of the far end's three loud frames; None: no answer.
    `cut_off`: the far end began to talk before we had finished.
    """

    said: str
    began_s: float
    ended_s: float
    answered_s: float | None = None
    gap_s: float | None = None
    heard_s: float | None = None
    cut_off: bool = False


@dataclass
class Call:
    caller: Caller
    dialog: Dialog
    media: MediaStream
    uri: str
    state: str = "dialing"
    code: int = 0
    reason: str = ""
    ended_by: str = ""
    invited_at: float = field(default_factory=time.monotonic)
    answered_at: float | None = None
    ended_at: float | None = None
    timeline: list[dict[str, Any]] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    keys: str = ""
    infos: list[Message] = field(default_factory=list)
    accept_refer: bool = False
    referred: Call | None = None
    codec: str = ""
    remote: sdp.Media | None = None
    on_event: Callable[[dict[str, Any]], None] | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    invite: Message | None = None
    invite_source: Address = ("", 0)
    _sdp_version: int = 1
    _direction: str = "sendrecv"
    _acked: asyncio.Event = field(default_factory=asyncio.Event)
    _invite_sequence: int = 0

    def __post_init__(self) -> None:
        self.media.on_spell = self._on_spell
        self.media.on_key = self._on_key

    # What happened -------------------------------------------------------------------------------------------------

    def note(self, what: str, at: float | None = None, **more: Any) -> None:
        """Put an event on the timeline; `at` is a monotonic moment, now when not given."""
        event = {"at_s": round((time.monotonic() if at is None else at) - self.invited_at, 3), "what": what, **more}
        self.timeline.append(event)
        if self.on_event is not None:
            self.on_event(event)
        self.changed.set()

    def _on_spell(self, spell: Spell) -> None:
        self.note(f"they_{spell.what}", spell.at_s)

    def _on_key(self, digit: str) -> None:
        self.keys += digit
        self.note("their_key", digit=digit)

    @property
    def over(self) -> bool:
        return self.state == "ended"

    async def wait_for(self, condition: Callable[[], Any], timeout_s: float) -> bool:
        """Wait until `condition()` holds; False when the call or the time is over first."""
        end = time.monotonic() + timeout_s
        while not condition():
            left = end - time.monotonic()
            if left <= 0 or self.over:
                return bool(condition())
            self.changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, 0.02)):
                    await self.changed.wait()
        return True

    # Taking turns ----------------------------------------------------------------------------------------------------

    @property
    def they_talk(self) -> bool:
        return self.media.talk.talking

    def quiet_for(self, seconds: float) -> bool:
        """The far end has spoken, and been silent for so long."""
        last = self.media.talk.last_loud_s
        return not self.they_talk and last is not None and time.monotonic() - last > seconds

    async def quiet(self, seconds: float = 0.7, timeout_s: float = 30.0) -> bool:
        """Wait until the far end has spoken and then been silent for `seconds`."""
        return await self.wait_for(lambda: self.quiet_for(seconds), timeout_s)

    async def talking(self, timeout_s: float = 10.0) -> bool:
        """Wait until the far end talks."""
        return await self.wait_for(lambda: self.they_talk, timeout_s)

    async def say(self, pcm: np.ndarray, label: str = "", *, trim: bool = True) -> tuple[float, float]:
        """Speak 8 kHz int16 audio to its end; returns the moments (monotonic) of first and last sample."""
        pcm = trimmed(pcm) if trim else pcm
        self.note("say", label=label, seconds=round(len(pcm) / RATE_HZ, 2))
        began = time.monotonic()
        sending = self.media.say(pcm)
        ended = await sending
        self.note("said", ended, label=label)
        return began, ended

    async def turn(self, pcm: np.ndarray, label: str = "", *, timeout_s: float = 20.0) -> Turn:
        """Speak, then wait for the far end's first word; the gap is the caller's own measure of the answer."""
        known = len(self.media.talk.spells)
        began, ended = await self.say(pcm, label)

        def starts() -> list[float]:
            return [s.at_s for s in self.media.talk.spells[known:] if s.what == "talking"]

        await self.wait_for(lambda: any(at > ended - 0.05 for at in starts()), timeout_s)
        turn = Turn(label, round(began - self.invited_at, 3), round(ended - self.invited_at, 3))
        turn.cut_off = any(began < at <= ended - 0.05 for at in starts())
        answered = next((at for at in starts() if at > ended - 0.05), None)
        if answered is not None:
            turn.answered_s, turn.gap_s = round(answered - self.invited_at, 3), round(answered - ended, 3)
            self.note("answer", answered, label=label, gap_s=turn.gap_s)
        self.turns.append(turn)
        return turn

    async def barge(self, pcm: np.ndarray, label: str = "", *, timeout_s: float = 5.0) -> float | None:
        """Speak over the far end; how long it went on after our first sample, None when it did not stop."""
        known = len(self.media.talk.spells)
        began = time.monotonic()
        self.note("barge_in", label=label)
        sending = self.media.say(trimmed(pcm))

        def stops() -> list[float]:
            spells = self.media.talk.spells[known:]
            return [s.at_s for s in spells if s.what == "quiet" and s.at_s > began - 0.02]

        await self.wait_for(stops, timeout_s)
        await sending
        if not stops():
            return None
        self.note("they_gave_way", stops()[0], after_s=round(stops()[0] - began, 3))
        return stops()[0] - began

    async def press(self, digits: str, *, method: str = "rfc4733", duration_ms: int = 120) -> float:
        """Send keys; returns the moment the last was released."""
        self.note("press", digits=digits, method=method)
        if method == "info":
            for digit in digits:
                request = self.dialog.request("INFO")
                request.set("content-type", "application/dtmf-relay")
                request.body = f"Signal={digit}\r\nDuration={duration_ms}\r\n".encode()
                await self.caller.socket.request(request, self.dialog.hop())
            return time.monotonic()
        return await self.media.press(digits, duration_ms=duration_ms)

    # Signalling ------------------------------------------------------------------------------------------------------

    def offer(self) -> bytes:
        """Our description of the audio, a new version each time."""
        self._sdp_version += 1
        return sdp.describe(
            self.media.host, self.media.port, self.caller.codecs, direction=self._direction, version=self._sdp_version
        )

    def agree(self, body: bytes) -> None:
        """Take the far end's description. Raises NoCommonCodec."""
        remote = sdp.choose(sdp.read(body), self.caller.codecs)
        self.remote, self.codec = remote, remote.codecs[0]
        self.media.connect(remote.host, remote.port, self.codec, remote.payloads[self.codec], remote.events)

    def answer_body(self) -> bytes:
        """Our answer to the description taken last."""
        remote = self.remote
        direction = sdp.answer_direction(remote.direction, self._direction)
        self._sdp_version += 1
        return sdp.describe(
            self.media.host, self.media.port, remote.codecs, direction=direction, version=self._sdp_version,
            payloads=remote.payloads, events=remote.events,
        )  # fmt: skip

    async def hold(self, on: bool = True) -> None:
        """Put the far end on hold by re-INVITE (sendonly), or take it off. Raises CallFailed."""
        self._direction = "sendonly" if on else "sendrecv"
        await self._reinvite()
        self.note("hold" if on else "resume")

    async def _reinvite(self) -> None:
        request = self.dialog.request("INVITE")
        request.set("content-type", "application/sdp")
        request.body = self.offer()
        sequence = self.dialog.sequence
        response = await self.caller.socket.request(request, self.dialog.hop())
        self.ack(request, response, sequence)
        if response.status >= 300:
            raise CallFailed.by(response)
        self.agree(response.body)

    def ack(self, invite: Message, response: Message, sequence: int) -> None:
        """ACK a final response: in the dialog for 2xx, in the transaction otherwise (RFC 3261 17.1.1.3, 13.2.2.4)."""
        if response.status < 300:
            self.dialog.learn(response)
            self._invite_sequence = sequence
            self.send_ack()
            return
        ack = self.dialog.request("ACK", sequence=sequence)
        ack.uri = invite.uri
        ack.headers = [(k, v) for k, v in ack.headers if k not in ("contact", "route")]
        ack.headers += [("route", r) for r in invite.all("route")]
        ack.set("to", response.get("to"))
        self.caller.socket.send(self.caller.socket.stamp(ack, invite.branch), self.caller.hop_of(invite))

    @property
    def acknowledged(self) -> bool:
        """Our INVITE was answered and the ACK has been sent."""
        return self._invite_sequence > 0

    def send_ack(self) -> None:
        ack = self.dialog.request("ACK", sequence=self._invite_sequence)
        self.caller.socket.send(self.caller.socket.stamp(ack), self.dialog.hop())

    async def ring(self, status: int = 180) -> None:
        """As the called side: 180, or 183 with a description (early media)."""
        response = reply(self.invite, status, self.dialog.local_tag)
        response.set("contact", f"<{self.dialog.contact}>")
        if status == 183:
            response.set("content-type", "application/sdp")
            response.body = self.answer_body()
        self.caller.socket.respond(self.invite, response, self.invite_source)
        self.state = "ringing"
        self.note("ringing")

    async def accept(self) -> None:
        """As the called side: 200 with our answer, repeated until ACK (RFC 3261 13.3.1.4). Raises CallFailed."""
        if self.over:
            raise CallFailed("the caller hung up before the answer", self.code)
        response = reply(self.invite, 200, self.dialog.local_tag)
        response.headers += [("contact", f"<{self.dialog.contact}>"), ("content-type", "application/sdp")]
        response.body = self.answer_body()
        self.state, self.answered_at = "answered", time.monotonic()
        self.note("answered")
        wait = T1_S
        for _ in range(7):
            self.caller.socket.respond(self.invite, response, self.invite_source)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._acked.wait()
                return
            if self.over:
                return
            wait = min(wait * 2, T2_S)
        await self.hangup()
        raise CallFailed("no ACK to our 200 OK")

    async def reject(self, status: int = 486) -> None:
        """As the called side: refuse."""
        self.caller.socket.respond(self.invite, reply(self.invite, status, self.dialog.local_tag), self.invite_source)
        self.finish("us", status)

    async def hangup(self) -> None:
        """BYE (or a refusal while it rings); harmless when the call is over."""
        if self.over:
            return
        if self.state != "answered":
            if self.invite is not None:
                await self.reject(486)
            self.finish("us", 487)
            return
        self.finish("us", 200)
        await self.bye()

    async def bye(self) -> None:
        """The bare BYE."""
        with contextlib.suppress(Unreachable):
            await self.caller.socket.request(self.dialog.request("BYE"), self.dialog.hop(), timeout_s=4.0)

    def finish(self, by: str, code: int, reason: str = "") -> None:
        """The call is over; frees its RTP socket."""
        if self.over:
            return
        self.state, self.ended_by, self.code, self.reason = "ended", by, code, reason
        self.ended_at = time.monotonic()
        self.media.close()
        self._acked.set()
        self.note("ended", by=by, code=code)

    # Requests from the far end ----------------------------------------------------------------------------------------

    def on_request(self, request: Message, source: Address) -> None:
        """A request inside the dialog (or CANCEL of the INVITE that made it)."""
        if request.method == "ACK":
            self._acked.set()
            return
        handler = {"BYE": self._on_bye, "CANCEL": self._on_cancel, "INVITE": self._on_offer,
                   "UPDATE": self._on_offer, "INFO": self._on_info, "REFER": self._on_refer}  # fmt: skip
        if request.method in handler:
            handler[request.method](request, source)
        elif request.method in ("OPTIONS", "NOTIFY", "PRACK"):
            self._respond(request, 200, source)
        else:
            self._respond(request, 501, source)

    def _respond(self, request: Message, status: int, source: Address, body: bytes = b"") -> None:
        response = reply(request, status, self.dialog.local_tag)
        response.set("contact", f"<{self.dialog.contact}>")
        if body:
            response.set("content-type", "application/sdp")
            response.body = body
        self.caller.socket.respond(request, response, source)

    def _on_bye(self, request: Message, source: Address) -> None:
        self._respond(request, 200, source)
        self.finish("them", 200, request.get("reason"))

    def _on_cancel(self, request: Message, source: Address) -> None:
        self._respond(request, 200, source)
        if self.invite is not None and self.state in ("dialing", "ringing"):
            self._respond(self.invite, 487, self.invite_source)
            self.finish("them", 487)

    def _on_offer(self, request: Message, source: Address) -> None:
        """re-INVITE or UPDATE: agree, and say so on the timeline when it holds or resumes."""
        if request.get("contact"):
            self.dialog.target = uri_of(request.get("contact"))
        was_held = self.remote is not None and self.remote.held
        try:
            if request.body:
                self.agree(request.body)
        except sdp.NoCommonCodec:
            self._respond(request, 488, source)
            return
        body = self.answer_body() if request.body else self.offer() if request.method == "INVITE" else b""
        self._respond(request, 200, source, body)
        held = self.remote is not None and self.remote.held
        self.note("their_" + request.method.lower().replace("invite", "reinvite"))
        if held != was_held:
            self.note("they_hold" if held else "they_resume")

    def _on_info(self, request: Message, source: Address) -> None:
        self.infos.append(request)
        self._respond(request, 200, source)
        signal = params_of(";" + request.body.decode("utf-8", "replace").replace("\r\n", ";")).get("signal", "")
        if "dtmf" in request.get("content-type") and signal:
            self._on_key(signal)

    def _on_refer(self, request: Message, source: Address) -> None:
        """A transfer: 603 unless this call was told to accept them (`accept_refer`)."""
        self.note("their_refer", target=uri_of(request.get("refer-to")))
        if not self.accept_refer:
            self._respond(request, 603, source)
            return
        self._respond(request, 202, source)
        self.caller.start(self._follow(uri_of(request.get("refer-to"))))

    async def _follow(self, target: str) -> None:
        """Dial the transfer's target and report it with NOTIFY (RFC 3515 2.4.4)."""
        status = "200 OK"
        await self._notify("100 Trying", "active;expires=60")
        try:
            self.referred = await self.caller.dial(target)
        except CallFailed as failure:
            status = f"{failure.code or 408} Failed"
        await self._notify(status, "terminated;reason=noresource")

    async def _notify(self, status: str, state: str) -> None:
        request = self.dialog.request("NOTIFY")
        request.headers += [("event", "refer"), ("subscription-state", state),
                            ("content-type", "message/sipfrag")]  # fmt: skip
        request.body = f"SIP/2.0 {status}\r\n".encode()
        with contextlib.suppress(Unreachable):
            await self.caller.socket.request(request, self.dialog.hop(), timeout_s=4.0)

    # Reports ---------------------------------------------------------------------------------------------------------

    def heard(self, from_s: float | None = None, to_s: float | None = None) -> np.ndarray:
        """What was received between two monotonic moments (by default the whole call), 8 kHz int16."""
        start = self.answered_at or self.invited_at
        return self.media.heard.audio(start if from_s is None else from_s, self._until() if to_s is None else to_s)

    def _until(self) -> float:
        return self.ended_at or time.monotonic()

    def report(self) -> dict[str, Any]:
        """Everything measured, fit for JSON."""
        answered = self.answered_at
        first = next((s.at_s for s in self.media.talk.spells if s.what == "talking"), None)
        return {
            "uri": self.uri, "call_id": self.dialog.call_id, "codec": self.codec, "state": self.state,
            "code": self.code, "ended_by": self.ended_by,
            "answer_s": round(answered - self.invited_at, 3) if answered else None,
            "greeting_s": round(first - answered, 3) if answered and first else None,
            "talk_s": round(self._until() - answered, 2) if answered else 0.0,
            "turns": [asdict(t) for t in self.turns], "keys": self.keys,
            "rtp": self.media.reception.summary(),
            "sent": {"packets": self.media.frames_sent, "late_max_ms": round(self.media.send_late_max_s * 1000, 1)},
            "timeline": self.timeline,
        }  # fmt: skip

    def save(self, path: str | Path) -> None:
        """Both directions as a stereo WAV at 8 kHz: left what we said, right what we heard."""
        start = self.answered_at or self.invited_at
        left, right = self.media.sent.audio(start, self._until()), self.heard()
        with wave.open(str(path), "wb") as file:
            file.setparams((2, 2, RATE_HZ, 0, "NONE", ""))
            file.writeframes(np.column_stack([left, right]).astype("<i2").tobytes())
