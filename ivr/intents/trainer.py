"""What the trainer's loop is made of: what is learnt, groups of utterances, what to do about one, what that would do.

Shared by those who learn, who find groups, who show them and who write a decision down. Pure.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from ivr.kb.entry import ANSWER_CHARS, LANGUAGES

Action = Literal["intent", "entry", "dismiss", "undo"]
_Name = Annotated[str, msgspec.Meta(pattern="^[A-Za-z_][A-Za-z0-9_-]{0,63}$")]
_Plan = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$")]
_Language = Annotated[str, msgspec.Meta(pattern=f"^({'|'.join(LANGUAGES)})$")]


class Learnt(msgspec.Struct, frozen=True):
    """How far the examples of a plan in one language are learnt.

    Attributes:
        state: `learnt`; `learning`, of which `done` of `examples` are read; `waiting` for its turn; `failed`, for
            `reason`, and not tried again before the plans are loaded again.
        version: of the model that answers calls, empty where the words of the examples still do.
        examples: that are learnt, those outside of every plan among them.
    """

    language: str
    state: Literal["learnt", "learning", "waiting", "failed"]
    version: str
    examples: int
    done: int = 0
    reason: str = ""


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """What to do about a group: examples of `intent`, or, where it is empty, an entry that answers it."""

    intent: str = ""
    confidence: float = 0.0


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Sentences that seem to want the same.

    Attributes:
        id: a hash of the sentences; another one when others come in.
        title: the sentence nearest to all others.
        callers: how many different callers said them; times: how often they were said; asked: how often of those the
            caller was asked which of two things they meant.
        sentences: the most typical first.
        proposal: what to do about it.
    """

    id: str
    title: str
    callers: int
    times: int
    sentences: tuple[str, ...]
    proposal: Proposal
    asked: int = 0


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """An example of the plan that was understood and would not be any more; `becomes` is empty when rejected."""

    text: str
    intent: str
    becomes: str


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision would do, on sentences that were left out.

    Attributes:
        examples: of the plan, in that language; right_before, right_after: how many of them are understood.
        sentences: of the group; contained_before, contained_after: how many of them are understood as what was decided.
        lost: examples of the plan that would not be understood any more, the first SHOWN.
    """

    examples: int
    right_before: int
    right_after: int
    sentences: int
    contained_before: int
    contained_after: int
    lost: tuple[Changed, ...] = ()


class Groups(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be looked at, and the ids of the decisions in force, oldest first."""

    plan: str
    language: str
    utterances: int
    groups: tuple[Group, ...]
    decisions: tuple[str, ...] = ()


class ReviewDecision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a trainer wants done.

    Attributes:
        plan: name of the dialplan. language: `en` or `zh`.
        action: `intent`: the group's sentences become examples of `intent`; `entry`: they ask for `answer`; `dismiss`:
            they belong to nothing and are not shown again; `undo`: take back the decision `decision`.
        group: id of the group, as it was listed.
        sentences: only these of the group; empty for all.
        intent: of `intent`: one that the plan has, or a new one.
        answer: of `entry`: what is said.
        decision: of `undo`: its id.
        live: put it in force; otherwise only say what it would do.
    """

    plan: _Plan
    action: Action
    language: _Language = "en"
    group: Annotated[str, msgspec.Meta(max_length=64)] = ""
    sentences: Annotated[
        tuple[Annotated[str, msgspec.Meta(max_length=2_000)], ...], msgspec.Meta(max_length=2_000)
    ] = ()
    intent: _Name | None = None
    answer: Annotated[str, msgspec.Meta(max_length=ANSWER_CHARS)] = ""
    decision: Annotated[str, msgspec.Meta(max_length=64)] = ""
    live: bool = False


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision does, or did: `decision` is its id once it is in force, and what takes it back."""

    live: bool
    decision: str = ""
    sentences: tuple[str, ...] = ()
    effect: Effect | None = None
