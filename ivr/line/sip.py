"""What a line process decides about SIP without the native library: who may ring, what a status code means.

Pure: no sockets, no clock, no pjsua2. Addresses come in as text, verdicts go out as values.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field

from ivr.line.messages import Cause
from ivr.line.settings import Peer

MAX_TEXT = 256
OPENERS = frozenset({"INVITE", "ACK", "CANCEL", "OPTIONS"})
_NUMBER = re.compile(r"\+?\d[\d.\-]{4,}\d")
_ADDRESS = re.compile(r"\d{1,3}(\.\d{1,3}){3}")


@dataclass(frozen=True)
class Request:
    """The parts of an incoming request that decide what becomes of it.

    Attributes:
        number: user part of the Request-URI, percent-decoded no further than SIP allows.
        caller: user part of From, `anonymous` when there is none.
        source: IP address that the request came from, behind `edge` the one that the edge saw.
        call_id: the Call-ID header.
    """

    number: str
    caller: str
    source: str
    call_id: str


def _headers(message: str, names: tuple[str, ...]) -> list[str]:
    found = []
    for line in message.replace("\r\n ", " ").replace("\r\n\t", " ").split("\r\n")[1:]:
        if not line:
            break
        name, _, value = line.partition(":")
        if name.strip().lower() in names:
            found.append(value.strip())
    return found


def user_of(uri: str) -> str:
    """User part of a URI or name-addr, empty when it has none (RFC 3261 section 19.1.1)."""
    inside = uri[uri.find("<") + 1 :] if "<" in uri else uri
    match = re.match(r"\s*(?:sips?|tel):([^@;>:?]*)(?::[^@]*)?(@)?", inside, re.IGNORECASE)
    if match is None:
        return ""
    if match[2] or inside.strip().lower().startswith("tel:"):
        return match[1]
    return ""


def host_of(address: str) -> str:
    """The host of `host:port`, `[v6]:port` or a bare host."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address


def read_request(message: str, source: str, edge_addresses: frozenset[str] = frozenset()) -> Request:
    """Read an incoming INVITE.

    Behind an edge proxy the caller's address is what the edge wrote into the second Via: `received` when it saw
    another address than the caller claimed (RFC 3261 section 18.2.1), else the claimed one.
    """
    first = message.split("\r\n", 1)[0].split()
    vias = [v.strip() for header in _headers(message, ("via", "v")) for v in header.split(",")]
    address = host_of(source)
    if address in edge_addresses and len(vias) > 1:
        received = re.search(r";\s*received\s*=\s*([^;\s]+)", vias[1], re.IGNORECASE)
        sent_by = re.match(r"SIP\s*/\s*2\.0\s*/\s*\w+\s+([^;\s]+)", vias[1], re.IGNORECASE)
        address = host_of((received or sent_by)[1]) if received or sent_by else address
    senders = _headers(message, ("from", "f"))
    calls = _headers(message, ("call-id", "i"))
    return Request(
        number=_clean(user_of(first[1])) if len(first) > 1 else "",
        caller=_clean(user_of(senders[0]) if senders else "") or "anonymous",
        source=_clean(address),
        call_id=_clean(calls[0]) if calls else "",
    )


def _clean(text: str) -> str:
    """Text off the wire as it may go into a message: valid Unicode, printable, of bounded length."""
    return "".join(c for c in text[:MAX_TEXT].encode("utf-8", "replace").decode() if c.isprintable())


def opening(message: str) -> tuple[str, bool]:
    """Method of a request, and whether it claims to belong to a dialog (RFC 3261 section 12.2.2: To has a tag)."""
    method = message.split(" ", 1)[0].upper()
    receivers = _headers(message, ("to", "t"))
    return method, bool(receivers) and re.search(r";\s*tag\s*=", receivers[0], re.IGNORECASE) is not None


def _body(message: str, content_type: str) -> str | None:
    """The body when it is of this type, None when it is not or when there is none."""
    types = _headers(message, ("content-type", "c"))
    body = message.partition("\r\n\r\n")[2]
    if not body or not types or types[0].partition(";")[0].strip().lower() != content_type:
        return None
    return body


def sdp_is_broken(message: str) -> bool:
    """Whether a request carries SDP that cannot be one (RFC 4566 section 5): such an offer gets 488, not 400."""
    body = _body(message, "application/sdp")
    if body is None:
        return False
    lines = [line for line in body.replace("\r\n", "\n").split("\n") if line]
    if not all(re.match(r"[a-z]=", line) for line in lines) or lines[:1] != ["v=0"]:
        return True
    media = [line for line in lines if line.startswith("m=")]
    sound = all(re.match(r"m=\S+ \d{1,5}(/\d+)? \S+ \S", line) for line in media)
    return not media or not sound or not all(any(line.startswith(f"{t}=") for line in lines) for t in "osc")


def info_key(message: str) -> str:
    """The key in an INFO of type application/dtmf, which the library does not know; empty when there is none.

    Its body is the bare key, or its number as in RFC 4733 (10 star, 11 pound).
    """
    body = (_body(message, "application/dtmf") or "").strip()
    key = {"10": "*", "11": "#"}.get(body, body.upper())
    return key if re.fullmatch(r"[0-9*#A-D]", key) else ""


def sequence(message: str) -> str:
    """The CSeq header."""
    found = _headers(message, ("cseq",))
    return found[0] if found else ""


@dataclass
class Sources:
    """Who may ring: the networks of the allow-list, the edge proxy, and the peers' own addresses.

    `addresses` maps an IP address to the peer there; names are resolved by the caller, who may refresh them.
    """

    allow: tuple[str, ...]
    addresses: dict[str, str] = field(default_factory=dict)
    edge: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._networks = tuple(ipaddress.ip_network(n, strict=False) for n in self.allow)

    def admits(self, source: str) -> bool:
        """Whether a request that arrived from this IP address may be served; a name is never admitted."""
        if source in self.edge or source in self.addresses:
            return True
        try:
            address = ipaddress.ip_address(source)
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    def judge(self, message: str, source: str) -> int:
        """0 to let a request pass, the status to refuse it with, -1 to drop it (an ACK has no response).

        What claims to belong to a dialog passes, since a trunk may send it from another of its addresses: the dialog
        layer knows whether it does. Out of a dialog only INVITE, ACK, CANCEL and OPTIONS are served, and only for
        addresses that `admits`.
        """
        method, in_dialog = opening(message)
        if in_dialog:
            return 0
        if method in OPENERS and self.admits(host_of(source)):
            return 0
        return -1 if method == "ACK" else 403

    def peer_at(self, source: str) -> str:
        """Name of the peer at `source`, empty when no peer is there."""
        return self.addresses.get(source, "")


def may_refer(peer: Peer | None, target: str) -> bool:
    """Whether `peer` may have `target` dialled.

    An entry of refer_targets is a URI that must be equal, a URI whose user part ends in `*`, or the beginning of a
    number, which counts only at the peer's own host: no prefix ever opens the way to another domain.
    The target is compared without angle brackets, headers and parameters.
    """
    if peer is None:
        return False
    uri = target.strip().lstrip("<").partition(">")[0].partition("?")[0].partition(";")[0].strip()
    host = host_of(uri.partition("@")[2])
    for entry in peer.refer_targets:
        if re.fullmatch(r"\+?\d+", entry):
            if user_of(uri).startswith(entry) and host == peer.host:
                return True
        elif "*@" in entry:
            prefix, _, domain = entry.partition("*@")
            if uri.startswith(prefix) and uri.partition("@")[2] == domain:
                return True
        elif uri == entry:
            return True
    return False


def dialable(uri: str, peer: Peer) -> str:
    """The URI as it is dialled through `peer`, with its transport."""
    return f"{uri};transport=tcp" if peer.transport == "tcp" and "transport=" not in uri else uri


def dial_cause(code: int) -> Cause:
    """What a final response to our INVITE means (RFC 3261 section 21)."""
    if code in (486, 600):
        return "busy"
    if code in (408, 480, 487):
        return "no_answer"
    if code in (404, 410, 484, 604) or code >= 500:
        return "rejected" if code == 603 else "unreachable"
    return "rejected" if code >= 400 else "failed"


def transfer_outcome(code: int) -> str:
    """What the last NOTIFY's status line, or the answer to the REFER itself, means (RFC 3515 section 2.4.5)."""
    if 200 <= code < 300:
        return "accepted"
    return {"busy": "busy", "no_answer": "no_answer", "rejected": "rejected"}.get(dial_cause(code), "failed")


def masked(text: str) -> str:
    """`text` with what looks like a telephone number masked but for its last two digits; addresses stay."""

    def mask(match: re.Match[str]) -> str:
        found = match[0]
        return found if _ADDRESS.fullmatch(found) else "*" * (len(found) - 2) + found[-2:]

    return _NUMBER.sub(mask, text)
