"""What a plan must never ask for: PINs, card codes, one-time codes, passwords, whole card and identity numbers.

PCI DSS 4.0 (requirements 3.3 and 3.4) forbids keeping card codes and PINs and showing whole card numbers; banks tell
their customers that nobody asks for the others, and a service that does trains them for fraud. Looks at the names,
kinds and lengths of slots and at the words of prompts, in English and Mandarin. The last four digits are fine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Literal

from ivr.dialog.plan import Ask, Events, Form, Hangup, Lookup, Menu, Prove, Record, Say, Step, Transfer
from ivr.dialog.plan_link import Linker
from ivr.dialog.plan_yaml import Path_
from ivr.understanding.slots import Slot

CARD_DIGITS = range(13, 20)
"""Lengths of card numbers (ISO/IEC 7812)."""
IDENTITY_CHARACTERS = (15, 18)
"""Lengths of Chinese identity numbers, old and new (GB 11643)."""
FEW = 6
"""Most characters of a number that are a part of it only."""

Taken = Literal["wish", "part", "value", "told"]
"""What a question takes: what somebody wants, a few digits or characters, a value of any length; nothing, when told."""

_MEND = "ask for the last four digits, or connect the caller to a person"

# Words of a slot's name -> what it stands for.
_SECRET_WORDS = {
    "pin": "a PIN", "cvv": "a card's security code", "cvv2": "a card's security code", "cvc": "a card's security code",
    "cvc2": "a card's security code", "otp": "a one-time code", "tan": "a one-time code", "password": "a password",
    "passwd": "a password", "passcode": "a password", "pwd": "a password",
}  # fmt: skip
_SECRET_PAIRS = {
    ("security", "code"): "a card's security code", ("verification", "code"): "a one-time code",
    ("time", "code"): "a one-time code", ("sms", "code"): "a one-time code",
}  # fmt: skip
_WHOLE_PAIRS = {
    ("card", "number"): "a whole card number", ("card", "no"): "a whole card number",
    ("identity", "number"): "a whole identity number", ("id", "number"): "a whole identity number",
    ("id", "card"): "a whole identity number",
}  # fmt: skip

_SECRETS = (
    (re.compile(r"\bpins?\b|\bP[. ]I[. ]N\b|\bsecret (?:code|number)\b|密码|口令", re.IGNORECASE),
     "a PIN or a password"),
    (re.compile(r"\b(?:password|passcode)s?\b", re.IGNORECASE), "a password"),
    (re.compile(r"\bCV[VC]2?\b|\bsecurity code\b|\b(?:digits|figures|number|code) on the back\b|安全码"
                r"|背面的?(?:[三四3-4]位)?(?:数字|号码|代码)", re.IGNORECASE), "a card's security code"),
    (re.compile(r"\bone[- ]time (?:code|pass\w*)\b|\bverification code\b|\bOTP\b|\bcode (?:we|I) (?:just )?sent\b"
                r"|\bcode (?:from|in) (?:the|your|our) (?:text|message|SMS|e-?mail|app)\b|验证码|校验码|动态码"
                r"|短信[里中上]?的?(?:[四六4-6]位)?(?:数字?|号码|代码)", re.IGNORECASE), "a one-time code"),
)  # fmt: skip
_NUMBERS = (
    (re.compile(r"\bidentity (?:card )?number\b|\bID (?:card )?number\b|\bsocial security number\b|\bpassport number\b"
                r"|身份证号|护照号|(?:说|输入|提供|报|念)[^，。]{0,6}身份证(?!明)",
                re.IGNORECASE), "a whole identity number"),
    (re.compile(r"\bcard number\b|\b(?:number|digits) (?:of|on) (?:your|the) (?:\w+ )?card\b"
                r"|卡号", re.IGNORECASE), "a whole card number"),
)  # fmt: skip
_PART = re.compile(
    r"\b(?:last|final|first) (?:(?:two|three|four|five|six|[2-6]) )?(?:digits?|figures?|numbers?|characters?)\b"
    r"|\blast (?:three|four|six|[346])\b"
    r"|[后末尾前][三四六346]|尾号|末尾",
    re.IGNORECASE,
)
_WARNING = re.compile(r"\b(?:never|don't|do not|not ask|without)\b|不要|请勿|切勿|不会|无需|不需要|别", re.IGNORECASE)
# Somebody who may not be told, and where a secret belongs: "tell nobody", "at the cash machine", 任何人, 在手机银行.
_ELSEWHERE = re.compile(
    r"\b(?:tell|give|say)\w*(?: (?:it|them))?(?: to)? (?:nobody|no one|anyone|anybody|others)\b"
    r"|\bin (?:the|our|your) app\b|\bat (?:the|a|any|our) (?:[\w']+ ){0,2}(?:machine|branch|counter|ATM)\b"
    r"|(?:告诉|给|向|对|让)(?:任何人|别人|他人|其他人)"
    r"|[在到去](?:我们的?)?(?:取款机|柜员机|柜台|网点|网上银行|手机银行)",
    re.IGNORECASE,
)
_GIVE = re.compile(
    r"\b(?:say|tell|give|enter|key in|type|read|spell|provide|what is|what's)\b|说|告诉|输入|提供|报|念|是多少|是什么",
    re.IGNORECASE,
)
_TOPIC = re.compile(r"\b(?:forg[oe]t\w*|reset|change|unlock|lost|my)\b|忘|重置|修改|挂失|找回|我的", re.IGNORECASE)
_SENTENCES = re.compile(r"(?<=[!?。！？；;])|(?<=\.)(?=\s)")


def check(linker: Linker, steps: Mapping[str, Step]) -> None:
    """Note every question of one file that asks for what must not be asked."""
    for name in linker.values["steps"]:
        step = steps.get(linker.prefix + name)
        if step is None:
            continue
        fields = [place for place, _ in linker.values["steps"][name].get("fields", ())]
        for path, slot in _asked(step, ("steps", name), fields):
            if slot in linker.slots and (secret := _secret_slot(linker.slots[slot])):
                linker.reading.fault(path, f"asks for {secret}, which no caller may be asked for", _MEND)
        prompts = (*_questions(step, ("steps", name), fields, linker.slots), *_statements(step, ("steps", name)))
        for path, prompt, taken in prompts:
            for language, text in prompt.items():
                if secret := _secret_words(text, taken):
                    where = (*path, language)
                    linker.reading.fault(where, f"asks for {secret}, which no caller may be asked for", _MEND)


def _asked(step: Step, path: Path_, places: Sequence[Path_]) -> Iterator[tuple[Path_, str]]:
    """Every slot a step takes from the caller, with its place."""
    match step:
        case Ask(slot=slot, fills=fills):
            yield from (((*path, "slot"), name) for name in (slot,) if name)
            yield from (((*path, "fills", index), name) for index, name in enumerate(fills))
        case Form(fields=fields):
            yield from ((place, part.slot) for place, part in zip(places, fields, strict=True))


def _questions(
    step: Step, path: Path_, places: Sequence[Path_], slots: Mapping[str, Slot]
) -> Iterator[tuple[Path_, Mapping[str, str], Taken]]:
    """Every prompt of a step that takes words or digits, and what it takes."""
    match step:
        case Ask(expect=expect, slot=slot) if expect != "yes_no":
            taken: Taken = "wish" if expect == "open" else _taken(slots.get(slot))
            yield from _prompts(step.prompt, step.events, path, taken)
        case Menu():
            yield from _prompts(step.prompt, step.events, path, "wish")
        case Record():
            yield from _prompts(step.prompt, step.events, path, "value")
        case Prove(fields=fields):
            for place, proof in zip(places, fields, strict=True):
                yield from _prompts(proof.prompt, proof.events, place, "part")
                yield (*place, "again"), proof.again, "part"
        case Form():
            each = [_taken(slots.get(part.slot)) for part in step.fields]
            yield (*path, "prompt"), step.prompt, "value" if "value" in each else "part"
            for place, part, taken in zip(places, step.fields, each, strict=True):
                yield from _prompts(part.prompt, part.events, place, taken)
                yield (*place, "invalid"), part.invalid, taken


def _statements(step: Step, path: Path_) -> Iterator[tuple[Path_, Mapping[str, str], Taken]]:
    """What a step says that asks nothing by itself; a question or keys may follow it all the same."""
    match step:
        case Say() | Hangup() | Transfer():
            yield (*path, "prompt"), step.prompt, "told"
        case Lookup():
            yield (*path, "filler"), step.filler, "told"


def _taken(slot: Slot | None) -> Taken:
    return "part" if slot is not None and slot.kind in ("digits", "code") and 0 < slot.max <= FEW else "value"


def _prompts(
    prompt: Mapping[str, str], events: Events, path: Path_, taken: Taken
) -> Iterator[tuple[Path_, Mapping[str, str], Taken]]:
    yield (*path, "prompt"), prompt, taken
    for key in ("no_input", "no_match"):
        for index, words in enumerate(getattr(events, key)):
            yield (*path, key, index), words, taken
    yield (*path, "help"), events.help, "wish"


def _secret_slot(slot: Slot) -> str:
    """What a slot must not be asked for, empty when it may."""
    words = slot.name.split("_")
    for word in words:
        if word in _SECRET_WORDS and slot.kind not in ("yes_no", "choice"):
            return _SECRET_WORDS[word]
    few = 0 < slot.max <= FEW
    for pair in pairwise(words):
        if pair in _SECRET_PAIRS and slot.kind in ("digits", "code", "number", "text"):
            return _SECRET_PAIRS[pair]
        if pair in _WHOLE_PAIRS and slot.kind in ("digits", "code", "number", "text") and not few:
            return _WHOLE_PAIRS[pair]
    limits = {slot.min, slot.max}
    if slot.kind in ("digits", "code") and limits & set(IDENTITY_CHARACTERS):
        return "a whole identity number"
    within = CARD_DIGITS.start - 1 <= slot.min and 0 < slot.max <= CARD_DIGITS.stop
    if slot.kind == "digits" and (limits & set(CARD_DIGITS) or within):
        return "a whole card number"
    return ""


def _secret_words(text: str, taken: Taken) -> str:
    """What a prompt asks for and must not, empty when it does not.

    An open question may name a secret as a topic ("say: I forgot my password"), not tell the caller to give it. What
    is only told may say where a secret belongs and that nobody may know it.
    """
    for sentence in _SENTENCES.split(text):
        if _WARNING.search(sentence):
            continue
        if taken == "wish" and (_TOPIC.search(sentence) or not _GIVE.search(sentence)):
            continue
        if taken == "told" and (_ELSEWHERE.search(sentence) or not _GIVE.search(sentence)):
            continue
        for pattern, secret in _SECRETS:
            if pattern.search(sentence):
                return secret
        for pattern, secret in _NUMBERS if taken != "part" else ():
            if pattern.search(sentence) and not _PART.search(sentence):
                return secret
    return ""
