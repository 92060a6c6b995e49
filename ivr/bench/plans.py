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
        "This announcement goes on for a good while so that there is time to speak while it plays and it tells you "
        "that our branches and our telephone lines are open every weekday from nine in the morning until five",
        "这段通知会持续比较长的时间以便您在播放的时候说话我们的网点和电话服务每个工作日从上午九点一直到下午五点为您服务",
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


def announcement() -> str:
    """A plan that tells something long, which speech may interrupt, then asks an open question."""
    en, zh = ASKS["long"]
    ask_en, ask_zh = ASKS["open"]
    prompt = f"{{en: {json.dumps(en)}, zh: {json.dumps(zh, ensure_ascii=False)}}}"
    ask = f"{{en: {json.dumps(ask_en)}, zh: {json.dumps(ask_zh, ensure_ascii=False)}}}"
    return (
        "plan: PLAN\nlanguages: [en, zh]\nstart: notice\nsteps:\n"
        f"  notice:\n    kind: say\n    prompt: {prompt}\n    next: ask\n"
        f"  ask:\n    kind: ask\n    expect: open\n    prompt: {ask}\n    next: ask\n    give_up: over\n"
        '  over:\n    kind: hangup\n    prompt: {en: "Goodbye.", zh: "再见。"}\n'
    )


def telling() -> str:
    """A plan that says the announcement for ever, with a question between; nothing interrupts it."""
    en, zh = ASKS["long"]
    prompt = f"{{en: {json.dumps(en)}, zh: {json.dumps(zh, ensure_ascii=False)}}}"
    ask = '{en: "One moment.", zh: "请稍等。"}'
    return (
        "plan: PLAN\nlanguages: [en, zh]\nstart: notice\nsteps:\n"
        f"  notice:\n    kind: say\n    barge_in: none\n    prompt: {prompt}\n    next: ask\n"
        f"  ask:\n    kind: ask\n    expect: yes_no\n    barge_in: none\n    prompt: {ask}\n    no_input_ms: 600\n"
        "    tries: 1\n    next: notice\n    give_up: notice\n"
    )


def transferring(agent: str) -> str:
    """A plan that asks, and at key 0 connects to `agent`; every failure asks again."""
    ask_en, ask_zh = ASKS["yes_no"]
    return (
        "plan: PLAN\nlanguages: [en, zh]\nstart: ask\noperator: connect\nsteps:\n"
        f"  ask:\n    kind: ask\n    expect: yes_no\n    prompt: {{en: {json.dumps(ask_en)}, "
        f"zh: {json.dumps(ask_zh, ensure_ascii=False)}}}\n    no_input_ms: 60000\n    next: ask\n    give_up: ask\n"
        '  connect:\n    kind: transfer\n    prompt: {en: "Connecting.", zh: "正在转接。"}\n'
        f"    target: {agent}\n    timeout_s: 60\n    busy: ask\n    no_answer: ask\n    failed: ask\n"
    )
