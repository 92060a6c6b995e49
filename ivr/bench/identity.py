"""Is it who they say: postcode, name and birth date from a recogniser's n-best lists against records.

`--data FOLDER` holds `evi_en/records.*.csv` and `evi_en/dialogues.*.tsv` (EVI, Spithourakis et al. 2022, CC BY 4.0), or
these files themselves. A genuine trial is a caller against the record that they were told to be; an impostor trial is
the same caller against somebody else's. The threshold is chosen on one half of the speakers where both errors are
alike, the rates are those of the other half, and the halves then change places. Rows without a requirement say how each
value does alone, and what happens to an impostor who knows the name. `--curve FILE.csv` writes the whole trade-off.

The last rows are a `prove` step: the birth date, asked for again only while the sum of the scores lies between two
thresholds, three times at most. They, too, are chosen on one half and measured on the other; and as the plan `verify`
has them. An impostor answers with another birth date, each time the same. `--spoken` adds four digits in recorded
voices and birth dates in synthetic ones, through G.711 and the recogniser, with the value that is expected among decoys
in what it weighs.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ivr.bench import birth_dates, corpus, recognition
from ivr.bench.accuracy import FIGURES_ZH
from ivr.bench.report import Report, data_folder, run
from ivr.errors import InvalidInput, Problem, Unavailable
from ivr.turn import Expectation
from ivr.understanding import identity, slots
from ivr.understanding.knowledge import Knowledge
from ivr.understanding.proving import Proofs
from ivr.understanding.slots import Slot
from ivr.understanding.understand import Vocabulary

LIMIT = 5.0
ACCEPTED, REJECTED = 0.1, 5.0
"""Most impostors accepted and callers rejected by a `prove` step, percent."""
ANSWERS = 3
_ACCEPTS, _REJECTS = np.arange(4.0, 12.1, 0.5), (-4.0, -6.0, -8.0)
_PLAN = (7.0, -6.0)
SPOKEN = 60
"""Strings of four recorded digits."""
IMPOSTORS = 20
_LANGUAGE = "en"
_SLOTS: Mapping[str, tuple[identity.Kind, Slot]] = {
    "postcode": ("code", Slot("postcode", "code", min=5, max=7)),
    "name": ("name", Slot("name", "name")),
    "dob": ("date", Slot("dob", "date")),
}
_MOST_BYTES = 200_000_000


@dataclass(frozen=True)
class Answer:
    """What one turn was heard as: `item` of the record, which `attempt` at it, texts best first."""

    item: str
    attempt: int
    nbest: tuple[str, ...]


@dataclass(frozen=True)
class Dialogue:
    """One caller, told to be the record `scenario`."""

    speaker: str
    scenario: str
    answers: tuple[Answer, ...]


Record = Mapping[str, str]
Scores = Mapping[tuple[str, int], float]
"""By item and attempt."""


def _rows(path: Path, needed: Sequence[str]) -> Iterator[dict[str, str]]:
    if path.stat().st_size > _MOST_BYTES:
        raise InvalidInput(Problem(str(path), f"larger than {_MOST_BYTES // 10**6} MB"))
    try:
        with path.open(encoding="utf-8", newline="") as file:
            table = csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ",")
            missing = [name for name in needed if name not in (table.fieldnames or ())]
            if missing:
                raise InvalidInput(Problem(str(path), f"there is no column `{missing[0]}`", line=1))
            yield from table
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(Problem(str(path), f"not a table in UTF-8: {error}")) from error


def _one_file(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if not found:
        raise InvalidInput(
            Problem(
                str(folder), f"there is no {pattern}", mend="--data takes the folder of EVI, or one that has evi_en"
            )
        )
    return found[0]


def load(folder: Path) -> tuple[dict[str, Record], list[Dialogue]]:
    """Records by id, and the dialogues whose record there is. Raises InvalidInput that names file, line and column."""
    folder = folder / "evi_en" if (folder / "evi_en").is_dir() else folder
    records = {r["scenario_id"]: r for r in _rows(_one_file(folder, "records.*.csv"), ("scenario_id", *_SLOTS))}
    path, turns = _one_file(folder, "dialogues.*.tsv"), {}
    needed = ("dialogue_id", "speaker_id", "scenario_id", "item", "attempt_num", "nbest")
    for line, row in enumerate(_rows(path, needed), 2):
        if row["scenario_id"] not in records or row["item"] not in _SLOTS:
            continue
        try:
            nbest = tuple(str(text) for text in json.loads(row["nbest"]))
            answer = Answer(row["item"], int(row["attempt_num"]), nbest)
        except (ValueError, TypeError) as error:
            what = "`nbest` must be a JSON list and `attempt_num` a number"
            raise InvalidInput(Problem(str(path), what, line=line)) from error
        whose = (row["dialogue_id"], row["speaker_id"], row["scenario_id"])
        turns.setdefault(whose, []).append(answer)
    return records, [Dialogue(speaker, scenario, tuple(a)) for (_, speaker, scenario), a in turns.items()]


def scores(dialogue: Dialogue, record: Record) -> Scores:
    """Of every answer that the dialogue has, the likelihood ratio for the record."""
    return {
        (a.item, a.attempt): identity.score(
            _SLOTS[a.item][0], record[a.item], [(text, 1.0) for text in a.nbest], _LANGUAGE
        )
        for a in dialogue.answers
    }


def first(of: Scores) -> float:
    """Every item once, as a bank asks."""
    return sum(value for (_, attempt), value in of.items() if attempt == 0)


def best_of_all(of: Scores) -> float:
    """Every item as often as it was asked, the best answer to each."""
    return sum(max(value for (item, _), value in of.items() if item == asked) for asked in {item for item, _ in of})


def rates(genuine: np.ndarray, impostor: np.ndarray, threshold: float) -> tuple[float, float]:
    """False accepts and false rejects, each 0 to 1; accepted is who reaches the threshold."""
    return float((impostor >= threshold).mean()), float((genuine < threshold).mean())


def equal_error(genuine: np.ndarray, impostor: np.ndarray) -> float:
    """The threshold where false accepts and false rejects come nearest to one another."""
    candidates = np.unique(np.concatenate([genuine, impostor]))
    return float(min(candidates, key=lambda t: abs(np.subtract(*rates(genuine, impostor, t)))))


@dataclass(frozen=True)
class Trials:
    """Scores of genuine callers and of impostors, and for each which half its speaker is in."""

    genuine: Sequence[Scores]
    impostor: Sequence[Scores]
    genuine_half: np.ndarray
    impostor_half: np.ndarray

    def swapped(self, fused: Callable[[Scores], float]) -> tuple[float, float, list[float]]:
        """False accepts and false rejects, means of both halves with the other's threshold, and the thresholds."""
        own, others = (np.array([fused(s) for s in side]) for side in (self.genuine, self.impostor))
        found, thresholds = [], []
        for half in (0, 1):
            chosen = equal_error(own[self.genuine_half == half], others[self.impostor_half == half])
            thresholds.append(chosen)
            found.append(rates(own[self.genuine_half != half], others[self.impostor_half != half], chosen))
        accepts, rejects = np.mean(found, axis=0)
        return float(accepts), float(rejects), thresholds


@dataclass(frozen=True)
class Asked:
    """Scores of the answers of every trial, one row each, and which half its speaker is in; NaN: not asked so often."""

    scores: np.ndarray
    half: np.ndarray

    def proven(self, half: int, accept: float, reject: float) -> tuple[float, float]:
        """(share that is proven, mean number of questions) of the other half than `half`; -1: of all."""
        sums = np.cumsum(np.nan_to_num(self.scores[self.half != half]), axis=1)
        asked = ~np.isnan(self.scores[self.half != half])
        over = (sums >= accept) | (sums <= reject)
        over[:, -1] = True
        last = np.minimum(over.argmax(axis=1), asked.sum(axis=1) - 1)
        return float((sums[np.arange(len(sums)), last] >= accept).mean()), float(last.mean() + 1)


def sequential(genuine: Asked, impostor: Asked) -> list[tuple[float, float]]:
    """For each half the thresholds that reject fewest callers of it and accept half of the impostors that may be."""
    found = []
    for half in (0, 1):
        possible = []
        for accept in _ACCEPTS:
            for reject in _REJECTS:
                wrong, _ = impostor.proven(1 - half, accept, reject)
                right, questions = genuine.proven(1 - half, accept, reject)
                possible.append((wrong > ACCEPTED / 200, -right, questions, accept, reject))
        found.append(min(possible)[3:])
    return found


def asked(report: Report, records: Mapping[str, Record], dialogues: Sequence[Dialogue]) -> tuple[Asked, Asked]:
    """Callers and impostors who are asked for their birth date."""
    chance = random.Random(report.seed)  # noqa: S311 - no secret
    own: list[list[float]] = []
    others: list[list[float]] = []
    halves: tuple[list[int], list[int]] = ([], [])
    for dialogue in dialogues:
        answers = sorted((a for a in dialogue.answers if a.item == "dob"), key=lambda a: a.attempt)[:ANSWERS]
        readings = [[(text, 1.0) for text in answer.nbest] for answer in answers]
        born = records[dialogue.scenario]["dob"]
        for record in (dialogue.scenario, *chance.sample(list(records), min(IMPOSTORS, len(records)))):
            expected, itself = records[record]["dob"], record == dialogue.scenario
            if not answers or (expected == born and not itself):
                continue
            row = [identity.weighed("date", expected, each, _LANGUAGE)[0] for each in readings]
            (own if itself else others).append(row + [float("nan")] * (ANSWERS - len(row)))
            halves[not itself].append(_half(dialogue.speaker))
    return tuple(Asked(np.array(r), np.array(h)) for r, h in zip((own, others), halves, strict=True))  # type: ignore[return-value]


def _half(speaker: str) -> int:
    return zlib.crc32(speaker.encode()) % 2


def _trials(report: Report, records: Mapping[str, Record], dialogues: Sequence[Dialogue], knows: str = "") -> Trials:
    """`knows`: an item that impostors say as the record has it."""
    chance = random.Random(report.seed)  # noqa: S311 - no secret
    ids = list(records)
    genuine, impostor, halves = [], [], []
    for dialogue in dialogues:
        own = scores(dialogue, records[dialogue.scenario])
        genuine.append(own)
        for other in chance.sample(ids, min(IMPOSTORS, len(ids))):
            if other != dialogue.scenario:
                theirs = scores(dialogue, records[other])
                impostor.append({key: own[key] if key[0] == knows else value for key, value in theirs.items()})
                halves.append(_half(dialogue.speaker))
    return Trials(genuine, impostor, np.array([_half(d.speaker) for d in dialogues]), np.array(halves))


def _plain(value: str) -> str:
    return "".join(c for c in value.lower() if c.isalnum())


def _accuracy(report: Report, records: Mapping[str, Record], dialogues: Sequence[Dialogue]) -> None:
    for item, (_, slot) in _SLOTS.items():
        top = every = count = 0
        for dialogue in dialogues:
            wanted = _plain(records[dialogue.scenario][item])
            for answer in (a for a in dialogue.answers if a.item == item):
                found = [slots.read(slot, [(text, 0.9)], _LANGUAGE) for text in answer.nbest]
                known = [_plain(value) for f in found if f for value in (f.value, *f.rivals)]
                best = next((_plain(f.value) for f in found if f), "")
                top, every, count = top + (best == wanted), every + (wanted in known), count + 1
        report.row(f"{item} read from the list, {count} answers", "",
                   f"top-1 {100 * top / max(1, count):.1f} %, top-n {100 * every / max(1, count):.1f} %")  # fmt: skip


def _curve(trials: Trials) -> list[dict[str, float]]:
    own, others = (np.array([first(s) for s in side]) for side in (trials.genuine, trials.impostor))
    steps = np.linspace(min(own.min(), others.min()), max(own.max(), others.max()), 100)
    named = ((t, *rates(own, others, t)) for t in steps)
    return [{"threshold": round(float(t), 3), "false_accept": a, "false_reject": r} for t, a, r in named]


def _write(path: Path, curve: Sequence[Mapping[str, float]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, ("threshold", "false_accept", "false_reject"))
        table.writeheader()
        table.writerows(curve)


async def measure(report: Report, options: argparse.Namespace) -> None:
    folder = data_folder(options.data)
    if folder is None:
        raise Unavailable("there is no evaluation data; give its folder with --data")
    records, dialogues = load(folder)
    if report.quick:
        dialogues = dialogues[:40]
    if len({_half(d.speaker) for d in dialogues}) < 2:
        raise Unavailable(f"{folder}: {len(dialogues)} dialogues; two speakers at least are needed, one for each half")
    report.note(f"{len(dialogues)} dialogues, {len({d.speaker for d in dialogues})} speakers, {len(records):,} records")
    _accuracy(report, records, dialogues)
    trials = _trials(report, records, dialogues)
    ways: dict[str, Callable[[Scores], float]] = {
        "each asked once": first, "the best of all attempts": best_of_all,
    }  # fmt: skip
    for how, fused in ways.items():
        _row(report, f"postcode, name and birth date, {how}", trials.swapped(fused), required=True)
    for item in _SLOTS:
        _row(report, f"{item} alone, asked once", trials.swapped(lambda of, item=item: of.get((item, 0), 0.0)))
    _row(report, "all three, against impostors who know the name",
         _trials(report, records, dialogues, "name").swapped(first))  # fmt: skip
    _sequential(report, *asked(report, records, dialogues))
    if options.spoken:
        spoken(report, folder)
        birth_dates.spoken(report, folder, _PLAN)
    report.details["curve"] = _curve(trials)
    if options.curve:
        _write(Path(options.curve), report.details["curve"])


def _sequential(report: Report, genuine: Asked, impostor: Asked) -> None:
    found = [
        (*impostor.proven(half, *chosen), *genuine.proven(half, *chosen))
        for half, chosen in enumerate(sequential(genuine, impostor))
    ]
    _asked_rows(report, "each half with the other's thresholds", np.mean(found, axis=0), required=True)
    plan = (*impostor.proven(-1, *_PLAN), *genuine.proven(-1, *_PLAN))
    _asked_rows(report, f"thresholds {_PLAN[0]:g} and {_PLAN[1]:g}, as in dialplans/verify.yaml", plan)


def spoken(report: Report, folder: Path) -> None:
    """Four digits in recorded voices through G.711 and the recogniser: `fsdd` strung together, `zh_caller` as it is.

    Of the Mandarin strings there is one take each, so that nobody is asked again.
    """
    strings = corpus.digit_strings(folder, 5 if report.quick else SPOKEN, 4, report.seed)

    def again(string: corpus.Utterance) -> list[corpus.Utterance]:
        return [string, *(corpus.spoken_again(folder, string, report.seed + n) for n in range(1, ANSWERS))]

    _spoken(report, "en", [again(string) for string in strings], required=True)
    found = [u for u in corpus.recorded(folder, "zh_caller", "zh") if u.label == "digits"]
    figures = [replace(u, label="".join(FIGURES_ZH[c] for c in u.text)) for u in found]
    _spoken(report, "zh", [[u] for u in figures], required=False)


def _spoken(report: Report, language: str, strings: Sequence[Sequence[corpus.Utterance]], required: bool) -> None:
    """Each of `strings` (the takes of one) for its own number, and for two others."""
    ear, chance = recognition.load(language), corpus.seeded(report.seed)
    expectation = Expectation("digits", language, min_digits=4, max_digits=4, proof="id_last4")

    def proven(takes: Sequence[corpus.Utterance], expected: str) -> tuple[bool, int]:
        proofs, total = Proofs({"id_last4": expected}, b"bench"), 0.0
        for asked, said in enumerate(takes, 1):
            hypothesis = ear.hear(said, proofs.listening(expectation))
            evidence = proofs.heard(Vocabulary(Knowledge(())), expectation, hypothesis).evidence
            total += evidence.score if evidence else 0.0
            if total >= _PLAN[0] or total <= _PLAN[1]:
                return total >= _PLAN[0], asked
        return False, len(takes)

    own = [proven(takes, takes[0].label) for takes in strings]
    others = [proven(takes, f"{chance.randrange(10_000):04}") for takes in strings for _ in range(2)]
    accepted, rejected = sum(yes for yes, _ in others), sum(not yes for yes, _ in own)
    what = f"id_last4 spoken, {language}, {len(own)} strings, thresholds as in the plan"
    report.row(f"{what}: false rejects", f"<= {REJECTED:g} %" if required else "",
               f"{rejected} of {len(own)}, {np.mean([n for _, n in own]):.2f} questions; {ear.times()}",
               rejected <= REJECTED / 100 * len(own) if required else None)  # fmt: skip
    report.row(f"{what}: false accepts", "none", f"{accepted} of {len(others)}", accepted == 0)


def _asked_rows(report: Report, how: str, found: Sequence[float], required: bool = False) -> None:
    wrong, turned_away, right, questions = map(float, found)
    accepted, rejected = 100 * wrong, 100 * (1 - right)
    what = f"dob asked for while in doubt, {how}"
    report.row(f"{what}: false accepts", f"<= {ACCEPTED:g} %" if required else "", f"{accepted:.3f} %",
               accepted <= ACCEPTED if required else None)  # fmt: skip
    report.row(f"{what}: false rejects", f"<= {REJECTED:g} %" if required else "",
               f"{rejected:.1f} %, {questions:.2f} questions a caller, {turned_away:.2f} an impostor",
               rejected <= REJECTED if required else None)  # fmt: skip


def _row(report: Report, what: str, found: tuple[float, float, list[float]], required: bool = False) -> None:
    accepts, rejects, thresholds = found
    error = 50 * (accepts + rejects)
    report.row(f"{what}: equal error rate", f"<= {LIMIT:g} %" if required else "",
               f"{error:.1f} % (false accepts {100 * accepts:.1f} %, false rejects {100 * rejects:.1f} %, thresholds "
               f"{thresholds[0]:.1f} and {thresholds[1]:.1f})", error <= LIMIT if required else None)  # fmt: skip


def main(argv: list[str]) -> int:
    def own(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--spoken", action="store_true", help="digits (`fsdd`) and birth dates in voices as well")
        parser.add_argument("--curve", default="", metavar="FILE.csv", help="write thresholds with both error rates")

    return run("identity", __doc__, measure, argv, own)
