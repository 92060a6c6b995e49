"""What a call does, by the standards: VoiceXML 2.0 and 2.1, SRGS 1.0, CCXML 1.0, ETSI ES 202 076.

Every case is a short plan, what the caller does, and what comes of it. Its name says where the rule stands: a section
of https://www.w3.org/TR/voicexml20/, voicexml21/, speech-grammar/ or ccxml/; `house` where no standard says anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from calls import (
    FAILED,
    GONE,
    NOISE,
    OK,
    OTHER_ONE,
    PAUSE,
    SILENCE,
    answered,
    command,
    hear,
    instead,
    keys,
    plan_of,
    question,
    spoken,
    walk,
)

from ivr.config import Hearing
from ivr.dialog import barge_in, waits
from ivr.dialog.state import Connect, Connected, End, Fetch, Listen, Recorded, TakeMessage, Tell, WaitKeys
from ivr.turn import Expectation, Filled, Hypothesis, Understood

MENU = """
cancel: bye
events: {tries: 4, give_up: bye}
steps:
  pick:
    kind: menu
    prompt: Cards or fees?
    no_input: [Hello?, Are you there?]
    no_match: [Only cards or fees., Say cards., Press one.]
    help: Cards are one.
    choices:
      cards: {key: 1, en: [cards, my cards], next: sure}
      fees: {key: 2, en: fees, next: sure}
  sure: {kind: ask, expect: yes_no, prompt: Sure?, no_input: [Yes or no?], no_match: [], on: {yes: pick}, next: bye}
  bye: {kind: hangup, prompt: Bye.}
"""

FORM = """
events: {no_input: [], no_match: [], give_up: person}
slots: {what: {kind: text}, amount: {kind: money}, day: {kind: date}}
steps:
  order:
    kind: form
    prompt: What shall I transfer, and when?
    no_match: [How much and when?]
    no_input: [Tell me the sum and the day.]
    fields:
      amount: {prompt: "How much?", check: amount <= 5000, invalid: At most five thousand., no_match: [In yuan.]}
      day: {prompt: "Which day?", help: Any day., no_input: [A day please., A date.]}
    next: sure
  sure: {kind: confirm, prompt: "{amount} on {day}?", slots: [amount, day], yes: done, no: order}
  done: {kind: hangup, prompt: Done.}
  person: {kind: hangup, prompt: A person.}
"""

NUMBER = """
operator: person
events: {no_input: [], no_match: [Four digits.], give_up: bye}
slots: {card: {kind: digits, min: 4, max: 6}}
steps:
  card: {kind: ask, slot: card, prompt: Your digits?, next: sure}
  sure: {kind: ask, expect: yes_no, prompt: "{card}?", on: {yes: bye}, next: card}
  person: {kind: hangup, prompt: A person.}
  bye: {kind: hangup, prompt: Bye.}
"""

TRANSFER = """
steps:
  over:
    kind: transfer
    prompt: One moment.
    targets: [anna, ben]
    timeout_s: 20
    busy: busy
    no_answer: nobody
    failed: failed
    connected: after
  busy: {kind: hangup, prompt: Busy.}
  nobody: {kind: hangup, prompt: No answer.}
  failed: {kind: hangup, prompt: Failed.}
  after: {kind: ask, expect: open, prompt: Anything else?, next: end}
"""

RECORD = """
events: {no_input: [Please speak.], give_up: person, tries: 2}
slots: {message: {kind: text}}
operator: person
steps:
  leave: {kind: record, prompt: After the tone., slot: message, max_s: 60, silence_ms: 4000, next: thanks}
  thanks: {kind: say, prompt: Thanks., next: more}
  more: {kind: ask, expect: open, prompt: More?, next: end}
  person: {kind: hangup, prompt: A person.}
"""

LOOKUP = """
events: {give_up: end}
slots: {card: {kind: digits, min: 4, max: 4}, balance: {kind: money}, name: {kind: text}}
on_error: trouble
steps:
  card: {kind: ask, slot: card, prompt: Your digits?, next: ask}
  ask:
    kind: lookup
    backend: bank
    path: /cards/{card}
    query: {day: "{today}", name: "{name}"}
    save: {balance: money.amount, name: people.0.name}
    on: {"404": unknown, timeout: slow}
    next: tell
  tell: {kind: hangup, prompt: "{name} has {balance}."}
  unknown: {kind: hangup, prompt: No such card.}
  slow: {kind: hangup, prompt: Too slow.}
  trouble: {kind: hangup, prompt: Trouble.}
"""

SUBDIALOG = """
operator: person
cancel: more
slots: {card: {kind: digits, min: 4, max: 4}}
steps:
  more: {kind: ask, expect: open, prompt: What else?, on: {lost: check}, next: bye}
  check: {kind: call, plan: who, next: tell}
  tell: {kind: say, prompt: "{card} it is.", next: more}
  person: {kind: hangup, prompt: A person.}
  bye: {kind: hangup, prompt: Bye.}
"""
WHO = """
slots: {card: {kind: digits, min: 4, max: 4}}
steps:
  card: {kind: ask, slot: card, prompt: Your digits?, next: back}
  back: {kind: return}
"""

LINKS = """
anywhere: {lost: block}
events: {no_match: [What?]}
slots: {card: {kind: digits, min: 4, max: 4}}
steps:
  start: {kind: ask, expect: open, prompt: How can I help?, next: reply}
  reply: {kind: answer, next: card, unknown: card}
  card: {kind: ask, slot: card, prompt: Your digits?, digress: true, next: strict}
  strict: {kind: ask, expect: yes_no, prompt: Sure?, digress: false, commands: [repeat], on: {yes: end}, next: card}
  block: {kind: hangup, prompt: Blocked.}
"""

LINKS_HERE = """
anywhere: {lost: again}
events: {no_match: [What?], give_up: person}
slots: {card: {kind: digits, min: 4, max: 4}}
steps:
  start: {kind: ask, expect: open, prompt: How can I help?, next: again}
  again: {kind: goto, next: ask}
  ask: {kind: ask, slot: card, prompt: Your digits?, next: end}
  person: {kind: hangup, prompt: A person.}
"""

CHOICES = """
events: {no_input: [Inherited.], help: The plan's help., tries: 2, give_up: two}
steps:
  one:
    kind: ask
    expect: yes_no
    prompt: One?
    no_input: [Own.]
    tries: 3
    on: {yes: two, unsure: two}
    next: end
  two: {kind: ask, expect: yes_no, prompt: Two?, on: {yes: end}, next: one, give_up: end}
"""

LANGUAGES = """
languages: [en, zh]
slots: {card: {kind: digits, min: 4, max: 4}}
steps:
  card: {kind: ask, slot: card, prompt: {en: Your digits?, zh: 卡的后四位？}, next: sure}
  sure: {kind: ask, expect: yes_no, prompt: {en: "{card}?", zh: "{card}吗？"}, on: {yes: end}, next: card}
"""

FLOW = """
events: {give_up: end}
zone: Asia/Shanghai
calendars: {office: {hours: {mon-fri: "09:00-17:30"}, holidays: {"10-01": National Day}}}
slots: {age: {kind: number}, fee: {kind: money}, card: {kind: digits}}
steps:
  age: {kind: ask, slot: age, prompt: How old?, next: price}
  price: {kind: set, values: {fee: 10 if age < 18 else 20 / (age - 99), card: null}, next: which, on_error: odd}
  which: {kind: branch, when: [{if: fee == 10, next: cheap}, {if: fee > 0, next: never}], else: dear}
  cheap: {kind: say, prompt: "It is {fee}.", next: open}
  dear: {kind: goto, next: open, forget: [age]}
  never: {kind: hangup}
  odd: {kind: hangup, prompt: Odd., outcome: odd}
  open: {kind: hours, calendar: office, open: tell, closed: end, holiday: end}
  tell:
    kind: notify
    backend: bank
    path: "/ages/{age}"
    event: age.told
    body: {age: "{age}", card: "{card}"}
    next: ask
  ask: {kind: ask, slot: card, prompt: Your digits?, next: end}
"""

BARGE = """
steps:
  law: {kind: say, prompt: Calls are recorded., barge_in: none, protected_ms: 900, next: pick}
  pick: {kind: ask, expect: open, prompt: How can I help?, barge_in: hotword, next: end}
"""

SWAP = """
slots: {place: {kind: choice, choices: {xidan: {en: Xidan}, dongdan: {en: Dongdan}}}}
steps:
  where: {kind: form, fields: {place: {prompt: Where?}}, next: sure}
  sure: {kind: confirm, prompt: "{place}?", slots: [place], above: 0.8, yes: end, no: where}
"""


PAIR = """
events: {give_up: end}
slots: {place: {kind: choice, choices: {xidan: {en: Xidan}, dongdan: {en: Dongdan}}}, hour: {kind: number}}
steps:
  where:
    kind: form
    fields:
      place: {prompt: Where?}
      hour: {prompt: When?, check: 1 / (hour - 5) > 0, invalid: Not then.}
    next: end
"""

EMPTY = """
slots: {card: {kind: digits}}
steps:
  ask: {kind: ask, expect: yes_no, prompt: Shall I?, on: {yes: sure}, next: card}
  card: {kind: ask, slot: card, prompt: Your digits?, next: sure}
  sure: {kind: confirm, prompt: "{card}?", slots: [card], yes: end, no: ask}
"""

FLOW_ROUND = "q: {kind: ask, expect: open, prompt: Well?, next: q}"


@dataclass(frozen=True)
class Case:
    """`plan` with `given` ends at `step`, having said `said` last and waiting for `waits` (`listens`: of the ear)."""

    name: str
    plan: str
    given: tuple = ()
    step: str = ""
    said: list[str] | None = None
    waits: Any = None
    slots: dict[str, str | None] = field(default_factory=dict)
    listens: dict[str, Any] = field(default_factory=dict)
    language: str = "en"
    called: dict[str, str] = field(default_factory=dict)


CASES = (
    # Prompts -------------------------------------------------------------------------------------------------------
    Case("voicexml-2.0-4.1.8-prompts-are-queued-until-something-is-waited-for", BARGE,
         step="pick", said=["Calls are recorded.", "How can I help?"], waits=Listen),
    Case("voicexml-2.0-4.1.6-the-first-silence-is-answered-by-the-first-prompt", MENU, (SILENCE,), said=["Hello?"]),
    Case("voicexml-2.0-4.1.6-the-second-by-the-second", MENU, (SILENCE,) * 2, said=["Are you there?"]),
    Case("voicexml-2.0-4.1.6-the-last-prompt-is-repeated", MENU, (SILENCE,) * 3, step="pick", said=["Are you there?"]),
    Case("voicexml-2.0-4.1.6-without-words-of-its-own-the-question-is-asked-again", FORM,
         (hear(amount="9 CNY", day="2026-11-24"), SILENCE), step="sure",
         said=["{money:9 CNY} on {date:2026-11-24}?"]),

    # Events --------------------------------------------------------------------------------------------------------
    Case("voicexml-2.0-5.2.2-silences-and-misunderstandings-are-counted-apart", MENU,
         (SILENCE, NOISE, SILENCE, NOISE, SILENCE, NOISE), step="pick", said=["Press one."]),
    Case("voicexml-2.0-5.2.2-the-highest-count-reached-wins", MENU, (NOISE, NOISE), said=["Say cards."]),
    Case("voicexml-2.0-5.2.2-the-last-count-ends-the-question", MENU, (NOISE,) * 4, said=["Bye."], waits=End),
    Case("voicexml-2.0-2.1.6-counters-begin-anew-in-another-item", MENU,
         (SILENCE, SILENCE, SILENCE, hear("cards"), SILENCE), step="sure", said=["Yes or no?"]),
    Case("voicexml-2.0-2.1.6-and-when-an-item-is-entered-again", MENU,
         (SILENCE, SILENCE, hear("cards"), hear("yes"), SILENCE), step="pick", said=["Hello?"]),
    Case("voicexml-2.0-5.2.4-a-step-handles-before-its-plan", CHOICES, (SILENCE,), step="one", said=["Own."]),
    Case("voicexml-2.0-5.2.4-a-plan-handles-what-its-step-does-not", CHOICES,
         (hear("yes"), SILENCE), step="two", said=["Inherited."]),
    Case("voicexml-2.0-5.2.4-tries-of-the-step-win-over-the-plans", CHOICES, (SILENCE,) * 2, step="one"),
    Case("voicexml-2.0-5.2.4-the-way-out-is-inherited-too", CHOICES, (SILENCE,) * 3, step="two"),
    Case("voicexml-2.0-5.2.5-built-in-words-where-nobody-gave-any", CHOICES, (NOISE,), step="one",
         said=["I am sorry, I did not understand. Please say it again."]),
    Case("voicexml-2.0-5.2.6-noinput-is-not-nomatch", MENU, (NOISE, SILENCE), said=["Hello?"]),

    # Universal commands --------------------------------------------------------------------------------------------
    Case("voicexml-2.0-5.2.6-help-says-more-and-asks-again", MENU, (command("help"),), step="pick",
         said=["Cards are one.", "Cards or fees?"]),
    Case("voicexml-2.0-5.2.6-help-counts-as-nothing", MENU, (SILENCE, command("help"), SILENCE),
         said=["Are you there?"]),
    Case("voicexml-2.0-5.2.6-help-is-inherited", CHOICES, (command("help"),), said=["The plan's help.", "One?"]),
    Case("voicexml-2.0-5.2.6-cancel-leads-where-the-plan-says", MENU, (command("cancel"),), said=["Bye."], waits=End),
    Case("es-202-076-repeat-says-again-all-that-was-said", BARGE, (command("repeat"),),
         said=["Calls are recorded.", "How can I help?"]),
    Case("es-202-076-back-asks-the-question-before", MENU, (hear("cards"), command("back")), step="pick",
         said=["Cards or fees?"]),
    Case("es-202-076-back-in-a-form-empties-one-field", FORM,
         (NOISE, NOISE, hear(amount="9 CNY"), command("back")), step="order", said=["How much?"],
         slots={"amount": None}),
    Case("es-202-076-back-from-a-confirmation-empties-the-last-field-only", FORM,
         (NOISE, NOISE, hear(amount="9 CNY"), hear(day="2026-11-24"), command("back")), step="order",
         said=["Which day?"], slots={"amount": "9 CNY", "day": None}),
    Case("es-202-076-back-at-the-first-question-asks-it-again", MENU, (command("back"),), step="pick",
         said=["Cards or fees?"]),
    Case("es-202-076-zero-is-a-person", MENU + "  person: {kind: hangup, prompt: A person.}\noperator: person\n",
         keys("0"), said=["A person."]),
    Case("voicexml-2.0-6.3.6-commands-can-be-turned-off", LINKS,
         (question(), hear(card="8620"), command("cancel")), step="strict", said=["What?"]),

    # Menus, grammars, keys -----------------------------------------------------------------------------------------
    Case("voicexml-2.0-2.2-a-choice-goes-its-way", MENU, (hear("cards"),), step="sure"),
    Case("voicexml-2.0-2.2-any-of-its-phrases-chooses-it", MENU, (hear("my cards"),), step="sure"),
    Case("voicexml-2.0-2.2-and-its-key", MENU, keys("2"), step="sure"),
    Case("voicexml-2.0-2.2-a-key-without-a-choice-is-a-nomatch", MENU, keys("7"), step="pick",
         said=["Only cards or fees."]),
    Case("srgs-1.0-2.4-the-phrases-of-all-choices-are-listened-for", MENU, listens={
         "kind": "choice", "phrases": ("cards", "my cards", "fees")}),
    Case("srgs-1.0-4.6-keys-answer-what-speech-answers", CHOICES, keys("1"), step="two"),
    Case("srgs-1.0-4.6-speech-after-a-key-wins", NUMBER, (*keys("86"), hear(card="1234")), step="sure",
         slots={"card": "1234"}),
    Case("voicexml-2.0-6.3.3-keys-wait-for-the-next-key", NUMBER, keys("86"), step="card", said=[], waits=WaitKeys),
    Case("voicexml-2.0-6.3.3-the-longest-answer-ends-by-itself", NUMBER, keys("862012"), step="sure",
         slots={"card": "862012"}),
    Case("voicexml-2.0-6.3.3-termchar-ends-a-shorter-one", NUMBER, keys("8620#"), step="sure",
         slots={"card": "8620"}),
    Case("voicexml-2.0-6.3.3-termchar-behind-the-longest-answer-belongs-to-it", NUMBER, keys("862012#"), step="sure",
         said=["{digits:862012}?"], slots={"card": "862012"}),
    Case("house-and-behind-nothing-else", NUMBER, (*keys("862012"), hear("maybe"), *keys("#")), step="sure",
         said=["Four digits."]),
    Case("voicexml-2.0-6.3.3-so-does-the-interdigit-timeout", NUMBER, (*keys("8620"), PAUSE), step="sure",
         slots={"card": "8620"}),
    Case("voicexml-2.0-6.3.3-too-few-keys-are-a-nomatch", NUMBER, (*keys("86"), PAUSE), step="card",
         said=["Four digits."], slots={"card": None}),
    Case("voicexml-2.0-6.3.3-keys-of-a-nomatch-are-forgotten", NUMBER, (*keys("86"), PAUSE, *keys("8620#")),
         step="sure", slots={"card": "8620"}),
    Case("voicexml-2.0-6.3.3-termchar-alone-is-a-nomatch", NUMBER, keys("#"), step="card", said=["Four digits."]),
    Case("voicexml-2.0-6.3.3-a-timeout-without-keys-is-nothing", NUMBER, (PAUSE,), step="card", said=[]),
    Case("house-a-zero-inside-a-number-is-a-digit", NUMBER, keys("8020#"), slots={"card": "8020"}),
    Case("house-a-zero-alone-is-a-person-after-the-pause", NUMBER, (*keys("0"), PAUSE), said=["A person."]),
    Case("house-a-star-begins-the-number-anew", NUMBER, keys("99*8620#"), slots={"card": "8620"}),

    # Forms and mixed initiative ------------------------------------------------------------------------------------
    Case("voicexml-2.0-2.3.3-initial-asks-for-everything-at-once", FORM, step="order",
         said=["What shall I transfer, and when?"], listens={"kind": "open", "slots": ("amount", "day")}),
    Case("voicexml-2.0-2.1.5-one-utterance-fills-several-fields", FORM, (hear(amount="9 CNY", day="2026-11-24"),),
         step="sure", slots={"amount": "9 CNY", "day": "2026-11-24"}),
    Case("voicexml-2.0-2.1.6.2-the-first-unfilled-field-is-asked-for", FORM, (hear(day="2026-11-24"),),
         step="order", said=["How much?"], listens={"kind": "money", "slot": "amount", "slots": ("day",)}),
    Case("voicexml-2.0-2.3.3-once-a-field-is-filled-initial-is-over", FORM, (hear(amount="9 CNY"),),
         said=["Which day?"]),
    Case("voicexml-2.0-2.3.3-initial-has-handlers-of-its-own", FORM, (NOISE,), said=["How much and when?"]),
    Case("voicexml-2.0-2.3.3-initial-gives-way-to-the-fields", FORM, (NOISE, NOISE), said=["How much?"]),
    Case("voicexml-2.0-2.3.3-after-silences-too", FORM, (SILENCE, SILENCE), said=["How much?"]),
    Case("voicexml-2.0-2.1.6-and-their-counters-begin-anew", FORM, (NOISE, NOISE, NOISE), said=["In yuan."]),
    Case("voicexml-2.0-5.2.4-a-field-handles-before-its-form", FORM, (hear(amount="9 CNY"), SILENCE),
         said=["A day please."]),
    Case("voicexml-2.0-2.1.6.2-a-field-keeps-its-counter-while-it-is-asked", FORM,
         (hear(amount="9 CNY"), SILENCE, SILENCE), said=["A date."]),
    Case("voicexml-2.0-2.4-filled-refuses-and-asks-again", FORM, (NOISE, NOISE, hear(amount="9000 CNY")),
         step="order", said=["At most five thousand."], slots={"amount": None}),
    Case("voicexml-2.0-2.4-a-refusal-in-the-opening-says-why", FORM, (hear(amount="9000 CNY"),),
         said=["At most five thousand."], slots={"amount": None}),
    Case("voicexml-2.0-2.4-what-was-right-with-it-is-kept", FORM, (hear(amount="9000 CNY", day="2026-11-24"),),
         said=["How much?"], slots={"day": "2026-11-24", "amount": None}),
    Case("voicexml-2.0-2.4-refusals-count-as-nomatch", FORM, (NOISE, NOISE, *[hear(amount="9000 CNY")] * 3),
         said=["A person."]),
    Case("voicexml-2.0-2.1.5-a-later-field-may-be-said-first", FORM,
         (NOISE, NOISE, hear(day="2026-11-24")), said=["How much?"], slots={"day": "2026-11-24"}),
    Case("house-a-filled-field-changes-only-when-it-is-corrected", FORM,
         (hear(amount="9 CNY"), hear(amount="7 CNY")), slots={"amount": "9 CNY"}, said=["How much and when?"]),
    Case("house-a-correction-replaces-what-was-said", FORM, (hear(amount="9 CNY"), instead(amount="7 CNY")),
         slots={"amount": "7 CNY"}, said=["Which day?"]),
    Case("house-keys-in-an-opening-answer-the-first-field", FORM, keys("50#"), slots={"amount": "50.00 CNY"},
         said=["Which day?"]),

    # Confirmation --------------------------------------------------------------------------------------------------
    Case("voicexml-2.0-2.4-a-yes-confirms", FORM, (hear(amount="9 CNY", day="2026-11-24"), hear("yes")),
         said=["Done."]),
    Case("voicexml-2.0-5.3.3-a-no-clears-the-fields", FORM, (hear(amount="9 CNY", day="2026-11-24"), hear("no")),
         step="order", slots={"amount": None, "day": None}, said=["What shall I transfer, and when?"]),
    Case("house-no-but-another-value-is-confirmed-again", FORM,
         (hear(amount="9 CNY", day="2026-11-24"), instead("no", amount="8 CNY")), step="sure",
         said=["{money:8 CNY} on {date:2026-11-24}?"]),
    Case("house-a-correction-passes-the-checks-of-its-form", FORM,
         (hear(amount="9 CNY", day="2026-11-24"), instead("no", amount="9000 CNY")), step="sure",
         said=["At most five thousand."], slots={"amount": "9 CNY"}),
    Case("voicexml-2.0-6.3.2-sure-values-need-no-confirmation", SWAP, (hear("Xidan", 0.9, place="xidan"),),
         waits=End),
    Case("voicexml-2.0-6.3.2-unsure-ones-do", SWAP, (hear("Xidan", 0.5, place="xidan"),), step="sure",
         said=["Xidan?"]),
    Case("house-the-other-one-is-the-rival", SWAP,
         (hear("Xidan", 0.5, place=Filled("xidan", 0.5, "Xidan", ("dongdan",))), OTHER_ONE), step="sure",
         said=["Dongdan?"], slots={"place": "dongdan"}),

    Case("house-no-other-one-is-a-nomatch", SWAP, (hear("Xidan", 0.5, place="xidan"), OTHER_ONE), step="sure",
         said=["I am sorry, I did not understand. Please say it again."]),
    Case("house-the-other-one-in-a-form", PAIR, (hear(place=Filled("xidan", 0.9, "Xidan", ("dongdan",))), OTHER_ONE),
         step="where", slots={"place": "dongdan"}, said=["When?"]),
    Case("house-neither-yes-nor-no-is-a-nomatch", FORM, (hear(amount="9 CNY", day="2026-11-24"), hear("unsure")),
         step="sure", slots={"amount": "9 CNY"}),
    Case("house-what-is-not-known-cannot-be-confirmed", EMPTY, (hear("yes"),), step="ask", said=["Shall I?"]),
    Case("voicexml-2.0-2.4-a-check-that-fails-refuses", PAIR, (hear(place="xidan"), hear(hour="5")), step="where",
         said=["Not then."], slots={"hour": None}),
    Case("voicexml-2.0-5.2.6-cancel-forgets-what-was-being-asked", FORM + "cancel: done\n",
         (hear(amount="9 CNY"), command("cancel")), said=["Done."], slots={"amount": None}),
    Case("es-202-076-back-to-the-same-question-is-no-step-back", FLOW_ROUND, (question(), command("back")), step="q",
         said=["Well?"]),

    # Links, digressions, subdialogs --------------------------------------------------------------------------------
    Case("voicexml-2.0-2.5-a-link-leads-away-from-anywhere", LINKS, (question("lost"),), said=["Blocked."]),
    Case("voicexml-2.0-2.5-in-the-midst-of-another-question", LINKS, (question(), question("lost")),
         said=["Blocked."]),
    Case("house-a-link-back-to-the-same-question-is-a-nomatch", LINKS_HERE, (question("lost"), question("lost")),
         step="ask", said=["What?"]),
    Case("house-and-counted-as-one", LINKS_HERE, (question("lost"),) * 4, said=["A person."]),
    Case("house-a-digression-is-answered-and-the-question-asked-again", LINKS,
         (question(), question("", "It is free.")), step="card", said=["It is free.", "Your digits?"]),
    Case("house-digressions-keep-the-counters", LINKS, (question(), NOISE, question("", "It is free."), NOISE),
         step="card", said=["What?"]),
    Case("house-three-digressions-are-enough", LINKS, (question(), *[question("", "It is free.")] * 4),
         step="card", said=["What?"]),
    Case("house-a-question-may-forbid-them", LINKS,
         (question(), hear(card="8620"), question("", "It is free.")), step="strict", said=["What?"]),
    Case("voicexml-2.0-2.3.4-a-subdialog-asks-for-itself", SUBDIALOG, (question("lost"),), step="who/card",
         called={"who": WHO}),
    Case("voicexml-2.0-5.3.10-return-leads-back-with-its-values", SUBDIALOG, (question("lost"), hear(card="8620")),
         step="more", said=["{digits:8620} it is.", "What else?"], called={"who": WHO}),
    Case("house-whoever-leaves-a-subdialog-has-left-it", SUBDIALOG,
         (question("lost"), command("cancel")) * 25, step="more", called={"who": WHO}),
    Case("house-back-into-a-subdialog-still-returns", SUBDIALOG,
         (question("lost"), hear(card="8620"), command("back"), hear(card="1234")), step="more",
         said=["{digits:1234} it is.", "What else?"], called={"who": WHO}),

    Case("voicexml-2.0-5.3.10-return-of-a-plan-that-nobody-called-ends-the-call", WHO, (hear(card="8620"),),
         waits=End("completed")),

    # Control -------------------------------------------------------------------------------------------------------
    Case("voicexml-2.0-5.3.7-goto-forgets-what-it-says", FLOW, (hear(age="40"),), slots={"age": None}),
    Case("voicexml-2.0-5.3.4-if-takes-the-first-that-holds", FLOW, (hear(age="7"),),
         said=["It is {money:10 CNY}.", "Your digits?"], slots={"fee": "10 CNY", "age": "7"}),
    Case("voicexml-2.0-5.3.4-else-when-none-does", FLOW, (hear(age="40"),), said=["Your digits?"], step="ask"),
    Case("voicexml-2.0-5.2.6-an-error-of-an-expression-is-caught", FLOW, (hear(age="99"),), said=["Odd."]),
    Case("voicexml-2.0-5.3.9-exit-carries-an-outcome", FLOW, (hear(age="99"),), waits=End("odd")),
    Case("voicexml-2.1-8-what-is-told-carries-values", FLOW, (hear(age="7"),),
         waits=Tell("bank", "/ages/7", "age.told", {"age": "7"})),
    Case("voicexml-2.0-5.3.11-after-the-end-nothing-happens", FLOW, (hear(age="99"), hear("hello"), SILENCE),
         said=[], step="odd"),

    # Back ends -----------------------------------------------------------------------------------------------------
    Case("voicexml-2.1-5-data-is-fetched-without-leaving-the-call", LOOKUP, (hear(card="8620"),), said=[],
         waits=Fetch("bank", "GET", "/cards/8620", {"day": "2026-11-23"}, {}, 3.0, 1)),
    Case("voicexml-2.1-5-and-its-values-kept", LOOKUP,
         (hear(card="8620"), answered(money={"amount": 12.5}, people=[{"name": "Li"}])),
         said=["Li has {money:12.5 CNY}."], slots={"balance": "12.5 CNY", "name": "Li"}),
    Case("voicexml-2.1-5-what-is-not-there-is-empty", LOOKUP, (hear(card="8620"), OK), said=[" has ."],
         slots={"balance": None}),
    Case("voicexml-2.0-5.2.6-a-status-has-a-way-of-its-own", LOOKUP, (hear(card="8620"), answered(404)),
         said=["No such card."]),
    Case("voicexml-2.0-5.2.6-a-timeout-too", LOOKUP, (hear(card="8620"), GONE), said=["Too slow."]),
    Case("voicexml-2.0-5.2.6-every-other-error-is-caught-by-the-plan", LOOKUP, (hear(card="8620"), answered(500)),
         said=["Trouble."]),
    Case("voicexml-2.0-5.2.6-no-back-end-at-all", LOOKUP, (hear(card="8620"), FAILED), said=["Trouble."]),
    Case("house-what-is-said-while-waiting-changes-nothing", LOOKUP, (hear(card="8620"), hear("hello"), SILENCE),
         step="ask"),

    # Transfer ------------------------------------------------------------------------------------------------------
    Case("ccxml-1.0-10-several-are-called-and-the-first-to-answer-wins", TRANSFER, said=["One moment."],
         waits=Connect(("anna", "ben"), "bridge", 20)),
    Case("voicexml-2.0-2.3.7-busy", TRANSFER, (Connected("busy"),), said=["Busy."]),
    Case("voicexml-2.0-2.3.7-noanswer", TRANSFER, (Connected("no_answer"),), said=["No answer."]),
    Case("voicexml-2.0-2.3.7-network-busy-is-a-failure", TRANSFER, (Connected("network_busy"),), said=["Failed."]),
    Case("voicexml-2.0-2.3.7-unknown-is-a-failure", TRANSFER, (Connected("unknown"),), said=["Failed."]),
    Case("voicexml-2.0-2.3.7-far-end-disconnect-goes-on", TRANSFER, (Connected("connected"),), step="after",
         said=["Anything else?"]),
    Case("voicexml-2.0-2.3.7-or-ends-the-call",
         TRANSFER.replace("    connected: after\n", "").replace("  after:", "  # after:"), (Connected("connected"),),
         waits=End("transferred"), said=[]),
    Case("voicexml-2.0-2.3.7-blind-hands-the-call-over",
         TRANSFER.replace("    timeout_s: 20", "    mode: refer"), waits=Connect(("anna", "ben"), "refer", 30)),

    # Record --------------------------------------------------------------------------------------------------------
    Case("voicexml-2.0-2.3.6-a-message-is-taken", RECORD, said=["After the tone."],
         waits=TakeMessage(60, 4000, "en")),
    Case("voicexml-2.0-2.3.6-and-kept", RECORD, (Recorded("m1", 5000),), step="more", slots={"message": "m1"},
         said=["Thanks.", "More?"]),
    Case("voicexml-2.0-2.3.6-nothing-said-is-a-noinput", RECORD, (Recorded(""),), step="leave",
         said=["Please speak."], waits=TakeMessage),
    Case("voicexml-2.0-2.3.6-and-counted-as-one", RECORD, (Recorded(""), Recorded("")), said=["A person."]),
    Case("voicexml-2.0-2.3.6-a-key-that-means-nothing-does-not-disturb-it", RECORD, keys("5"), step="leave", said=[]),
    Case("house-zero-leaves-a-recording", RECORD, keys("0"), said=["A person."]),
    Case("house-back-leads-to-the-recording", RECORD, (Recorded("m1", 5000), command("back")), step="leave"),

    # Languages -----------------------------------------------------------------------------------------------------
    Case("voicexml-2.0-4.1-xml-lang-is-the-calls-language", LANGUAGES, said=["卡的后四位？"], language="zh",
         listens={"language": "zh"}),
    Case("house-another-language-asks-again", LANGUAGES, (command("language:zh"),), said=["卡的后四位？"], step="card",
         listens={"language": "zh"}),
    Case("house-key-nine-is-the-next-language", LANGUAGES, (hear(card="8620"), *keys("9")),
         said=["{digits:8620}吗？"], step="sure"),
    Case("house-a-language-the-plan-does-not-speak-is-a-nomatch", LANGUAGES, (command("language:ko"),),
         listens={"language": "en"}, step="card"),

    # Yes and no ----------------------------------------------------------------------------------------------------
    Case("voicexml-2.0-appendix-p-a-boolean-field", CHOICES, (hear("no"),), waits=End),
    Case("house-unsure-has-a-way-only-when-it-is-given-one", CHOICES, (hear("unsure"), hear("unsure")), step="two",
         said=["I am sorry, I did not understand. Please say it again."]),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_call_does_what_the_standard_says(case, tmp_path):
    """The plan, the inputs, the outcome of each case."""
    plan = plan_of(tmp_path, case.plan, **case.called)
    state, actions = walk(plan, case.given, case.language)
    if case.step:
        assert state.step == case.step
    if case.said is not None:
        assert spoken(actions) == case.said
    if case.waits is not None:
        kinds = [action for action in actions if action == case.waits or type(action) is case.waits]
        assert kinds, actions
    for name, value in case.slots.items():
        assert getattr(state.slots.get(name), "value", None) == value, name
    for name, value in case.listens.items():
        assert getattr(actions[-1].expectation, name) == value


def test_the_cases_have_names_of_their_own():
    """Sixty at least, each with the place its rule comes from."""
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names) > 60


def test_prompts_carry_what_may_interrupt_them(tmp_path):
    """VoiceXML 2.0, 4.1.5: bargein and bargeintype belong to a prompt."""
    _, (law, pick, _) = walk(plan_of(tmp_path, BARGE), ())
    assert (law.barge_in, law.protected_ms, law.asks) == ("none", 900, False)
    assert (pick.barge_in, pick.protected_ms, pick.asks) == ("hotword", 0, True)


def test_a_silence_may_be_given_its_own_length(tmp_path):
    """VoiceXML 2.0, 4.1.7 and 6.3.4: timeout."""
    plan = plan_of(tmp_path, "q: {kind: ask, expect: open, prompt: Yes?, no_input_ms: 7000, next: end}")
    assert walk(plan, ())[1][-1].no_input_ms == 7_000


HEARING = Hearing()


@pytest.mark.parametrize(
    ("source", "kind", "understood", "waits_ms"),
    [
        ("completetimeout: nothing more can come", "digits", {"complete": True}, HEARING.complete_ms),
        ("completetimeout: of a sentence", "open", {"complete": True}, HEARING.finished_ms),
        ("incompletetimeout: more must come", "digits", {"partial": True}, HEARING.partial_ms),
        ("between the two: nobody can tell", "digits", {}, HEARING.wait_ms),
    ],
)
def test_two_timers_end_an_utterance(source, kind, understood, waits_ms):
    """VoiceXML 2.0, 6.3.2 and appendix D."""
    heard = Understood(Hypothesis("8 6", 0.9), **understood)
    assert waits.wait_ms(HEARING, Expectation(kind, "en"), heard, waits.Pauses()) == waits_ms


@pytest.mark.parametrize(
    ("source", "understood", "speaking", "spoken_"),
    [
        ("words that mean something", {"value": "yes", "confidence": 0.8, "complete": True}, "commit", "commit"),
        ("words that fill a slot", {"slots": {"day": Filled("2026-11-24")}, "complete": True}, "commit", "commit"),
        ("a command", {"command": "repeat", "complete": True}, "commit", "commit"),
        ("half a number", {"partial": True}, "wait", "resume"),
        ("a value that may go on", {"value": "86", "confidence": 0.8}, "wait", "commit"),
        ("talk to somebody else", {"value": "pass me the salt", "complete": True}, "wait", "resume"),
        ("nothing", {}, "wait", "resume"),
    ],
)
def test_hotwords_interrupt_only_by_their_meaning(source, understood, speaking, spoken_):
    """VoiceXML 2.0, 4.1.5.1: with bargeintype hotword, speech that matches nothing leaves the prompt as it was."""
    heard = Understood(Hypothesis("words", 0.9), **understood)
    assert barge_in.while_speaking(5_000, True, heard, "en", hotword=True) == speaking
    assert barge_in.when_spoken(heard, 5_000, True, "en", hotword=True) == spoken_
    assert barge_in.while_speaking(5_000, True, None, "en", hotword=True) == "wait"


def test_a_short_command_over_a_prompt_counts():
    """ "Help", said in 300 ms, has no value, but a meaning."""
    heard = Understood(Hypothesis("help", 0.9), command="help")
    assert barge_in.when_spoken(heard, 300, True, "en") == "commit"


def test_noise_and_listening_leave_a_prompt_alone():
    """While it goes on, as once it is over."""
    noise, hm = (Understood(Hypothesis(text, rejected=why)) for text, why in (("", "no_speech"), ("okay", "")))
    assert barge_in.while_speaking(5_000, True, noise, "en") == "resume"
    assert barge_in.while_speaking(5_000, False, hm, "en") == "resume"
    assert barge_in.when_spoken(Understood(Hypothesis("mumble")), 5_000, True, "en") == "commit"
