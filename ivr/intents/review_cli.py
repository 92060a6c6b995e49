"""`ivr intents review`: what nobody understood, in groups; what to do about each; what that does; take it back.

Reads the calls beside a running server. A decision is written into NAME.reviewed.yaml beside the plan, which a running
server puts in force as it does any change, and only if the plan is without faults with it. The HTTP interface runs this
in a process of the lowest priority, a decision as JSON on its input.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

import msgspec

from ivr.config import load
from ivr.dialog import plan_file
from ivr.dialog.plan import Plan
from ivr.errors import InvalidInput, Problem
from ivr.intents import review
from ivr.intents.decisions import Decisions
from ivr.intents.trainer import Effect, Groups, Outcome, ReviewDecision
from ivr.store.records import Review
from ivr.store.review import utterances
from ivr.store.store import Store
from ivr.understanding.intents import Example

MAX_READ = 20_000
"""Utterances of a plan that are looked at, the latest."""
_LISTED = 5


def options_of(parser: argparse.ArgumentParser) -> None:
    """The words of `ivr intents review`."""
    parser.add_argument("--config", default="config.toml", metavar="FILE")
    parser.add_argument("--plan", default="bank", help="name of the dialplan (default bank)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--decision-on-input", action="store_true", help="a decision as JSON on standard input")
    parser.add_argument("--group", default="", metavar="ID", help="decide on this group")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--intent", help="its sentences are examples of this intent")
    what.add_argument("--answer", help="its sentences are answered with this")
    what.add_argument("--dismiss", action="store_true", help="they belong to nothing; not shown again")
    what.add_argument("--undo", metavar="ID", help="take a decision back")
    parser.add_argument("--live", action="store_true", help="put it in force; without it only say what it would do")


def main(options: argparse.Namespace) -> int:
    """List the groups, or decide on one. Raises InvalidInput, Unavailable."""
    decision = _decision(options)
    desk = Desk(options.config, decision.plan if decision else options.plan)
    if decision is None:
        found = desk.groups(options.language or "en")
        print(msgspec.json.encode(found).decode() if options.json else _listed(found))
    else:
        outcome = desk.decide(decision)
        print(msgspec.json.encode(outcome).decode() if options.json else _told(outcome))
    return 0


def _decision(options: argparse.Namespace) -> ReviewDecision | None:
    """What is to be decided, None when the groups are to be listed."""
    if options.decision_on_input:
        try:
            return msgspec.json.decode(sys.stdin.buffer.read(1 << 22), type=ReviewDecision)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise InvalidInput(Problem("decision", str(error))) from None
    given = {"intent": options.intent, "entry": options.answer, "dismiss": options.dismiss, "undo": options.undo}
    action = next((name for name, value in given.items() if value), None)
    if action is None:
        return None
    fields = {"plan": options.plan, "language": options.language or "en", "action": action, "group": options.group,
              "intent": options.intent, "answer": options.answer or "", "decision": options.undo or "",
              "live": options.live}  # fmt: skip
    try:
        return msgspec.convert(fields, ReviewDecision)
    except msgspec.ValidationError as error:
        raise InvalidInput(Problem("ivr intents review", str(error))) from None


class Desk:
    """A trainer's desk: one plan, the calls that rang it, the decisions on what they said."""

    def __init__(self, config_file: str, plan: str) -> None:
        self._config = load(config_file)
        self._folder = self._config.path(self._config.paths.dialplans)
        self._plan = self._loaded(plan)
        file = Path(self._plan.file)
        self.file = file.with_name(f"{file.stem}.reviewed.yaml")

    def _loaded(self, name: str) -> Plan:
        plans = plan_file.load_all(self._folder)
        if name not in plans.by_name:
            faults = [p for p in plans.problems if Path(p.file).name.split(".")[0] == name]
            known = ", ".join(sorted(plans.by_name)) or "none"
            raise InvalidInput(*faults or [Problem(str(self._folder), f"no plan `{name}`", mend=f"there are: {known}")])
        return plans.by_name[name]

    def groups(self, language: str) -> Groups:
        """What is to be looked at."""
        decided = Decisions(self.file)
        heard = asyncio.run(self._heard(language))
        sentences = review.said(heard, decided.sentences(language))
        found = review.groups(sentences, self._examples(), language)
        return Groups(plan=self._plan.name, language=language, utterances=len(heard), groups=tuple(found),
                      decisions=decided.ids)  # fmt: skip

    async def _heard(self, language: str) -> list[tuple[str, str, Review]]:
        store = Store(self._config.store.url, self._config.root)
        await store.open(read_only=True)
        try:
            found = await utterances(store, self._plan.name, language, MAX_READ)
        finally:
            await store.close()
        return [(u.text, u.caller or u.call, u.why) for u in found]

    def _examples(self) -> tuple[Example, ...]:
        return self._plan.knowledge.examples

    def decide(self, wanted: ReviewDecision) -> Outcome:
        """What a decision does; with `live` it is in force, or nothing has changed."""
        decided = Decisions(self.file)
        if wanted.action == "undo":
            if not decided.undo(wanted.decision):
                mend = f"there are: {', '.join(decided.ids) or 'none'}"
                raise InvalidInput(Problem(str(self.file), f"no decision `{wanted.decision}`", mend=mend))
            self._write(decided, wanted.live)
            return Outcome(live=wanted.live, decision=wanted.decision)
        sentences = self._sentences(wanted)
        name, effect = "", None
        if wanted.action == "dismiss":
            name = decided.dismiss(wanted.language, sentences)
        elif wanted.action == "intent":
            if not wanted.intent:
                raise InvalidInput(Problem("decision", "no intent", field="intent", mend="its name"))
            answers = next((e.answer for e in self._plan.knowledge.entries if e.meaning == wanted.intent), {})
            name = decided.add(wanted.language, sentences, wanted.intent, answers)
            effect = self._effect(sentences, wanted.intent, wanted.language)
        else:
            if not wanted.answer.strip():
                raise InvalidInput(Problem("decision", "no answer", field="answer", mend="what callers are told"))
            name = decided.add(wanted.language, sentences, "", {wanted.language: wanted.answer.strip()})
            effect = self._effect(sentences, name, wanted.language)
        self._write(decided, wanted.live)
        return Outcome(live=wanted.live, decision=name if wanted.live else "", sentences=sentences, effect=effect)

    def _sentences(self, wanted: ReviewDecision) -> tuple[str, ...]:
        """Those of the group that are meant."""
        found = next((g for g in self.groups(wanted.language).groups if g.id == wanted.group), None)
        if found is None:
            mend = "list the groups again; others have come in"
            raise InvalidInput(Problem("decision", f"no group `{wanted.group}`", field="group", mend=mend))
        strange = [s for s in wanted.sentences if s not in found.sentences]
        if strange:
            raise InvalidInput(Problem("decision", f"`{strange[0]}` is not in the group", field="sentences"))
        return wanted.sentences or found.sentences

    def _effect(self, sentences: tuple[str, ...], intent: str, language: str) -> Effect:
        return review.effect(self._examples(), [Example(s, intent, language) for s in sentences], language)

    def _write(self, decided: Decisions, live: bool) -> None:
        """Write it, and put back what was there when the plan has faults with it."""
        if not live:
            return
        before = self.file.read_bytes() if self.file.exists() else None
        decided.write()
        try:
            plan_file.load(Path(self._plan.file))
        except InvalidInput:
            if before is None:
                self.file.unlink(missing_ok=True)
            else:
                self.file.write_bytes(before)
            raise


def _listed(found: Groups) -> str:
    lines = []
    for group in found.groups:
        intent, sure = group.proposal.intent, group.proposal.confidence
        todo = f"examples of `{intent}` ({sure:.2f})" if intent else "a new entry or intent"
        asked = f", {group.asked} of them asked which of two" if group.asked else ""
        lines.append(f"{group.id}  {group.callers} callers, {group.times} times{asked}: {todo}")
        lines += [f"    {sentence}" for sentence in group.sentences[:_LISTED]]
        if len(group.sentences) > _LISTED:
            lines.append(f"    and {len(group.sentences) - _LISTED} more")
    lines.append(f"{found.utterances} utterances of `{found.plan}` in {found.language}, {len(found.groups)} groups;"
                 f" decisions in force: {', '.join(found.decisions) or 'none'}")  # fmt: skip
    return "\n".join(lines)


def _told(outcome: Outcome) -> str:
    lines = []
    if outcome.effect is not None:
        done = outcome.effect
        lines.append(f"of {done.sentences} sentences of the group, each left out: {done.contained_before} understood"
                     f" before, {done.contained_after} after")  # fmt: skip
        lines.append(f"of {done.examples} examples of the plan, each left out: {done.right_before} right before,"
                     f" {done.right_after} after")  # fmt: skip
        lines += [f"  lost: `{c.text}` of {c.intent} {f'is taken for {c.becomes}' if c.becomes else 'is rejected'}"
                  for c in done.lost]  # fmt: skip
    if outcome.live:
        lines.append(f"in force within seconds: {outcome.decision}; `--undo {outcome.decision} --live` takes it back")
    else:
        lines.append("nothing written; `--live` puts it in force")
    return "\n".join(lines)
