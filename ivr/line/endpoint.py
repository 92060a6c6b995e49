"""The native SIP endpoint of a line process: library, transports, codecs, accounts.

Knows nothing of legs, the brain or the dialog. Everything here runs in the SIP thread; the library is driven by
`Endpoint.libHandleEvents` there and starts no SIP threads of its own.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator

import pjsua2 as pj

from ivr.errors import Unavailable
from ivr.line import native
from ivr.line.budget import Handles
from ivr.line.messages import RATE_HZ
from ivr.line.settings import LineSettings, Peer
from ivr.line.sip import host_of, masked

MIN_SESSION_EXPIRES_S = 90
LOST_AFTER_MS = 10_000
MAX_STREAMS = 10
WARN_EVERY_S = 60
REGISTER_RETRY_S = 15
_PJ_LEVELS = {1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO}

log = logging.getLogger("ivr.line")
OnInvite = Callable[["Account", int, str, str], None]
OnRegistration = Callable[[str, bool, int, str], None]


class NativeLog(pj.LogWriter):
    """Carries the library's log lines into Python's logging, with telephone numbers masked."""

    def write(self, entry) -> None:
        try:
            log.log(_PJ_LEVELS.get(entry.level, logging.DEBUG), "native", extra={"native": masked(entry.msg.strip())})
        except Exception:  # a log line is not worth a call
            log.error("native log line lost")


class Account(pj.Account):
    """An identity that calls are placed from and arrive at; hands both kinds of news to plain functions."""

    def __init__(
        self,
        on_invite: Callable[[Account, int, str, str], None],
        on_registration: Callable[[str, bool, int, str], None],
    ) -> None:
        super().__init__()
        self.peer: Peer | None = None
        self._on_invite = on_invite
        self._on_registration = on_registration

    def onIncomingCall(self, prm) -> None:
        try:
            self._on_invite(self, prm.callId, prm.rdata.wholeMsg, prm.rdata.srcAddress)
        except Exception:
            log.exception("incoming call failed")

    def onRegState(self, prm) -> None:
        try:
            good = prm.status == pj.PJ_SUCCESS and prm.code // 100 == 2 and prm.expiration > 0
            self._on_registration(self.peer.name if self.peer else "", good, prm.code, prm.reason)
        except Exception:
            log.exception("registration news failed")

    def onIncomingSubscribe(self, prm) -> None:
        prm.code = pj.PJSIP_SC_FORBIDDEN


class Endpoint(pj.Endpoint):
    """The library, started: transports up, codecs chosen, no sound device.

    Attributes:
        sip_port: the port in use by UDP and TCP.
        max_calls: calls that the compiled library really holds, at most `max_legs`.
        udp_socket: descriptor of the SIP socket, to wait on.
        streams: connections of the TCP transport that are open now.
    """

    def __init__(self, settings: LineSettings, on_refused: Callable[[str, str], None]) -> None:
        super().__init__()
        self._on_refused = on_refused
        self.settings = settings
        self.streams: set[int] = set()
        self._stream_handles = Handles(MAX_STREAMS)
        self._tcp = -1
        self._warn_again = 0.0
        self._log = NativeLog()
        native.give_up_transactions_after(LOST_AFTER_MS)
        with _silenced_console():
            self.libCreate()
            self.libInit(self._library_settings())
        self.max_calls = native.max_calls()
        self.udp_socket = -1
        self.sip_port = self._listen()
        self.libStart()
        self.audDevManager().setNullDev()
        self._choose_codecs()

    def onTransportState(self, prm) -> None:
        try:
            if "TCP" in prm.type.upper():
                stream = int(prm.hnd)
                if prm.state == pj.PJSIP_TP_STATE_CONNECTED:
                    self.streams.add(stream)
                elif prm.state in (pj.PJSIP_TP_STATE_DISCONNECTED, pj.PJSIP_TP_STATE_DESTROY):
                    self.streams.discard(stream)
                    self._stream_handles.closed(time.monotonic())
        except Exception:
            log.exception("transport news failed")

    def mind_streams(self) -> None:
        """Stop accepting TCP connections while there are too many, or too many have just come and gone.

        One poll of the library accepts up to 50: MAX_STREAMS leaves room for them.
        """
        if not self.settings.tcp:
            return
        self._stream_handles.live = len(self.streams)
        room = self._stream_handles.room(time.monotonic())
        if room <= 0 and self._tcp >= 0:
            if time.monotonic() >= self._warn_again:
                self._warn_again = time.monotonic() + WARN_EVERY_S
                log.warning("too many TCP connections; none is accepted for now")
            self.transportClose(self._tcp)
            self._tcp = -1
        elif room > MAX_STREAMS // 2 and self._tcp < 0:
            self._listen_tcp()

    def onRejectedIncomingCall(self, prm) -> None:
        """The library itself refused an INVITE: no call slot was free, or its SDP was of no use."""
        try:
            what = {486: "full", 488: "media", 406: "media", 400: "media", 415: "media"}.get(prm.statusCode)
            if what:
                self._on_refused(what, host_of(prm.rdata.srcAddress))
        except Exception:
            log.exception("news of a refusal failed")

    @property
    def calls_in_use(self) -> int:
        """Native call slots that are taken."""
        return native.calls_in_use()

    def account(self, peer: Peer | None, on_invite: OnInvite, on_registration: OnRegistration) -> Account:
        """An account for `peer`, or the one that strangers reach when None."""
        account = Account(on_invite, on_registration)
        account.peer = peer
        account.create(self._account_settings(peer), peer is None)
        return account

    def close(self) -> None:
        """Destroy the library. Every Call and Account object must be gone."""
        with _silenced_console():
            self.libDestroy(pj.PJSUA_DESTROY_NO_RX_MSG)

    def _library_settings(self) -> pj.EpConfig:
        settings = self.settings
        config = pj.EpConfig()
        level = 3 if settings.log_level == "debug" else 2
        config.logConfig.level = level
        config.logConfig.consoleLevel = 0
        config.logConfig.msgLogging = 0
        config.logConfig.decor = 0
        config.logConfig.writer = self._log
        agent = config.uaConfig
        agent.threadCnt = 0
        agent.mainThreadOnly = True
        agent.maxCalls = settings.max_legs
        agent.userAgent = settings.user_agent
        agent.natTypeInSdp = 0
        media = config.medConfig
        media.clockRate = RATE_HZ
        media.noVad = True
        media.ecTailLen = 0
        media.jbInit = 20
        media.jbMinPre = 20
        media.jbMaxPre = 160
        media.jbMax = 400
        return config

    def _listen(self) -> int:
        settings = self.settings
        config = pj.TransportConfig()
        config.port = settings.sip_port
        config.boundAddress = _bindable(settings.sip_host)
        config.publicAddress = settings.public_address
        try:
            before = _open_sockets()
            udp = self.transportCreate(pj.PJSIP_TRANSPORT_UDP, config)
            self.udp_socket = min(_open_sockets() - before)
            port = int(self.transportGetInfo(udp).localName.rsplit(":", 1)[1])
            if settings.tcp:
                self._listen_tcp(port)
        except pj.Error as error:
            raise Unavailable(f"SIP port {settings.sip_host}:{settings.sip_port}: {error.reason}") from None
        return port

    def _listen_tcp(self, port: int = 0) -> None:
        config = pj.TransportConfig()
        config.port = port or self.sip_port
        config.boundAddress = _bindable(self.settings.sip_host)
        config.publicAddress = self.settings.public_address
        self._tcp = self.transportCreate(pj.PJSIP_TRANSPORT_TCP, config)

    def _choose_codecs(self) -> None:
        wanted = {name: 255 - 10 * place for place, name in enumerate(self.settings.codecs)}
        codecs = self.codecEnum2()
        for codec in codecs:
            self.codecSetPriority(codec.codecId, wanted.get(codec.codecId.partition("/")[0], 0))

    def _account_settings(self, peer: Peer | None) -> pj.AccountConfig:
        settings = self.settings
        config = pj.AccountConfig()
        here = settings.public_address or (_bindable(settings.sip_host) or socket.gethostname())
        if peer is None:
            config.idUri = f"sip:{settings.user_agent.partition('/')[0]}@{here}:{self.sip_port}"
        else:
            user = peer.from_user or peer.username or settings.user_agent.partition("/")[0]
            domain = peer.host if peer.username else f"{here}:{self.sip_port}"
            name = peer.display_name.replace("\\", "").replace('"', "")
            config.idUri = f'"{name}" <sip:{user}@{domain}>' if name else f"sip:{user}@{domain}"
            if peer.username:
                config.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", peer.username, 0, peer.password))
            config.regConfig.registrarUri = _peer_uri(peer) if peer.register_with else ""
            config.regConfig.retryIntervalSec = REGISTER_RETRY_S
            config.regConfig.firstRetryIntervalSec = 2
        if settings.edge:
            config.sipConfig.proxies.append(f"sip:{settings.edge};lr")
        calls = config.callConfig
        calls.timerUse = pj.PJSUA_SIP_TIMER_OPTIONAL
        calls.timerSessExpiresSec = max(MIN_SESSION_EXPIRES_S, settings.session_expires_s)
        calls.timerMinSESec = MIN_SESSION_EXPIRES_S
        calls.prackUse = pj.PJSUA_100REL_OPTIONAL
        media = config.mediaConfig
        media.lockCodecEnabled = True
        media.streamKaEnabled = False
        media.srtpUse = pj.PJMEDIA_SRTP_DISABLED
        media.transportConfig.port = settings.rtp_port
        media.transportConfig.portRange = settings.rtp_ports
        media.transportConfig.boundAddress = _bindable(settings.sip_host)
        media.transportConfig.publicAddress = settings.public_address
        config.videoConfig.autoShowIncoming = False
        config.natConfig.iceEnabled = False
        config.presConfig.publishEnabled = False
        return config


def _peer_uri(peer: Peer) -> str:
    return f"sip:{peer.host}:{peer.port}" + (";transport=tcp" if peer.transport == "tcp" else "")


def _bindable(host: str) -> str:
    """The host to bind to; empty, which means every interface, for the wildcard address."""
    return "" if host in ("0.0.0.0", "::", "*") else host  # noqa: S104


def _open_sockets() -> set[int]:
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                found.add(int(name))
    return found


@contextlib.contextmanager
def _silenced_console() -> Iterator[None]:
    """Standard output to nowhere: the library writes there before its log settings apply."""
    saved = os.dup(1)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 1)
        yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)
        os.close(null)
