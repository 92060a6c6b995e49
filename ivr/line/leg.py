"""One SIP leg: its native call, its state, and why it ended.

Knows nothing of the socket to the brain or of other calls but the one it is bridged to. Everything here runs in the
SIP thread. Exceptions never leave a callback: the library would swallow them and go on with half a call.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Protocol

import pjsua2 as pj

from ivr.line.media import LegMedia
from ivr.line.messages import (
    Bridged,
    Cause,
    Dial,
    DialFailed,
    Dialing,
    Event,
    LegEnded,
    LegState,
    Quality,
    Refer,
    Transferred,
)
from ivr.line.settings import LineSettings, Peer
from ivr.line.sip import dial_cause, host_of, transfer_outcome

ENDING_MS = 900
DTMF_MS = 120
_LOCAL_ENDS = (pj.PJSIP_EVENT_TIMER, pj.PJSIP_EVENT_TRANSPORT_ERROR)

log = logging.getLogger("ivr.line")


class Line(Protocol):
    """What a leg needs of the process it lives in."""

    settings: LineSettings

    def emit(self, event: Event) -> None: ...
    def new_media(self, leg: Leg) -> LegMedia: ...
    def after(self, delay_ms: int, leg: int, then: Callable[[Leg], None]) -> None: ...
    def fault(self, message: str, leg: int) -> None: ...
    def wants_transfer(self, leg: Leg, target: str) -> Leg | None: ...
    def refused(self, what: str, source: str) -> None: ...
    def over(self, leg: Leg) -> None: ...
    def gone(self, leg: Leg) -> None: ...


def guarded(method):
    """Keep an exception inside a native callback: log it, tell the brain once, and let the call take its course."""

    @functools.wraps(method)
    def safe(self: Leg, prm) -> None:
        try:
            method(self, prm)
        except Exception as error:
            log.exception("callback failed", extra={"leg": self.leg})
            self.line.fault(f"{method.__name__}: {type(error).__name__}", self.leg)

    return safe


class Leg(pj.Call):
    """A call from or to somebody.

    Attributes:
        leg: the id that the brain knows it by.
        request: id of the Dial that placed it, 0 for one that no Dial did.
        peer: the trunk at the other end, None when unknown.
        source: IP address an incoming one came from.
        language: which apology it gets should the brain die.
        unheard: the brain was never told of it, and is not told of its end.
        answered: 200 OK has left or arrived.
        held: the other side put us on hold.
        bridge: the leg it exchanges audio with natively.
        successor_of, inherits: the leg whose REFER placed this one, and the leg it shall then talk to.
    """

    def __init__(
        self, line: Line, account: pj.Account, leg: int, call_id: int = -1, *, dial: Dial | None = None,
        peer: Peer | None = None, source: str = "", language: str = "en",
    ) -> None:  # fmt: skip
        super().__init__(account, call_id)
        self.line = line
        self.account = account
        self.leg = leg
        self.request, self._amd = (dial.request, dial.amd) if dial is not None else (0, None)
        self.outgoing = call_id < 0
        self.peer = peer
        self.source = source
        self.language = language
        self.answered = self.held = self.ended = False
        self.decided = self.announced = self.unheard = False
        self.rang = ""
        self.bridge: Leg | None = None
        self.successor_of: Leg | None = None
        self.inherits: Leg | None = None
        self.media: LegMedia | None = None
        self.sip_call_id = ""
        self.last_info = ""
        self._stream: pj.AudioMedia | None = None
        self._stream_index = 0
        self._codec = ""
        self._cause: Cause | None = None
        self._by = ""
        self._code = 0
        self._unheard_of = self._joined = self._streaming = False
        self._referring = False
        self._refer_code = 0
        self._or_else: Callable[[Leg], None] | None = None
        self._packets = -1
        self._silent_ms = 0
        self._quality = self._earlier = Quality()

    # Commands ---------------------------------------------------------------------------------------------------

    def open_media(self) -> LegMedia:
        """The leg's ear and mouth, made when first needed."""
        if self.media is None:
            self.media = self.line.new_media(self)
        return self.media

    def ring(self, early_media: bool) -> None:
        """180, or 183 with media."""
        self.decided = True
        if early_media:
            self.open_media()
        self.answer(_reply(183 if early_media else 180))

    def accept(self, language: str) -> None:
        """200 OK at once."""
        self.decided = True
        self.language = language
        self.open_media()
        self.answer(_reply(200))

    def refuse(self, code: int, reason: str = "", retry_after_s: int = 0, cause: Cause = "rejected") -> None:
        """A final refusal of an incoming leg."""
        self.decided = True
        self._cause = self._cause or cause
        prm = _reply(code if 300 <= code <= 699 else 480)
        prm.reason = reason
        if retry_after_s > 0:
            header = pj.SipHeader()
            header.hName, header.hValue = "Retry-After", str(retry_after_s)
            prm.txOption.headers.append(header)
        self.hangup(prm)

    def place(self, uri: str) -> None:
        """Send the INVITE; `Dialing` follows as soon as it has left. Raises pj.Error when it cannot."""
        self.makeCall(uri, _reply(0))

    def end(self, cause: Cause, code: int = 0) -> None:
        """BYE, CANCEL or a refusal, whichever fits. `LegEnded` follows within a second, answered or not."""
        if self.ended:
            return
        self._cause = self._cause or cause
        self.decided = True
        self.line.after(ENDING_MS, self.leg, Leg.give_up)
        prm = pj.CallOpParam()
        prm.statusCode = code if 300 <= code <= 699 else 0
        try:
            self.hangup(prm)
        except pj.Error:
            self.give_up()

    def give_up(self) -> None:
        """Report the leg as ended although the other side has not confirmed it."""
        self._finish("us")

    def refer(self, command: Refer, or_else: Callable[[Leg], None] | None = None) -> None:
        """Blind transfer (RFC 3515); `or_else` is called when it is not accepted."""
        self._referring, self._refer_code, self._or_else = True, 0, or_else
        self.line.after(command.timeout_ms, self.leg, Leg._refer_expired)
        try:
            self.xfer(command.target, pj.CallOpParam())
        except pj.Error as error:
            log.warning("REFER cannot leave", extra={"leg": self.leg, "why": error.reason})
            self._referred(0)

    def send_dtmf(self, digits: str, method: str) -> None:
        """Keys to the other side, one after another."""
        prm = pj.CallSendDtmfParam()
        prm.digits = digits
        prm.method = pj.PJSUA_DTMF_METHOD_SIP_INFO if method == "info" else pj.PJSUA_DTMF_METHOD_RFC2833
        prm.duration = DTMF_MS
        self.sendDtmf(prm)

    def bridge_with(self, other: Leg) -> None:
        """Exchange audio with `other` from now on, or as soon as both have media; `Bridged` says when."""
        for leg, mate in ((self, other), (other, self)):
            if leg.bridge not in (None, mate):
                leg.unbridge()
            leg.bridge = mate
            leg.open_media().bridged_to(mate.open_media())
        self._joined = other._joined = False
        self._join()

    def unbridge(self) -> None:
        """Undo `bridge_with`; both hear silence."""
        other, self.bridge = self.bridge, None
        if other is None:
            return
        other.bridge = None
        for leg in (self, other):
            if leg.media is not None:
                leg.media.bridged_to(None)
        self._part(other)

    def _join(self) -> None:
        other = self.bridge
        if other is None or self._stream is None or other._stream is None:
            return
        self._stream.startTransmit(other._stream)
        other._stream.startTransmit(self._stream)
        if not self._joined:
            self._joined = other._joined = True
            self.line.emit(Bridged(self.leg))
            self.line.emit(Bridged(other.leg))

    def _part(self, other: Leg) -> None:
        for source, sink in ((self._stream, other._stream), (other._stream, self._stream)):
            if source is not None and sink is not None:
                try:
                    source.stopTransmit(sink)
                except pj.Error:
                    log.debug("a bridged stream was gone already", extra={"leg": self.leg})

    def check_rtp(self, elapsed_ms: int) -> None:
        """Called every `elapsed_ms`: end the leg when its RTP has stopped for too long. Never on hold."""
        if not self.answered or self.ended or self.held or self._stream is None:
            self._silent_ms = 0
            return
        self._measure()
        if self._quality.packets != self._packets:
            self._packets, self._silent_ms = self._quality.packets, 0
            return
        self._silent_ms += elapsed_ms
        if self._silent_ms >= self.line.settings.rtp_timeout_ms:
            self.end("rtp_timeout")

    # News from the library --------------------------------------------------------------------------------------

    @guarded
    def onCallState(self, prm) -> None:
        info = self.getInfo()
        if self.outgoing and not self.announced and info.state != pj.PJSIP_INV_STATE_NULL:
            self.announced, self.sip_call_id = True, info.callIdString
            self.line.emit(Dialing(self.request, self.leg, self.sip_call_id))
        if info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            event = prm.e
            self._unheard_of = event.type == pj.PJSIP_EVENT_TSX_STATE and event.body.tsxState.type in _LOCAL_ENDS
            self._disconnected(info.lastStatusCode, info.lastReason)
        elif info.state == pj.PJSIP_INV_STATE_EARLY and self.outgoing:
            state = "early" if info.lastStatusCode == 183 else "ringing"
            if self.rang != state:
                self.rang = state
                self.line.emit(LegState(self.leg, state, self._codec))
        elif info.state == pj.PJSIP_INV_STATE_CONFIRMED or (
            info.state == pj.PJSIP_INV_STATE_CONNECTING and self._stream is not None
        ):
            self._now_answered()

    @guarded
    def onCallMediaState(self, prm) -> None:  # noqa: ARG002
        info = self.getInfo()
        for index, media in enumerate(info.media):
            if media.type == pj.PJMEDIA_TYPE_AUDIO:
                self._media_changed(index, media.status)
                break
        if self.outgoing and self.rang == "ringing" and info.state == pj.PJSIP_INV_STATE_EARLY and self._stream:
            self.rang = "early"
            self.line.emit(LegState(self.leg, "early", self._codec))

    @guarded
    def onStreamDestroyed(self, prm) -> None:  # noqa: ARG002
        self._measure()
        self._streaming = False
        self._earlier = self._quality
        self._packets = -1

    def onCallRedirected(self, prm) -> int:  # noqa: ARG002
        """A 3xx is the outcome of a dial, never another dial."""
        return pj.PJSIP_REDIRECT_REJECT

    @guarded
    def onDtmfDigit(self, prm) -> None:
        if not self.ended:
            self.open_media().dtmf(prm.digit, "info" if prm.method == pj.PJSUA_DTMF_METHOD_SIP_INFO else "rfc4733")

    def onCallTransferRequest(self, prm) -> None:
        prm.statusCode = pj.PJSIP_SC_DECLINE
        try:
            leg = self.line.wants_transfer(self, prm.dstUri)
            if leg is not None:
                prm.newCall = leg
                prm.statusCode = pj.PJSIP_SC_ACCEPTED
        except Exception:
            log.exception("transfer request failed", extra={"leg": self.leg})

    def onCallReplaceRequest(self, prm) -> None:
        prm.statusCode = pj.PJSIP_SC_DECLINE
        prm.reason = "Decline"
        try:
            self.line.refused("replaces", host_of(prm.rdata.srcAddress))
        except Exception:
            log.exception("replace request failed", extra={"leg": self.leg})

    @guarded
    def onCallTransferStatus(self, prm) -> None:
        if not self._referring:
            prm.cont = False
        elif prm.statusCode >= 300 or (prm.finalNotify and prm.statusCode >= 200):
            prm.cont = False
            self._referred(prm.statusCode)
        else:
            self._refer_code = max(self._refer_code, prm.statusCode)

    # State ------------------------------------------------------------------------------------------------------

    def _now_answered(self) -> None:
        if self.answered or self.ended:
            return
        self.answered = True
        self.line.emit(LegState(self.leg, "answered", self._codec))
        if self._amd is not None:
            self.open_media().watch(self._amd, self.rang == "early")
        self._take_over()

    def _take_over(self) -> None:
        """Answered after a REFER of the other side: take the referring leg's place."""
        before, mate = self.successor_of, self.inherits
        self.successor_of = self.inherits = None
        if before is None:
            return
        before._cause, before._by = "transferred", "them"
        if mate is None or mate.ended:
            self.end("hangup")
        else:
            self.bridge_with(mate)

    def _media_changed(self, index: int, status: int) -> None:
        if self.ended:
            return
        if status in (pj.PJSUA_CALL_MEDIA_ACTIVE, pj.PJSUA_CALL_MEDIA_REMOTE_HOLD):
            self._stream, self._stream_index = self.getAudioMedia(index), index
            stream = self.getStreamInfo(index)
            self._codec, self._streaming = stream.codecName, True
            self.open_media().attach(self._stream)
            if self.bridge is not None:
                self._join()
        elif self._stream is not None:
            self._leave_stream()
        held = status in (pj.PJSUA_CALL_MEDIA_REMOTE_HOLD, pj.PJSUA_CALL_MEDIA_LOCAL_HOLD)
        if held != self.held:
            self.held = held
            self.open_media().hold(held)
            self.line.emit(LegState(self.leg, "held" if held else "resumed", self._codec))

    def _leave_stream(self) -> None:
        if self.media is not None:
            self.media.detach()
        if self.bridge is not None:
            self._part(self.bridge)
        self._stream = None

    def _measure(self) -> None:
        if not self._streaming:
            return
        try:
            stat = self.getStreamStat(self._stream_index)
        except pj.Error:
            return
        rtcp = stat.rtcp
        received = rtcp.rxStat
        self._quality = Quality(
            packets=self._earlier.packets + received.pkt,
            lost=self._earlier.lost + received.loss,
            jitter_ms=round(received.jitterUsec.mean / 1000, 1),
            rtt_ms=round(rtcp.rttUsec.mean / 1000, 1),
            codec=self._codec,
        )

    def _referred(self, code: int) -> None:
        if not self._referring:
            return
        self._referring = False
        outcome = transfer_outcome(code) if code else "failed"
        self.line.emit(Transferred(self.leg, outcome, code))
        if outcome == "accepted":
            self.end("transferred")
        elif self._or_else is not None:
            self._or_else(self)

    def _refer_expired(self) -> None:
        if self._referring:
            self._referring = False
            self.line.emit(Transferred(self.leg, "no_answer", self._refer_code))
            if self._or_else is not None:
                self._or_else(self)

    def _disconnected(self, code: int, reason: str) -> None:
        if self._referring and self._refer_code >= 200:
            self._referring = False
            self._cause, self._by = self._cause or "transferred", "them"
            self.line.emit(Transferred(self.leg, "accepted", self._refer_code))
        elif self._referring:
            self._referring = False
            self.line.emit(Transferred(self.leg, "failed", 0))
        self._code = code
        self._finish(self._by or ("us" if self._cause else "them"), reason)
        self.line.gone(self)

    def _finish(self, by: str, reason: str = "") -> None:
        if self.ended:
            return
        cause = self._cause
        if cause is None:
            if self.answered:
                cause, by = ("hangup", "them") if self._code < 300 else ("failed", "us")
            else:
                cause = "cancelled"
                if self.outgoing:
                    cause = "unreachable" if self._unheard_of else dial_cause(self._code)
        self._let_go()
        self.ended = True
        self.successor_of = self.inherits = None
        if self.unheard:
            pass
        elif self.outgoing and not self.announced:
            self.line.emit(DialFailed(self.request, cause, reason))
        else:
            self.line.emit(LegEnded(self.leg, cause, by, self._code, reason, self._quality, self.request))
        self.line.over(self)

    def _let_go(self) -> None:
        """Leave the bridge and the stream; whatever fails there, the end of the leg is still told."""
        try:
            self._measure()
            self.unbridge()
            if self.media is not None:
                self.media.detach()
                self.media.close("hangup")
        except Exception as error:
            log.exception("media would not close", extra={"leg": self.leg})
            self.line.fault(f"close: {type(error).__name__}", self.leg)
        self._stream = None


def _reply(code: int) -> pj.CallOpParam:
    prm = pj.CallOpParam(True)
    prm.statusCode = code
    prm.opt.audioCount = 1
    prm.opt.videoCount = 0
    return prm
