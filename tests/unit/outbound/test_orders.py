"""Bodies of the jobs API into jobs: what is taken, and that every fault names its field."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.config import Backend
from ivr.config_outbound import Outbound, Policy
from ivr.outbound.orders import BadOrder, NewVerification, Orders, Transaction, told
from ivr.outbound.policy import Rules
from ivr.outbound.proof import ProofBox

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)  # a Monday, noon in Shanghai, 4 in the morning in London
BOX = ProofBox(b"k" * 32)
RULES = Rules(Outbound(policies={"fraud": Policy(always=True), "reminder": Policy(windows=("mon-fri 09:00-20:00",))}))
HOOKS = Backend(name="bank", url="https://bank.example/hooks", webhook_secret_env="HOOK_SECRET")
PLANS = {
    "verify": SimpleNamespace(languages=("en", "zh"), given=("name", "amount")),
    "survey": SimpleNamespace(languages=("zh",), given=("branch", "again")),
    "notice": SimpleNamespace(languages=("en",), given=()),
}
ORDERS = Orders(RULES, ("en", "zh"), (HOOKS,), PLANS.get, BOX)


def verification(**changes) -> dict:
    """An order that is taken; `changes` replace or, when None, remove."""
    body = {
        "idempotency_key": "tx-1", "phone": "+8613812345678", "language": "zh", "policy": "fraud",
        "transaction": {"amount": "129.90", "currency": "CNY", "merchant": "京东", "at": "2026-11-23T09:30:00+08:00"},
        "proof": {"birth_date": "1987-04-29"},
    }  # fmt: skip
    return {k: v for k, v in (body | changes).items() if v is not None}


def make(kind="verification", orders=ORDERS, **changes):
    return orders.make(kind, json.dumps(verification(**changes)).encode(), "bank", "job_1", NOW)


def changed(**transaction) -> dict:
    return verification()["transaction"] | transaction


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"phone": "13812345678"}, "phone", "E.164"), ({"phone": "+86138"}, "phone", "numbering plan"),
        ({"phone": "+86 138 1234 5678"}, "phone", "which is +8613812345678"), ({"phone": None}, "phone", "missing"),
        ({"phone": 5}, "phone", "Expected `str`"), ({"phone": "９" * 9}, "phone", "E.164"),
        ({"language": "fr"}, "language", "one of en, zh"), ({"policy": "spam"}, "policy", "one of fraud, reminder"),
        ({"policy": None}, "policy", "one of fraud, reminder"), ({"priority": 10}, "priority", "<= 9"),
        ({"transaction": changed(amount="many")}, "transaction.amount", "decimal"),
        ({"transaction": changed(amount="-1")}, "transaction.amount", "above 0"),
        ({"transaction": changed(amount="NaN")}, "transaction.amount", "above 0"),
        ({"transaction": changed(amount="1.23456")}, "transaction.amount", "four decimals"),
        ({"transaction": changed(currency="XQX")}, "transaction.currency", "ISO 4217"),
        ({"transaction": changed(currency="yuan")}, "transaction.currency", "regex"),
        ({"transaction": changed(card_last4="42424242")}, "transaction.card_last4", "regex"),
        ({"transaction": changed(at="2026-11-23T09:30:00")}, "transaction.at", "zone"),
        ({"transaction": None}, "transaction", "missing"), ({"proof": {}}, "proof", "at least"),
        ({"proof": {"pin": "1234"}}, "proof.pin", "unknown field"), ({"proof": None}, "proof", "missing"),
        ({"proof": {"birth_date": "29.04.1987"}}, "proof.birth_date", "Invalid"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at", "past"),
        ({"expires_at": "2026-11-23T09:00:00"}, "expires_at", "zone"),
        ({"expires_at": "9999-12-31T23:59:59-12:00"}, "expires_at", "no clock"),
        ({"not_before": "2099-01-01T00:00:00Z"}, "not_before", "31 days"),
        ({"timezone": "Mars/Olympus"}, "timezone", "IANA"), ({"metadata": {"x": "y" * 5_000}}, "metadata", "4096"),
        ({"metadata": {"x": [1]}}, "metadata[...]", "Expected"), ({"colour": "red"}, "colour", "unknown field"),
        ({"idempotency_key": None}, "idempotency_key", "a key of your own"),
        ({"idempotency_key": "a\nb"}, "idempotency_key", "a key of your own"),
        ({"callback_url": "https://evil.example/x"}, "callback_url", "no [[backend]]"),
        ({"contact": "a\0b"}, "contact", "NUL"), ({"metadata": {"note": "\0"}}, "metadata.note", "NUL"),
        ({"metadata": {"\0": 1}}, "metadata", "NUL"), ({"phrase": "海\0棠"}, "phrase", "leave it out"),
        ({"transaction": changed(merchant="京\0东")}, "transaction.merchant", "NUL"),
    ],
)  # fmt: skip
def test_a_bad_order_names_its_field(changes, field, says):
    with pytest.raises(BadOrder, match=re.escape(says)) as caught:
        make(**changes)
    assert caught.value.field == field


def survey(**changes) -> dict:
    """An order of a dialplan that is taken, but for `changes`."""
    taken = {"idempotency_key": "s-1", "phone": "+8613812345678", "language": "zh", "policy": "fraud", "plan": "survey",
             "variables": {"branch": "西单", "again": True}}  # fmt: skip
    return taken | changes


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"plan": "gone"}, "plan", "no dialplan `gone` is in force: put gone.yaml into the folder"),
        ({"language": "en"}, "language", "`survey` speaks zh: order one of these, or add en to it"),
        ({"plan": "notice"}, "language", "`notice` speaks en: order one of these, or add zh to it"),
        ({"variables": {"shop": "西单"}}, "variables.shop", "given `shop`: it is given branch, again; leave it out"),
        ({"plan": "notice", "language": "en", "variables": {"shop": ""}}, "variables.shop", "it is given nothing"),
        ({"variables": {"x" * 500: None}}, "variables." + "x" * 118, "it is given branch, again"),
    ],
)
def test_an_order_that_its_dialplan_could_not_do_is_refused_with_the_mend(changes, field, says):
    assert ORDERS.make("plan", json.dumps(survey()).encode(), "bank", "job_1", NOW).job.plan == "survey"
    with pytest.raises(BadOrder, match=re.escape(says)) as caught:
        ORDERS.make("plan", json.dumps(survey(**changes)).encode(), "bank", "job_1", NOW)
    assert caught.value.field == field


def test_a_verification_needs_its_dialplan_in_the_language_of_the_order():
    for plans, field, says in (
        ({}, "plan", "no dialplan `verify` is in force: put verify.yaml"),
        ({"verify": PLANS["notice"]}, "language", "`verify` speaks en: order one of these, or add zh"),
    ):
        with pytest.raises(BadOrder, match=re.escape(says)) as caught:
            make(orders=Orders(RULES, ("en", "zh"), (HOOKS,), plans.get, BOX))
        assert caught.value.field == field


def test_what_only_looks_like_a_nul_is_taken():
    assert make(phrase="\\u0000").job.body["phrase"] == "\\u0000"


@pytest.mark.parametrize("amount", ["129.90", 129.9, 5, "0.0001", "1e3"])
def test_an_amount_may_be_a_number_or_a_text(amount):
    kept = make(transaction=changed(amount=amount)).job.body["transaction"]["amount"]
    assert float(kept) == float(amount)


@pytest.mark.parametrize(("timezone", "at"), [("Asia/Shanghai", ("2026-11-23", "09:30")),
                                              ("America/New_York", ("2026-11-22", "20:30"))])  # fmt: skip
def test_a_dialplan_is_told_the_transaction_by_the_clock_of_whoever_is_rung(timezone, at):
    given = told(make(timezone=timezone, name="王小明").job, 2)
    assert (given["date"], given["time"]) == at
    assert given["amount"] == "129.90 CNY"
    assert given["merchant"] == "京东"
    assert given["name"] == "王小明"
    assert given["answers_left"] == "2"


def test_the_proof_is_sealed_and_stands_nowhere_else():
    new = make()
    assert BOX.open("job_1", new.proof) == {"birth_date": "1987-04-29"}
    assert "1987" not in repr(new.job)
    assert new.job.body["asks"] == ["birth_date"]


def test_the_hash_is_that_of_what_is_ordered_however_it_is_written():
    again = json.dumps(dict(reversed(verification(idempotency_key="other").items())), indent=2).encode()
    assert ORDERS.make("verification", again, "bank", "job_2", NOW).request_hash == make().request_hash
    assert make(priority=6).request_hash != make().request_hash
    assert make(proof={"birth_date": "1987-04-30"}).request_hash != make().request_hash


def test_it_is_held_from_the_beginning_where_the_rules_know_until_when():
    office = make(policy="reminder", phone="+442071838750", language="en").job
    assert (office.state, office.held_by, office.due_at) == ("held", "window", NOW + timedelta(hours=5))
    assert make(policy="reminder").job.state == "queued"
    later = make(not_before="2026-11-23T05:00:00Z").job
    assert (later.held_by, later.due_at) == ("not_before", NOW + timedelta(hours=1))
    assert later.expires_at == NOW + timedelta(hours=25)


def test_the_only_policy_need_not_be_named():
    only = Orders(Rules(Outbound(policies={"fraud": Policy(always=True)})), ("zh",), (), PLANS.get, BOX)
    assert make(orders=only, policy=None).job.policy == "fraud"


def test_a_callback_lies_below_a_configured_receiver():
    assert make(callback_url="https://bank.example/hooks/a").job.callback_url == "https://bank.example/hooks/a"
    for url in ("https://bank.example/hooksmith/a", "https://bank.example.evil/hooks/a", "http://bank.example/hooks/a"):
        with pytest.raises(BadOrder, match=r"no \[\[backend\]\]"):
            make(callback_url=url)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = sorted(NewVerification.__struct_fields__)
NESTED = [*(("transaction", n) for n in Transaction.__struct_fields__), ("proof", "birth_date"), ("proof", "id_last4")]


@settings(max_examples=100, deadline=None)
@given(where=st.sampled_from(FIELDS) | st.sampled_from(NESTED), value=JSON)
def test_whatever_stands_in_a_field_it_is_a_job_or_a_bad_order(where, value):
    body = verification()
    if isinstance(where, tuple):
        body[where[0]] = body[where[0]] | {where[1]: value}
    else:
        body[where] = value
    for kind in ("verification", "plan"):
        try:
            new = ORDERS.make(kind, json.dumps(body).encode(), "bank", "job_1", NOW)
        except BadOrder:
            continue
        assert new.job.expires_at > NOW
