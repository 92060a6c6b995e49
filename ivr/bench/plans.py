"""Dialplans for measuring: loops that ask the same thing again, whatever comes. Pure."""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_PLAIN = "events: {no_input: [], no_match: [], commands: [operator], digress: false}\n"
"""Whatever is not understood gets the question again, in the same words."""

ASKS = {
    "open": ("How can I help you?", "请问您需要什么帮助？"),
    "yes_no": ("Is that right?", "对不对？"),
    "digits": ("Please say four digits.", "请说四位数字。"),
    "digit": ("One digit, please.", "请说一位数字。"),
    "long": (
        "This announcement goes on for a good while so that there is time to speak while it plays and it tells you "
        "that our branches and our telephone lines are open every weekday from nine in the morning until five",
        "这段通知会持续比较长的时间以便您在播放的时候说话我们的网点和电话服务每个工作日从上午九点一直到下午五点为您服务",
    ),
}  # fmt: skip


def loop(kind: str, *, tries: int = 20, no_input_ms: int = 8_000, digits: tuple[int, int] = (4, 4),
         prompt: str = "", after: str = "") -> str:  # fmt: skip
    """A plan that asks for `kind` for ever; `after` names another kind of ASKS that is said between (English text)."""
    en, zh = ASKS[prompt or kind]
    low, high = (1, 1) if kind == "digit" else digits
    expects = {"digits": "slot: said", "digit": "slot: said", "yes_no": "expect: yes_no"}.get(kind, "expect: open")
    is_open = expects == "expect: open"
    target = "after" if after else "reply" if is_open else "ask"
    lines = [
        "plan: PLAN", "languages: [en, zh]", "start: ask", _PLAIN.rstrip(), "steps:", "  ask:", "    kind: ask",
        f"    {expects}", f"    prompt: {_prompt(en, zh)}", f"    tries: {tries}", f"    no_input_ms: {no_input_ms}",
        "    give_up: over", f"    next: {target}", "  over: {kind: hangup}",
    ]  # fmt: skip
    if expects == "slot: said":
        lines.insert(4, f"slots: {{said: {{kind: digits, min: {low}, max: {high}}}}}")
    if target == "reply":
        lines += [
            "  reply: {kind: answer, next: ask, unknown: unknown}",
            f"  unknown: {{kind: say, prompt: {_prompt('I heard you.', '我听到了。')}, next: ask}}",
        ]
    if after:
        lines.append(f"  after: {{kind: say, prompt: {_prompt(*ASKS[after])}, next: ask}}")
    return "\n".join(lines) + "\n"


def _prompt(en: str, zh: str) -> str:
    return f"{{en: {json.dumps(en)}, zh: {json.dumps(zh, ensure_ascii=False)}}}"


def named(name: str, text: str) -> str:
    return text.replace("plan: PLAN", f"plan: {name}", 1)


def write_knowledge(folder: Path, name: str) -> None:
    """Put the shipped knowledge beside the plan `name`."""
    (folder / f"{name}.knowledge.yaml").write_bytes((ROOT / "dialplans" / "main.knowledge.yaml").read_bytes())


def announcement() -> str:
    """A plan that tells something long, which speech may interrupt, then asks an open question."""
    return (
        f"plan: PLAN\nlanguages: [en, zh]\nstart: notice\n{_PLAIN}steps:\n"
        f"  notice: {{kind: say, prompt: {_prompt(*ASKS['long'])}, next: ask}}\n"
        f"  ask: {{kind: ask, prompt: {_prompt(*ASKS['open'])}, next: ask, give_up: end}}\n"
    )


def telling() -> str:
    """A plan that says the announcement for ever, with a question between; nothing interrupts it."""
    return (
        f"plan: PLAN\nlanguages: [en, zh]\nstart: notice\n{_PLAIN}steps:\n"
        f"  notice: {{kind: say, barge_in: none, prompt: {_prompt(*ASKS['long'])}, next: ask}}\n"
        f"  ask: {{kind: ask, expect: yes_no, barge_in: none, prompt: {_prompt('One moment.', '请稍等。')}, "
        "no_input_ms: 600, tries: 1, next: notice, give_up: notice}\n"
    )


def transferring(agent: str) -> str:
    """A plan that asks, and at key 0 connects to `agent`; every failure asks again."""
    return (
        f"plan: PLAN\nlanguages: [en, zh]\nstart: ask\noperator: connect\n{_PLAIN}steps:\n"
        f"  ask: {{kind: ask, expect: yes_no, prompt: {_prompt(*ASKS['yes_no'])}, no_input_ms: 60000, next: ask, "
        "give_up: ask}\n"
        f"  connect: {{kind: transfer, prompt: {_prompt('Connecting.', '正在转接。')}, target: {agent}, timeout_s: 60, "
        "busy: ask, no_answer: ask, failed: ask}\n"
    )
