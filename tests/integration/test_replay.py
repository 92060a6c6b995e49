"""`ivr replay` and `ivr plans` on real rows: a hundred calls in both languages, driven through the engine."""

import asyncio
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ivr import plans, replay
from ivr.dialog import engine, journal
from ivr.dialog.plan_file import load
from ivr.dialog.state import (
    Connect,
    Connected,
    Fetch,
    Fetched,
    Heard,
    Key,
    KeysEnded,
    Listen,
    Silence,
    Speak,
    Started,
    State,
)
from ivr.errors import InvalidInput, Unavailable
from ivr.intents.shelf import shelf_of
from ivr.learning import taught
from ivr.store.records import CallEnd, CallStart, PlanVersion, Said, TurnRecord
from ivr.store.store import Store
from ivr.turn import Hypothesis
from ivr.understanding.understand import understand

BEGAN = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
LANGUAGES = ("en", "zh")

PLAN = """\
languages: [en, zh]
start: welcome
zone: Asia/Shanghai
operator: agent
anywhere: {lost_card: lost_card, balance: card}
slots:
  card: {kind: digits, min: 4, max: 4, sensitive: true}
  balance: {kind: money, sensitive: true}
  delivery: {kind: text}
  sum: {kind: number}
steps:
  welcome: {kind: say, prompt: {en: Welcome., zh: 欢迎致电。}, next: question}
  question:
    kind: ask
    prompt: {en: How can I help you?, zh: 请问您需要什么帮助？}
    give_up: bye
    next: reply
  reply: {kind: answer, next: question, unknown: sure}
  sure:
    kind: ask
    expect: yes_no
    prompt: {en: Shall I connect you to a person?, zh: 要为您转接人工吗？}
    give_up: bye
    on: {yes: agent, no: question}
  lost_card: {kind: say, prompt: {en: I am sorry to hear that., zh: 很抱歉听到这个消息。}, next: agent}
  card:
    kind: form
    fields:
      - slot: card
        prompt: {en: The last four digits of your card?, zh: 请说出卡号的后四位。}
      - slot: sum
        prompt: {en: How much shall I transfer?, zh: 要转多少？}
        check: "sum <= 5000"
        invalid: {en: At most five thousand., zh: 最多五千。}
    give_up: agent
    next: find
  find:
    kind: lookup
    backend: bank
    path: "/cards/{card}"
    query: {sum: "{sum}"}
    save: {balance: account.balance, delivery: delivery}
    next: tell
    on: {"404": card_unknown}
    on_error: trouble
  tell:
    kind: say
    prompt: {en: "You have {balance}, sent by {delivery}.", zh: "您有{balance}，{delivery}寄出。"}
    next: question
  card_unknown:
    kind: goto
    forget: [card]
    next: card
  trouble: {kind: say, prompt: {en: That does not work now., zh: 现在无法查询。}, next: agent}
  agent:
    kind: transfer
    prompt: {en: One moment., zh: 请稍候。}
    target: agents
    busy: busy
    no_answer: busy
    failed: busy
  busy: {kind: say, prompt: {en: Nobody is free., zh: 现在没有空闲的客服。}, next: question}
  bye: {kind: hangup, prompt: {en: Goodbye., zh: 再见。}}
"""

KNOWLEDGE = """\
entries:
  - id: hours
    en: {questions: [what are your opening hours, when do you open], answer: We open at nine.}
    zh: {questions: [营业时间是几点, 你们几点开门], answer: 我们九点开门。}
  - id: lost
    intent: lost_card
    en: {questions: [I lost my card, my card was stolen]}
    zh: {questions: [我的银行卡丢了, 我要挂失]}
  - id: balance
    intent: balance
    en: {questions: [what is my balance, transfer some money]}
    zh: {questions: [我要查余额, 我要转账]}
"""

SAY = {
    "hours": {"en": "what are your opening hours", "zh": "营业时间是几点"},
    "parking": {"en": "is there somewhere for a bicycle", "zh": "自行车可以放在门口吗"},
    "lost": {"en": "I lost my card", "zh": "我的银行卡丢了"},
    "balance": {"en": "what is my balance", "zh": "我要查余额"},
    "digits": {"en": "eight six two zero", "zh": "八六二零"},
    "other": {"en": "one one one one", "zh": "一一一一"},
    "some": {"en": "three hundred", "zh": "三百"},
    "much": {"en": "nine thousand", "zh": "九千"},
    "yes": {"en": "yes", "zh": "是的"},
    "no": {"en": "no", "zh": "不用"},
    "person": {"en": "a human please", "zh": "转人工"},
}
FOUND = Fetched("ok", 200, {"account": {"balance": "4711.50 CNY", "owner": "王小明"}, "delivery": "EMS"})

SCRIPTS = [
    ("hours", "hours", "silence"),
    ("lost", Connected("connected")),
    ("lost", Connected("busy"), "hours"),
    ("balance", "digits", "some", FOUND, "hours"),
    ("balance", "digits", "much", "some", FOUND),
    ("balance", "8", "6", "2", "0", "1", "0", "#", FOUND, "silence", "silence", "silence"),
    ("balance", "other", "some", Fetched("status", 404), "digits", FOUND),
    ("balance", "digits", "some", Fetched("timeout"), Connected("no_answer")),
    ("parking", "yes", Connected("connected")),
    ("parking", "no", "hours"),
    ("balance", "0", "ended", Connected("failed")),
    ("person", Connected("connected")),
    ("lost",),
]


def drive(plan, language: str, script) -> list:
    """(record, prompts, step) of every input of a call that goes by `script`; what does not fit is left out."""
    state, rows, at = State(language, "401"), [], BEGAN
    waits = None
    for word in (Started(), *script):
        at += timedelta(seconds=3)
        if isinstance(word, Started):
            given = word
        elif isinstance(word, (Fetched, Connected)):
            if not isinstance(waits, Fetch if isinstance(word, Fetched) else Connect):
                continue
            given = word
        elif word in SAY:
            if not isinstance(waits, Listen):
                continue
            hypothesis = Hypothesis(SAY[word][language], 0.9, engine="scripted")
            given = Heard(understand(plan.vocabulary, waits.expectation, hypothesis))
        elif word == "silence":
            given = Silence()
        else:
            given = KeysEnded() if word == "ended" else Key(word)
        body = journal.entry(plan, state, given, at)
        state, actions = engine.step(plan, state, given, at)
        if actions and isinstance(actions[-1], (Listen, Fetch, Connect)):
            waits = actions[-1]
        outcome = getattr(actions[-1], "outcome", "") if actions else ""
        rows.append(
            (at, json.loads(json.dumps(body)), [a for a in actions if isinstance(a, Speak)], state.step, outcome)
        )
        if state.ended:
            break
    return rows


class Office:
    """A configuration with dialplans and a database of calls."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "dialplans"
        self.folder.mkdir()
        self.config = root / "config.toml"
        number = '[[number]]\npattern = "401"\nplan = "bank"\nlanguage = "zh"\n'
        self.config.write_text(f'{number}[store]\nintents = "{root.parent / "intents"}"\n')
        self.write(self.folder / "bank.yaml")
        plan = load(self.folder / "bank.yaml")
        self.plan = taught(plan, shelf_of(str(self.config)).of(plan.knowledge.examples))

    def write(self, path: Path, plan: str = PLAN, knowledge: str = KNOWLEDGE) -> Path:
        path.parent.mkdir(exist_ok=True)
        path.write_text(plan)
        path.with_name(f"{path.stem}.knowledge.yaml").write_text(knowledge)
        return path

    def draft(self, *changes: tuple[str, str], knowledge: str = KNOWLEDGE) -> str:
        text = PLAN
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        return str(self.write(self.root / "drafts/bank.yaml", text, knowledge))

    async def _record(self, calls: int, publish: bool) -> None:
        store = Store("sqlite:///var/ivr.db", self.root)
        await store.open()
        if publish:
            version = PlanVersion(name="bank", version=self.plan.version, at=BEGAN)
            await store.plan_published(version, self.plan.files)
        for i in range(calls):
            await self._call(store, f"c{i:03d}c", LANGUAGES[i % 2], SCRIPTS[i // 2 % len(SCRIPTS)], i)
        await store.flush()
        await store.close()

    async def _call(self, store: Store, call: str, language: str, script, second: int) -> None:
        began = BEGAN + timedelta(minutes=second)
        await store.begin(
            CallStart(id=call, direction="in", number="401", caller="138", language=language, started_at=began,
                      plan="bank", plan_version=self.plan.version)
        )  # fmt: skip
        rows = drive(self.plan, language, script)
        for index, (at, body, said, step, _) in enumerate(rows):
            await store.input(call, index, at, body)
            spoken = tuple(Said(text=s.text, sensitive=s.sensitive) for s in said)
            await store.turn(call, TurnRecord(index=index, step=step, language=language, said=spoken))
        outcome = rows[-1][4]
        cause = "transferred" if outcome == "transferred" else "hangup"
        await store.end(call, CallEnd(ended_at=began + timedelta(seconds=50), cause=cause, by="them", outcome=outcome))

    def record(self, calls: int = 100, publish: bool = True) -> None:
        asyncio.run(self._record(calls, publish))

    def replay(self, capsys, draft: str, *options: str) -> tuple[int, dict]:
        given = options if options and not options[0].startswith("--") else ("--last", "200", *options)
        code = replay.main([*given, "--plan", draft, "--json", "--config", str(self.config)])
        return code, json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    office = Office(tmp_path_factory.mktemp("office"))
    office.record()
    return office


def changed(told: dict) -> set[int]:
    """The scripts of the calls that differ."""
    return {int(c["id"][1:4]) // 2 % len(SCRIPTS) for c in told["calls"] if c["difference"]}


def kinds(told: dict) -> set[str]:
    return set(told["summary"]["kinds"])


def test_every_script_does_what_it_is_for(recorded):
    ends = {}
    for i, script in enumerate(SCRIPTS):
        for language in LANGUAGES:
            rows = drive(recorded.plan, language, script)
            assert len(rows) == len(script) + 1, (script, language)
            ends.setdefault(i, set()).add((rows[-1][3], rows[-1][4]))
    assert all(len(found) == 1 for found in ends.values()), ends


def test_a_hundred_calls_through_the_same_plan_do_not_differ(recorded, capsys):
    code, told = recorded.replay(capsys, recorded.draft())
    assert told["summary"]["not_replayed"] == {}
    assert (code, told["summary"]["same"], told["summary"]["calls"]) == (0, 100, 100)
    assert {c["language"] for c in told["calls"]} == set(LANGUAGES)


def test_nothing_secret_is_in_the_records_or_in_what_is_told(recorded, capsys):
    _, told = recorded.replay(capsys, recorded.draft(("Welcome.", "Hello.")))
    kept = b"".join(p.read_bytes() for p in (recorded.root / "var").iterdir())
    for secret in ("8620", "4711", "eight six", "八六二零"):
        assert secret not in json.dumps(told, ensure_ascii=False)
        assert secret.encode() not in kept


def test_a_changed_prompt_changes_the_calls_that_hear_it(recorded, capsys):
    code, told = recorded.replay(
        capsys, recorded.draft(("Nobody is free.", "All are busy."), ("现在没有空闲的客服", "客服都在忙"))
    )
    assert (code, changed(told), kinds(told)) == (3, {2, 7, 10}, {"prompt"})
    first = next(c for c in told["calls"] if c["difference"])["difference"]
    assert (first["before"], first["after"]) in {
        ("Nobody is free.", "All are busy."),
        ("现在没有空闲的客服。", "客服都在忙。"),
    }


def test_a_changed_transition_changes_the_calls_that_go_there(recorded, capsys):
    draft = recorded.draft(
        ("on: {yes: agent, no: question}", "on: {yes: agent, no: advice}"),
        (
            "  bye: {kind: hangup",
            "  advice: {kind: say, prompt: {en: Ask me., zh: 请问。}, next: question}\n  bye: {kind: hangup",
        ),
    )
    code, told = recorded.replay(capsys, draft)
    assert (code, changed(told)) == (3, {9})
    assert told["summary"]["steps_newly_reached"] == ["advice"]
    assert "path" in kinds(told)


def test_a_changed_target_is_a_change_of_the_transfer(recorded, capsys):
    code, told = recorded.replay(capsys, recorded.draft(("target: agents", "target: desk")))
    assert (code, changed(told), kinds(told)) == (3, {1, 2, 7, 8, 10, 11, 12}, {"transfer"})


def test_a_changed_check_changes_what_it_refuses(recorded, capsys):
    code, told = recorded.replay(capsys, recorded.draft(("sum <= 5000", "sum <= 10000")))
    assert (code, changed(told)) == (3, {4})
    assert {"slot", "path"} <= kinds(told)


def test_more_digits_than_were_given_are_asked_for_again(recorded, capsys):
    _, told = recorded.replay(capsys, recorded.draft(("min: 4, max: 4", "min: 6, max: 6")))
    assert changed(told) == {3, 4, 5, 6, 7}


def test_changed_knowledge_answers_otherwise(recorded, capsys):
    known = KNOWLEDGE + (
        "  - id: bicycle\n    en: {questions: [is there somewhere for a bicycle], answer: Yes.}\n"
        "    zh: {questions: [自行车可以放在门口吗], answer: 可以。}\n"
    )
    code, told = recorded.replay(capsys, recorded.draft(knowledge=known))
    assert (code, changed(told)) == (3, {8, 9})
    _, told = recorded.replay(capsys, recorded.draft(knowledge=KNOWLEDGE.replace("nine", "eight").replace("九", "八")))
    assert (changed(told), kinds(told)) == ({0, 2, 3, 9}, {"prompt"})


def test_one_language_only(recorded, capsys):
    draft = recorded.draft(("欢迎致电。", "您好。"))
    code, told = recorded.replay(capsys, draft, "--language", "en")
    assert (code, told["summary"]["calls"], told["summary"]["same"]) == (0, 50, 50)
    code, told = recorded.replay(capsys, draft, "--language", "zh")
    assert (code, told["summary"]["changed"]) == (3, 50)


def test_a_lookup_that_was_not_recorded_is_told(recorded, capsys):
    draft = recorded.draft(
        ("on: {yes: agent, no: question}", "on: {yes: agent, no: status}"),
        (
            "  trouble:",
            "  status: {kind: lookup, backend: other, path: /status, next: question, on_error: trouble}\n  trouble:",
        ),
    )
    _, told = recorded.replay(capsys, draft)
    assert changed(told) == {9}
    stuck = {c["after"]["stuck"] for c in told["calls"] if c["difference"]}
    assert stuck == {"lookup of other /status not recorded"}


def test_calls_by_their_ids_and_in_words(recorded, capsys):
    draft = recorded.draft(("next: agent}\n  card:", "next: question}\n  card:"))
    code = replay.main(["c002c", "c003c", "c000c", "--plan", draft, "--config", str(recorded.config)])
    text = capsys.readouterr().out
    assert code == 3
    assert "call c002c (en" in text
    assert "first at input 2, heard I lost my card: agent -> question" in text
    assert "3 calls, 1 the same, 2 changed, 0 not replayed" in text
    assert "changed path: 2" in text


@pytest.mark.parametrize(
    ("options", "says"),
    [(["nobody"], "no call nobody"), (["--last", "5", "--of", "main"], "no recorded call of plan `main`")],
)
def test_calls_that_are_not_there_are_an_error_in_words(recorded, options, says):
    with pytest.raises(Unavailable, match=says):
        replay.main([*options, "--plan", recorded.draft(), "--config", str(recorded.config)])


@pytest.mark.parametrize("options", [[], ["c001c", "--last", "3"], ["--last", "-1"], ["--last", "100000"]])
def test_either_calls_or_a_number_of_them(recorded, options):
    with pytest.raises(SystemExit) as ended:
        replay.main([*options, "--plan", "x.yaml", "--config", str(recorded.config)])
    assert ended.value.code == 2


def test_a_draft_with_faults_is_refused_with_all_of_them(recorded):
    draft = recorded.draft(("next: reply", "next: repyl"))
    with pytest.raises(InvalidInput, match="repyl"):
        replay.main(["--last", "5", "--plan", draft, "--config", str(recorded.config)])


def test_no_database_is_an_error_and_none_is_made(tmp_path):
    office = Office(tmp_path)
    with pytest.raises(Unavailable, match="there is no database"):
        replay.main(["--last", "5", "--plan", office.draft(), "--config", str(office.config)])
    assert not (tmp_path / "var").exists()


def test_the_version_a_call_ran_on_is_found_among_those_published(tmp_path, capsys):
    office = Office(tmp_path)
    office.record(24)
    office.write(office.folder / "bank.yaml", PLAN.replace("Welcome.", "Hello."))
    code, told = office.replay(capsys, office.draft())
    assert (code, told["summary"]["same"]) == (0, 24)


def test_without_the_version_a_call_ran_on_its_records_are_compared(tmp_path, capsys):
    office = Office(tmp_path)
    office.record(24, publish=False)
    office.write(office.folder / "bank.yaml", PLAN.replace("Welcome.", "Hello."))
    code, told = office.replay(capsys, office.draft())
    assert (code, told["summary"]["not_replayed"]) == (0, {})
    _, told = office.replay(capsys, office.draft(("One moment.", "Wait."), ("请稍候。", "请等一下。")))
    assert (changed(told), kinds(told)) == ({1, 2, 7, 8, 10, 11}, {"prompt"})
    _, told = office.replay(capsys, office.draft(("no: question", "no: agent")))
    assert changed(told) == {9}


def test_a_purged_call_cannot_be_replayed(tmp_path, capsys):
    office = Office(tmp_path)
    office.record(2)

    async def purge():
        store = Store("sqlite:///var/ivr.db", tmp_path)
        await store.open()
        await store.purge(0)
        await store.close()

    asyncio.run(purge())
    code, told = office.replay(capsys, office.draft(), "c000c", "c001c")
    assert (code, told["summary"]["not_replayed"]) == (0, {"its inputs were not recorded, or are purged": 2})


def test_records_of_all_sorts_never_break_a_replay(recorded):
    """Records cut, doubled, out of order and mixed up: an end, never an exception that is not ours."""
    chance = random.Random(7)
    draft = load(Path(recorded.draft(("sum <= 5000", "sum <= 10"))))
    rows = [drive(recorded.plan, language, script) for language in LANGUAGES for script in SCRIPTS]
    for _ in range(300):
        picked = [row for rows_of in chance.sample(rows, 2) for row in rows_of]
        chance.shuffle(picked)
        records = [replay.replay.InputRecord(index=i, at=row[0], body=row[1]) for i, row in enumerate(picked)]
        trace = replay.replay.replay(draft, replay.replay.Recording("x", chance.choice(LANGUAGES), "1", records))
        assert len(trace.stops) <= len(records)


def test_any_call_walks_its_own_plan_as_it_did(recorded):
    """Whatever callers say and press, masked or not, and wherever they hang up."""
    chance = random.Random(3)
    back_end = (FOUND, Fetched("status", 404), Fetched("timeout"), Connected("busy"), Connected("connected"))
    words = [*SAY, "silence", "ended", *"0123456789#*", *back_end]
    for _ in range(200):
        language = chance.choice(LANGUAGES)
        script = [chance.choice(words) for _ in range(chance.randrange(3, 30))]
        rows = drive(recorded.plan, language, script)
        records = [replay.replay.InputRecord(index=i, at=row[0], body=row[1]) for i, row in enumerate(rows)]
        trace = replay.replay.replay(recorded.plan, replay.replay.Recording("x", language, "401", records))
        assert (trace.strayed, trace.over, trace.stops[-1].step) == ("", True, rows[-1][3]), script


# Versions ----------------------------------------------------------------------------------------------------------


def run_plans(office: Office, *words: str) -> int:
    return plans.main([*words, "--config", str(office.config)])


def test_the_history_of_a_plan_is_listed_and_shown(recorded, capsys):
    assert run_plans(recorded, "history", "bank") == 0
    assert capsys.readouterr().out == f"{recorded.plan.version}  2026-03-02 09:30:00 UTC  as the files are now\n"
    assert run_plans(recorded, "show", "bank", recorded.plan.version) == 0
    shown = capsys.readouterr().out
    assert "# bank.knowledge.yaml" in shown
    assert "欢迎致电。" in shown
    with pytest.raises(Unavailable, match="no version of a plan `nothing`"):
        run_plans(recorded, "history", "nothing")
    with pytest.raises(Unavailable, match="ivr plans history bank"):
        run_plans(recorded, "show", "bank", "ffff")


def test_a_rollback_puts_the_files_back(tmp_path, capsys):
    office = Office(tmp_path)
    office.record(0)
    office.write(office.folder / "bank.yaml", PLAN.replace("Welcome.", "Hello."), KNOWLEDGE.replace("nine", "ten"))
    assert run_plans(office, "rollback", "bank", office.plan.version) == 0
    assert load(office.folder / "bank.yaml").version == office.plan.version
    assert sorted(p.name for p in office.folder.iterdir()) == ["bank.knowledge.yaml", "bank.yaml"]
    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"bank {office.plan.version}: bank.knowledge.yaml, bank.yaml written to {office.folder}"
    assert len(told) == 2
    (office.folder / "bank.yaml").unlink()
    assert run_plans(office, "rollback", "bank", office.plan.version) == 0
    assert load(office.folder / "bank.yaml").version == office.plan.version


def test_a_rollback_names_the_plans_that_change_with_it_and_breaks_none(tmp_path, capsys):
    office = Office(tmp_path)
    shared = PLAN.replace("kind: hangup, prompt: {en: Goodbye., zh: 再见。}", "kind: return")
    office.write(office.folder / "shared.yaml", shared)
    caller = "languages: [en, zh]\nsteps:\n  ask: {kind: call, plan: shared, next: end}\n"
    office.write(office.folder / "bank.yaml", caller)
    office.plan = load(office.folder / "bank.yaml")
    office.record(0)
    (office.folder / "other.yaml").write_text(caller)
    office.write(office.folder / "shared.yaml", shared.replace("Welcome.", "Hello."))
    assert run_plans(office, "rollback", "bank", office.plan.version) == 0
    assert "change too: other, shared" in capsys.readouterr().out
    assert load(office.folder / "bank.yaml").version == office.plan.version
    longer = shared.replace("min: 4, max: 4", "min: 6, max: 6")
    office.write(office.folder / "shared.yaml", longer)
    slots = "slots: {card: {kind: digits, min: 6, max: 6, sensitive: true}}\nsteps:"
    (office.folder / "other.yaml").write_text(caller.replace("steps:", slots))
    with pytest.raises(InvalidInput, match="with this version these plans have faults: other"):
        run_plans(office, "rollback", "bank", office.plan.version)
    assert (office.folder / "shared.yaml").read_text() == longer


def test_a_rollback_that_cannot_serve_changes_nothing(tmp_path):
    office = Office(tmp_path)
    office.record(0)
    present = office.write(office.folder / "bank.yaml", PLAN.replace("Welcome.", "Hello.")).read_text()
    office.config.write_text('[[number]]\npattern = "401"\nplan = "bank"\nlanguage = "ko"\n')
    with pytest.raises(InvalidInput, match="ko"):
        run_plans(office, "rollback", "bank", office.plan.version)
    assert (office.folder / "bank.yaml").read_text() == present
