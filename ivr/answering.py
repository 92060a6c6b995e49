"""A conductor: what the base of answers says to an open question that the plan's own file leaves unanswered.

One search a question, in asyncio's thread, for what this caller may hear: any caller, or one whom the plan's back end
verified, or who proved who they are, in this call. Knows nothing of legs or indexes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog

from ivr.dialog.plan import NAMED, Answer, Plan
from ivr.dialog.state import State
from ivr.errors import Unavailable
from ivr.kb.entry import LANGUAGES, QUERY_CHARS, KbFound, KbQuery
from ivr.turn import FROM_BASE, Understood

WITHIN_S = 1.0
"""A base that takes longer has no answer: the caller waits."""

Search = Callable[[KbQuery], Awaitable[KbFound]]

log = structlog.get_logger(__name__)


async def complete(search: Search, plan: Plan, state: State, kind: str, said: Understood) -> Understood:
    """`said` with an answer, its entry as `kb:ID@VERSION` and its score, where the base reaches its bar.

    `kind` is what was expected in `state`. A plan without an `answer` step asks nothing.
    """
    if kind != "open" or not said.unanswered or state.language not in LANGUAGES:
        return said
    if not any(isinstance(step, Answer) for step in plan.steps.values()):
        return said
    audience = "verified" if state.proven or plan.is_verified(state.slots) else "public"
    query = KbQuery(text=said.value[:QUERY_CHARS], language=state.language, audience=audience, limit=1)
    try:
        async with asyncio.timeout(WITHIN_S):
            found = await search(query)
    except (TimeoutError, Unavailable) as error:
        log.warning("the base of answers was not asked", error=str(error) or f"more than {WITHIN_S:g} s")
        return said
    if not found.answered:
        return said
    hit = found.hits[0]
    log.info("answered from the base", entry=hit.entry.id, version=hit.entry.version, score=hit.score)
    # An entry's words are no prompt: what stands in braces there must not read the call's slots.
    answer = NAMED.sub(lambda match: match[1], hit.entry.answer)
    return replace(said, answer=answer, source=f"{FROM_BASE}{hit.entry.id}@{hit.entry.version}", confidence=hit.score)
