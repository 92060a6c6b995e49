"""`ivr intents`: train, measure and question the intent models, without a call.

A door: reads examples from a plan's knowledge file or from a file of labelled questions. Runs in the foreground.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from ivr.bench import corpus, recognition
from ivr.dialog.plan import Plan
from ivr.dialog.plan_file import load_all
from ivr.errors import InvalidInput, Problem
from ivr.intents import evaluation, figures, files, in_calls, pictures, review_cli
from ivr.intents.data import Labelled, read
from ivr.intents.homophones import replaced
from ivr.intents.shelf import shelf_of
from ivr.turn import Expectation
from ivr.understanding.intents import Decision, Example, Model
from ivr.understanding.outside import to_learn
from ivr.understanding.training import train

DEFAULT = Path("dialplans/bank.yaml")


def main(argv: list[str]) -> int:
    """Run one sub command; 0 all well. Raises InvalidInput for a file with faults."""
    options = _parser().parse_args(argv)
    return {"train": _train, "eval": _eval, "test": _test, "explain": _explain,
            "review": _review}[options.command](options)  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ivr intents", description="train, measure and question intent models")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    language = argparse.ArgumentParser(add_help=False)
    language.add_argument("--language", choices=("en", "zh"), help="default: what the words look like")
    language.add_argument("--threads", type=int, default=1, choices=range(1, 65), metavar="N", help="cores to embed on")
    learn = commands.add_parser("train", parents=[language], help="train, and say what was learnt and how long it took")
    measure = commands.add_parser("eval", parents=[language], help="measure on labelled questions")
    ask = commands.add_parser("test", parents=[language], help="what a sentence is taken for")
    why = commands.add_parser("explain", parents=[language], help="and which words and examples made it so")
    look = commands.add_parser("review", parents=[language], help="what nobody understood in calls, and what to do")
    review_cli.options_of(look)
    for each in (learn, measure):
        each.add_argument(
            "examples", type=Path, metavar="TRAIN", help="plan, CSV (last column the intent) or CLINC JSON"
        )
    learn.add_argument("--config", default="config.toml", metavar="FILE", help="whose server finds a plan's models")
    learn.add_argument("--out", type=Path, metavar="FOLDER", help="write each model there, as NAME.LANGUAGE.npz")
    for each in (ask, why):
        each.add_argument("text")
        source = each.add_mutually_exclusive_group()
        source.add_argument("--examples", type=Path, default=DEFAULT, help=f"plan, CSV or JSON (default {DEFAULT})")
        each.add_argument("--config", default="config.toml", metavar="FILE", help="whose models of a plan to use")
        source.add_argument("--model", type=Path, metavar="FILE", help="what `train --out` wrote")
    measure.add_argument("--test", type=Path, help="CSV, JSON, or folder of WAVs with manifest.tsv: ask these instead")
    measure.add_argument("--homophones", type=int, choices=range(1, 101), metavar="N",
                         help="replace every Nth Mandarin character of --test by one that sounds the same")  # fmt: skip
    measure.add_argument("--in-calls", action="store_true",
                         help="ask --test of the plan TRAIN as a call does, by words and by models")  # fmt: skip
    measure.add_argument("--config", default="config.toml", metavar="FILE", help="with --in-calls: whose models")
    measure.add_argument(
        "--shots", type=int, choices=range(2, 1_001), metavar="N", help="train on N examples an intent"
    )
    measure.add_argument("--seeds", type=int, default=5, choices=range(1, 21), metavar="N", help="with --shots (5)")
    measure.add_argument("--folds", type=int, default=evaluation.FOLDS, choices=range(2, 21), metavar="N",
                         help="without --test (5)")  # fmt: skip
    measure.add_argument("--plot", type=Path, metavar="FOLDER", help="write confusion.png and rejection.png there")
    for each in (measure, ask, why):
        each.add_argument("--json", action="store_true", help="end with one JSON object")
    return parser


def _labelled(path: Path, language: str | None) -> tuple[Labelled, str]:
    """The examples of a file and their language."""
    if path.suffix in (".yaml", ".yml"):
        found = [e for e in _of_plan(path) if language is None or e.language == language]
        return Labelled(tuple(found)), language or "en"
    data = read(path, language or "en")
    if language is None and (language := _looks(data)) != "en":
        data = read(path, language)
    return data, language or "en"


def _looks(data: Labelled) -> str:
    """`zh` where most of the letters are Mandarin."""
    letters = [c for e in (*data.train, *data.test)[:500] for c in e.text if c.isalpha()]
    return "zh" if sum("\u4e00" <= c <= "\u9fff" for c in letters) > len(letters) / 2 else "en"


def _of_plan(path: Path) -> list[Example]:
    return list(_plan(path).knowledge.examples)


def _plan(path: Path) -> Plan:
    plans = load_all(path.parent)
    if problems := [p for p in plans.problems if Path(p.file).name.split(".")[0] == path.name.split(".")[0]]:
        raise InvalidInput(*problems)
    plan = plans.by_name.get(path.name.split(".")[0])
    if plan is None:
        raise InvalidInput(Problem(str(path), "there is no such plan", mend="name a .yaml of a dialplan"))
    return plan


def _train(options: argparse.Namespace) -> int:
    data, language = _labelled(options.examples, options.language)
    is_plan = options.examples.suffix == ".yaml"
    for each in sorted({e.language for e in data.train}) if is_plan else [language]:
        began = time.perf_counter()
        for_calls = to_learn(data.train).get(each) if is_plan else None
        model = train(for_calls or data.train, each, threads=options.threads)
        if for_calls:
            shelf_of(options.config).put(model)
        print(f"{each}: {len(model.examples)} examples of {len(model.intents)} intents in"
              f" {time.perf_counter() - began:.1f} s, version {model.version}")  # fmt: skip
        if options.out:
            options.out.mkdir(parents=True, exist_ok=True)
            file = options.out / f"{options.examples.name.split('.')[0]}.{each}.npz"
            files.save(model, file)
            print(f"{each}: written to {file}")
    return 0


def _eval(options: argparse.Namespace) -> int:
    if options.in_calls:
        return _eval_in_calls(options)
    data, language = _labelled(options.examples, options.language)
    if options.test is not None:
        data = _asked(data, options.test, language)
        if options.homophones:
            heard = (replace(e, text=replaced(e.text, options.homophones, seed=0)) for e in data.test)
            data = replace(data, test=tuple(heard))
    data = replace(data, train=tuple(e for e in data.train if e.language == language))
    counts = np.unique([e.intent for e in data.train], return_counts=True)[1]
    if not len(counts) or counts.min() < 2:
        raise InvalidInput(Problem(str(options.examples), "an intent with fewer than two examples", mend="add another"))
    if options.shots:
        outcome = evaluation.few_shot(data, language, options.shots, options.seeds, options.threads)
    else:
        outcome = evaluation.evaluate(data, language, options.threads, options.folds)
    _report(outcome)
    if options.plot:
        options.plot.mkdir(parents=True, exist_ok=True)
        counts = figures.matrix(outcome.judged, len(outcome.names))
        pictures.confusion(counts, outcome.names, options.plot / "confusion.png")
        here = outcome.figures.false_rejection, outcome.figures.oos_recall or 0.0
        pictures.trade_off(figures.trade_off(outcome.judged), here, options.plot / "rejection.png")
        print(f"pictures: {options.plot}/confusion.png, {options.plot}/rejection.png")
    if options.json:
        ms = {f"query_ms_p{q}": round(float(np.percentile(outcome.query_ms, q)), 1) for q in (50, 95)}
        print(json.dumps({**asdict(outcome.figures), **ms, "train_s": round(outcome.train_s, 2),
                          "version": outcome.version, "spread": outcome.spread}))  # fmt: skip
    return 0


def _eval_in_calls(options: argparse.Namespace) -> int:
    if options.test is None or options.examples.suffix != ".yaml":
        mend = "ivr intents eval dialplans/bank.yaml --test questions.csv --in-calls"
        raise InvalidInput(Problem("--in-calls", "wants a plan, and questions", mend=mend))
    vocabulary = _plan(options.examples).vocabulary
    data = read(options.test, options.language or "en")
    language = options.language or _looks(data)
    models = shelf_of(options.config).of([e for e in vocabulary.knowledge.examples if e.language == language])
    found = in_calls.both_ways(replace(vocabulary, models=models), (*data.train, *data.test), language)
    for way, each in found.items():
        if each.questions:
            print(f"by {way:6}  {each.right} of {each.questions} right, {each.asked} asked about with the right one,"
                  f" {each.rejected} rejected, {each.wrong} wrong")  # fmt: skip
        if each.outside:
            print(f"by {way:6}  of {each.outside} outside the plan {each.outside_rejected} rejected,"
                  f" {each.outside_asked} asked about")  # fmt: skip
    if options.json:
        print(json.dumps({way: asdict(each) for way, each in found.items()}))
    return 0


def _asked(data: Labelled, path: Path, language: str) -> Labelled:
    """`data` with the questions of another file, or what the recogniser makes of a folder of sounds, as its test."""
    other = read(path, language)
    if not other.sounds:
        return replace(data, test=(*other.train, *other.validation, *other.test) if not other.test else other.test)
    ear, heard = recognition.load(language), []
    for example, sound in zip(other.test, other.sounds, strict=True):
        said = corpus.Utterance(sound.name, example.text, language, corpus.at_level(corpus.read_wav(sound)))
        text = ear.hear(said, Expectation("open", language)).text
        heard.append(replace(example, text=text or " "))
        print(f"{sound.name}: {text}", file=sys.stderr)
    return replace(data, test=tuple(heard))


def _report(outcome: evaluation.Outcome) -> None:
    found = outcome.figures
    print(f"{outcome.how}; version {outcome.version}")
    spread = f" ({', '.join(f'{100 * a:.1f}' for a in outcome.spread)})" if outcome.spread else ""
    print(f"accuracy, nothing rejected   {100 * found.accuracy:6.2f} % of {found.questions}{spread}")
    print(f"accuracy with rejection      {100 * found.accuracy_rejecting:6.2f} %")
    print(f"false rejection              {100 * found.false_rejection:6.2f} %")
    if found.oos_recall is not None:
        print(f"out of scope and rejected    {100 * found.oos_recall:6.2f} % of {found.out_of_scope}")
    print(f"calibration error (ECE)      {100 * found.calibration_error:6.2f} points")
    p50, p95 = np.percentile(outcome.query_ms, (50, 95))
    print(f"a query                      {p50:6.1f} ms, p95 {p95:.1f} ms; training {outcome.train_s:.1f} s")
    for meant, taken, count in figures.confusions(outcome.judged, outcome.names):
        print(f"  {count:4} x {meant} taken for {taken}")


def _model(options: argparse.Namespace) -> Model:
    language = options.language or ("zh" if any("\u4e00" <= c <= "\u9fff" for c in options.text) else "en")
    if options.model:
        return files.load(options.model)
    data, _ = _labelled(options.examples, language)
    for_calls = shelf_of(options.config).of(data.train) if options.examples.suffix == ".yaml" else {}
    return for_calls.get(language) or train(data.train, language, threads=options.threads)


def _test(options: argparse.Namespace) -> int:
    decision = _model(options).decide([(options.text, 1.0)])
    _say(decision)
    if options.json:
        print(json.dumps(asdict(decision), ensure_ascii=False))
    return 0


def _explain(options: argparse.Namespace) -> int:
    model = _model(options)
    decision = model.decide([(options.text, 1.0)])
    _say(decision)
    why = model.explain(options.text)
    if why is None:
        return 0
    for word, drop in sorted(why.words, key=lambda w: -w[1])[:8]:
        print(f"  {word}: without it the likelihood of {why.intent} falls by {drop:.2f}")
    for example, intent, likeness in why.nearest:
        print(f"  {likeness:.2f} like {example!r} of {intent}")
    if options.json:
        print(json.dumps({**asdict(decision), "explanation": asdict(why)}, ensure_ascii=False))
    return 0


def _review(options: argparse.Namespace) -> int:
    os.nice(19)
    return review_cli.main(options)


def _say(decision: Decision) -> None:
    meant = {"close": " or ", "several": ", then "}.get(decision.kind, "").join(decision.intents) or "out of scope"
    print(f"{decision.kind}: {meant}, confidence {decision.confidence:.2f}, familiarity {decision.familiarity:.2f},"
          f" version {decision.version}")  # fmt: skip
    for each in decision.ranked:
        print(f"  {each.confidence:.2f} {each.intent}")
