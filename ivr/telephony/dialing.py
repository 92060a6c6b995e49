"""What may be dialled, and through which trunk. Pure: the clock is passed in, the answer is a value.

Configuration is the only thing that opens a number; an empty list of prefixes opens none. Whatever a prefix says,
emergency, premium-rate, shared-cost, personal and satellite numbers stay closed, and so does every number that the
numbering plans (libphonenumber's metadata) do not know: a carrier may route it anywhere, at any price.
Knows nothing of lines or SIP beyond the shape of a URI.
"""

from __future__ import annotations

import re
import unicodedata
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import phonenumbers
from phonenumbers import PhoneNumberType, shortnumberinfo

from ivr.config import Trunk

HOUR_S = 3_600.0
EXTENSION_DIGITS = 6
"""Longest number taken for an extension of a PBX, which no numbering plan describes."""
LONGEST_TARGET = 128

EVERYWHERE = frozenset({"112", "911", "999", "000"})
"""Handsets and exchanges of every country know these, also with more digits behind them (3GPP TS 22.101, 10.1)."""
EMERGENCY = EVERYWHERE | {"110", "118", "119", "120", "122"}

SATELLITE_AND_GLOBAL = ("870", "878", "881", "882", "883", "888", "979", "808")
"""ITU-T E.164 shared codes: Inmarsat, UPT, satellite and international networks, premium, shared cost."""

_OPEN_TYPES = frozenset({
    PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE,
    PhoneNumberType.TOLL_FREE, PhoneNumberType.VOIP,
})  # fmt: skip
_CLOSED = {
    PhoneNumberType.PREMIUM_RATE: "premium",
    PhoneNumberType.SHARED_COST: "shared_cost",
    PhoneNumberType.PERSONAL_NUMBER: "premium",
}
_SEPARATORS = str.maketrans("", "", " -./()\u00a0\u2010\u2011\u2012\u2013\u2014")
_URI = re.compile(
    r"sip:(?:(?P<user>[A-Za-z0-9+*#_.!~'()-]{1,64})@)?(?P<host>[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:]{2,39}\])"
    r"(?::(?P<port>[0-9]{1,5}))?(?:;transport=(?P<transport>udp|tcp))?",
    re.IGNORECASE,
)

Rule = Literal[
    "format", "target", "emergency", "premium", "shared_cost", "satellite", "unknown_number", "prefix", "limit",
    "no_trunk",
]  # fmt: skip


@dataclass(frozen=True)
class Allowed:
    """`uri` may be dialled as the trunk (or agent) named `peer`; `prefix` opened it, empty for an agent."""

    uri: str
    peer: str
    trunk: Trunk | None = None
    prefix: str = ""


@dataclass(frozen=True)
class Refused:
    """It may not; `words` say why, without the number. `again_s`: until it may, where a limit of an hour holds it."""

    rule: Rule
    words: str
    again_s: float = 0.0


@dataclass(frozen=True)
class Agent:
    """A SIP URI of the configuration that may be dialled as it stands."""

    name: str
    user: str
    host: str
    port: int
    transport: Literal["udp", "tcp"]

    @property
    def uri(self) -> str:
        return _uri(self.user, self.host, self.port, self.transport)


@dataclass(frozen=True)
class _Number:
    """A number in the forms a prefix may be written in; empty where it has none."""

    international: str = ""
    national: str = ""
    extension: str = ""

    def form_for(self, prefix: str) -> str:
        if prefix.startswith("+"):
            return self.international
        if prefix.startswith("00"):
            return "00" + self.international[1:] if self.international else ""
        return self.extension or self.national


class DialPolicy:
    """The rules of one configuration and how often each trunk and prefix was used in the last hour."""

    def __init__(self, trunks: Sequence[Trunk], agents: Iterable[str] = ()) -> None:
        """`agents` are SIP URIs. Raises ValueError for one that is none."""
        self._trunks = {trunk.name: trunk for trunk in trunks}
        self.agents = tuple(parse_agent(uri) for uri in agents)
        self._used: dict[str, deque[tuple[float, str]]] = {name: deque() for name in self._trunks}
        _is_emergency("0", "")  # the metadata of all countries is read here, not in the first call

    def is_trunk(self, name: str) -> bool:
        return name in self._trunks

    def ask(self, target: str, trunk: str | None, now_s: float) -> Allowed | Refused:
        """Whether `target` (a number, `tel:` or `sip:`) may be dialled now; an Allowed counts against the limits.

        `trunk` names the one to use; None takes the one whose prefix fits best, of equals the first configured.
        `now_s` is any clock that never goes back, in seconds.
        """
        if not target or len(target) > LONGEST_TARGET:
            return Refused("format", "this is no telephone number and no SIP URI")
        if trunk is not None and trunk not in self._trunks:
            return Refused("no_trunk", f"there is no trunk {trunk!r}")
        candidates = [self._trunks[trunk]] if trunk is not None else list(self._trunks.values())
        if target[:4].lower() == "sip:":
            uri = _URI.fullmatch(target)
            if uri is None:
                return Refused("format", "this SIP URI has parts that are not dialled")
            if (agent := self._agent(uri)) is not None:
                return Allowed(agent.uri, agent.name)
            candidates = [t for t in candidates if _is_at(t, uri)]
            if not candidates or not uri["user"]:
                return Refused("target", "this SIP address is neither a trunk nor a configured agent")
            target = uri["user"]
        elif target[:4].lower() == "tel:":
            target = target[4:]
        return self._number(target, candidates, now_s)

    def _agent(self, uri: re.Match[str]) -> Agent | None:
        wanted = parse_agent(uri[0])
        return next((a for a in self.agents if (a.uri, a.host) == (wanted.uri, wanted.host)), None)

    def _number(self, written: str, trunks: Sequence[Trunk], now_s: float) -> Allowed | Refused:
        digits = unicodedata.normalize("NFKC", written).translate(_SEPARATORS)
        if not re.fullmatch(r"\+?[0-9]{1,20}", digits, re.ASCII):
            return Refused("format", "this is no telephone number and no SIP URI")
        best: tuple[int, Trunk, str, str] | None = None
        refused = Refused("prefix", "no trunk's prefixes open this number")
        for trunk in trunks:
            number = classify(digits, trunk.country)
            if isinstance(number, Refused):
                if number.rule == "emergency":
                    return number
                refused = number
                continue
            for prefix in trunk.prefixes:
                form = number.form_for(prefix)
                if form.startswith(prefix) and (best is None or len(form) - len(prefix) < best[0]):
                    best = (len(form) - len(prefix), trunk, prefix, form)
        if best is None:
            if not trunks and isinstance(number := classify(digits, ""), Refused):
                return number
            return refused
        return self._within_limits(*best[1:], now_s)

    def _within_limits(self, trunk: Trunk, prefix: str, number: str, now_s: float) -> Allowed | Refused:
        used = self._used[trunk.name]
        while used and used[0][0] <= now_s - HOUR_S:
            used.popleft()
        if len(used) >= trunk.limits.calls_per_hour:
            words = f"trunk {trunk.name} has had its {trunk.limits.calls_per_hour} calls of this hour"
            return Refused("limit", words, _opens([at for at, _ in used], trunk.limits.calls_per_hour, now_s))
        most, of_prefix = trunk.limits.calls_per_hour_per_prefix, [at for at, p in used if p == prefix]
        if len(of_prefix) >= most:
            words = f"prefix {prefix} of trunk {trunk.name} has had its {most} calls of this hour"
            return Refused("limit", words, _opens(of_prefix, most, now_s))
        used.append((now_s, prefix))
        return Allowed(_uri(number, trunk.host, trunk.port, trunk.transport), trunk.name, trunk, prefix)


def _opens(used: Sequence[float], most: int, now_s: float) -> float:
    """How long until one of `most` calls in any hour may be made again; an hour when there is to be none."""
    return used[-most] + HOUR_S - now_s if most else HOUR_S


def parse_agent(uri: str) -> Agent:
    """The parts of a SIP URI. Raises ValueError when it is none."""
    parts = _URI.fullmatch(uri)
    if parts is None or not 1 <= int(parts["port"] or 5060) <= 65_535:
        raise ValueError(f"{uri!r} is not a SIP URI like sip:user@host:5060")
    transport: Literal["udp", "tcp"] = "tcp" if (parts["transport"] or "").lower() == "tcp" else "udp"
    host, port = parts["host"].lower().strip("[]"), int(parts["port"] or 5060)
    return Agent(f"agent {parts['user'] or ''}@{host}:{port}", parts["user"] or "", host, port, transport)


def classify(digits: str, country: str) -> _Number | Refused:
    """The forms of a number of digits (perhaps after a +), seen from `country` (ISO 3166, empty when unknown)."""
    if not digits.startswith("+") and _is_emergency(digits, country):
        return Refused("emergency", "emergency numbers are never dialled by machine")
    international = digits.startswith("+") or (not country and digits.startswith("00"))
    if not international and _is_extension(digits, country):
        if country and _costs_extra(digits, country):
            return Refused("premium", "this short number costs extra")
        return _Number(extension=digits)
    if not international and not country:
        return Refused("unknown_number", "a national number needs the trunk's country, or write it with + in front")
    if international and not digits.startswith("+"):
        digits = "+" + digits[2:]
    try:
        parsed = phonenumbers.parse(digits, country or None)
    except phonenumbers.NumberParseException:
        if _is_emergency(digits.lstrip("+"), country):
            return Refused("emergency", "emergency numbers are never dialled by machine")
        return Refused("unknown_number", "no numbering plan knows this number")
    return _classify_parsed(parsed, digits, country)


def _classify_parsed(parsed: phonenumbers.PhoneNumber, digits: str, country: str) -> _Number | Refused:
    code = str(parsed.country_code)
    significant = phonenumbers.national_significant_number(parsed)
    region = phonenumbers.region_code_for_country_code(parsed.country_code)
    if _is_emergency(significant, region) or _is_emergency(digits.lstrip("+"), country):
        return Refused("emergency", "emergency numbers are never dialled by machine")
    if code in SATELLITE_AND_GLOBAL or (digits.lstrip("+").startswith(SATELLITE_AND_GLOBAL) and digits[0] == "+"):
        return Refused("satellite", "satellite and global service numbers are never dialled")
    kind = phonenumbers.number_type(parsed)
    if kind in _CLOSED:
        return Refused(_CLOSED[kind], "premium, shared-cost and personal numbers are never dialled")
    if kind not in _OPEN_TYPES or not phonenumbers.is_valid_number(parsed):
        return Refused("unknown_number", "no numbering plan knows this number as an ordinary one")
    national = ""
    if country and phonenumbers.country_code_for_region(country) == parsed.country_code:
        written = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
        national = "".join(c for c in written if c.isdigit())
    return _Number(international=f"+{code}{significant}", national=national)


def _is_extension(digits: str, country: str) -> bool:
    """Short, and not a number that `country` would take for one of its own."""
    if len(digits) > EXTENSION_DIGITS or digits.startswith("0"):
        return False
    if not country:
        return True
    try:
        return not phonenumbers.is_valid_number(phonenumbers.parse(digits, country))
    except phonenumbers.NumberParseException:
        return True


def _is_emergency(digits: str, country: str) -> bool:
    """Emergency in `country`, in every country, or, when the country is unknown, in any; also after an access digit."""
    if digits in EMERGENCY or (digits.startswith(("112", "911", "999", "000")) and len(digits) <= EXTENSION_DIGITS):
        return True
    if len(digits) == 4 and digits[0] in "09" and digits[1:] in EVERYWHERE:
        return True
    if country in phonenumbers.SUPPORTED_REGIONS:
        own = {digits, digits[1:]} if digits[:1] in {"0", "9"} else {digits}
        return any(shortnumberinfo.is_emergency_number(n, country) for n in own if n)
    return len(digits) <= 4 and any(
        shortnumberinfo.is_emergency_number(digits, region) for region in phonenumbers.SUPPORTED_SHORT_REGIONS
    )


def _costs_extra(digits: str, country: str) -> bool:
    number = phonenumbers.PhoneNumber(
        country_code=phonenumbers.country_code_for_region(country), national_number=int(digits)
    )
    return shortnumberinfo.expected_cost_for_region(number, country) == shortnumberinfo.ShortNumberCost.PREMIUM_RATE


def _is_at(trunk: Trunk, uri: re.Match[str]) -> bool:
    same_port = uri["port"] is None or int(uri["port"]) == trunk.port
    return uri["host"].lower().strip("[]") == trunk.host.lower().strip("[]") and same_port


def _uri(user: str, host: str, port: int, transport: str) -> str:
    host = f"[{host.strip('[]')}]" if ":" in host else host
    return f"sip:{user + '@' if user else ''}{host}:{port}" + (";transport=tcp" if transport == "tcp" else "")
