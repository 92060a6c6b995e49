"""The routes of the trainer's loop: what nobody understood, in groups, and decisions on it.

Runs on the asyncio thread; the work is done elsewhere. Knows nothing of models or files.
"""

from __future__ import annotations

import re
from typing import Protocol

from aiohttp import web

from ivr.errors import InvalidInput, Unavailable
from ivr.intents.trainer import Groups, Outcome, ReviewDecision
from ivr.kb.entry import LANGUAGES
from ivr.web.kb import body_of, json_of
from ivr.web.problem import Refusal

PLAN = r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}"


class Reviewing(Protocol):
    """Who finds groups and carries decisions out."""

    async def groups(self, plan: str, language: str) -> Groups: ...

    async def decide(self, decision: ReviewDecision) -> Outcome: ...


class ReviewApi:
    """Handlers; `routes` says where they belong. `reviewing` None: every route answers 503."""

    def __init__(self, reviewing: Reviewing | None) -> None:
        self._given = reviewing

    def routes(self) -> tuple[web.RouteDef, ...]:
        """Of all the handlers."""
        path = "/v1/intents/review"
        return (web.get(path, self.groups), web.post(path, self.decide))

    @property
    def _reviewing(self) -> Reviewing:
        if self._given is None:
            raise Unavailable("there is no trainer's loop here")
        return self._given

    async def groups(self, request: web.Request) -> web.Response:
        for field in request.query:
            if field not in ("plan", "language"):
                raise Refusal(400, "unknown parameter; known: plan, language", field=field[:128])
        plan, language = request.query.get("plan", ""), request.query.get("language", "en")
        if not re.fullmatch(PLAN, plan):
            raise Refusal(400, "the name of a dialplan; GET /v1/plans lists them", field="plan")
        if language not in LANGUAGES:
            raise Refusal(400, f"one of {', '.join(LANGUAGES)}", field="language")
        try:
            return json_of(await self._reviewing.groups(plan, language))
        except InvalidInput as invalid:
            raise Refusal(400, str(invalid)) from None

    async def decide(self, request: web.Request) -> web.Response:
        decision = body_of(request, ReviewDecision)
        try:
            return json_of(await self._reviewing.decide(decision))
        except InvalidInput as invalid:
            raise Refusal(400, str(invalid)) from None
