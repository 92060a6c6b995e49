"""A conductor: the models of intents of the plans in force; what is learnt, what is being learnt, what is left to do.

A plan gets the models that are at hand. Where one of its examples has changed, the model before answers until the new
one is learnt; where there is none, the words of the examples do. One model is learnt at a time. Belongs to the asyncio
thread, but for `equipped`, which any thread may call; models are looked for in another. Knows nothing of files or
processes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

import structlog

from ivr.dialog.plan import Plan
from ivr.errors import Unavailable
from ivr.intents.trainer import Learnt
from ivr.understanding.intents import Example, Model
from ivr.understanding.outside import to_learn
from ivr.understanding.training import version_of

log = structlog.get_logger(__name__)


class Learner(Protocol):
    """Who has models, and makes them."""

    def at_hand(self, version: str) -> Model | None:
        """The model of that version, if it was learnt before; some milliseconds."""
        ...

    async def learn(self, examples: Sequence[Example], language: str, progress: Callable[[int, int], None]) -> Model:
        """A model of the examples in `language`. `progress(done, all)` counts examples. Raises Unavailable."""
        ...


class Learning:
    """The models of plans."""

    def __init__(self, learner: Learner) -> None:
        self._learner = learner
        self._wanted: dict[tuple[str, str], tuple[tuple[str, str, int], ...]] = {}
        self._failed: dict[str, str] = {}
        self._running, self._done = "", 0

    def equipped(self, plan: Plan, before: Plan | None) -> Plan:
        """`plan` with the models that are at hand, else those of the plan `before` it."""
        models = {}
        for language, version, _ in self._wants(plan):
            model = self._learner.at_hand(version) or (before.vocabulary.models.get(language) if before else None)
            if model is not None:
                models[language] = model
        return taught(plan, models)

    def left(self, plans: Iterable[Plan]) -> tuple[Plan, str] | None:
        """A plan and a language that are still to be learnt."""
        for plan in plans:
            for language, version, _ in self._wants(plan):
                model = plan.vocabulary.models.get(language)
                if (model is None or model.version != version) and version not in self._failed:
                    return plan, language
        return None

    async def learn(self, plan: Plan, language: str) -> Model | None:
        """Learn the plan's examples in `language`; None when that failed, which is logged and remembered."""
        version = next(v for each, v, _ in self._wants(plan) if each == language)
        if (known := await asyncio.to_thread(self._learner.at_hand, version)) is not None:
            return known
        self._running, self._done = version, 0
        try:
            examples = to_learn(plan.knowledge.examples)[language]
            model = await self._learner.learn(examples, language, self._progress)
        except Unavailable as error:
            self._failed[version] = str(error)
            kept = plan.vocabulary.models.get(language)
            log.error("intents cannot be learnt", plan=plan.name, language=language, reason=str(error),
                      in_force=kept.version if kept else "words of the examples")  # fmt: skip
            return None
        finally:
            self._running = ""
        log.info("intents learnt", plan=plan.name, language=language, version=model.version,
                 examples=len(model.examples), intents=len(model.intents))  # fmt: skip
        return model

    def try_again(self) -> None:
        """What failed may be tried again."""
        self._failed.clear()

    def of(self, plan: Plan) -> tuple[Learnt, ...]:
        """How far a plan is learnt, by language."""
        return tuple(self._state(plan, *wanted) for wanted in self._wants(plan))

    def _state(self, plan: Plan, language: str, version: str, examples: int) -> Learnt:
        model = plan.vocabulary.models.get(language)
        answers = model.version if model is not None else ""
        if answers == version:
            return Learnt(language, "learnt", answers, examples, examples)
        if version in self._failed:
            return Learnt(language, "failed", answers, examples, reason=self._failed[version])
        if version == self._running:
            return Learnt(language, "learning", answers, examples, self._done)
        return Learnt(language, "waiting", answers, examples)

    def _progress(self, done: int, _all: int) -> None:
        self._done = done

    def _wants(self, plan: Plan) -> tuple[tuple[str, str, int], ...]:
        """Language, version and number of examples of each model that `plan` wants. Worked out once a plan."""
        key = plan.name, plan.version
        if key not in self._wanted:
            wanted = to_learn(plan.knowledge.examples)
            self._wanted = {known: found for known, found in self._wanted.items() if known[0] != plan.name}
            self._wanted[key] = tuple((language, version_of(e, language), len(e)) for language, e in wanted.items())
        return self._wanted[key]


def taught(plan: Plan, models: dict[str, Model]) -> Plan:
    """`plan` with these models besides those that it has."""
    known = {**plan.vocabulary.models, **models}
    return replace(plan, vocabulary=replace(plan.vocabulary, models=known))
