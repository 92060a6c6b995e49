"""Session descriptions of one audio stream: offer, answer, read (RFC 4566, RFC 3264). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from ivr.errors import IvrError

STATIC = {0: "PCMU", 8: "PCMA"}
PAYLOAD = {"PCMU": 0, "PCMA": 8}
EVENT_PAYLOAD = 101


class NoCommonCodec(IvrError):
    """The far end's description has no audio this caller can send: answered with 488."""


@dataclass(frozen=True)
class Media:
    """What one side says about its audio.

    Attributes:
        host, port: where it wants RTP; port 0 refuses the stream.
        codecs: names in order of preference, only those known here.
        payloads: payload type of each of them.
        events: payload type of telephone-event, 0 when absent.
        direction: sendrecv, sendonly, recvonly or inactive.
    """

    host: str
    port: int
    codecs: tuple[str, ...]
    payloads: dict[str, int]
    events: int = 0
    direction: str = "sendrecv"

    @property
    def held(self) -> bool:
        """This side does not want to hear us (RFC 3264 8.4)."""
        return self.direction in ("sendonly", "inactive") or self.host == "0.0.0.0"  # noqa: S104


def describe(host: str, port: int, codecs: tuple[str, ...], *, direction: str = "sendrecv", version: int = 1,
             payloads: dict[str, int] | None = None, events: int = EVENT_PAYLOAD) -> bytes:  # fmt: skip
    """An SDP body with these codecs and, unless `events` is 0, telephone-event 0-15."""
    numbers = [(name, (payloads or PAYLOAD)[name]) for name in codecs]
    formats = " ".join(str(n) for _, n in numbers) + (f" {events}" if events else "")
    lines = ["v=0", f"o=caller 1 {version} IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0",
             f"m=audio {port} RTP/AVP {formats}"]  # fmt: skip
    lines += [f"a=rtpmap:{number} {name}/8000" for name, number in numbers]
    if events:
        lines += [f"a=rtpmap:{events} telephone-event/8000", f"a=fmtp:{events} 0-15"]
    lines += ["a=ptime:20", f"a={direction}"]
    return ("\r\n".join(lines) + "\r\n").encode()


def read(body: bytes) -> Media:
    """The first audio stream of an SDP body. Raises NoCommonCodec when there is none or none is known."""
    text = body.decode("utf-8", "replace").replace("\r\n", "\n")
    session, *streams = re.split(r"(?m)^(?=m=)", text)
    stream = next((s for s in streams if s.startswith("m=audio ")), None)
    if stream is None:
        raise NoCommonCodec("the description has no audio stream")
    words = stream.splitlines()[0].split()
    if len(words) < 4 or not words[1].isdigit():
        raise NoCommonCodec("the audio line is broken")
    connection = re.search(r"(?m)^c=IN IP[46] (\S+)", stream) or re.search(r"(?m)^c=IN IP[46] (\S+)", session)
    if connection is None:
        raise NoCommonCodec("no connection address")
    maps = {int(n): name.upper() for n, name in re.findall(r"(?m)^a=rtpmap:(\d+) ([\w-]+)/8000", stream)}
    numbers = [int(w) for w in words[3:] if w.isdigit()]
    names = [(maps.get(n) or STATIC.get(n, ""), n) for n in numbers]
    known = {}
    for name, number in names:
        if name in PAYLOAD and name not in known:
            known[name] = number
    events = next((n for name, n in names if name == "TELEPHONE-EVENT"), 0)
    way = re.search(r"(?m)^a=(sendrecv|sendonly|recvonly|inactive)\s*$", stream + "\n" + session)
    media = Media(connection[1], int(words[1]), tuple(known), known, events, way[1] if way else "sendrecv")
    if not known:
        raise NoCommonCodec(f"no common codec among {', '.join(n for n, _ in names if n) or 'none'}")
    return media


def answer_direction(offered: str, wanted: str = "sendrecv") -> str:
    """Our direction in an answer to `offered` (RFC 3264 6.1)."""
    if wanted == "inactive" or offered == "inactive":
        return "inactive"
    return {"sendonly": "recvonly", "recvonly": "sendonly"}.get(offered, wanted)


def choose(media: Media, codecs: tuple[str, ...]) -> Media:
    """`media` cut down to the first of `codecs` that it has. Raises NoCommonCodec."""
    for name in codecs:
        if name in media.payloads:
            return replace(media, codecs=(name,), payloads={name: media.payloads[name]})
    raise NoCommonCodec("no common codec")
