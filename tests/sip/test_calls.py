"""Whole calls through real SIP, RTP, engines and database, in English, Mandarin and Korean."""

import asyncio
import io
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from ivr.bench.harness import Server, free_ports
from ivr.caller import Caller
from ivr.caller.call import CallFailed
from ivr.caller.speak import at_telephone_rate, speak

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROOT = Path(__file__).parents[2]

KOREAN = """
languages: [ko]
start: welcome
events: {no_input: [], give_up: bye, tries: 4}
slots:
  number: {kind: digits, min: 2, max: 2}
steps:
  welcome: {kind: say, prompt: "은행입니다.", next: menu}
  menu:
    kind: menu
    prompt: "계좌 또는 상담원이라고 말씀하세요."
    choices:
      account: {ko: [계좌], key: 1, next: sure}
      person: {ko: [상담원], key: 2, next: bye}
    no_match: "다시 말씀해 주세요."
  sure:
    kind: ask
    expect: yes_no
    prompt: "맞습니까?"
    no_match: "네 또는 아니요."
    on: {yes: digits, no: bye}
  digits:
    kind: ask
    slot: number
    prompt: "두 자리 숫자를 말씀하세요."
    no_match: "두 자리 숫자입니다."
    next: bye
  bye: {kind: hangup, prompt: "감사합니다."}
"""
TRANSFER = """
languages: [en, zh]
start: go
steps:
  go:
    kind: transfer
    prompt: {en: "One moment.", zh: "请稍候。"}
    target: TARGET
    mode: MODE
    timeout_s: 5
    busy: sorry
    no_answer: sorry
    failed: sorry
  sorry: {kind: hangup, prompt: {en: "Nobody is there.", zh: "没有人接听。"}}
"""
SILENT = """
languages: [en]
start: ask
steps:
  ask: {kind: ask, expect: yes_no, prompt: Well?, no_input: [Hello?, Still there?], tries: 3, no_input_ms: 600,
        give_up: bye, next: bye}
  bye: {kind: hangup, prompt: Goodbye.}
"""
AGENTS = {"desk": free_ports(1)[0], "busy": free_ports(1)[0]}
NUMBERS = {"400": ("main", "en"), "401": ("main", "zh"), "402": ("korean", "ko"), "403": ("silent", "en"),
           "410": ("desk_bridge", "en"), "411": ("busy_bridge", "zh"), "412": ("desk_refer", "en")}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server():
    """One server for all these calls: the shipped plan, a Korean one, a silent one and transfers to two agents."""
    plans = {"main": ROOT / "dialplans" / "main.yaml", "korean": KOREAN, "silent": SILENT}
    for name in ("desk_bridge", "busy_bridge", "desk_refer"):
        target, mode = name.split("_")
        plans[name] = TRANSFER.replace("TARGET", target).replace("MODE", mode)
    numbers = [{"pattern": n, "plan": plan, "language": language} for n, (plan, language) in NUMBERS.items()]
    agents = [{"name": name, "uri": f"sip:{name}@127.0.0.1:{port}"} for name, port in AGENTS.items()]
    async with Server(plans, numbers, {"agent": agents}) as running:
        yield running


def speak_korean(text):
    """Slowly: the model was trained on people."""
    out = subprocess.run(["espeak-ng", "-v", "ko", "-s", "110", "--stdout", text], capture_output=True, check=True)
    with wave.open(io.BytesIO(out.stdout)) as spoken:
        pcm = np.frombuffer(spoken.readframes(1 << 24), np.int16)
        return at_telephone_rate(pcm, spoken.getframerate())


def turns(record, step):
    return [t for t in record["turns"] if t["step"] == step]


async def test_a_question_is_answered_in_english_and_in_mandarin_in_calls_at_the_same_time(server):
    """400 and 401: a spoken question finds its answer, the next one too, and a key brings the way to a person."""
    async with Caller() as caller:

        async def converse(number, language, question, then):
            call = await caller.dial(server.uri(number))
            await call.quiet()
            await call.turn(speak(question, language))
            await call.quiet()
            first = (await server.record_of(call.dialog.call_id, ended=False))["turns"][0]
            if not (first["source"] or first["intent"]):
                await call.turn(speak(question, language))  # as people do when a machine has not understood them
                await call.quiet()
            await then(call)
            await call.quiet()
            await call.press("0")
            await call.talking()
            await call.quiet()
            await call.hangup()
            return await server.record(call)

        english, mandarin = await asyncio.gather(
            converse(
                "400",
                "en",
                "What are your opening hours?",
                lambda call: call.turn(speak("How much is the annual fee for a credit card?")),
            ),
            converse("401", "zh", "我的银行卡丢了", lambda call: call.press("2")),
        )
        answered = [number for number, turn in enumerate(english["turns"]) if turn["source"]]
        assert [english["turns"][number]["source"] for number in answered[:2]] == ["opening_hours", "fee_card"]
        assert "nine to five" in english["turns"][answered[0] + 1]["said"][0]["text"]
        assert [t["keys"] for t in english["turns"] if t["keys"]] == ["0"]
        assert (english["call"]["cause"], english["call"]["by"]) == ("hangup", "them")
        assert "lost_card" in [t["intent"] for t in mandarin["turns"][:2]]
        assert [t["value"] for t in mandarin["turns"] if t["keys"] == "2"] == ["no"]
        assert mandarin["call"]["language"] == "zh"
        assert "".join(s["text"] for s in mandarin["turns"][0]["said"]) == "欢迎致电银行。请问您需要什么帮助？"
        for record in (english, mandarin):
            assert all(t["latency"]["total_ms"] is not None for t in record["turns"] if t["source"])


async def test_a_whole_call_in_korean_by_the_streaming_engine(server):
    """Menu, yes or no, and digits, each by a grammar of its own."""
    async with Caller() as caller:
        call = await caller.dial(server.uri("402"))
        for words in ("계좌", "네", "오, 이"):
            await call.quiet()
            await call.turn(speak_korean(words), words)
        await call.wait_for(lambda: call.over, 15)
        record = await server.record(call)
    values = {turn["step"]: turn["value"] for turn in record["turns"]}
    assert [values.get(step) for step in ("menu", "sure", "digits")] == ["account", "yes", "52"], record
    assert all("vosk" in t["engine"] for t in record["turns"] if t["heard"])
    assert (record["call"]["by"], record["call"]["outcome"]) == ("us", "completed")


async def test_a_silent_caller_is_asked_again_and_then_released_in_words(server):
    """Two reprompts and a goodbye; the call never just goes dead."""
    async with Caller() as caller:
        call = await caller.dial(server.uri("403"))
        assert await call.wait_for(lambda: call.over, 20)
        record = await server.record(call)
    said = [t["said"][0]["text"] for t in record["turns"]]
    assert said == ["Well?", "Hello?", "Still there?", "Goodbye."]
    assert [t["rejected"] for t in record["turns"][:3]] == ["no_input"] * 3


@pytest.mark.parametrize(
    ("number", "agent", "said", "legs"),
    [
        ("410", "desk", ["One moment."], 2),
        ("411", "busy", ["请稍候。", "没有人接听。"], 1),
        ("412", "desk", ["One moment."], 1),
    ],
)
async def test_a_transfer_connects_or_says_that_nobody_is_there(server, number, agent, said, legs):
    """A bridge carries voices both ways; a busy agent is a value with words of its own; REFER moves the caller."""
    async with Caller(user=agent, port=AGENTS[agent]) as desk, Caller() as caller:
        met = asyncio.get_running_loop().create_future()

        async def at_desk(call):
            if agent == "busy":
                await call.reject(486)
                return
            await call.accept()
            met.set_result(None)
            await call.say(speak("Good morning, this is the agent."))

        desk.listen(at_desk)
        call = await caller.dial(server.uri(number))
        call.accept_refer = True
        if agent == "desk":
            async with asyncio.timeout(15):
                await met
            if legs == 2:
                assert await call.talking(10)
            await asyncio.sleep(2)
            await call.hangup()
        else:
            assert await call.wait_for(lambda: call.over, 20)
        record = await server.record(call)
    assert [s["text"] for t in record["turns"] for s in t["said"]] == said
    assert len(record["legs"]) == legs


async def test_a_number_that_nobody_serves_is_404(server):
    """Said before anything is answered."""
    async with Caller() as caller:
        with pytest.raises(CallFailed, match="404"):
            await caller.dial(server.uri("999"))
