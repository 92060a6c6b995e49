"""Models in a folder, each by the hash of what it was learnt from: what is there need not be learnt again.

Knows nothing of plans or calls. Any process may read and write the folder at once: a model's file is put in place
whole, and the same examples give the same model, whoever learns them.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import structlog

from ivr.config import Config, load
from ivr.errors import InvalidInput
from ivr.intents import files
from ivr.understanding.embedding import dimension, embed_said, models_in
from ivr.understanding.intents import Example, Model
from ivr.understanding.outside import to_learn
from ivr.understanding.training import train, version_of

log = structlog.get_logger(__name__)

KEPT = 64
"""Models in a folder; those that nobody has asked for longest are removed."""
_BATCH = 64


def learnt(examples: Sequence[Example], language: str, progress: Callable[[int, int], None]) -> Model:
    """A model of the examples in `language`, here and now. `progress(done, all)` counts what is embedded.

    Raises InvalidInput when there are too few or too many.
    """
    own = [e for e in examples if e.language == language]
    vectors = [np.empty((0, dimension(language)), dtype=np.float32)]
    for start in range(0, len(own), _BATCH):
        progress(start, len(own))
        vectors.append(embed_said([e.text for e in own[start : start + _BATCH]], language))
    progress(len(own), len(own))
    return train(own, language, np.concatenate(vectors))


def shelf_of(config_file: str) -> Shelf:
    """Where the server with that configuration keeps its models; the usual folder where that cannot serve."""
    try:
        config = load(config_file)
    except InvalidInput:
        config = Config(root=str(Path(config_file).resolve().parent))
    return Shelf(config.path(config.store.intents), config.path(config.paths.models))


class Shelf:
    """The models in `folder`, which is made when the first is put there.

    `sentence_models`: a folder in which this process looks for those that are no part of a package, too.
    """

    def __init__(self, folder: Path, sentence_models: Path | None = None) -> None:
        if sentence_models is not None:
            models_in(sentence_models)
        self.folder = folder
        self._taken: weakref.WeakValueDictionary[str, Model] = weakref.WeakValueDictionary()

    def get(self, version: str) -> Model | None:
        """The model of that version; None when there is none, or only a damaged one, which is removed."""
        if (model := self._taken.get(version)) is not None:
            return model
        file = self._file(version)
        if not file.is_file():
            return None
        try:
            model = files.load(file)
            file.touch()
        except InvalidInput as damaged:
            log.warning("a model of intents is damaged and is learnt again", problem=str(damaged))
            file.unlink(missing_ok=True)
            return None
        except OSError:  # removed by another process, or not ours to touch
            return None
        self._taken[version] = model
        return model

    def has(self, version: str) -> bool:
        """Whether there is a model of that version, damaged or not."""
        return self._file(version).is_file()

    def put(self, model: Model) -> None:
        """Write a model, and remove those that nobody has asked for longest. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        files.save(model, self._file(model.version))
        found = sorted(self.folder.glob("*.npz"), key=_age)
        for file in found[KEPT:]:
            file.unlink(missing_ok=True)

    def of(self, examples: Sequence[Example]) -> dict[str, Model]:
        """The models that calls use for a plan with these examples, by language; learnt now where they are not there.

        What takes long is told on a terminal. A folder that cannot be written keeps nobody from learning.
        """
        found = {}
        for language, own in to_learn(examples).items():
            model = self.get(version_of(own, language))
            if model is None:
                if sys.stderr.isatty():
                    print(f"learning {len(own)} examples in {language}, once", file=sys.stderr, flush=True)
                model = learnt(own, language, lambda _done, _all: None)
                try:
                    self.put(model)
                except OSError as error:
                    print(f"the model is not kept: {error}", file=sys.stderr)
            found[language] = model
        return found

    def _file(self, version: str) -> Path:
        return self.folder / f"{version}.npz"


def _age(file: Path) -> float:
    """Sorts by when it was last asked for, the latest first."""
    try:
        return -file.stat().st_mtime
    except OSError:
        return 0.0
