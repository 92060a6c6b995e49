"""config.toml as one typed tree. Unknown keys, wrong types and impossible values are refused with their line.

Reads one file and the names of environment variables, never their values but through `secret()`.
Knows nothing of what the values are used for.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from ivr import config_outbound
from ivr.config_outbound import Outbound
from ivr.errors import InvalidInput
from ivr.toml_file import TomlFile
from ivr.toml_places import Place

Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=3_600_000)]
Seconds = Annotated[int, msgspec.Meta(ge=1, le=86_400)]
Language = Annotated[str, msgspec.Meta(pattern="^[a-z]{2}$")]

RTP_PORTS = 200
"""UDP ports of RTP that each line process takes from `sip.rtp_port` on."""

_LABEL = "[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_URL = re.compile(
    rf"https?://(?P<host>{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{{1,5}}))?"
    r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)*/?"
)
_NUMERIC = re.compile(r"(?:^|\.)(?:[0-9]+|0[xX][0-9A-Fa-f]*)$")
"""Hosts whose last label is a number: an IPv4 address or nothing (WHATWG URL, "ends in a number")."""


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Sip(_Section, frozen=True):
    """Where callers reach us and who may."""

    host: str = "127.0.0.1"
    """Address that SIP and RTP listen on. Loopback until you decide otherwise; `0.0.0.0` is every IPv4 address."""
    port: Port = 5060
    """UDP and TCP port of SIP. With more than one line process Kamailio holds it and the processes sit ten above it."""
    tcp: bool = True
    """Accept SIP over TCP besides UDP."""
    public_address: str = ""
    """IP address written into SIP and SDP when a NAT stands between us and the callers; empty: our own."""
    user_agent: str = "ivr"
    """User-Agent and Server header."""
    allow: tuple[str, ...] = ("127.0.0.1/32",)
    """Networks that may ring, in CIDR form. Others get 403, or silence from Kamailio. Trunks need not be listed."""
    codecs: tuple[Literal["G722", "PCMU", "PCMA"], ...] = ("G722", "PCMU", "PCMA")
    """Audio codecs by preference."""
    rtp_port: Port = 20_000
    """First UDP port of RTP; each line process takes 200 ports from there."""
    rtp_timeout_s: Seconds = 30
    """A call whose RTP stops for so long ends, unless it is on hold. Seconds."""
    session_expires_s: Annotated[int, msgspec.Meta(ge=90, le=86_400)] = 1_800
    """Session timer offered (RFC 4028). Seconds."""
    flood_per_second: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 20
    """Requests a second from one address above which Kamailio stays silent to it."""


class Lines(_Section, frozen=True):
    """Line processes: four legs each. More than one needs Kamailio (Debian's package `kamailio`)."""

    processes: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    """Number of line processes; each holds four legs and takes about 1 % of a core a call."""
    reserve_legs: Annotated[int, msgspec.Meta(ge=0, le=64)] = 0
    """Legs kept free for transfers. Raise it when plans bridge callers to people, or a full server cannot."""
    max_call_s: Seconds = 3_600
    """A call longer than this is hung up. Seconds."""


class Number(_Section, frozen=True):
    """A dialled number, or a pattern of them (`4xx`: x any digit, `.` the rest), and the plan that answers it."""

    pattern: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    """Digits as dialled; `x` is any one digit, a `.` at the end one or more characters. The most specific wins."""
    plan: str
    """Name of the plan that answers: `dialplans/NAME.yaml`."""
    language: Language = "en"
    """Language the call begins in, two letters (ISO 639-1)."""


class TrunkLimits(_Section, frozen=True):
    """How much a trunk may dial, whatever asks for it."""

    calls_per_hour: Annotated[int, msgspec.Meta(ge=0)] = 60
    """Calls dialled through this trunk in any hour."""
    calls_per_hour_per_prefix: Annotated[int, msgspec.Meta(ge=0)] = 20
    """Calls to one of the `prefixes` in any hour."""
    jobs_at_once: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 100
    """Attempts of outbound jobs under way, of policies that name this trunk."""
    jobs_per_second: Annotated[float, msgspec.Meta(ge=0.001, le=1_000)] = 10.0
    """How fast attempts of such jobs follow one another."""


class Trunk(_Section, frozen=True):
    """A SIP peer that numbers are dialled through. `prefixes` empty: nothing may be dialled.

    `country` (ISO 3166, `CN`, `DE`): whose national numbers it takes; empty, only `+...` and short extensions.
    """

    name: Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_-]{0,31}$")]
    """Name by which plans, records and `/healthz` call it."""
    host: str
    """Host name or address of the peer; what comes from there is let in."""
    port: Port = 5060
    """Its SIP port."""
    transport: Literal["udp", "tcp"] = "udp"
    """How it is reached."""
    register: bool = False
    """Register there, and keep registered."""
    username: str = ""
    """User of digest authentication."""
    password_env: str = ""
    """Name of the environment variable that holds the password."""
    from_user: str = ""
    """User part of From in calls through it; empty: `username`."""
    display_name: str = ""
    """Display name in calls through it."""
    prefixes: tuple[str, ...] = ()
    """Beginnings of the numbers that may be dialled through it; empty: none."""
    country: Annotated[str, msgspec.Meta(pattern="^([A-Z]{2})?$")] = ""
    """ISO 3166 code of the country whose national numbers it takes; empty: only `+...` and short extensions."""
    inband_dtmf: bool = False
    """Listen for DTMF tones in the audio too, for peers that send neither RFC 4733 nor INFO."""
    refer_targets: tuple[str, ...] = ()
    """URIs or number prefixes this peer may have calls transferred to by REFER; empty: every REFER is refused."""
    limits: TrunkLimits = TrunkLimits()
    """How much may be dialled."""


class Agent(_Section, frozen=True):
    """A place that plans may transfer callers to: `target: NAME` in a transfer step."""

    name: Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_-]{0,31}$")]
    """Name that a transfer step gives as its target."""
    uri: Annotated[str, msgspec.Meta(pattern="^sip:[^\\s<>;]+@[^\\s<>;]+$")]
    """Where this agent is rung, like `sip:anna@192.0.2.7`."""


class Backend(_Section, frozen=True):
    """An HTTP service that plans look things up in and notify. A plan gives its name and a path, never a host."""

    name: Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_-]{0,31}$")]
    """Name that a plan's step gives as its `backend`."""
    url: str
    """Where it is: `https://HOST`, with a port and the beginning of all paths where there are any."""
    networks: tuple[str, ...] = ()
    """Networks, in CIDR form, that are not public and that its host may be in all the same; empty: none."""
    token_env: str = ""
    """Name of the environment variable that holds its bearer token; empty: none is sent."""
    webhook_secret_env: str = ""
    """Name of the environment variable that holds the secret (`whsec_...`) notifications are signed with."""
    timeout_s: Annotated[int, msgspec.Meta(ge=1, le=60)] = 3
    """A lookup ends here, and one try of a notification, where the plan does not say. Seconds."""
    calls_at_once: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 8
    """Lookups under way; one more is not made and counts as `busy` at once. As many notifications besides."""


class Hearing(_Section, frozen=True):
    """Voice-activity detection and the waits that decide when a caller has finished. All in ms of audio."""

    vad: Literal["webrtc", "silero"] = "webrtc"
    """Voice-activity detector."""
    vad_aggressiveness: Annotated[int, msgspec.Meta(ge=0, le=3)] = 2
    """How readily `webrtc` takes sound for noise, 0 to 3."""
    vad_threshold: Annotated[float, msgspec.Meta(ge=0.05, le=0.95)] = 0.5
    """Probability above which `silero` takes a window for speech."""
    no_input_ms: Milliseconds = 5_000
    """Silence after a prompt until the caller is asked again. Milliseconds."""
    max_speech_ms: Milliseconds = 20_000
    """An utterance is cut here. Milliseconds."""
    complete_ms: Milliseconds = 260
    """End-of-speech wait once what is expected is complete: a yes, a date, six digits. Milliseconds."""
    finished_ms: Milliseconds = 500
    """End-of-speech wait of an open answer that sounds finished; grows with this caller's own pauses. Milliseconds."""
    wait_ms: Milliseconds = 900
    """End-of-speech wait of any other open answer; grows with this caller's own pauses. Milliseconds."""
    partial_ms: Milliseconds = 1_800
    """End-of-speech wait in the middle of something: half a number, a sentence that breaks off. Milliseconds."""
    speculate_ms: Milliseconds = 160
    """Silence after which recognition begins while the end is still being waited for. Milliseconds."""
    verdict_ms: Milliseconds = 600
    """A prompt that speech paused resumes by itself after so long without a verdict. Milliseconds."""


class Speech(_Section, frozen=True):
    """Engines of one language. `auto` takes Vosk where its model is present, else Whisper."""

    recognizer: Literal["auto", "vosk", "whisper"] = "auto"
    """Speech recogniser; `auto` takes Vosk where a model of the language is present, else Whisper."""
    recognizer_model: str = ""
    """Folder below `paths.models`; empty: the one the manifest has for the language."""
    voice: Literal["pyttsx3", "piper"] = "pyttsx3"
    """Synthesiser of sentences that no recording in `paths.audio_prompts` holds."""
    voice_name: str = ""
    """Voice of `pyttsx3` (`espeak-ng --voices`), for `piper` a file below `paths.models`; empty: the default."""
    rate_wpm: Annotated[int, msgspec.Meta(ge=80, le=400)] = 170
    """Speaking rate. Words a minute."""


class Recognition(_Section, frozen=True):
    """The threads that recognise, shared by all calls."""

    threads: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    """Recogniser threads; the number of cores that may be given to recognition."""
    queue_limit: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 64
    """Final decodes that may wait; beyond it an utterance counts as failed at once, so that nobody waits for long."""


class Synthesis(_Section, frozen=True):
    """Synthesised speech and its cache. Relative paths count from the folder of config.toml."""

    cache: str = "var/prompts"
    """Folder of synthesised sentences."""
    cache_mb: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 200
    """Its size; the least recently used go first. Megabytes."""
    timeout_s: Annotated[int, msgspec.Meta(ge=1, le=60)] = 5
    """A voice that takes longer for one sentence is killed and another takes over. Seconds."""


class Store(_Section, frozen=True):
    """Records of calls. Relative paths count from the folder of config.toml."""

    url: str = "sqlite:///var/ivr.db"
    """Database: `sqlite:///PATH` or `postgresql+psycopg://USER@HOST/NAME`."""
    retention_days: Annotated[int, msgspec.Meta(ge=0, le=3_650)] = 90
    """Transcripts and recordings older than this are purged; 0 keeps them. Days."""
    recordings: str = ""
    """Folder of stereo recordings; empty: calls are not recorded."""
    messages: str = "var/messages"
    """Folder of the messages that callers leave in `record` steps."""
    kb_index: str = "var/kb"
    """Folder of the index of the knowledge base; made anew from the database when it is lost."""
    intents: str = "var/intents"
    """Folder of what was learnt of the examples of dialplans; learnt anew from those when it is lost."""
    server: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9._-]{0,64}$")] = ""
    """Name of this server among those that share the database; empty: the host's name. Two on one host need two."""


class Http(_Section, frozen=True):
    """The HTTP API, `/healthz`, `/readyz` and `/metrics`."""

    host: str = "127.0.0.1"
    """Address the HTTP API listens on."""
    port: Port = 8080
    """Its TCP port."""
    token_env: str = "IVR_TOKEN"  # noqa: S105 - the name of a variable, not a token
    """Name of the environment variable that holds the bearer token of the API."""


class Log(_Section, frozen=True):
    """What is logged, to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe level that is logged."""
    format: Literal["auto", "console", "json"] = "auto"
    """`auto` is `console` on a terminal, else `json`."""
    transcripts: bool = False
    """Log what callers say. Card digits never are."""


class Paths(_Section, frozen=True):
    """Relative paths count from the folder of config.toml."""

    dialplans: str = "dialplans"
    """Folder of the plans."""
    models: str = "models"
    """Folder of the speech models."""
    audio_prompts: str = "audio_prompts"
    """Folder of recorded prompts, one folder a language."""


class _File(_Section, frozen=True):
    sip: Sip = Sip()
    lines: Lines = Lines()
    number: tuple[Number, ...] = ()
    trunk: tuple[Trunk, ...] = ()
    agent: tuple[Agent, ...] = ()
    backend: tuple[Backend, ...] = ()
    hearing: Hearing = Hearing()
    speech: dict[Language, Speech] = {}
    recognition: Recognition = Recognition()
    synthesis: Synthesis = Synthesis()
    store: Store = Store()
    outbound: Outbound = Outbound()
    http: Http = Http()
    log: Log = Log()
    paths: Paths = Paths()


class Config(_File, frozen=True):
    """The whole of config.toml, and in `root` the folder it stands in."""

    root: str = "."

    def path(self, relative: str) -> Path:
        """`relative` seen from the folder of config.toml."""
        return Path(self.root) / relative

    @property
    def languages(self) -> tuple[str, ...]:
        """Every language that a number or a [speech.xx] section names, sorted."""
        return tuple(sorted({n.language for n in self.number} | set(self.speech)))

    def speech_for(self, language: str) -> Speech:
        return self.speech.get(language, Speech())


def load(path: str | Path) -> Config:
    """Read and check config.toml.

    Raises InvalidInput with every problem found: file, line, key, what is wrong and the mend.
    """
    path = Path(path)
    file = TomlFile(path, _File, missing="give the path with --config")
    sections = {name: getattr(file.value, name) for name in file.value.__struct_fields__}
    config = Config(**sections, root=str(path.resolve().parent))
    problems = [file.problem(*fault) for fault in _faults(config)]
    if problems:
        raise InvalidInput(*sorted(problems, key=lambda p: p.line))
    return config


def secret(name: str) -> str:
    """The value of the environment variable `name`, empty when unset or when no name is given."""
    return os.environ.get(name, "") if name else ""


def _faults(config: Config) -> Iterator[tuple[Place, str, str]]:
    """What types alone cannot say: (place, what is wrong, what to do)."""
    for index, network in enumerate(config.sip.allow):
        if not _fits(ipaddress.ip_network, network):
            yield ("sip", "allow", index), f"`{network}` is not a network", "write it like 192.0.2.0/24"
    if config.sip.public_address and not _fits(ipaddress.ip_address, config.sip.public_address):
        yield ("sip", "public_address"), f"`{config.sip.public_address}` is not an IP address", "like 192.0.2.7"
    if not config.sip.codecs:
        yield ("sip", "codecs"), "no codec", "list PCMU at least"
    if config.sip.rtp_port + RTP_PORTS * config.lines.processes > 65_536:
        yield ("sip", "rtp_port"), f"{RTP_PORTS} ports for each line process do not fit above it", "choose a lower one"
    if not config.number:
        yield ("number",), "no number is served", 'add [[number]] with pattern = "400" and a plan'
    for index, number in enumerate(config.number):
        if not re.fullmatch(r"[0-9+*#xA-Za-z_-]+\.?|\.", number.pattern):
            mend = "digits, x for any digit, a . at the end for the rest"
            yield ("number", index, "pattern"), f"`{number.pattern}` is no number pattern", mend
    yield from _twice("number", "pattern", config.number)
    yield from _twice("trunk", "name", config.trunk)
    yield from _twice("agent", "name", config.agent)
    yield from _twice("backend", "name", config.backend)
    for index, trunk in enumerate(config.trunk):
        yield from _trunk_faults(index, trunk)
    for index, backend in enumerate(config.backend):
        yield from _backend_faults(index, backend)
    yield from config_outbound.faults(config.outbound, {trunk.name for trunk in config.trunk}, secret)
    if (
        not config.hearing.complete_ms
        <= config.hearing.finished_ms
        <= config.hearing.wait_ms
        <= config.hearing.partial_ms
    ):
        yield (
            ("hearing", "wait_ms"),
            "the waits are out of order",
            "complete_ms <= finished_ms <= wait_ms <= partial_ms",
        )


def _trunk_faults(index: int, trunk: Trunk) -> Iterator[tuple[Place, str, str]]:
    if trunk.register and not trunk.username:
        yield ("trunk", index, "register"), "registering needs a user", "add username and password_env"
    if trunk.password_env and not secret(trunk.password_env):
        mend = f"export {trunk.password_env}=..."
        yield ("trunk", index, "password_env"), f"the environment has no {trunk.password_env}", mend
    for position, prefix in enumerate(trunk.prefixes):
        if not re.fullmatch(r"\+?[0-9]+", prefix):
            yield ("trunk", index, "prefixes", position), f"`{prefix}` is no prefix", 'digits, like "+49" or "0049"'


def _backend_faults(index: int, backend: Backend) -> Iterator[tuple[Place, str, str]]:
    if fault := _url_fault(backend.url):
        yield ("backend", index, "url"), *fault
    for position, network in enumerate(backend.networks):
        if not _fits(ipaddress.ip_network, network):
            mend = "write it like 10.1.0.0/16"
            yield ("backend", index, "networks", position), f"`{network}` is not a network", mend


def _url_fault(url: str) -> tuple[str, str] | None:
    """What is wrong with the URL of a back end, and the mend. It is not shown where it may hold a password."""
    parts = _URL.fullmatch(url)
    if "@" in url:
        return "a URL with a user or password in it", "take it out; token_env names the variable of a token"
    if parts is None:
        return f"`{url}` is no URL of a back end", "like https://core.example:8443/api, without query"
    host, port = parts["host"], parts["port"]
    if host.startswith("["):
        good = _fits(ipaddress.IPv6Address, host[1:-1])
    else:
        good = _fits(ipaddress.IPv4Address, host) if _NUMERIC.search(host) else True
    if not good:
        return f"`{host}` is not an IP address", "four numbers like 192.0.2.7, or IPv6 like [2001:db8::7]"
    if port is not None and not 1 <= int(port) <= 65_535:
        return f"{port} is no port", "from 1 to 65535"
    return None


def _twice(table: str, key: str, items: tuple[msgspec.Struct, ...]) -> Iterator[tuple[Place, str, str]]:
    values = [getattr(item, key) for item in items]
    for index, value in enumerate(values):
        if value in values[:index]:
            yield (table, index, key), f"a second {table} with {key} `{value}`", "give it another one"


def _fits(kind: Callable[[str], object], text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True
