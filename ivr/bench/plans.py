"""Dialplans for measuring: loops that ask the same thing again, whatever comes. Pure."""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INTENTS = ("agent", "goodbye", "help", "lost_card", "complaint", "balance", "repeat", "operator")

ASKS = {
    "open": ("How can I help you?", "请问您需要什么帮助？"),
    "yes_no": ("Is that right?", "对不对？"),
    "digits": ("Please say four digits.", "请说四位数字。"),
    "digit": ("One digit, please.", "请说一位数字。"),
    "long": (
        "Here is a long announcement. You may interrupt it at any time. We offer accounts, cards, loans and "
        "transfers, and our branches are open from nine to five on weekdays. This announcement goes on for a "
        "while, so that there is time to speak while it plays, and then it ends.",
        "这是一段较长的通知，您可以随时打断。我们提供账户、银行卡、贷款和转账服务，网点工作日上午九点到下午五点营业。"
        "这段通知会持续一段时间，以便您在播放时说话，然后就结束。",
    ),
}  # fmt: skip


def loop(kind: str, *, tries: int = 20, no_input_ms: int = 8_000, digits: tuple[int, int] = (4, 4),
         prompt: str = "", after: str = "") -> str:  # fmt: skip
    """A plan that asks for `kind` for ever; `after` names another kind of ASKS that is said between (English text)."""
    en, zh = ASKS[prompt or kind]
    expect = {"digit": "digits", "long": "open"}.get(kind, kind)
    low, high = (1, 1) if kind == "digit" else digits
    lines = [
        "plan: PLAN", "languages: [en, zh]", "start: ask", "steps:", "  ask:", "    kind: ask",
        f"    expect: {expect}", f"    prompt: {{en: {json.dumps(en)}, zh: {json.dumps(zh, ensure_ascii=False)}}}",
        f"    tries: {tries}", f"    no_input_ms: {no_input_ms}", "    give_up: over",
    ]  # fmt: skip
    if expect == "digits":
        lines.append(f"    digits: {{min: {low}, max: {high}}}")
    target = "ask"
    if expect == "open":
        target = "reply"
        lines += ["    on:", *(f"      {intent}: reply" for intent in INTENTS)]
    if after:
        target = "after"
    lines += [
        f"    next: {target}", "  over:", "    kind: hangup", '    prompt: {en: "Goodbye.", zh: "再见。"}',
    ]  # fmt: skip
    if expect == "open":
        lines += [
            "  reply:", "    kind: answer", "    question: ask", "    next: ask", "    unknown: unknown",
            "  unknown:", "    kind: say", '    prompt: {en: "I heard you.", zh: "我听到了。"}', "    next: ask",
        ]  # fmt: skip
    if after:
        en, zh = ASKS[after]
        lines += [
            "  after:", "    kind: say",
            f"    prompt: {{en: {json.dumps(en)}, zh: {json.dumps(zh, ensure_ascii=False)}}}", "    next: ask",
        ]  # fmt: skip
    return "\n".join(lines) + "\n"


def named(name: str, text: str) -> str:
    return text.replace("plan: PLAN", f"plan: {name}", 1)


def write_knowledge(folder: Path, name: str) -> None:
    """Put the shipped knowledge beside the plan `name`."""
    (folder / f"{name}.knowledge.yaml").write_bytes((ROOT / "dialplans" / "main.knowledge.yaml").read_bytes())
