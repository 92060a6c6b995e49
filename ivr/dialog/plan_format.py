"""The dialplan format: every key of a plan, a knowledge file and a places file, with its shape, default and meaning.

Only a table; `plan_file` reads files by it and `plan_schema` writes it as JSON Schema. What the keys do together
(steps that lead nowhere, slots that nobody fills) is for `plan_checks`.
"""

from __future__ import annotations

from collections.abc import Mapping

from ivr.dialog.calendar import DAYS
from ivr.dialog.plan import BARGE_INS, COMMANDS, DISPOSITIONS, PROOFS
from ivr.dialog.shapes import AnyOf, Flag, Key, ListOf, MapOf, Named, Number, Record, Shape, Tagged, Text, Word, Words

MAX_STEPS = 5_000
MAX_PLACES = 20_000
MAX_EXPRESSION_CHARS = 500

NAME = "[A-Za-z_][A-Za-z0-9_-]{0,63}"
SLOT_NAME = "[a-z][a-z0-9_]{0,63}"
PLAN_NAME = "[A-Za-z0-9_][A-Za-z0-9_-]{0,63}"

LETTERS = "letters a to z, figures, _ and -, beginning with a letter"
SMALL_LETTERS = "small letters a to z, figures and _, beginning with a letter"

STEP = Named("step", Text(NAME, "the name of a step", LETTERS, most=64))
SLOT = Named("slot", Text(SLOT_NAME, "the name of a slot", SMALL_LETTERS, most=64))
SLOTS = ListOf(SLOT, 1, 20, mend="like [card, date]")
PROMPT = Named("prompt", Words(Text()))
PROMPTS = Named("prompts", ListOf(PROMPT, 0, 10, single=True))
EXPRESSION = Named("expression", Text(figures=True, wanted="an expression", most=MAX_EXPRESSION_CHARS))
ZONE = Named("zone", Text("[A-Za-z]+(?:[_/+-][A-Za-z0-9]+)*", "a time zone", "like Asia/Shanghai"))
BACKEND = Named("backend", Text(NAME, "the name of a back end", "a [[backend]] of the configuration"))
URL_PATH = Named("path", Text(r"/[^\s?#]*", "a path", "must start with /, without spaces, ? and #; like /cards/{card}"))
PHRASES = ListOf(Text(), 1, 200, single=True)
TEXTS = MapOf(Text(figures=True), r"[A-Za-z0-9_.-]{1,64}", "a name", "letters, figures, _ . -", most=50)
_JSON_PLACE = Text("[A-Za-z0-9_-]+(?:\\.[A-Za-z0-9_-]+)*", "a place in the answer", "like branch.name or rows.0.id")
TARGET = Text(r"\S+", "a number, an agent or a SIP URI", "without spaces", figures=True, most=255)


def _steps_by(names: str, wanted: str, mend: str, least: int = 0) -> MapOf:
    return MapOf(STEP, names, wanted, mend, least, 200)


def _by_slot(shape: Shape, least: int = 0, nullable: bool = False) -> MapOf:
    return MapOf(shape, SLOT_NAME, "the name of a slot", SMALL_LETTERS, least, 50, nullable)


def _next(doc: str = "the step that comes next") -> Key:
    return Key(STEP, doc, required=True, mend="name the step that comes next")


INTENTS = _steps_by(r"[^\s{}]{1,64}", "an intent", "as the knowledge file names it")

EVENTS = {
    "no_input": Key(PROMPTS, "said after the first, second, ... silence; empty: the question again"),
    "no_match": Key(PROMPTS, "said after the first, second, ... answer that means nothing here"),
    "help": Key(PROMPT, "said to somebody who asks for help"),
    "tries": Key(Number(1, 20), "silences or misunderstandings, counted apart, before `give_up`"),
    "give_up": Key(STEP, "where the call goes after `tries`"),
    "no_input_ms": Key(Number(0, 600_000), "silence that counts as no answer, milliseconds"),
    "commands": Key(ListOf(Word(COMMANDS), 0, len(COMMANDS)), "what callers may say at any time"),
    "digress": Key(Flag(), "answer a question from the knowledge file, then ask again"),
}

_SPEAKING = {
    "barge_in": Key(Word(BARGE_INS), "what may interrupt the prompt", default="speech"),
    "protected_ms": Key(Number(0, 60_000), "nothing interrupts the prompt's first milliseconds", default=0),
}
_NEVER = "no caller is asked for a PIN, a code, a password or a whole number; " + " or ".join(PROOFS)
_PROMPT = Key(PROMPT, "what is said, per language", required=True, mend="like {en: ..., zh: ...}")
_OPENING = Key(PROMPT, "what is said, per language")


INHERITED = object()
"""The value of an event that a step leaves to its plan, and a plan to what is built in."""

_STEP_EVENTS = {name: Key(key.shape, key.doc, default=INHERITED) for name, key in EVENTS.items()}

_MENU_CHOICE = Record(
    {
        "next": _next(),
        "key": Key(Word(tuple("0123456789*#")), "the key that chooses it"),
    },
    languages=Words(PHRASES),
)
_FIELD_KEYS = {
    "prompt": _PROMPT,
    "check": Key(EXPRESSION, "must hold for a value to be kept"),
    "invalid": Key(PROMPT, "said when `check` does not hold"),
    **_STEP_EVENTS,
}
_FIELD_NEEDS = {"check": "invalid"}
_FIELDS = AnyOf(
    ListOf(Record({"slot": Key(SLOT, required=True), **_FIELD_KEYS}, needs=_FIELD_NEEDS), 1, 50),
    MapOf(Record(_FIELD_KEYS, needs=_FIELD_NEEDS), SLOT_NAME, "the name of a slot", SMALL_LETTERS, 1, 50),
    "slot",
)
_PROOF_KEYS = {"prompt": _PROMPT, "again": Key(PROMPT, "said when it is asked for once more"), **_STEP_EVENTS}
_PROOF = Word(PROOFS, dict.fromkeys(("pin", "cvv", "password", "code", "card_number", "id_number"), _NEVER))
_PROOFS = AnyOf(
    ListOf(Record({"proof": Key(_PROOF, "what is to be proven", required=True), **_PROOF_KEYS}), 1, len(PROOFS)),
    MapOf(Record(_PROOF_KEYS), "|".join(PROOFS), "what can be proven", _NEVER, 1, len(PROOFS)),
    "proof",
)
ACCEPT, REJECT = 8.0, -6.0
"""Of a `prove` step that does not say; `ivr bench identity` measures what they give."""
_WHEN = "like when: [{if: amount > 100, next: STEP}]"
_BACKEND = "a plan names a `backend` of the configuration and a `path`"
_EXPECTS = ("open", "yes_no")
_DECLARED = ("digits", "number", "money", "date", "time", "phone", "place", "choice", "code", "text")
_DECLARE = "declare it under `slots:` with `kind: {0}`, and write `slot: NAME` instead of `expect:`"

STEP_FORMS: Mapping[str, Record] = {
    "say": Record({"prompt": _PROMPT, "next": _next(), **_SPEAKING}),
    "ask": Record(
        {
            "prompt": _PROMPT,
            "expect": Key(Word(_EXPECTS, {kind: _DECLARE.format(kind) for kind in _DECLARED}),
                          "an open question, or one for yes and no"),
            "slot": Key(SLOT, "the slot it asks for, instead of `expect`"),
            "fills": Key(SLOTS, "slots that an open answer may fill on its way"),
            "on": Key(_steps_by(r"[^{}]{1,64}", "an answer", "an intent or a value"), "answers that go their own way"),
            "next": Key(STEP, "where all other answers go"),
            **_SPEAKING,
            **_STEP_EVENTS,
        },
        former={"digits": "declare a slot of kind digits with min and max, and ask for it with `slot:`",
                "choices": "use `kind: menu`, or a slot of kind choice",
                "sensitive": "write it where the slot is declared"},
    ),
    "menu": Record(
        {
            "prompt": _PROMPT,
            "choices": Key(MapOf(_MENU_CHOICE, NAME, "the name of a choice", LETTERS, 1, 50),
                           "what may be chosen", required=True,
                           mend="like choices: {balance: {key: 1, en: [balance], zh: [余额], next: STEP}}"),
            **_SPEAKING,
            **_STEP_EVENTS,
        },
    ),
    "form": Record(
        {
            "prompt": _OPENING,
            "fields": Key(_FIELDS, "the slots to fill, asked in this order", required=True),
            "next": _next("where the call goes when all are filled"),
            **_SPEAKING,
            **_STEP_EVENTS,
        },
    ),
    "confirm": Record(
        {
            "prompt": _PROMPT,
            "slots": Key(SLOTS, "the slots to confirm", required=True),
            "yes": Key(STEP, "where a yes goes", required=True),
            "no": Key(STEP, "where a no goes, slots emptied; the step that asks for the first of them when left out"),
            "above": Key(Number(0, 1, decimals=True), "not asked when all were heard at least so surely", default=2.0),
            **_SPEAKING,
            **_STEP_EVENTS,
        },
    ),
    "prove": Record(
        {
            "fields": Key(_PROOFS, "what to ask for, in this order, as far as it can be proven", required=True),
            "proven": Key(STEP, "where it goes when they are likely enough who they should be", required=True),
            "failed": Key(STEP, "where it goes otherwise", required=True),
            "accept": Key(Number(1, 100, decimals=True), "sum of the scores, in nats, from which it is proven",
                          default=ACCEPT),
            "reject": Key(Number(-100, -1, decimals=True), "sum of the scores, in nats, from which it has failed",
                          default=REJECT),
            "answers": Key(Number(1, 5), "answers that are weighed at most", default=3),
            "answers_left": Key(SLOT, "a number that says how many this customer has left over all calls"),
            **_SPEAKING,
            **_STEP_EVENTS,
        },
    ),
    "lookup": Record(
        {
            "backend": Key(BACKEND, "which back end is asked", required=True),
            "path": Key(URL_PATH, "path below the back end's URL; {slot} stands for a value", required=True),
            "method": Key(Word(("GET", "POST", "PUT")), default="GET"),
            "query": Key(TEXTS, "query parameters; {slot} stands for a value"),
            "body": Key(TEXTS, "keys and values of the JSON that is sent; {slot} stands for a value"),
            "save": Key(_by_slot(_JSON_PLACE), "slots filled from the JSON answer"),
            "on": Key(_steps_by("[1-5][0-9][0-9]|timeout|failed|refused|invalid|too_large|busy",
                                "a status or an outcome", "a status like 404, timeout or failed"),
                      "statuses and outcomes with a way of their own"),
            "next": _next(),
            "on_error": Key(STEP, "where every other failure goes; the plan's when left out"),
            "filler": Key(PROMPT, "said when the answer takes long"),
            "filler_after_ms": Key(Number(0, 60_000), "how long that is, milliseconds", default=700),
            "timeout_s": Key(Number(0.1, 60, decimals=True), "wait for an answer, seconds", default=3.0),
            "retries": Key(Number(0, 3), "how often a failed request is tried again", default=1),
        },
        former={"url": _BACKEND, "host": _BACKEND},
    ),
    "answer": Record(
        {"next": _next(), "unknown": Key(STEP, "where it goes without an answer", required=True)},
        former={"question": "remove it: the last open question is answered"},
    ),
    "set": Record(
        {
            "values": Key(_by_slot(EXPRESSION, 1, nullable=True),
                          "slots and the expressions that give their values; null empties one", required=True),
            "next": _next(),
            "on_error": Key(STEP, "where it goes when an expression has no value"),
        },
    ),
    "branch": Record(
        {
            "when": Key(ListOf(Record({"if": Key(EXPRESSION, required=True), "next": _next()}), 1, 50, mend=_WHEN),
                        "conditions in order; the first that holds decides", required=True, mend=_WHEN),
            "else": Key(STEP, "where it goes when none holds", required=True),
            "on_error": Key(STEP, "where it goes when a condition has no value"),
        },
        former={"if": _WHEN, "then": _WHEN},
    ),
    "hours": Record(
        {
            "calendar": Key(Text(NAME, "the name of a calendar", LETTERS), required=True),
            "open": Key(STEP, required=True),
            "closed": Key(STEP, required=True),
            "holiday": Key(STEP, "`closed` when left out"),
        },
    ),
    "transfer": Record(
        {
            "prompt": _PROMPT,
            "target": Key(TARGET, "a number, an agent or a SIP URI"),
            "targets": Key(ListOf(TARGET, 1, 10), "several, rung at once"),
            "mode": Key(Word(("bridge", "refer")), "connect them here, or hand the call over", default="bridge"),
            "timeout_s": Key(Number(1, 300), "how long it rings, seconds", default=30),
            "busy": Key(STEP, required=True),
            "no_answer": Key(STEP, required=True),
            "failed": Key(STEP, required=True),
            "connected": Key(STEP, "where the caller goes when the other side has left; hung up when left out"),
        },
        either=("target", "targets"),
        former={"next": "every outcome has its own way: `busy`, `no_answer`, `failed` and, if you like, `connected`"},
    ),
    "record": Record(
        {
            "prompt": _PROMPT,
            "slot": Key(SLOT, "keeps the recording's name", required=True),
            "next": _next(),
            "max_s": Key(Number(1, 600), "longest message, seconds", default=60),
            "silence_ms": Key(Number(500, 60_000), "silence that ends it, milliseconds", default=3_000),
            **_STEP_EVENTS,
        },
    ),
    "call": Record(
        {
            "plan": Key(Text(PLAN_NAME, "the name of a plan", "NAME for the file NAME.yaml beside this one"),
                        required=True),
            "next": _next("where its `return` leads"),
        },
    ),
    "return": Record({}),
    "goto": Record({"next": _next(), "forget": Key(SLOTS, "slots to empty on the way")}),
    "notify": Record(
        {
            "backend": Key(BACKEND, "which back end is told", required=True),
            "path": Key(URL_PATH, "path below the back end's URL", required=True),
            "event": Key(Text(r"[A-Za-z0-9_.-]{1,64}", "the name of an event", "like card.lost"), required=True),
            "body": Key(TEXTS, "keys and values that are sent; {slot} stands for a value"),
            "next": _next(),
        },
    ),
    "settle": Record(
        {
            "disposition": Key(Word(DISPOSITIONS), "what the call has come to; the first of a call stands"),
            "again_at": Key(ListOf(SLOT, 0, 3), "slots that say when to ring again: a date, a time, a duration"),
            "suppress": Key(Text(most=200), "why they are not to be rung any more"),
            "next": _next(),
        },
    ),
    "hangup": Record(
        {
            "prompt": Key(PROMPT, "the last words; the plan's goodbye when left out"),
            "outcome": Key(Text(r"[A-Za-z0-9_-]{1,32}", "an outcome", "letters, figures, _ and -"), "for the record",
                           default="completed"),
        },
    ),
}  # fmt: skip
STEP_KINDS = tuple(STEP_FORMS)

_SENSITIVE = {"sensitive": Key(Flag(), "masked in records and logs, silenced in recordings")}
_LIMIT = Number(0, 64)
_RANGE = Number(-(10**9), 10**9)
_CHOICE = Record({}, languages=Words(PHRASES))

SLOT_FORMS: Mapping[str, Record] = {
    "digits": Record({"min": Key(_LIMIT, "least digits"), "max": Key(_LIMIT, "most digits"),
                      "luhn": Key(Flag(), "the last digit checks the others, by Luhn's rule"), **_SENSITIVE}),
    "number": Record({"min": Key(_RANGE, "least"), "max": Key(_RANGE, "most"), **_SENSITIVE}),
    "money": Record({"currency": Key(Text("[A-Z]{3}", "a currency", "ISO 4217, like CNY"), default="CNY"),
                     **_SENSITIVE}),
    "date": Record(_SENSITIVE),
    "time": Record(_SENSITIVE),
    "duration": Record(_SENSITIVE),
    "yes_no": Record(_SENSITIVE),
    "phone": Record({"country": Key(Text("[A-Z]{2}", "a country", "ISO 3166, like CN")), **_SENSITIVE}),
    "place": Record({"places": Key(Text(r"[A-Za-z0-9_-]+\.places\.yaml", "a file of places", "NAME.places.yaml, beside "
                                        "the plan"), required=True), **_SENSITIVE}),
    "choice": Record({"choices": Key(MapOf(_CHOICE, NAME, "the name of a choice", LETTERS, 1, 500),
                                     "value -> ways to say it per language", required=True), **_SENSITIVE}),
    "code": Record({"min": Key(_LIMIT, "least characters"), "max": Key(_LIMIT, "most characters"), **_SENSITIVE}),
    "name": Record(_SENSITIVE),
    "text": Record(_SENSITIVE),
}  # fmt: skip

_DAY = "|".join(DAYS)
_CALENDAR = Record(
    {
        "zone": Key(ZONE, "time zone of the hours; the plan's when left out"),
        "hours": Key(MapOf(ListOf(Text("[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}", "opening hours",
                                       "like 09:00-17:30; a day that is closed is left out"),
                                  1, 10, single=True), f"(?:{_DAY})(?:-(?:{_DAY}))?",
                           "a day or days", "like mon-fri or sat", 1), "when somebody is there", required=True),
        "holidays": Key(MapOf(Text(), "(?:[0-9]{4}-)?[0-9]{2}-[0-9]{2}", "a day", "like 2026-10-01, or 01-01 for every "
                              "year"), "days that are not like others, with their names"),
    }
)  # fmt: skip


def _named(shape: Shape, names: str, wanted: str, most: int, least: int = 0) -> MapOf:
    return MapOf(shape, names, wanted, SMALL_LETTERS if names == SLOT_NAME else LETTERS, least, most)


LANGUAGES = ListOf(Text("[a-z]{2}", "a two-letter code", "like [en, zh]"), 1, 10, mend="like [en, zh]")

PLAN = Record(
    {
        "plan": Key(Text(PLAN_NAME, "the name of a plan", "letters, figures, _ and -"),
                    "its name; the file's by default"),
        "languages": Key(LANGUAGES, "every prompt has words in each", default=("en",)),
        "start": Key(STEP, "the first step; the first of the file when left out"),
        "zone": Key(ZONE, "where callers' days begin and end", default="UTC"),
        "operator": Key(STEP, "where key 0 and `a person, please` lead"),
        "cancel": Key(STEP, "where `never mind` leads"),
        "on_error": Key(STEP, "where a step leads that failed"),
        "verified": Key(SLOT, "a slot that only lookups fill; while it is, who the caller says they are is checked"),
        "on_machine": Key(STEP, "the first step when a machine answers our call; hung up when left out"),
        "on_screening": Key(STEP, "the first step when a screening assistant does; as a machine when left out"),
        "on_caller": Key(STEP, "the first step when somebody rings this plan themselves; `start` when left out"),
        "given": Key(ListOf(SLOT, 0, 50, mend="like [name, amount]"), "slots that the order of our call fills"),
        "anywhere": Key(INTENTS, "intents that lead somewhere from every open question"),
        "goodbye": Key(PROMPT, "the last words before hanging up"),
        "failed": Key(PROMPT, "said when the plan itself cannot go on"),
        "events": Key(Record(_STEP_EVENTS), "what happens around every question, unless a step says otherwise"),
        "slots": Key(_named(Tagged(SLOT_FORMS, "slot"), SLOT_NAME, "the name of a slot", 500), "what is asked for"),
        "calendars": Key(_named(_CALENDAR, NAME, "the name of a calendar", 50), "opening hours"),
        "steps": Key(_named(Named("any_step", Tagged(STEP_FORMS, "step")), NAME, "the name of a step", MAX_STEPS, 1),
                     "what happens", required=True, mend="add one, see README.md, Dialplans"),
    }
)  # fmt: skip

_QUESTIONS = Record(
    {
        "questions": Key(ListOf(Text(), 1, 200), "ways to ask it", required=True),
        "answer": Key(Text(), "what is said"),
        "keywords": Key(PHRASES, "one of these, or a slot's value, has to be said"),
        "called": Key(Text(most=60), "short words to name it by when callers are asked which of two they mean"),
    }
)
_ID = Key(Text(NAME, "an id", LETTERS), required=True)

KNOWLEDGE = Record(
    {
        "entries": Key(
            ListOf(
                Record(
                    {
                        "id": _ID,
                        "intent": Key(Text(NAME, "an intent", LETTERS)),
                        "urgent": Key(Flag(), "goes first when something else is said with it"),
                    },
                    languages=Words(_QUESTIONS, every=False),
                ),
                most=5_000,
            ),
            required=True,
        ),
        "dismissed": Key(
            ListOf(Record({"id": _ID}, languages=Words(_QUESTIONS, every=False)), most=5_000),
            "what callers say that belongs to nothing; `ivr intents review` writes it",
        ),
    }
)

PLACES = Record(
    {
        "places": Key(
            ListOf(
                Record(
                    {
                        "id": Key(Text("[a-z0-9][a-z0-9_-]{0,63}", "an id", "small letters, figures, _ and -",
                                       figures=True), required=True),
                        "also": Key(Record({}, languages=Words(PHRASES, every=False)), "other ways to name it"),
                        "at": Key(ListOf(Number(-180, 180, decimals=True), 2, 2), "latitude and longitude, degrees"),
                    },
                    languages=Words(Text(), every=False),
                ),
                1,
                MAX_PLACES,
            ),
            required=True,
        )
    }
)  # fmt: skip
