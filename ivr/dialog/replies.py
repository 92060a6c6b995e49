"""What the caller's answer to a question leads to: another step, the same question again, or more keys. Pure.

Events are counted and prompts taper as in VoiceXML 2.0 (5.2.2, 4.1.6); universal commands and a menu of keys work in
every question; forms fill as in 2.1.6 (mixed initiative), with corrections and digressions besides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ivr.dialog import fill, words
from ivr.dialog.expressions import Expression, ExpressionFault
from ivr.dialog.plan import Ask, Asking, Confirm, Field, Form, Hangup, Menu, Plan, Prompt, Prove, Record
from ivr.dialog.questions import Question
from ivr.dialog.state import State
from ivr.turn import Evidence, Filled, Hypothesis, Understood, Wish
from ivr.understanding import dates, slots
from ivr.understanding.said import normal

MAX_KEYS = 32
MAX_HEARD_CHARS = 2_000
"""More than anybody says in one breath; it means nothing."""
MAX_PART_CHARS = 60
"""What is remembered of a date that was not enough."""
MAX_TRAIL = 20
MAX_LATER = 3
"""Wishes kept for later."""
MAX_DIGRESSIONS = 3
"""Other questions answered before the present one has to be answered itself."""

BY_KEYS = Hypothesis("", 1.0, engine="keys")
_COMMAND_KEYS = {"0": "operator", "*": "back", "9": "language"}
_TAKES_KEYS = frozenset({"digits", "number", "money", "date", "time", "phone"})
_STAR_IS_POINT = frozenset({"number", "money"})


@dataclass(frozen=True)
class Reply:
    """Say `say`, then go to step `next`; when that is empty, ask again, in the words of `ask` or the question's own.

    `way` is the key of the plan that leads to `next`, empty when none of the step's own does. `wait_keys`: an answer
    by keys has begun. `same`: say again what was said. `learnt`: something new came of it. `compare`: keys to be
    weighed. `elsewhere`: it answers nothing here, but is an intent that is followed from anywhere.
    """

    state: State
    next: str = ""
    way: str = ""
    say: tuple[str, ...] = ()
    ask: Prompt | None = None
    wait_keys: bool = False
    same: bool = False
    learnt: bool = False
    compare: str = ""
    elsewhere: bool = False


def silence(state: State, question: Question) -> Reply:
    """Nothing was said."""
    state = replace(state, no_inputs=state.no_inputs + 1, keys="")
    return _event(state, question, state.no_inputs, question.events.no_input)


def no_match(state: State, question: Question, why: Prompt | None = None) -> Reply:
    """Something was said that means nothing here; `why` says why, if the plan does."""
    state = replace(state, no_matches=state.no_matches + 1, keys="", between=())
    reply = _event(state, question, state.no_matches, question.events.no_match)
    return replace(reply, ask=why) if why and not reply.next else reply


def _event(state: State, question: Question, times: int, prompts: tuple[Prompt, ...]) -> Reply:
    if times >= question.events.tries:
        return Reply(state, question.events.give_up, "give_up")
    return Reply(state, ask=prompts[min(times, len(prompts)) - 1] if prompts else None)


def recorded(state: State, step: Record, name: str) -> Reply:
    """A message was taken, which `name` finds again."""
    return Reply(_passed(_with(state, {step.slot: Filled(name)}, (step.slot,))), step.next, "next", learnt=True)


def heard(plan: Plan, state: State, step: Asking, question: Question, said: Understood, now: datetime) -> Reply:
    """The caller said something that was understood as `said`."""
    if len(said.hypothesis.text) > MAX_HEARD_CHARS:
        return no_match(state, question)
    state = _kept_part(state, question, said)
    if said.source:
        # Whoever asks for it now need not be reminded of it.
        state = replace(state, later=tuple(w for w in state.later if w.source != said.source))
    if said.command and (reply := command(plan, state, step, question, said.command)) is not None:
        return reply
    aside = bool(said.answer) and not said.value
    elsewhere = said.intent in plan.anywhere
    told = (said.answer,) if aside and question.events.digress and state.digressions < MAX_DIGRESSIONS else ()
    if question.expectation.kind == "yes_no" and isinstance(step, Ask) and said.intent in step.on:
        return _onward(_passed(replace(state, question=said)), step, said.intent)
    instead = elsewhere and (aside or question.expectation.kind == "yes_no")
    if not instead and (reply := _answered(plan, state, step, question, said, now)) is not None:
        return replace(reply, say=(*told, *reply.say))
    if elsewhere:
        return Reply(replace(state, question=said), plan.anywhere[said.intent], elsewhere=True)
    if said.answer and question.events.digress and state.digressions < MAX_DIGRESSIONS:
        state = replace(state, digressions=state.digressions + 1)
        return Reply(state, say=(said.answer,), learnt=True)
    return no_match(state, question)


def _kept_part(state: State, question: Question, said: Understood) -> State:
    """The state that remembers a part of the date that is asked for, in case it turns out not to be enough."""
    text = normal(said.hypothesis.text, state.language)
    if question.expectation.kind != "date" or not any(dates.parts(text, state.language)):
        return state
    return replace(state, unfinished=said.hypothesis.text[:MAX_PART_CHARS])


def command(plan: Plan, state: State, step: Asking, question: Question, name: str) -> Reply | None:
    """A universal command; None when it is not in force here."""
    kind, _, wanted = name.partition(":")
    if kind not in question.events.commands:
        return None
    again = replace(state, idle=state.idle + 1, keys="")
    match kind:
        case "repeat":
            return Reply(again, same=True)
        case "slower":
            return Reply(replace(again, slow=True), same=True)
        case "help":
            text = question.events.help
            return Reply(again, say=(text.get(state.language, ""),) if text else ())
        case "operator":
            return Reply(state, question.events.operator, learnt=True)
        case "cancel":
            return Reply(_without(state, _asks_for(step)), question.events.cancel, learnt=True)
        case "back":
            return _back(plan, again)
    after = plan.languages.index(state.language) + 1 if state.language in plan.languages else 0
    language = wanted or plan.languages[after % len(plan.languages)]
    if language not in plan.languages or (language == state.language and not wanted):
        return None
    return Reply(replace(again, language=language, said=()))


def _back(plan: Plan, state: State) -> Reply:
    """To the question before this one, which is asked anew; at the first one it is asked again."""
    trail = list(state.trail)
    while trail and trail[-1][:2] == (state.step, state.slot):
        trail.pop()
    if not trail:
        return Reply(_without(state, (state.slot,)))
    name, part, returns = trail.pop()
    emptied = (part,) if part else _asks_for(plan.steps[name])  # type: ignore[arg-type]
    state = _without(state, (*emptied, state.slot))
    return Reply(replace(state, slot=part, no_inputs=0, no_matches=0, trail=tuple(trail), returns=returns), name)


def _asks_for(step: Asking) -> tuple[str, ...]:
    match step:
        case Form():
            return tuple(f.slot for f in step.fields)
        case Ask() | Record():
            return (step.slot,) if step.slot else ()
        case Confirm():
            return step.slots
    return ()


def _without(state: State, names: tuple[str, ...]) -> State:
    return replace(state, slots={k: v for k, v in state.slots.items() if k not in names})


def _answered(
    plan: Plan, state: State, step: Asking, question: Question, said: Understood, now: datetime
) -> Reply | None:
    """What the step makes of an answer; None when it is no answer to it."""
    match step:
        case Ask(slot=name) if name:
            filled = said.slots.get(name)
            if filled is None:
                return None
            state = _passed(_with(state, said.slots, (name, *step.fills)))
            return _onward(state, step, filled.value)
        case Ask(expect="yes_no"):
            clear = said.value in step.on or said.value in ("yes", "no")
            return _onward(_passed(_with(state, said.slots, step.fills)), step, said.value) if clear else None
        case Ask():
            return _open(plan, state, step, said)
        case Menu():
            said_by = (c for c in step.choices if said.value in (c.value, *c.phrases.get(state.language, ())))
            choice = next(said_by, None) if said.value else None
            return Reply(_passed(state), choice.next, f"choices.{choice.value}", learnt=True) if choice else None
        case Form():
            return _form(plan, state, step, question, said, now)
        case Confirm():
            return _confirm(plan, state, step, question, said, now)
        case Prove() if said.evidence is not None:
            return weighed(state, step, said.evidence)
    return None


def weighed(state: State, step: Prove, evidence: Evidence) -> Reply:
    """What one more answer to `step` leads to, by the sum of all that were given to it."""
    state = _passed(replace(state, evidence=(*state.evidence, evidence)))
    asked = {part.proof for part in step.fields}
    scores = [each.score for each in state.evidence if each.field in asked]
    if sum(scores) >= step.accept:
        return Reply(replace(state, proven=True), step.proven, "proven", learnt=True)
    if sum(scores) <= step.reject or len(scores) >= answers(step, state):
        return Reply(state, step.failed, "failed", learnt=True)
    return Reply(state, step.name, learnt=True)


def answers(step: Prove, state: State) -> int:
    """How many answers `step` weighs at most in this call."""
    left = state.slots.get(step.answers_left)
    return min(step.answers, int(left.value) if left is not None and left.value.isdecimal() else step.answers)


def _onward(state: State, ask: Ask, value: str) -> Reply:
    """The way that `value` has of its own, else `next`."""
    way, name = (f"on.{value}", ask.on[value]) if value in ask.on else ("next", ask.next)
    return Reply(state, name, way, learnt=True)


def _open(plan: Plan, state: State, ask: Ask, said: Understood) -> Reply | None:
    if not said.value:
        return None
    if said.between:
        targets = {followed(plan, ask, wish)[1] for wish in said.between}
        if len(targets) > 1 or targets == {ask.next}:
            return _which(replace(_with(state, said.slots, ask.fills), between=said.between))
        # Whichever is meant, they lead to the same step.
        wish = said.between[0]
        said = replace(said, intent=wish.intent, answer=wish.answer, source=wish.source)
    state = _passed(replace(_with(state, said.slots, ask.fills), question=said, between=()))
    later = dict.fromkeys((*state.later, *(w for w in said.also if _is_kept(plan, ask, w))))
    state = replace(state, later=tuple(later)[-MAX_LATER:])
    if said.intent in plan.anywhere and said.intent not in ask.on:
        return Reply(state, plan.anywhere[said.intent], learnt=True)
    elsewhere = ask.on.get(said.intent, ask.name) != ask.name
    return replace(_onward(state, ask, said.intent), learnt=elsewhere or bool(said.slots))


def _which(state: State) -> Reply:
    """Ask which of two things is meant, by naming both."""
    first, second = (wish.called.rstrip(" .?!。？！") for wish in state.between)
    text = words.EITHER.get(state.language, words.EITHER["en"]).format(first=first, second=second)
    return Reply(state, ask={state.language: text})


def followed(plan: Plan, ask: Ask, wish: Wish) -> tuple[str, str]:
    """Way and step that a wish takes from an open question."""
    if wish.intent in ask.on:
        return f"on.{wish.intent}", ask.on[wish.intent]
    return ("", plan.anywhere[wish.intent]) if wish.intent in plan.anywhere else ("next", ask.next)


def _is_kept(plan: Plan, ask: Ask, wish: Wish) -> bool:
    """Whether a wish is kept for later: no greeting, no goodbye, nothing that leads to another open question."""
    target = plan.steps.get(followed(plan, ask, wish)[1])
    return not (isinstance(target, Hangup) or (isinstance(target, Ask) and target.expect == "open"))


def _form(plan: Plan, state: State, form: Form, question: Question, said: Understood, now: datetime) -> Reply | None:
    """Take every value that is new, or that corrects one; ask for what is missing, or again for what cannot be."""
    known = said.slots
    if said.other and not known:
        known = _swapped(state, tuple(f.slot for f in form.fields))
    taken = [
        f for f in form.fields
        if f.slot in known and (f.slot == state.slot or f.slot not in state.slots or said.corrects or said.other)
    ]  # fmt: skip
    if not taken:
        return None
    kept, refused = _checked(plan, state, taken, known, now)
    if refused and (kept == state or any(part.slot == state.slot for part in refused)):
        return no_match(kept, question, refused[0].invalid or None)
    return Reply(_passed(kept), state.step, learnt=True)


def _checked(
    plan: Plan, state: State, parts: Sequence[Field], known: Mapping[str, Filled], now: datetime
) -> tuple[State, list[Field]]:
    """The state with the values that pass their checks, and the fields whose do not; later ones see earlier ones."""
    refused = []
    for part in parts:
        tried = _with(state, known, (part.slot,))
        if part.check is None or _holds(plan, tried, part.check, now):
            state = tried
        else:
            refused.append(part)
    return state, refused


def _holds(plan: Plan, state: State, check: Expression, now: datetime) -> bool:
    try:
        return check.holds(fill.readable(plan, state, now))
    except ExpressionFault:
        return False


def _confirm(
    plan: Plan, state: State, step: Confirm, question: Question, said: Understood, now: datetime
) -> Reply | None:
    """A correction passes the checks of the forms that ask for it, as the value before it did."""
    known: Mapping[str, Filled] = {n: f for n, f in said.slots.items() if n in step.slots}
    if said.other and not known:
        known = _swapped(state, step.slots)
    changed = {n: f for n, f in known.items() if n not in state.slots or state.slots[n].value != f.value}
    if changed and said.value != "yes":
        forms = (s for s in plan.steps.values() if isinstance(s, Form))
        parts = [f for form in forms for f in form.fields if f.slot in changed and f.check is not None]
        _, refused = _checked(plan, _with(state, changed, step.slots), parts, changed, now)
        if refused:
            return no_match(state, question, refused[0].invalid or None)
        return Reply(_with(state, changed, step.slots), state.step, learnt=True)
    if said.value == "yes" or (known and not changed):
        sure = {n: replace(f, confidence=1.0) for n, f in state.slots.items() if n in step.slots}
        return Reply(_passed(_with(state, sure, step.slots)), step.yes, "yes", learnt=True)
    if said.value == "no":
        return Reply(_passed(_without(state, step.slots)), step.no, "no", learnt=True)
    return None


def _swapped(state: State, names: tuple[str, ...]) -> dict[str, Filled]:
    """The other one: the latest of these slots that has a rival takes it and keeps what it was as the last rival."""
    for name in reversed(names):
        filled = state.slots.get(name)
        if filled is not None and filled.rivals:
            first, *rest = filled.rivals
            return {name: replace(filled, value=first, rivals=(*rest, filled.value))}
    return {}


def _with(state: State, filled: Mapping[str, Filled], names: tuple[str, ...]) -> State:
    return replace(state, slots={**state.slots, **{n: f for n, f in filled.items() if n in names}})


def _passed(state: State) -> State:
    """The present question has been answered."""
    here = (state.step, state.slot, state.returns)
    return replace(state, trail=(*(t for t in state.trail if t[:2] != here[:2]), here)[-MAX_TRAIL:])


# Keys -----------------------------------------------------------------------------------------------------------------


def key(plan: Plan, state: State, step: Asking, question: Question, digit: str, now: datetime) -> Reply | None:
    """One key. Where an answer is typed it joins the others; elsewhere it means a choice or a universal command.

    A `#` behind an answer that its length had ended belongs to that (VoiceXML 2.0, termtimeout in 6.3.3); since it has
    cut off what was being said, that is said again. None while a message is recorded: keys that mean nothing do not
    disturb it.
    """
    slot, due = question.slot, state.hash_due
    state = replace(state, hash_due=False)
    if digit == "#" and due and "#" not in question.keys:
        return Reply(state, same=True)
    if slot is None or slot.kind not in _TAKES_KEYS:
        return _single(plan, state, step, question, digit, now)
    if digit == "#":
        return keyed(plan, state, step, question, now)
    if digit == "*" and slot.kind not in _STAR_IS_POINT:
        if state.keys:
            return Reply(replace(state, keys=""))
        return command(plan, state, step, question, "back") or no_match(state, question)
    state = replace(state, keys=state.keys + digit)
    wanted = slots.keys_wanted(slot) or MAX_KEYS
    if len(state.keys) < wanted:
        return Reply(state, wait_keys=True)
    return keyed(plan, replace(state, hash_due=True), step, question, now)


def keyed(plan: Plan, state: State, step: Asking, question: Question, now: datetime) -> Reply:
    """All keys of an answer are there (`#`, enough of them, or a pause)."""
    keys, state = state.keys, replace(state, keys="")
    slot = question.slot
    value = slots.from_keys(slot, keys, question.expectation.today) if slot is not None and keys else ""
    if isinstance(step, Prove) and value:
        return Reply(state, compare=value)
    if slot is not None and value:
        said = Understood(BY_KEYS, value, confidence=1.0, complete=True, slots={slot.name: Filled(value)})
        return _answered(plan, state, step, question, said, now) or no_match(state, question)
    if keys in _COMMAND_KEYS and (reply := command(plan, state, step, question, _COMMAND_KEYS[keys])) is not None:
        return reply
    return no_match(state, question)


def _single(plan: Plan, state: State, step: Asking, question: Question, digit: str, now: datetime) -> Reply | None:
    value = question.keys.get(digit, "")
    if value:
        filled = {question.slot.name: Filled(value)} if question.slot is not None else {}
        said = Understood(BY_KEYS, value, confidence=1.0, complete=True, slots=filled)
        return _answered(plan, state, step, question, said, now) or no_match(state, question)
    if digit in _COMMAND_KEYS and (reply := command(plan, state, step, question, _COMMAND_KEYS[digit])) is not None:
        return reply
    return None if isinstance(step, Record) else no_match(state, question)
