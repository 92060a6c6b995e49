"""What a line process is told at start, and how it is to tell machines from people who answer.

Words: frozen structs, sent inside of `messages`. Imports nothing of the rest of the project.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec


class Peer(msgspec.Struct, frozen=True):
    """A trunk as a line process sees it.

    `name` identifies it; `host` and `port` are where it is reached and, resolved, where it calls from.
    `register_with`: this process registers there itself (only when no edge proxy does).
    `targets` are the URIs or prefixes this peer may ask to be transferred to by REFER; empty refuses every REFER.
    """

    name: str
    host: str
    port: int = 5060
    transport: Literal["udp", "tcp"] = "udp"
    register_with: bool = False
    username: str = ""
    password: str = ""
    from_user: str = ""
    display_name: str = ""
    inband_dtmf: bool = False
    refer_targets: tuple[str, ...] = ()


class LineSettings(msgspec.Struct, frozen=True):
    """Everything a line process needs to know; it reads no configuration file and no environment.

    `sip_port` 0 lets the system choose one. `allow` holds networks in CIDR form; others get 403.
    `edge` is the host:port of the proxy in front, empty when there is none: then its requests are trusted to be
    filtered already, and everything sent goes through it.
    """

    name: str
    sip_host: str = "127.0.0.1"
    sip_port: int = 5060
    tcp: bool = True
    rtp_port: int = 20_000
    rtp_ports: int = 200
    public_address: str = ""
    user_agent: str = "ivr"
    allow: tuple[str, ...] = ("127.0.0.1/32",)
    edge: str = ""
    codecs: tuple[str, ...] = ("G722", "PCMU", "PCMA")
    max_legs: int = 4
    peers: tuple[Peer, ...] = ()
    rtp_timeout_ms: int = 30_000
    session_expires_s: int = 1_800
    vad: Literal["webrtc", "silero"] = "webrtc"
    vad_aggressiveness: int = 2
    vad_threshold: float = 0.5
    apology: dict[str, str] = {}
    fallback_uri: str = ""
    patch_path: str = ""
    log_level: str = "info"


class Amd(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Answering-machine detection on the calls that jobs place."""

    hang_up_cost: Annotated[float, msgspec.Meta(ge=1, le=1_000_000)] = 16.0
    """Hanging up on one human is as bad as speaking to so many machines. More makes it slower to say `machine`."""
    machine_share: Annotated[float, msgspec.Meta(ge=0.01, le=0.99)] = 0.3
    """Share of answered calls that a machine answers, as far as is known beforehand."""
    silence_ms: Annotated[int, msgspec.Meta(ge=1_000, le=20_000)] = 4_000
    """With no speech for so long it is `unsure`."""
    decide_ms: Annotated[int, msgspec.Meta(ge=2_000, le=30_000)] = 9_000
    """So long after the answer there is a verdict in any case, `unsure` if nothing better."""
    greeting_end_ms: Annotated[int, msgspec.Meta(ge=500, le=10_000)] = 2_000
    """So much silence after a machine's greeting makes it ready without a beep."""
    watch_ms: Annotated[int, msgspec.Meta(ge=2_000, le=120_000)] = 45_000
    """So long after the answer a beep or the end of a greeting is waited for; then a machine counts as ready."""
