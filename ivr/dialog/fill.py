"""Values into words: what stands in braces in prompts, paths and bodies, and what expressions read. Pure.

`{card}` in a prompt is said as what the slot is; in a path or a body it is the canonical value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from urllib.parse import quote
from zoneinfo import ZoneInfo

from ivr.dialog.expressions import Value, as_number
from ivr.dialog.plan import NAMED, Plan, Prompt
from ivr.dialog.state import State
from ivr.turn import Filled
from ivr.understanding import durations
from ivr.understanding.slots import Slot

MAX_VALUE_CHARS = 300
_AS_TYPED = {"digits": "digits", "number": "number", "money": "money", "date": "date", "time": "time",
             "phone": "phone", "code": "spell"}  # fmt: skip

_YES_NO = {"zh": {"yes": "是", "no": "否"}, "ko": {"yes": "네", "no": "아니요"}}


def names(text: str) -> tuple[str, ...]:
    """The slots and facts that `text` reads, in order."""
    return tuple(NAMED.findall(text))


def prompt(plan: Plan, state: State, words: Prompt, now: datetime) -> tuple[str, bool]:
    """The text to say in the call's language, and whether it holds a sensitive value."""
    text = words.get(state.language) or next(iter(words.values()), "")
    known = facts(plan, state, now)
    sensitive = any(name in plan.slots and plan.slots[name].sensitive for name in names(text))

    def say(match: re.Match[str]) -> str:
        name = match[1]
        if name in plan.slots:
            filled = state.slots.get(name)
            return "" if filled is None else _spoken(plan.slots[name], filled.value, state.language)
        return known.get(name, "")

    return NAMED.sub(say, text), sensitive


def _spoken(slot: Slot, value: str, language: str) -> str:
    if slot.kind in _AS_TYPED:
        return f"{{{_AS_TYPED[slot.kind]}:{value}}}"
    if slot.kind == "choice":
        phrases = slot.choices.get(value, {}).get(language, ())
        return phrases[0] if phrases else value
    if slot.kind == "place" and slot.places is not None:
        names = next((p.names for p in slot.places.entries if p.id == value), {})
        return next(iter(names.get(language, ())), value)
    if slot.kind == "duration":
        return durations.in_words(value, language)
    if slot.kind == "yes_no":
        return _YES_NO.get(language, {}).get(value, value)
    return clean(value)


def values(plan: Plan, state: State, text: Mapping[str, str], now: datetime) -> dict[str, str]:
    """A query or a body with its braces filled; entries whose only slot is empty are left out."""
    known = _plain(plan, state, now)
    out = {}
    for key, template in text.items():
        wanted = names(template)
        if len(wanted) == 1 and template == f"{{{wanted[0]}}}" and not known.get(wanted[0]):
            continue
        out[key] = NAMED.sub(lambda m: known.get(m[1], ""), template)
    return out


def path(plan: Plan, state: State, template: str, now: datetime) -> str:
    """A path with its braces filled, each value percent-encoded whole (RFC 3986, section 2.1).

    A value of dots alone is left out: it would lead to another path (section 5.2.4).
    """
    known = _plain(plan, state, now)
    return NAMED.sub(
        lambda m: quote(known.get(m[1], ""), safe="", errors="replace") if known.get(m[1], "").strip(".") else "",
        template,
    )


def _plain(plan: Plan, state: State, now: datetime) -> dict[str, str]:
    return {**facts(plan, state, now), **{name: filled.value for name, filled in state.slots.items()}}


def facts(plan: Plan, state: State, now: datetime) -> dict[str, str]:
    """What is known besides slots: `plan.FACTS`."""
    here = local(plan, state, now)
    return {
        "language": state.language,
        "dialled": state.dialled,
        "today": here.date().isoformat(),
        "now": here.strftime("%H:%M"),
        "outcome": state.outcome,
        "status": str(state.status or ""),
    }


def local(plan: Plan, state: State, now: datetime) -> datetime:
    """`now` by the clock of the other end of the call."""
    return now.astimezone(ZoneInfo(state.zone or plan.zone))


def readable(plan: Plan, state: State, now: datetime) -> dict[str, Value]:
    """What expressions read: numbers and amounts as numbers, everything else as text, empty slots as none."""
    out: dict[str, Value] = dict(facts(plan, state, now))
    out["status"] = Decimal(state.status)
    for name, slot in plan.slots.items():
        filled = state.slots.get(name)
        out[name] = None if filled is None else _value(slot, filled.value)
    return out


def _value(slot: Slot, value: str) -> Value:
    if slot.kind in ("number", "money") and (number := as_number(value)) is not None:
        return number
    return value


def canonical(slot: Slot, value: Value) -> str | None:
    """The text that a slot keeps of an expression's value; None empties it."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:f}" if isinstance(value, Decimal) else clean(value)
    if slot.kind == "money" and " " not in text and as_number(text) is not None:
        text = f"{text} {slot.currency}"
    return text


def saved(slot: Slot, data: object, place: str) -> Filled | None:
    """What stands at `place` (`branch.name`, `rows.0.id`) in a back end's JSON, as `slot` keeps it.

    None when nothing usable stands there.
    """
    for part in place.split("."):
        if isinstance(data, Mapping):
            data = data.get(part)
        elif isinstance(data, list) and part.isdecimal() and int(part) < len(data):
            data = data[int(part)]
        else:
            return None
    value: Value = None
    if isinstance(data, (bool, str)):
        value = data
    elif isinstance(data, (int, float)):
        value = as_number(str(data))
    text = canonical(slot, value)
    return Filled(text) if text else None


def clean(text: str) -> str:
    """A value from outside made safe to say: bounded, one line, without braces that would be read as values."""
    return re.sub(r"[{}\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+", " ", text[: MAX_VALUE_CHARS * 2]).strip()[
        :MAX_VALUE_CHARS
    ]
