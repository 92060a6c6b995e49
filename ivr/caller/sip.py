"""SIP messages as text: parse, build, and the few header rules a user agent needs (RFC 3261).

Pure: knows nothing of sockets, timers or dialogs.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field

from ivr.errors import IvrError

COMPACT = {
    "i": "call-id", "m": "contact", "e": "content-encoding", "l": "content-length", "c": "content-type",
    "f": "from", "s": "subject", "k": "supported", "t": "to", "v": "via", "x": "session-expires", "r": "refer-to",
}  # fmt: skip

REASONS = {
    100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 202: "Accepted", 400: "Bad Request",
    403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout",
    415: "Unsupported Media Type", 480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist",
    486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here", 500: "Server Internal Error",
    501: "Not Implemented", 503: "Service Unavailable", 600: "Busy Everywhere", 603: "Decline",
}  # fmt: skip


class BadMessage(IvrError):
    """A datagram is no SIP message."""


@dataclass
class Message:
    """A request (`method` set) or a response (`status` set).

    Headers keep their order; names are lower case and never compact; repeated headers stay separate entries.
    """

    method: str = ""
    uri: str = ""
    status: int = 0
    reason: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def get(self, name: str) -> str:
        """The first value of header `name`, empty when there is none."""
        return next((value for key, value in self.headers if key == name), "")

    def all(self, name: str) -> list[str]:
        """Every value of header `name` in order, comma-separated lists taken apart."""
        return [part for key, value in self.headers if key == name for part in split_list(value)]

    def set(self, name: str, value: str) -> None:
        self.headers = [(k, v) for k, v in self.headers if k != name]
        self.headers.append((name, value))

    @property
    def cseq(self) -> tuple[int, str]:
        """Number and method of CSeq; (0, "") when it is missing or broken."""
        number, _, method = self.get("cseq").strip().partition(" ")
        return (int(number), method.strip()) if number.isdigit() else (0, "")

    @property
    def branch(self) -> str:
        """The branch of the topmost Via: the transaction's id (RFC 3261 17.1.3)."""
        return params_of(next(iter(self.all("via")), "")).get("branch", "")

    def pack(self) -> bytes:
        start = f"{self.method} {self.uri} SIP/2.0" if self.method else f"SIP/2.0 {self.status} {self.reason}"
        lines = [start]
        lines += [f"{_title(k)}: {v}" for k, v in self.headers if k != "content-length"]
        lines.append(f"Content-Length: {len(self.body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + self.body


def parse(datagram: bytes) -> Message:
    """Read one datagram. Raises BadMessage."""
    head, _, body = datagram.partition(b"\r\n\r\n")
    text = re.sub(r"\r\n[ \t]+", " ", head.decode("utf-8", "replace"))
    first, *lines = text.split("\r\n")
    message = Message(body=body)
    if first.startswith("SIP/2.0 "):
        _, status, *reason = first.split(" ", 2)
        if not status.isdigit():
            raise BadMessage(f"no status code in {first!r}")
        message.status, message.reason = int(status), reason[0] if reason else ""
    else:
        words = first.split(" ")
        if len(words) != 3 or words[2] != "SIP/2.0":
            raise BadMessage(f"no SIP request line: {first[:60]!r}")
        message.method, message.uri = words[0], words[1]
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            name = name.strip().lower()
            message.headers.append((COMPACT.get(name, name), value.strip()))
    length = message.get("content-length")
    if length.isdigit():
        message.body = message.body[: int(length)]
    return message


def split_list(value: str) -> list[str]:
    """The parts of a comma-separated header value; commas inside quotes or angle brackets do not count."""
    parts, depth, quoted, start = [], 0, False, 0
    for index, char in enumerate(value):
        if char == '"':
            quoted = not quoted
        elif not quoted:
            depth += (char == "<") - (char == ">")
            if char == "," and depth <= 0:
                parts.append(value[start:index].strip())
                start = index + 1
    parts.append(value[start:].strip())
    return [p for p in parts if p]


def params_of(value: str) -> dict[str, str]:
    """The `;name=value` parameters after a header value (after `>` when there is one), names in lower case."""
    tail = value.rpartition(">")[2] if ">" in value else value
    pairs = (part.partition("=") for part in tail.split(";")[1:])
    return {name.strip().lower(): content.strip().strip('"') for name, _, content in pairs}


def uri_of(value: str) -> str:
    """The URI of a name-addr (`"A" <sip:x>;tag=1`) or addr-spec."""
    found = re.search(r"<([^>]*)>", value)
    return found[1].strip() if found else value.split(";")[0].strip()


def user_of(uri: str) -> str:
    """The user part, empty when there is none."""
    rest = uri.partition(":")[2]
    return rest.partition("@")[0].partition(";")[0] if "@" in rest else ""


def address_of(uri: str) -> tuple[str, int]:
    """Host and port (5060 when not given) of a SIP URI. Raises BadMessage."""
    found = re.match(r"sips?:(?:[^@]*@)?(\[[^\]]+\]|[^:;?>]+)(?::(\d+))?", uri, re.IGNORECASE)
    if not found:
        raise BadMessage(f"no SIP URI: {uri[:80]!r}")
    return found[1], int(found[2] or 5060)


def new_branch() -> str:
    return "z9hG4bK" + secrets.token_hex(8)


def reply(request: Message, status: int, tag: str = "", reason: str = "") -> Message:
    """A response to `request` with the headers RFC 3261 8.2.6 wants copied; `tag` goes on To when it has none."""
    answer = Message(status=status, reason=reason or REASONS.get(status, "Status"))
    for name in ("via", "record-route", "from", "to", "call-id", "cseq"):
        for key, value in request.headers:
            if key == name:
                with_tag = name == "to" and tag and status != 100 and "tag" not in params_of(value)
                answer.headers.append((key, f"{value};tag={tag}" if with_tag else value))
    return answer


def _title(name: str) -> str:
    special = {"call-id": "Call-ID", "cseq": "CSeq", "rack": "RAck", "rseq": "RSeq", "min-se": "Min-SE"}
    return special.get(name) or "-".join(word.capitalize() for word in name.split("-"))
