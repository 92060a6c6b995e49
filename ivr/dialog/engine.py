"""What happens next: `step(plan, state, input) -> (state, actions)`. Pure, synchronous, without clocks or I/O.

Every list of actions ends in one that something will answer: Listen, Connect, or End; nothing ends in silence.
The list of (input, actions) of a call is its log and replays in a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ivr.dialog.plan import Answer, Ask, Hangup, Plan, Prompt, Say, Transfer
from ivr.turn import Expectation, Hypothesis, Understood
from ivr.understanding import dates

MAX_STEPS_AT_ONCE = 50
"""Steps walked without an input; more is a plan that goes round in circles."""

_SORRY: Prompt = {
    "en": "I am sorry, something went wrong. Please call again later. Goodbye.",
    "zh": "很抱歉，系统出现了问题，请稍后再打。再见。",
    "ko": "죄송합니다. 문제가 생겼습니다. 나중에 다시 전화해 주세요.",
}
_BY_KEYS = Hypothesis("", 1.0, engine="keys")
KEY_TIMEOUT_MS = 2_000
"""Wait after a key for the next (VoiceXML's interdigittimeout; platforms use 1 to 3 s)."""


# Inputs -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Started:
    """The call is answered."""


@dataclass(frozen=True)
class Heard:
    """The caller said something while an Ask listened."""

    understood: Understood


@dataclass(frozen=True)
class Silence:
    """The caller said nothing for as long as the Ask waits."""


@dataclass(frozen=True)
class Key:
    """A key was pressed: 0-9, *, #, A-D."""

    digit: str


@dataclass(frozen=True)
class KeysEnded:
    """No key for KEY_TIMEOUT_MS after one."""


@dataclass(frozen=True)
class Connected:
    """How a Connect ended: `connected` (and over now), `busy`, `no_answer`, `failed`."""

    outcome: str


Input = Started | Heard | Silence | Key | KeysEnded | Connected


# Actions ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Speak:
    """Say `text`. `asks`: it asks for an answer, so nothing said during it is dropped for being short."""

    text: str
    barge_in: str = "speech"
    protected_ms: int = 0
    asks: bool = False


@dataclass(frozen=True)
class Listen:
    """Wait for speech, keys or silence."""

    expectation: Expectation
    no_input_ms: int = 0


@dataclass(frozen=True)
class WaitKeys:
    """Go on waiting for keys only, KEY_TIMEOUT_MS at most, then KeysEnded."""


@dataclass(frozen=True)
class Connect:
    """Transfer the caller; answered by Connected unless the call leaves us."""

    target: str
    mode: str
    timeout_s: int


@dataclass(frozen=True)
class End:
    """Say what is queued, then hang up. `outcome` is for the record."""

    outcome: str


Action = Speak | Listen | WaitKeys | Connect | End


@dataclass(frozen=True)
class State:
    """Where a call is. `counts`: no-inputs and no-matches of the present step; `values`: answers by step."""

    language: str
    step: str = ""
    keys: str = ""
    no_inputs: int = 0
    no_matches: int = 0
    values: Mapping[str, str] = field(default_factory=dict)
    understood: Mapping[str, Understood] = field(default_factory=dict)
    ended: bool = False


def step(plan: Plan, state: State, given: Input) -> tuple[State, tuple[Action, ...]]:
    """The state after `given` and what to do now. Inputs that the present step does not wait for change nothing."""
    if state.ended:
        return state, ()
    if isinstance(given, Started):
        return _walk(plan, state, plan.start, ())
    here = plan.steps.get(state.step)
    if isinstance(here, Transfer) and isinstance(given, Connected):
        if given.outcome == "connected":
            return replace(state, ended=True), (End("transferred"),)
        return _walk(plan, state, getattr(here, given.outcome, "") or here.failed, ())
    if not isinstance(here, Ask):
        return state, ()
    match given:
        case Silence():
            return _reprompt(plan, replace(state, no_inputs=state.no_inputs + 1), here, here.no_input, state.no_inputs)
        case Heard(understood):
            return _heard(plan, state, here, understood)
        case Key(digit):
            return _key(plan, state, here, digit)
        case KeysEnded() if state.keys:
            return _keyed(plan, replace(state, keys=""), here, state.keys)
    return state, ()


def _walk(plan: Plan, state: State, name: str, said: tuple[Action, ...]) -> tuple[State, tuple[Action, ...]]:
    """Enter step `name` and go on until something has to be waited for."""
    actions = list(said)
    for _ in range(MAX_STEPS_AT_ONCE):
        here = plan.steps.get(name)
        state = replace(state, step=name, keys="", no_inputs=0, no_matches=0)
        match here:
            case Say():
                actions.append(Speak(_text(here.prompt, state), here.barge_in, here.protected_ms))
                name = here.next
            case Answer():
                heard = state.understood.get(here.question)
                if heard is not None and heard.answer:
                    actions.append(Speak(heard.answer))
                name = here.next if heard is not None and heard.answer else here.unknown
            case Ask():
                actions.append(Speak(_text(here.prompt, state), here.barge_in, here.protected_ms, asks=True))
                actions.append(_listen(here, state))
                return state, tuple(actions)
            case Transfer():
                actions.append(Speak(_text(here.prompt, state), "none"))
                actions.append(Connect(here.target, here.mode, here.timeout_s))
                return state, tuple(actions)
            case Hangup():
                actions.append(Speak(_text(here.prompt, state), "none"))
                actions.append(End("completed"))
                return replace(state, ended=True), tuple(actions)
            case _:
                break
    apology = _text(plan.failed, state) or _text(_SORRY, state)
    return replace(state, ended=True), (*said, Speak(apology, "none"), End("failed"))


def _text(prompt: Prompt, state: State) -> str:
    return prompt.get(state.language) or next(iter(prompt.values()), "")


def _listen(ask: Ask, state: State) -> Listen:
    return Listen(ask.expectation(state.language), ask.no_input_ms)


def _reprompt(
    plan: Plan, state: State, ask: Ask, prompts: tuple[Prompt, ...], times: int
) -> tuple[State, tuple[Action, ...]]:
    """The next tapered reprompt, or `give_up` when the tries are used up (VoiceXML 2.1 prompt and event counters)."""
    if state.no_inputs >= ask.tries or state.no_matches >= ask.tries:
        return _walk(plan, state, ask.give_up, ())
    prompt = prompts[min(times, len(prompts) - 1)] if prompts else ask.prompt
    speak = Speak(_text(prompt, state), ask.barge_in, asks=True)
    return replace(state, keys=""), (speak, _listen(ask, state))


def _heard(plan: Plan, state: State, ask: Ask, understood: Understood) -> tuple[State, tuple[Action, ...]]:
    if understood.intent == "repeat" and "repeat" not in ask.on:
        return state, (Speak(_text(ask.prompt, state), ask.barge_in, asks=True), _listen(ask, state))
    value = understood.value
    if ask.expect == "choice" and value:
        value = ask.choice_of(value, state.language)
    if not value or (ask.expect == "yes_no" and value == "unsure" and "unsure" not in ask.on):
        return _reprompt(plan, replace(state, no_matches=state.no_matches + 1), ask, ask.no_match, state.no_matches)
    return _answered(plan, state, ask, value, replace(understood, value=value))


def _answered(
    plan: Plan, state: State, ask: Ask, value: str, understood: Understood
) -> tuple[State, tuple[Action, ...]]:
    state = replace(
        state, values={**state.values, ask.name: value}, understood={**state.understood, ask.name: understood}
    )
    way = ask.on.get(understood.intent) or ask.on.get(value.lower()) or ask.next
    if not way:
        return _reprompt(plan, replace(state, no_matches=state.no_matches + 1), ask, ask.no_match, state.no_matches)
    return _walk(plan, state, way, ())


def _key(plan: Plan, state: State, ask: Ask, digit: str) -> tuple[State, tuple[Action, ...]]:
    """Keys work wherever speech does: digits, 1 and 2 for yes and no, a choice's key; 0 is a person."""
    keys = state.keys + digit
    if ask.expect in ("digits", "date"):
        longest = ask.max_digits if ask.expect == "digits" else 8
        if digit == "#":
            return _keyed(plan, replace(state, keys=""), ask, state.keys)
        if len(keys) >= longest:
            return _keyed(plan, replace(state, keys=""), ask, keys)
        return replace(state, keys=keys), (WaitKeys(),)
    return _keyed(plan, replace(state, keys=""), ask, digit)


def _keyed(plan: Plan, state: State, ask: Ask, keys: str) -> tuple[State, tuple[Action, ...]]:
    value = ""
    if ask.expect == "digits" and keys.isdecimal() and ask.min_digits <= len(keys) <= ask.max_digits:
        value = keys
    elif ask.expect == "date":
        value = dates.compact(keys)
    elif ask.expect == "yes_no":
        value = {"1": "yes", "2": "no"}.get(keys, "")
    elif ask.expect == "choice":
        value = next((c.value for c in ask.choices if c.key == keys), "")
    if value:
        return _answered(plan, state, ask, value, Understood(_BY_KEYS, value=value, confidence=1.0, complete=True))
    if keys == "0" and plan.operator:
        return _walk(plan, state, plan.operator, ())
    return _reprompt(plan, replace(state, no_matches=state.no_matches + 1), ask, ask.no_match, state.no_matches)
