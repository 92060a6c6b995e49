"""config.toml as one typed tree. Unknown keys, wrong types and impossible values are refused with their line.

Reads one file and the names of environment variables, never their values but through `secret()`.
Knows nothing of what the values are used for.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from ivr.errors import InvalidInput, Problem

Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=3_600_000)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=86_400)]
Language = Annotated[str, msgspec.Meta(pattern="^[a-z]{2}$")]


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Sip(_Section, frozen=True):
    """Where callers reach us and who may."""

    host: str = "127.0.0.1"
    port: Port = 5060
    tcp: bool = True
    public_address: str = ""
    user_agent: str = "ivr"
    allow: tuple[str, ...] = ("127.0.0.1/32",)
    codecs: tuple[Literal["G722", "PCMU", "PCMA"], ...] = ("G722", "PCMU", "PCMA")
    rtp_port: Port = 20_000
    rtp_timeout_s: Seconds = 30
    session_expires_s: Annotated[int, msgspec.Meta(ge=90, le=86_400)] = 1_800
    flood_per_second: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 20


class Lines(_Section, frozen=True):
    """Line processes: four legs each. More than one needs Kamailio (Debian's package `kamailio`)."""

    processes: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    reserve_legs: Annotated[int, msgspec.Meta(ge=0, le=64)] = 1
    restart_within_s: Seconds = 2
    max_call_s: Seconds = 3_600


class Number(_Section, frozen=True):
    """A dialled number, or a pattern of them (`4xx`: x any digit, `.` the rest), and the plan that answers it."""

    pattern: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    plan: str
    language: Language = "en"


class TrunkLimits(_Section, frozen=True):
    calls_per_hour: Annotated[int, msgspec.Meta(ge=0)] = 60
    calls_per_hour_per_prefix: Annotated[int, msgspec.Meta(ge=0)] = 20


class Trunk(_Section, frozen=True):
    """A SIP peer that numbers are dialled through. `prefixes` empty: nothing may be dialled.

    `country` (ISO 3166, `CN`, `DE`): whose national numbers it takes; empty, only `+...` and short extensions.
    """

    name: Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_-]{0,31}$")]
    host: str
    port: Port = 5060
    transport: Literal["udp", "tcp"] = "udp"
    register: bool = False
    username: str = ""
    password_env: str = ""
    from_user: str = ""
    display_name: str = ""
    prefixes: tuple[str, ...] = ()
    country: Annotated[str, msgspec.Meta(pattern="^([A-Z]{2})?$")] = ""
    inband_dtmf: bool = False
    refer_targets: tuple[str, ...] = ()
    limits: TrunkLimits = TrunkLimits()


class Hearing(_Section, frozen=True):
    """Voice-activity detection and the waits that decide when a caller has finished. All in ms of audio."""

    vad: Literal["webrtc", "silero"] = "webrtc"
    vad_aggressiveness: Annotated[int, msgspec.Meta(ge=0, le=3)] = 2
    vad_threshold: Annotated[float, msgspec.Meta(ge=0.05, le=0.95)] = 0.5
    no_input_ms: Milliseconds = 5_000
    max_speech_ms: Milliseconds = 20_000
    complete_ms: Milliseconds = 260
    wait_ms: Milliseconds = 900
    partial_ms: Milliseconds = 1_800
    speculate_ms: Milliseconds = 160
    verdict_ms: Milliseconds = 600


class Speech(_Section, frozen=True):
    """Engines of one language. `auto` takes Vosk where its model is present, else Whisper."""

    recognizer: Literal["auto", "vosk", "whisper"] = "auto"
    recognizer_model: str = ""
    voice: Literal["pyttsx3", "piper"] = "pyttsx3"
    voice_name: str = ""
    rate_wpm: Annotated[int, msgspec.Meta(ge=80, le=400)] = 170


class Recognition(_Section, frozen=True):
    threads: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    queue_limit: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 64


class Synthesis(_Section, frozen=True):
    cache: str = "var/prompts"
    cache_mb: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 200
    timeout_s: Annotated[int, msgspec.Meta(ge=1, le=60)] = 5


class Store(_Section, frozen=True):
    url: str = "sqlite:///var/ivr.db"
    retention_days: Annotated[int, msgspec.Meta(ge=0, le=3_650)] = 90
    recordings: str = ""


class Http(_Section, frozen=True):
    host: str = "127.0.0.1"
    port: Port = 8080
    token_env: str = "IVR_TOKEN"  # noqa: S105 - the name of a variable, not a token


class Log(_Section, frozen=True):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"
    transcripts: bool = False


class Paths(_Section, frozen=True):
    """Relative paths count from the folder of config.toml."""

    dialplans: str = "dialplans"
    models: str = "models"
    audio_prompts: str = "audio_prompts"


class Config(_Section, frozen=True):
    """The whole of config.toml."""

    sip: Sip = Sip()
    lines: Lines = Lines()
    number: tuple[Number, ...] = ()
    trunk: tuple[Trunk, ...] = ()
    hearing: Hearing = Hearing()
    speech: dict[Language, Speech] = {}
    recognition: Recognition = Recognition()
    synthesis: Synthesis = Synthesis()
    store: Store = Store()
    http: Http = Http()
    log: Log = Log()
    paths: Paths = Paths()
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
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise InvalidInput(Problem(str(path), "no such file", mend="give the path with --config")) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(Problem(str(path), f"cannot be read: {error}", mend="save it as UTF-8 text")) from None
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        line, column = (int(place[1]), int(place[2])) if place else (text.count("\n") + 1, 0)
        raise InvalidInput(Problem(str(path), f"not valid TOML: {str(error).split(' (at')[0]}", line, column)) from None
    if "root" in tree:
        raise InvalidInput(Problem(str(path), "unknown key", _line_of(text, ("root",)), field="root", mend="remove it"))
    problems = list(_unknown_keys(Config, tree, (), text, str(path)))
    if problems:
        raise InvalidInput(*problems)
    try:
        config = msgspec.convert({**tree, "root": str(path.resolve().parent)}, Config)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$")
        keys = tuple(re.findall(r"[^.\[\]`]+", where))
        raise InvalidInput(
            Problem(str(path), message, _line_of(text, keys), field=".".join(keys).replace("...", "*"))
        ) from None
    problems = list(_check(config, text, str(path)))
    if problems:
        raise InvalidInput(*problems)
    return config


def secret(name: str) -> str:
    """The value of the environment variable `name`, empty when unset or when no name is given."""
    return os.environ.get(name, "") if name else ""


def _struct_of(annotation: object) -> type[msgspec.Struct] | None:
    """The section type inside `X`, `tuple[X, ...]` or `dict[str, X]`, None for plain values."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        if (found := _struct_of(part)) is not None:
            return found
    return None


def _unknown_keys(section: type[msgspec.Struct], tree: dict, at: tuple[str, ...], text: str, file: str):
    fields = {f.name: f.type for f in msgspec.structs.fields(section) if f.name != "root"}
    for key, value in tree.items():
        if key not in fields:
            close = difflib.get_close_matches(key, fields, 1)
            mend = f"did you mean `{close[0]}`?" if close else "known here: " + ", ".join(sorted(fields))
            yield Problem(file, "unknown key", _line_of(text, (*at, key)), field=".".join((*at, key)), mend=mend)
            continue
        inner = _struct_of(fields[key])
        if inner is None:
            continue
        if isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, dict):
                    yield from _unknown_keys(inner, item, (*at, key, str(index)), text, file)
        elif isinstance(value, dict) and str(fields[key]).startswith("dict"):
            for name, item in value.items():
                if isinstance(item, dict):
                    yield from _unknown_keys(inner, item, (*at, key, name), text, file)
        elif isinstance(value, dict):
            yield from _unknown_keys(inner, value, (*at, key), text, file)


def _line_of(text: str, keys: tuple[str, ...]) -> int:
    """Line of the last of `keys` (`number.1.plan`: the second [[number]]), 0 when it cannot be found."""
    names = [k for k in keys if not k.isdigit()]
    indexes = [int(k) for k in keys if k.isdigit()]
    seen, inside, header_line = -1, len(names) == 1, 0
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", line)
        if header:
            name = header[1].replace(" ", "").replace('"', "").split(".")
            if name == names[: len(name)] or name == names:
                seen += 1
                inside = not indexes or seen == indexes[0]
                header_line = number if inside else header_line
                if inside and name == names:
                    return number
            else:
                inside = False
        elif inside and re.match(rf"\s*\"?{re.escape(names[-1])}\"?\s*[.=]", line):
            return number
    return header_line


def _check(config: Config, text: str, file: str):
    """What types alone cannot say."""
    for network in config.sip.allow:
        try:
            ipaddress.ip_network(network)
        except ValueError:
            yield Problem(
                file, f"`{network}` is not a network", _line_of(text, ("sip", "allow")), field="sip.allow",
                mend="write it like 192.0.2.0/24",
            )  # fmt: skip
    if not config.sip.codecs:
        yield Problem(
            file, "no codec", _line_of(text, ("sip", "codecs")), field="sip.codecs", mend="list PCMU at least"
        )
    if not config.number:
        yield Problem(
            file, "no number is served", field="number", mend='add [[number]] with pattern = "400" and a plan'
        )
    for index, number in enumerate(config.number):
        if not re.fullmatch(r"[0-9+*#xA-Za-z_-]+\.?|\.", number.pattern):
            yield Problem(
                file, f"`{number.pattern}` is no number pattern", _line_of(text, ("number", str(index), "pattern")),
                field=f"number.{index}.pattern", mend="digits, x for any digit, a . at the end for the rest",
            )  # fmt: skip
    names = [t.name for t in config.trunk]
    for index, trunk in enumerate(config.trunk):
        if trunk.name in names[:index]:
            yield Problem(
                file, f"a second trunk named `{trunk.name}`", _line_of(text, ("trunk", str(index), "name")),
                field=f"trunk.{index}.name", mend="give it another name",
            )  # fmt: skip
        if trunk.password_env and not secret(trunk.password_env):
            yield Problem(
                file, f"the environment has no {trunk.password_env}",
                _line_of(text, ("trunk", str(index), "password_env")), field=f"trunk.{index}.password_env",
                mend=f"export {trunk.password_env}=...",
            )  # fmt: skip
        for prefix in trunk.prefixes:
            if not re.fullmatch(r"\+?[0-9]+", prefix):
                yield Problem(
                    file, f"`{prefix}` is no prefix", _line_of(text, ("trunk", str(index), "prefixes")),
                    field=f"trunk.{index}.prefixes", mend='digits, like "+49" or "0049"',
                )  # fmt: skip
    if not config.hearing.complete_ms <= config.hearing.wait_ms <= config.hearing.partial_ms:
        yield Problem(
            file, "the waits are out of order", _line_of(text, ("hearing", "wait_ms")), field="hearing.wait_ms",
            mend="complete_ms <= wait_ms <= partial_ms",
        )  # fmt: skip
