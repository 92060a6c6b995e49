"""Measurements from outside: `ivr bench NAME` starts a server of its own, rings it, and prints required and measured.

`BENCHES` names them; each module has `main(argv) -> int`. They are imported one at a time, when asked for.
"""

from __future__ import annotations

import importlib
import sys

BENCHES = {
    "gaps": "ivr.bench.gaps",
    "cutoff": "ivr.bench.cutoff",
    "barge": "ivr.bench.barge",
    "echo": "ivr.bench.echo",
    "accuracy": "ivr.bench.accuracy",
    "recognition": "ivr.bench.recognition",
    "load": "ivr.bench.load",
    "soak": "ivr.bench.soak",
    "death": "ivr.bench.death",
    "capacity": "ivr.bench.capacity",
    "hearing": "ivr.bench.hearing",
    "voice": "ivr.bench.voice",
    "reload": "ivr.bench.reload",
    "bank": "ivr.bench.bank",
    "loading": "ivr.bench.loading",
    "kb": "ivr.bench.kb",
    "identity": "ivr.bench.identity",
    "amd": "ivr.bench.amd",
    "queue": "ivr.bench.queue",
    "outbound": "ivr.bench.outbound",
    "spoken_intents": "ivr.bench.spoken_intents",
    "review": "ivr.bench.review",
}


def main(argv: list[str]) -> int:
    """`ivr bench NAME [--data DIR] [--quick] [--json OUT] [--seed N]`: 0 when every row holds, 1 when one does not."""
    if not argv or argv[0] in ("-h", "--help") or argv[0] not in BENCHES:
        print("usage: ivr bench NAME [--data DIR] [--quick] [--json OUT] [--seed N]\n")
        for name, module in BENCHES.items():
            text = (importlib.import_module(module).__doc__ or "").strip().splitlines()[0]
            print(f"  {name:14} {text}")
        known = argv and argv[0] in ("-h", "--help")
        if argv and not known:
            print(f"\nivr bench: there is no bench `{argv[0]}`", file=sys.stderr)
        return 0 if known or not argv else 2
    return importlib.import_module(BENCHES[argv[0]]).main(argv[1:])
