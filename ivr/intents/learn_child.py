"""The process that learns: examples as JSON on standard input, a model in a folder, how far it is on standard output.

Of the lowest priority, so that calls do not feel it. It ends when whoever started it does, since then nobody reads what
it says. Started by `live.Learner`: `python -m ivr.intents.learn_child FOLDER LANGUAGE MODELS`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from ivr.errors import InvalidInput, Unavailable
from ivr.intents.shelf import Shelf, learnt
from ivr.understanding.intents import Example


def main(folder: str, language: str, models: str) -> int:
    """0 when the model is in `folder`; 1, with the reason on standard error, when it is not."""
    os.nice(19)
    try:
        shelf = Shelf(Path(folder), Path(models))
        given = msgspec.json.decode(sys.stdin.buffer.read(), type=list[tuple[str, str]])
        examples = [Example(text, intent, language) for text, intent in given]
        model = learnt(examples, language, lambda done, whole: print(done, whole, flush=True))
        shelf.put(model)
    except BrokenPipeError:
        os._exit(1)
    except OSError as error:
        print(f"the model cannot be written: {error}", file=sys.stderr)
    except (InvalidInput, Unavailable, msgspec.MsgspecError) as error:
        print(error, file=sys.stderr)
    else:
        return 0
    return 1


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
