"""The `[outbound]` part of config.toml: policies, who may order calls, and where the keys are.

Words: types and what is wrong with them. Knows nothing of what the values are used for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from typing import Annotated, Literal

import msgspec

from ivr.line.settings import Amd
from ivr.outbound.windows import parse_holidays, parse_window
from ivr.toml_places import Place

Name = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_-]{0,31}$")]
Wait = Annotated[int, msgspec.Meta(ge=1, le=604_800)]
Day = Annotated[int, msgspec.Meta(ge=1, le=1_000)]
Rate = Annotated[float, msgspec.Meta(ge=0.001, le=1_000)]
Share = Annotated[float, msgspec.Meta(ge=0.01, le=1)]
Scope = Literal["jobs:read", "jobs:create", "jobs:cancel", "jobs:operate"]

MOST_POLICIES = 32


class Retry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The retry ladder: how long after the 1st, 2nd, ... attempt with an outcome the next one may follow.

    An attempt more than a list has steps ends the job, and so does an empty list at once.
    """

    busy_s: tuple[Wait, ...] = (60, 300, 900)
    """After a busy tone. Seconds."""
    no_answer_s: tuple[Wait, ...] = (300, 1_800)
    """After ringing without an answer. Seconds."""
    rejected_s: tuple[Wait, ...] = (1_800,)
    """After the callee's telephone refused. Seconds."""
    machine_s: tuple[Wait, ...] = (1_800,)
    """After an answering machine. Seconds."""
    hung_up_s: tuple[Wait, ...] = (600,)
    """After somebody hung up before it was said what it is about. Seconds."""
    wrong_person_s: tuple[Wait, ...] = ()
    """After somebody else answered. Seconds."""
    failed_s: tuple[Wait, ...] = (30, 120)
    """After the network or our side failed. Seconds."""
    unknown_s: tuple[Wait, ...] = ()
    """After an attempt whose server died: it may have rung, so nothing follows unless this says so. Seconds."""


class Breaker(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The circuit breaker: it holds a policy's jobs while most of its recent attempts fail or end unknown."""

    share: Share = 0.5
    """It opens when more than this share failed."""
    attempts: Annotated[int, msgspec.Meta(ge=1, le=100)] = 5
    """And not before so many attempts ended in the window."""
    window_s: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = 600
    """How far back from the latest attempt it looks. Seconds."""
    pause_s: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = 300
    """How long it stays open after the latest attempt; then one is let through to try. Seconds."""


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When and how often jobs that name it may ring. Without `windows` or `always` it dials nobody."""

    windows: tuple[str, ...] = ()
    """When it may ring, by the callee's own clock: `mon-fri 09:00-20:00`. A number of several zones: inside in all."""
    always: bool = False
    """Ring at any hour, on holidays too: for fraud that cannot wait. `why` shows it."""
    holidays: tuple[str, ...] = ()
    """Days without calls, by the callee's calendar: `2026-12-25`, or a stretch: `2027-02-06/2027-02-12`."""
    attempts: Day = 3
    """Attempts of one job."""
    attempts_per_number: Day = 3
    """Attempts to one number in any 24 hours, whichever job or policy asks."""
    attempts_per_contact: Day = 6
    """Attempts to all numbers of one contact in any 24 hours, whichever job or policy asks."""
    gap_s: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 60
    """Least time between the end of an attempt and the next one to the same number. Seconds."""
    calls_per_second: Rate = 1.0
    """How fast attempts follow one another."""
    calls_at_once: Day = 2
    """Attempts under way."""
    ring_s: Annotated[int, msgspec.Meta(ge=5, le=180)] = 30
    """How long a telephone rings before it counts as not answered. Seconds."""
    proof_answers: Day = 3
    """Answers by which a customer may fail to prove who they are in 24 hours, over all calls; then nobody rings."""
    amd: bool = True
    """Ask who answers, a person or a machine (`[outbound.amd]`); without, whoever answers is a person."""
    trunk: str = ""
    """Trunk that it dials through and whose limits hold; empty: the one whose prefix fits."""
    lifetime_s: Wait = 86_400
    """A job that names no `expires_at` ends so long after it was created. Seconds."""
    retry: Retry = Retry()
    """Its ladder."""
    breaker: Breaker = Breaker()
    """Its circuit breaker."""


class ApiKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A client of the jobs API: a bearer key of its own, what it may do, how often it may ask."""

    name: Name
    """Name of the client, in jobs and logs. Idempotency keys are its own."""
    key_env: str
    """Name of the environment variable that holds the key, 24 characters or more."""
    scopes: tuple[Scope, ...] = ("jobs:read", "jobs:create", "jobs:cancel")
    """What it may do. `jobs:operate` is pausing, retrying, redelivering and the do-not-call list."""
    requests_per_second: Rate = 50.0
    """Requests it may make, averaged over ten seconds; beyond it 429."""


class Outbound(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Calls that the server makes by itself. Without a policy there are none, and no `/v1/jobs`."""

    policies: dict[Name, Policy] = {}
    """By name."""
    key: tuple[ApiKey, ...] = ()
    """Clients besides the holder of `http.token_env`, who may do everything."""
    calls_at_once: Day = 2
    """Attempts under way, of all policies: the share of the lines that outbound may take."""
    inbound_legs: Annotated[int, msgspec.Meta(ge=0, le=256)] = 1
    """Legs of a server that outbound leaves free for callers, besides those kept for transfers."""
    lease_s: Annotated[int, msgspec.Meta(ge=5, le=600)] = 30
    """An attempt whose server has not been heard of for so long counts as unknown. Seconds."""
    proof_key_env: str = "IVR_PROOF_KEY"
    """Name of the environment variable of the key (base64, 32 bytes) that what a customer must prove is kept under."""
    evidence_key_env: str = "IVR_EVIDENCE_KEY"
    """Name of the environment variable of the Ed25519 seed (base64, 32 bytes) that outcomes are signed with."""
    amd: Amd = Amd()
    """How answering machines are told from people."""


Fault = tuple[Place, str, str]


def faults(outbound: Outbound, trunks: Collection[str], secret: Callable[[str], str]) -> Iterator[Fault]:
    """What types alone cannot say: (place, what is wrong, what to do). `secret` reads an environment variable."""
    for name, policy in outbound.policies.items():
        yield from _policy_faults(("outbound", "policies", name), policy, trunks)
    if len(outbound.policies) > MOST_POLICIES:
        yield ("outbound", "policies"), f"more than {MOST_POLICIES} policies", "let several kinds of job share one"
    if outbound.policies and not re.fullmatch(r"[A-Za-z0-9+/_-]{43}=?", secret(outbound.evidence_key_env).strip()):
        says = f"the environment variable `{outbound.evidence_key_env}` holds no key that outcomes can be signed with"
        yield ("outbound", "evidence_key_env"), says, f"export {outbound.evidence_key_env}=$(openssl rand -base64 32)"
    for sooner, later in (("silence_ms", "decide_ms"), ("decide_ms", "watch_ms")):
        least, most = getattr(outbound.amd, sooner), getattr(outbound.amd, later)
        if least > most:
            says = f"{least} is more than {later}, which is {most}"
            yield ("outbound", "amd", sooner), says, f"lower {sooner} or raise {later}"
    for index, key in enumerate(outbound.key):
        place: Place = ("outbound", "key", index)
        if len(secret(key.key_env).strip()) < 24:
            says = f"the environment variable `{key.key_env}` holds no key of 24 characters or more"
            yield (*place, "key_env"), says, f"export {key.key_env}=$(openssl rand -hex 32)"
        if key.name == "admin":
            yield (*place, "name"), "`admin` is the holder of http.token_env", "give it another one"
        if key.name in [other.name for other in outbound.key[:index]]:
            yield (*place, "name"), f"a second key with name `{key.name}`", "give it another one"


def _policy_faults(place: Place, policy: Policy, trunks: Collection[str]) -> Iterator[Fault]:
    for key, texts, parse in (("windows", policy.windows, parse_window), ("holidays", policy.holidays, parse_holidays)):
        for index, text in enumerate(texts):
            try:
                parse(text)
            except ValueError as error:
                yield (*place, key, index), f"`{text}` cannot be read", str(error)
    if not policy.windows and not policy.always:
        mend = 'add windows = ["mon-fri 09:00-20:00"], or always = true where nothing may wait'
        yield (*place, "windows"), "no calling window, so nobody would be rung", mend
    if policy.windows and policy.always:
        yield (*place, "always"), "windows and always contradict one another", "take one of them out"
    if policy.trunk and policy.trunk not in trunks:
        known = ", ".join(sorted(trunks)) or "none"
        yield (*place, "trunk"), f"there is no trunk `{policy.trunk}`", f"one of the [[trunk]] names: {known}"
