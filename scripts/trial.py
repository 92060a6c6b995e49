"""README.md, "The first fifteen minutes", done by a script in a copy of dialplans/, with what a caller hears.

Every edit is one that the chapter tells a person to make, with the chapter's own blocks. Ends with 0 when each of them
does what the chapter says.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHAPTER = (ROOT / "README.md").read_text("utf-8").split("### The first fifteen minutes\n")[1].split("\n### ")[0]
BLOCKS = re.findall(r"```yaml\n(.*?)```", CHAPTER, re.DOTALL)


def calls(plan: Path, language: str, *said: str) -> str:
    """What `ivr simulate` prints for a caller who says these lines."""
    command = [sys.executable, "-m", "ivr", "simulate", str(plan), "--language", language]
    done = subprocess.run(
        command, input="".join(f"{line}\n" for line in said), capture_output=True, text=True, cwd=ROOT, check=False
    )
    if done.returncode:
        sys.exit(f"trial: {plan.name} cannot be called:\n{done.stdout}{done.stderr}")
    return done.stdout


def show(title: str, told: str) -> None:
    print(f"\n{title}")
    print("".join(f"    {line}\n" for line in told.splitlines() if line.startswith(("said:", "heard:", "key"))), end="")


def must(told: str, *words: str) -> None:
    missing = [w for w in words if w not in told]
    if missing:
        sys.exit(f"trial: nobody says {missing[0]!r}:\n{told}")


def edit(plan: Path, old: str, new: str) -> None:
    text = plan.read_text("utf-8")
    if text.count(old) != 1:
        sys.exit(f"trial: {plan.name} holds {old!r} {text.count(old)} times; README.md is out of date")
    plan.write_text(text.replace(old, new), "utf-8")


def main() -> int:
    menu, entry, step, slot, form = BLOCKS
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "dialplans", Path(folder) / "dialplans")
        plan = Path(folder) / "dialplans" / "main.yaml"
        show("As shipped:", calls(plan, "en"))

        edit(plan, 'en: "Welcome to the bank."', 'en: "Good day, this is the bank."')
        edit(plan, 'zh: "欢迎致电银行。"', 'zh: "您好，这里是银行。"')
        for language, words in (("en", "Good day, this is the bank."), ("zh", "您好，这里是银行。")):
            told = calls(plan, language)
            must(told, words)
            show(f"1. A prompt changed ({language}):", told)

        edit(plan, "    next: question\n\n  question:", f"    next: choose\n\n{menu}\n  question:")
        edit(plan, entry_before(menu), entry_before(menu) + entry)
        edit(plan, "\n  question:", f"\n{step}\n  question:")
        told = calls(plan, "en", "#3")
        must(told, "parking")
        show("2. A menu, and an entry added to it (key 3):", told)
        must(calls(plan, "zh", "停车"), "停车位")

        edit(plan, "slots:\n", f"slots:\n{slot}")
        edit(plan, "next: parking", "next: plate")
        edit(plan, "\n  question:", f"\n{form}\n  question:")
        told = calls(plan, "en", "#3", "a b one two three")
        must(told, "AB123")
        show("3. A slot, asked for and used:", told)
        must(calls(plan, "zh", "停车", "A B 一 二 三"), "AB123")
    print("\nEvery change did what README.md says.")
    return 0


def entry_before(menu: str) -> str:
    """The last entry of the menu, after which the new one goes."""
    return re.findall(r"^      \w+: \{key.*\n", menu, re.MULTILINE)[-1]


if __name__ == "__main__":
    sys.exit(main())
