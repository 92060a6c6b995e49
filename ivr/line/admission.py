"""Which requests reach the SIP stack at all: by address, by what they ask, and by what the library can still hold.

Knows nothing of legs' states. `judge` runs in the SIP thread, inside the guard's callback; the resolver thread only
swaps in new address tables.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from ivr.line.budget import QUEUE_HANDLES, Handles
from ivr.line.settings import LineSettings, Peer
from ivr.line.sip import Sources, host_of, info_key, opening, read_request, sdp_is_broken, sequence

RESOLVE_S = 300
FIRST_RESOLVE_S = 2
KNOWN_CALLS = 512
HANDLES_A_CALL = 2  # RTP and RTCP
SPARE_HANDLES = 8

log = logging.getLogger("ivr.line")


class Admission:
    """The line's door.

    Args:
        live_calls: how many native calls hold media sockets now.
        refused: told of everything refused: what, and the address.
        key: told of a key by INFO in a notation that the library does not know: Call-ID, CSeq, key; true when taken.
    """

    def __init__(
        self, settings: LineSettings, live_calls: Callable[[], int], refused: Callable[[str, str], None],
        key: Callable[[str, str, str], bool],
    ) -> None:  # fmt: skip
        self.sources = Sources(settings.allow)
        self._settings = settings
        self._peers = {peer.name: peer for peer in settings.peers}
        self._live_calls = live_calls
        self._refused = refused
        self._key = key
        self._handles = Handles((QUEUE_HANDLES - SPARE_HANDLES) // HANDLES_A_CALL)
        self._known: OrderedDict[str, None] = OrderedDict()
        self._resolved = threading.Event()
        self._resolver = threading.Thread(target=self._resolve, name="resolver", daemon=True)

    def start(self) -> None:
        """Resolve the peers' names; waits a moment for the first result, so that trunks are known from the start."""
        self._resolver.start()
        self._resolved.wait(FIRST_RESOLVE_S)

    def peer_at(self, source: str) -> Peer | None:
        """The configured trunk at this address."""
        return self._peers.get(self.sources.peer_at(source))

    def judge(self, message: str, source: str) -> int:
        """0 to let a request pass, the status to answer it with, -1 to drop it."""
        method, in_dialog = opening(message)
        code = self.sources.judge(message, source)
        if code > 0:
            self._refused("transfer" if method == "REFER" else "source", read_request(message, source).source)
        if in_dialog and method == "INFO":
            key = info_key(message)
            taken = key and self._key(read_request(message, source).call_id, sequence(message), key)
            return 200 if taken else 0
        if code or in_dialog or method != "INVITE":
            return code
        return self._judge_call(message, source)

    def media_room(self) -> bool:
        """Whether the media sockets of one more call may be opened now."""
        self._handles.live = self._live_calls()
        return self._handles.room(time.monotonic()) > 0

    def media_freed(self) -> None:
        """A call's media sockets have been closed."""
        self._handles.closed(time.monotonic())

    def accepted(self) -> None:
        """The INVITE judged last has become a call, whose sockets stay open."""
        self._handles.kept()

    def _judge_call(self, message: str, source: str) -> int:
        call_id = read_request(message, source).call_id
        if call_id in self._known:
            return 0
        if sdp_is_broken(message):
            self._refused("media", host_of(source))
            return 488
        if not self.media_room():
            self._refused("full", host_of(source))
            return 503
        self._known[call_id] = None
        if len(self._known) > KNOWN_CALLS:
            self._known.popitem(last=False)
        # The library opens and closes sockets also for a call that it then refuses itself; see `accepted`.
        self.media_freed()
        return 0

    def _resolve(self) -> None:
        """Resolver thread: keep the peers' and the edge's addresses current."""
        edge = self._settings.edge
        while True:
            addresses = {a: peer.name for peer in self._settings.peers for a in _addresses(peer.host)}
            at_edge = _addresses(edge.rpartition(":")[0] or edge) if edge else set()
            self.sources.addresses, self.sources.edge = addresses, frozenset(at_edge)
            self._resolved.set()
            time.sleep(RESOLVE_S)


def _addresses(host: str) -> set[str]:
    try:
        return {info[4][0] for info in socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)}
    except OSError:
        log.warning("name does not resolve", extra={"host": host})
        return set()
