"""A caller's turns beside the server's record of the same call: what it heard of each, and whether it cut us off.

Both run on one machine, so wall clocks agree. Pure but for reading the clock.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ivr.caller import Call, Turn

EARLY_S = 0.05
FORGOTTEN_MS = 350


@dataclass(frozen=True)
class Judged:
    """One utterance of ours, what the server made of it (None: no turn of it) and why it counts as cut off."""

    turn: Turn
    server: dict[str, Any] | None
    cut_off: str

    @property
    def heard(self) -> str:
        return (self.server or {}).get("heard") or ""

    @property
    def value(self) -> str:
        return (self.server or {}).get("value") or ""

    @property
    def rejected(self) -> str:
        return (self.server or {}).get("rejected") or ""

    def latency(self, part: str) -> float | None:
        value = ((self.server or {}).get("latency") or {}).get(part)
        return None if value is None else float(value)


def judge(call: Call, record: dict[str, Any]) -> list[Judged]:
    """Every `call.turn` with the server turn that was open when it began; the last of several in one turn has it."""
    wall = time.time() - time.monotonic() + call.invited_at
    opened = [(datetime.fromisoformat(t["started_at"]).timestamp() - wall, t) for t in record["turns"]]
    found = []
    for index, turn in enumerate(call.turns):
        during = [at for at, _ in opened if turn.began_s + EARLY_S < at < turn.ended_s - EARLY_S]
        place = sum(at <= turn.began_s + EARLY_S for at, _ in opened)
        later = call.turns[index + 1].began_s + EARLY_S if index + 1 < len(call.turns) else float("inf")
        shared = place == sum(at <= later for at, _ in opened) and index + 1 < len(call.turns)
        server = opened[place - 1][1] if place and not shared else None
        found.append(Judged(turn, server, _why(turn, server, during)))
    return found


def _why(turn: Turn, server: dict[str, Any] | None, during: list[float]) -> str:
    if turn.cut_off:
        return "its answer began before we had finished"
    if during:
        return f"it went on {turn.ended_s - during[0]:.2f} s before we had finished"
    total = ((server or {}).get("latency") or {}).get("total_ms")
    if total is not None and turn.gap_s is not None and total - turn.gap_s * 1000 > FORGOTTEN_MS:
        return f"it heard our last word {total - turn.gap_s * 1000:.0f} ms before we spoke it"
    return ""
