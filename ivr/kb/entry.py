"""What the knowledge base is made of: entries, their versions, questions put to it and what is found. Pure.

An entry answers one thing that people ask, in one language. `faults` says what is wrong with one, field by field;
whoever takes entries in (a file, the HTTP interface) asks it first, so that what is stored holds. Knows nothing of
SQL, files or vectors.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from datetime import date, datetime
from typing import Annotated, Literal, get_args

import msgspec

LANGUAGES = ("en", "zh")
Audience = Literal["public", "verified", "agents"]
"""Who may hear it: any caller, callers whose identity was checked, agents. Each hears what those before may hear."""
AUDIENCES: tuple[Audience, ...] = get_args(Audience)

QUESTIONS_MAX = 200
QUESTION_CHARS = 500
ANSWER_CHARS = 2_000
LONG_ANSWER_CHARS = 20_000
TAGS_MAX = 32
SOURCE_CHARS = 500
QUERY_CHARS = 2_000
HITS_MAX = 50
ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_TAG = re.compile(r"[^\s,;|][^,;|]{0,63}")


class KbEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing people ask, and what is answered.

    Attributes:
        id: unique, at most 128 of A-Z a-z 0-9 . _ ~ -; made of language and first question when it is left out.
        language: `en` or `zh`; the same thing in both languages is two entries.
        questions: ways to ask, each one line; 1 to 200.
        answer: what is spoken. long_answer: what an agent's screen or another channel shows; may be Markdown.
        tags: for filters.
        valid_from, valid_until: first and last day on which it holds; None for no limit.
        audience: who may hear it.
        source: where it comes from: a page, a file, a name.
        version: 1 for the first; counted by the store. Given back on a change, it must still be the newest.
    """

    language: str
    questions: tuple[str, ...]
    answer: str
    id: str = ""
    long_answer: str = ""
    tags: tuple[str, ...] = ()
    valid_from: date | None = None
    valid_until: date | None = None
    audience: Audience = "public"
    source: str = ""
    version: Annotated[int, msgspec.Meta(ge=0)] = 0


class KbVersion(msgspec.Struct, frozen=True, kw_only=True):
    """An edition of an entry. `removed`: from then on there was none; `entry` is what it was last."""

    version: int
    at: datetime
    removed: bool
    entry: KbEntry


class KbVersions(msgspec.Struct, frozen=True, kw_only=True):
    """All editions of an entry, the newest first."""

    id: str
    versions: tuple[KbVersion, ...]


class KbPage(msgspec.Struct, frozen=True, kw_only=True):
    """Entries by id; `next` is the cursor of the next page, None at the end."""

    entries: tuple[KbEntry, ...]
    next: str | None = None


class KbQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question put to the base.

    Attributes:
        text: the question. language: of the entries to look among.
        limit: most hits wanted.
        tags: only entries with every one of these.
        audience: who is going to hear it; what is not for them is not found.
        on: the day on which it must hold; today when None.
        bar: lowest score that counts, 0 to 1; the base's own when None.
    """

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=QUERY_CHARS)]
    language: Literal["en", "zh"]
    limit: Annotated[int, msgspec.Meta(ge=1, le=HITS_MAX)] = 3
    tags: Annotated[tuple[str, ...], msgspec.Meta(max_length=TAGS_MAX)] = ()
    audience: Audience = "public"
    on: date | None = None
    bar: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None


class KbHit(msgspec.Struct, frozen=True, kw_only=True):
    """An entry found. `score` is the calibrated chance that it is what was asked; `question` its nearest way to ask."""

    entry: KbEntry
    score: float
    question: str


class KbFound(msgspec.Struct, frozen=True, kw_only=True):
    """What a search brought, best first. `answered` false: nothing reached the bar, so offer a person.

    Attributes:
        hits: what reached the bar. below: what came next, for a person to look at, never to be spoken.
        bar: the score that counted as found.
        entries: how many entries were looked among, of every language.
        took_ms: time of the search, embedding of the question included.
    """

    answered: bool
    hits: tuple[KbHit, ...]
    below: tuple[KbHit, ...]
    bar: float
    entries: int
    took_ms: float


def tidy(entry: KbEntry) -> KbEntry:
    """`entry` with stray spaces and repeated questions and tags gone, and an id if it had none."""
    questions = tuple(dict.fromkeys(q for q in (" ".join(q.split()) for q in entry.questions) if q))
    tags = tuple(dict.fromkeys(t for t in (" ".join(t.split()) for t in entry.tags) if t))
    name = entry.id.strip() or (made_id(entry.language, questions[0]) if questions else "")
    long_answer = "\n".join(line.rstrip() for line in entry.long_answer.splitlines()).strip("\n")
    return msgspec.structs.replace(
        entry, id=name, questions=questions, tags=tags, answer=" ".join(entry.answer.split()), long_answer=long_answer,
        source=" ".join(entry.source.split()), language=entry.language.strip().lower(),
    )  # fmt: skip


def made_id(language: str, question: str) -> str:
    """An id for an entry that came without: the same for the same first question."""
    return f"{language}-{hashlib.blake2b(folded(question).encode(), digest_size=6).hexdigest()}"


def folded(question: str) -> str:
    """Two questions are the same when this is: case, width, punctuation and spaces do not count."""
    text = unicodedata.normalize("NFKC", question).casefold()
    return " ".join(re.sub(r"[^\w']+|_", " ", text).split())


def content_hash(entry: KbEntry) -> str:
    """The same for entries that say the same, whatever their version."""
    body = msgspec.json.encode(msgspec.structs.replace(entry, version=0))
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def faults(entry: KbEntry) -> list[tuple[str, str]]:
    """(field, what is wrong and how to mend it) of a tidied entry; empty when it can be taken in."""
    found = []
    if not ID.fullmatch(entry.id):
        found.append(("id", "1 to 128 of the letters A-Z a-z, figures and . _ ~ -"))
    if entry.language not in LANGUAGES:
        found.append(("language", f"`{entry.language[:16]}` is not one of {', '.join(LANGUAGES)}"))
    if not entry.questions:
        found.append(("questions", "at least one way to ask is needed"))
    if len(entry.questions) > QUESTIONS_MAX:
        found.append(("questions", f"{len(entry.questions)} ways to ask; at most {QUESTIONS_MAX}"))
    for number, question in enumerate(entry.questions[:QUESTIONS_MAX], 1):
        if len(question) > QUESTION_CHARS:
            found.append(("questions", f"question {number} has over {QUESTION_CHARS} characters"))
        elif not folded(question):
            found.append(("questions", f"question {number} holds no word"))
    if not entry.answer:
        found.append(("answer", "empty; it is what callers hear"))
    for field, most in (("answer", ANSWER_CHARS), ("long_answer", LONG_ANSWER_CHARS), ("source", SOURCE_CHARS)):
        if len(getattr(entry, field)) > most:
            found.append((field, f"over {most} characters"))
    if len(entry.tags) > TAGS_MAX:
        found.append(("tags", f"{len(entry.tags)}; at most {TAGS_MAX}"))
    found += [("tags", f"`{t[:64]}`: 1 to 64 characters, no comma, semicolon or bar") for t in entry.tags[:TAGS_MAX]
              if not _TAG.fullmatch(t)]  # fmt: skip
    if entry.valid_from and entry.valid_until and entry.valid_until < entry.valid_from:
        found.append(("valid_until", "lies before valid_from"))
    return found + _unprintable(entry)


def _unprintable(entry: KbEntry) -> list[tuple[str, str]]:
    fields = {
        "questions": "".join(entry.questions), "answer": entry.answer, "tags": "".join(entry.tags),
        "source": entry.source, "long_answer": entry.long_answer.replace("\n", "").replace("\t", ""),
    }  # fmt: skip
    return [(field, "holds a control character or a broken one; take it out") for field, text in fields.items()
            if any(unicodedata.category(c) in ("Cc", "Cs") for c in text)]  # fmt: skip


def holds_on(entry: KbEntry, day: date) -> bool:
    """Whether the entry is valid on that day."""
    return (entry.valid_from is None or entry.valid_from <= day) and (
        entry.valid_until is None or day <= entry.valid_until
    )


def may_hear(audience: Audience, entry: KbEntry) -> bool:
    """Whether someone of that audience may hear the entry."""
    return AUDIENCES.index(entry.audience) <= AUDIENCES.index(audience)
