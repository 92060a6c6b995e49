"""The doors at the command line: `ivr serve | check | call | models | plans | simulate | ...`."""

from __future__ import annotations

import os
import sys

from ivr import __version__, app, bench, check, config, plans, replay, simulate
from ivr.caller import cli as caller
from ivr.errors import InvalidInput, IvrError
from ivr.intents import cli as intents
from ivr.kb import cli as kb
from ivr.outbound import cli as jobs
from ivr.outbound import verify_evidence
from ivr.speech import models

HELP = """usage: ivr COMMAND [ARGUMENTS]

  serve  [--config FILE]   answer the telephone (SIGTERM drains, a second one ends it)
  check  [--config FILE]   find everything that is wrong with configuration, plans, models and prompts
  call   URI ...           ring a SIP address, speak, listen, print what happens
  plans history|show|rollback NAME [VERSION]   published versions of a dialplan
  replay --plan DRAFT.yaml CALL ...|--last N   recorded calls on a draft of their plan
  simulate PLAN            call a dialplan by typing, walk it by scenarios, draw it
  intents train|eval|test|explain   what callers mean: measure it, ask it
  kb import|search|eval|export|index           answers: take them in, find one, give them out
  jobs   list|show|why|retry|cancel|bulk       outbound calls of the running server
  verify-evidence FILE     whether outcomes are what a server signed
  models list|pull|verify  speech models: what there is, get them, check them
  bench  NAME              measure; `ivr bench` lists what
  version

`ivr COMMAND --help` tells more."""


def _serve(argv: list[str]) -> int:
    file = "config.toml"
    if argv[:1] == ["--config"] and len(argv) == 2:
        file = argv[1]
    elif argv:
        print("usage: ivr serve [--config FILE]")
        return 0 if argv[0] in ("-h", "--help") else 2
    return app.serve(config.load(file), file)


def _version(_: list[str]) -> int:
    print(__version__)
    return 0


COMMANDS = {
    "serve": _serve,
    "check": check.main,
    "call": caller.main,
    "intents": intents.main,
    "kb": kb.main,
    "jobs": jobs.main,
    "verify-evidence": verify_evidence.main,
    "models": models.main,
    "plans": plans.main,
    "replay": replay.main,
    "simulate": simulate.main,
    "bench": bench.main,
    "version": _version,
}


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0 all well, 1 it failed with a reason or nobody reads what it says, 2 the words were off."""
    try:
        try:
            return _run(sys.argv[1:] if argv is None else argv)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has had enough (`| head`); nothing may be written at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(HELP)
        return 0 if argv else 2
    command = COMMANDS.get(argv[0])
    if command is None:
        print(f"ivr: there is no command `{argv[0]}`\n\n{HELP}", file=sys.stderr)
        return 2
    try:
        return command(argv[1:])
    except InvalidInput as invalid:
        for problem in invalid.problems:
            print(problem, file=sys.stderr)
        return 1
    except IvrError as error:
        print(f"ivr: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
