"""What a client orders, checked: bodies of the jobs API into jobs ready to be written. Every fault names its field.

Pure but for the nonce of a sealed proof: the time and the id of the job are given. Knows nothing of HTTP or SQL.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Protocol
from zoneinfo import ZoneInfo

import msgspec
from babel.numbers import list_currencies

from ivr.backend.messages import path_fault
from ivr.config import Backend
from ivr.errors import IvrError
from ivr.outbound.job import Callee, Job, Kind, Load, NewJob
from ivr.outbound.policy import Rules
from ivr.outbound.proof import ProofBox, plain_hash
from ivr.outbound.windows import zone_of
from ivr.outbound.zones import phone_fault, zones_of

VERIFY_PLAN = "verify"
"""The dialplan that verifications run."""
METADATA_BYTES = 4_096
KEY_CHARS = 128
FIELD_CHARS = 128
MOST_AMOUNT = Decimal("1e12")
LONGEST = timedelta(days=31)
"""How far ahead a job may end."""
RECHECK = timedelta(hours=1)

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Word = Annotated[str, msgspec.Meta(max_length=128)]
Scalar = str | int | bool | None
_FAULT = re.compile(r"(?P<says>.*?)(?: - at `\$\.?(?P<field>.*?)`)?", re.DOTALL)


class BadOrder(IvrError):
    """A body that cannot become a job; `field` names what is wrong, empty for the whole."""

    def __init__(self, words: str, field: str = "") -> None:
        super().__init__(words)
        self.field = field


class _Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Transaction(_Body, frozen=True):
    """The transaction that the customer is asked about. `amount` in whole and decimal units of `currency`."""

    amount: Decimal
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
    merchant: Text
    at: datetime
    card_last4: Annotated[str, msgspec.Meta(pattern="^[0-9]{4}$")] | None = None


class Proof(_Body, frozen=True):
    """What the customer must prove to know: one of them or both. Never a PIN, a CVV, a code or a whole number."""

    birth_date: date | None = None
    id_last4: Annotated[str, msgspec.Meta(pattern="^[0-9]{3}[0-9Xx]$")] | None = None


class _Order(_Body, frozen=True):
    """What every order may hold."""

    phone: Annotated[str, msgspec.Meta(max_length=32)]
    language: Annotated[str, msgspec.Meta(max_length=16)]
    idempotency_key: Annotated[str, msgspec.Meta(max_length=128)] = ""
    policy: Word = ""
    contact: Word = ""
    timezone: Annotated[str, msgspec.Meta(max_length=64)] = ""
    priority: Annotated[int, msgspec.Meta(ge=0, le=9)] = 5
    not_before: datetime | None = None
    expires_at: datetime | None = None
    callback_url: Annotated[str, msgspec.Meta(max_length=1024)] = ""
    metadata: dict[str, str | int | float | bool | None] = {}


class NewVerification(_Order, frozen=True, kw_only=True):
    """Ring a customer and ask whether a transaction was theirs.

    Attributes:
        name: whom to ask for. phrase: a word agreed with the bank, by which the call proves itself.
    """

    transaction: Transaction
    proof: Proof
    name: Word = ""
    phrase: Word = ""


class NewPlanJob(_Order, frozen=True, kw_only=True):
    """Ring somebody with a dialplan: a reminder, a survey. `variables` are what the plan is given."""

    plan: Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_-]{0,63}$")]
    variables: dict[str, Scalar] = {}


class PlanTerms(Protocol):
    """What an order is held against of a dialplan in force: the languages it speaks, the slots that it is given."""

    @property
    def languages(self) -> Sequence[str]: ...

    @property
    def given(self) -> Sequence[str]: ...


_BODIES: Mapping[Kind, type[_Order]] = {"verification": NewVerification, "plan": NewPlanJob}


@dataclass(frozen=True)
class Orders:
    """Makes jobs of bodies.

    Attributes:
        languages: those that the server speaks.
        backends: the receivers that a callback may have.
        plan: the dialplan of a name that is in force.
        box: seals proofs; None: there is no key, so nothing with a proof is taken.
    """

    rules: Rules
    languages: Sequence[str]
    backends: Sequence[Backend]
    plan: Callable[[str], PlanTerms | None]
    box: ProofBox | None
    proof_key_env: str = "IVR_PROOF_KEY"

    def make(self, kind: Kind, body: bytes, client: str, job_id: str, now: datetime, key: str = "") -> NewJob:
        """The job that a body orders. `key`: the idempotency key where the body has none. Raises BadOrder."""
        order = decoded(body, _BODIES[kind])
        if key and order.idempotency_key and key != order.idempotency_key:
            raise BadOrder("another than the header Idempotency-Key has", "idempotency_key")
        key = order.idempotency_key or key
        if not key or not key.isprintable() or len(key) > KEY_CHARS:
            says = f"a key of your own, {KEY_CHARS} characters at most, by which this order is taken only once"
            raise BadOrder(says, "idempotency_key")
        self._check(order)
        policy = self._policy(order.policy)
        expires_at = self._expires(order, policy, now)
        job = Job(
            id=job_id, kind=kind, client=client, idempotency_key=key, phone=order.phone, contact=order.contact,
            language=order.language, policy=policy, plan=self._plan(order), priority=order.priority, state="queued",
            created_at=now, expires_at=expires_at, body=_spoken(order), timezone=order.timezone,
            callback_url=order.callback_url, not_before=_utc(order.not_before, "not_before"), due_at=now,
        )  # fmt: skip
        sealed, digest = self._sealed(order, body, job_id)
        return NewJob(job=self._placed(job, now), request_hash=digest, proof=sealed)

    def _check(self, order: _Order) -> None:
        if fault := phone_fault(order.phone):
            raise BadOrder(fault, "phone")
        if order.language not in self.languages:
            raise BadOrder(f"one of {', '.join(self.languages)}", "language")
        if order.timezone and zone_of(order.timezone) is None:
            raise BadOrder("no IANA time zone, like Asia/Shanghai", "timezone")
        if len(msgspec.json.encode(order.metadata)) > METADATA_BYTES:
            raise BadOrder(f"more than {METADATA_BYTES} bytes", "metadata")
        if order.callback_url:
            callback(order.callback_url, self.backends)
        if isinstance(order, NewVerification):
            _check_transaction(order.transaction)
            if order.proof == Proof():
                raise BadOrder("one of birth_date, id_last4 at least", "proof")
        elif len(msgspec.json.encode(order.variables)) > METADATA_BYTES:
            raise BadOrder(f"more than {METADATA_BYTES} bytes", "variables")

    def _policy(self, name: str) -> str:
        known = self.rules.policies
        if not name and len(known) == 1:
            return known[0]
        if name not in known:
            raise BadOrder(f"one of {', '.join(known)}", "policy")
        return name

    def _plan(self, order: _Order) -> str:
        """The name of the plan that is to run; an order that this plan could not do is refused."""
        name = VERIFY_PLAN if isinstance(order, NewVerification) else order.plan
        plan = self.plan(name)
        if fault := unfit(name, plan, order.language):
            raise fault
        if isinstance(order, NewPlanJob) and (strange := [one for one in order.variables if one not in plan.given]):
            takes = f"it is given {', '.join(plan.given)}" if plan.given else "it is given nothing"
            says = f"the dialplan `{name}` is not given `{strange[0]}`: {takes}; leave it out, or add it to the plan's "
            raise BadOrder(f"{says}`given`", f"variables.{strange[0]}"[:FIELD_CHARS])
        return name

    def _expires(self, order: _Order, policy: str, now: datetime) -> datetime:
        not_before, given = _utc(order.not_before, "not_before"), _utc(order.expires_at, "expires_at")
        expires_at = given or max(now, not_before or now) + self.rules.lifetime(policy)
        field = "expires_at" if given else "not_before"
        if expires_at <= now:
            raise BadOrder("in the past", field)
        if expires_at > now + LONGEST:
            raise BadOrder(f"more than {LONGEST.days} days ahead", field)
        if not_before is not None and expires_at <= not_before:
            raise BadOrder("not after `not_before`", "expires_at")
        return expires_at

    def _sealed(self, order: _Order, body: bytes, job_id: str) -> tuple[bytes | None, str]:
        """(the sealed proof, the hash of the request). The key in the body is no part of what is ordered."""
        content = msgspec.json.decode(body)
        content.pop("idempotency_key", None)
        plain = msgspec.json.encode(content, order="sorted")
        if not isinstance(order, NewVerification):
            return None, plain_hash(plain)
        if self.box is None:
            says = f"the server has no key to keep it under: set {self.proof_key_env}=$(openssl rand -base64 32)"
            raise BadOrder(says, "proof")
        proof = {name: str(value) for name, value in msgspec.to_builtins(order.proof).items() if value is not None}
        return self.box.seal(job_id, proof), self.box.request_hash(plain)

    def _placed(self, job: Job, now: datetime) -> Job:
        """Held from the beginning where the rules already know until when, so that nobody looks at it before."""
        decision = self.rules.decide(job, (), Callee(), Load(), now)
        if decision.action != "hold":
            return job
        due_at, held_by = decision.next_at or now + RECHECK, decision.holds[0].rule
        return msgspec.structs.replace(job, state="held", due_at=due_at, held_by=held_by)


def unfit(name: str, plan: PlanTerms | None, language: str) -> BadOrder | None:
    """Why no call can run the dialplan `name` in `language`: it is not in force, or does not speak it. None: it can."""
    if plan is None:
        says = f"no dialplan `{name}` is in force: put {name}.yaml into the folder of dialplans; see GET /v1/plans"
        return BadOrder(says, "plan")
    if language not in plan.languages:
        says = f"the dialplan `{name}` speaks {', '.join(plan.languages)}: order one of these, or add {language} to it"
        return BadOrder(says, "language")
    return None


def told(job: Job, answers_left: int) -> dict[str, str]:
    """What the dialplan of a job is given, name -> text: the transaction in its words, or the order's variables.

    `date` and `time` of a transaction are by the clock of its customer, where that is one clock, else by that of the
    order. `answers_left`: answers to identity questions that are left.
    """
    body = job.body
    if job.kind != "verification":
        return {name: _text(value) for name, value in body.get("variables", {}).items() if value is not None}
    transaction, zone = body["transaction"], zone_for(job)
    at = datetime.fromisoformat(transaction["at"])
    at = at.astimezone(ZoneInfo(zone)) if zone else at
    given = {
        "name": body.get("name"), "phrase": body.get("phrase"), "merchant": transaction["merchant"],
        "amount": f"{transaction['amount']} {transaction['currency']}", "card_last4": transaction.get("card_last4"),
        "date": f"{at:%Y-%m-%d}", "time": f"{at:%H:%M}", "answers_left": str(answers_left),
    }  # fmt: skip
    return {name: value for name, value in given.items() if value}


def zone_for(job: Job) -> str:
    """The time zone that a call of a job speaks in; empty when the number may be in several."""
    zones = (job.timezone,) if job.timezone else zones_of(job.phone)
    return zones[0] if len(zones) == 1 else ""


def _text(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def decoded(body: bytes, kind: type[msgspec.Struct]) -> Any:
    """A JSON body as `kind`. Raises BadOrder with the field that is wrong."""
    try:
        read = msgspec.json.decode(body, type=kind)
        if b"\\u0000" in body and (field := _nul_in(msgspec.json.decode(body))) is not None:
            raise BadOrder("text with a NUL in it, which no database keeps: leave it out", field[:FIELD_CHARS])
        return read
    except msgspec.ValidationError as error:
        found = _FAULT.fullmatch(str(error))
        field = found["field"] or ""
        if missing := re.search(r"missing required field `(.+?)`|unknown field `(.+?)`", found["says"]):
            field = ".".join(part for part in (field, missing[1] or missing[2]) if part)
        raise BadOrder(found["says"], field[:FIELD_CHARS]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadOrder(f"the body is not JSON: {error}") from None


def _nul_in(value: Any, field: str = "") -> str | None:
    """The first field of a decoded body that has a NUL in its text, or in a name below it; None: no field has."""
    if isinstance(value, str):
        return field if "\0" in value else None
    if not isinstance(value, dict | list):
        return None
    for name, each in value.items() if isinstance(value, dict) else enumerate(value):
        within = field if "\0" in str(name) else _nul_in(each, f"{field}.{name}".removeprefix("."))
        if within is not None:
            return within
    return None


def callback(url: str, backends: Sequence[Backend]) -> tuple[str, str]:
    """(back end, path) of a callback: an address below a [[backend]] that can be signed for. Raises BadOrder."""
    for backend in backends:
        root = backend.url.rstrip("/")
        path = url.removeprefix(root)
        if path == url or not path.startswith("/"):
            continue
        if not backend.webhook_secret_env:
            raise BadOrder(f"[[backend]] `{backend.name}` has no webhook_secret_env to sign with", "callback_url")
        if fault := path_fault(path):
            raise BadOrder(fault, "callback_url")
        return backend.name, path
    raise BadOrder("below the url of no [[backend]] that the server is configured with", "callback_url")


def _check_transaction(transaction: Transaction) -> None:
    amount = transaction.amount
    if not amount.is_finite() or not 0 < amount <= MOST_AMOUNT or amount.as_tuple().exponent < -4:
        raise BadOrder("a number above 0 with four decimals at most, like 129.90", "transaction.amount")
    if transaction.currency not in list_currencies():
        raise BadOrder("no currency of ISO 4217, like CNY or EUR", "transaction.currency")
    _utc(transaction.at, "transaction.at")


def _utc(at: datetime | None, field: str) -> datetime | None:
    if at is None:
        return None
    if at.tzinfo is None:
        raise BadOrder("a time without its zone: write it like 2026-01-31T09:30:00Z", field)
    try:
        return at.astimezone(UTC).replace(microsecond=at.microsecond // 1000 * 1000)
    except OverflowError:
        raise BadOrder("a time that no clock shows", field) from None


def _spoken(order: _Order) -> dict[str, Any]:
    """What the dialplan and the evidence are given; never the proof."""
    body: dict[str, Any] = {"metadata": order.metadata}
    if isinstance(order, NewVerification):
        return body | {
            "transaction": msgspec.to_builtins(order.transaction), "name": order.name, "phrase": order.phrase,
            "asks": [name for name in order.proof.__struct_fields__ if getattr(order.proof, name) is not None],
        }  # fmt: skip
    return body | {"variables": order.variables}
