"""voice: how well the voices are understood over the telephone, and how fast they are.

Thirty prompts of a bank a language are synthesised, sent through G.711 and recognised back: word errors in English,
pinyin syllable errors in Mandarin, without and with tones. The same of everything that the scenarios of a shipped plan
hear said, prompt by prompt (`--plan NAME`; what came back worst is in the JSON). Then the time to the first file of a
prompt that was never said before, of one in the cache, and of a restart of a hung voice. No call is placed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import statistics
import tempfile
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rapidfuzz.distance import Levenshtein

from ivr.bench.report import ROOT, Report, percentile, run
from ivr.config import Config, Speech, Synthesis, load
from ivr.dialog.plan_file import load_all
from ivr.dialog.scenario import read, walk
from ivr.dialog.state import Speak
from ivr.errors import SpeechFailed, Unavailable
from ivr.speech import engines, mandarin, pcm, spoken
from ivr.speech.prompts import Prompts
from ivr.speech.protocols import Recognizer, Voice
from ivr.speech.sentences import LAST_GAP_MS
from ivr.speech.shaping import shape
from ivr.speech.tts import PiperVoice, Pyttsx3Voice, piper_model
from ivr.turn import Expectation

ENGLISH = """\
Welcome to the bank. How can I help you today?
Your account balance is {money:3500 USD}.
The branch nearest to you is on Park Street, open from nine to five.
Please enter the last four digits of your card after the tone.
I have blocked your card. A new card will arrive within five working days.
I am sorry, I did not understand. Could you say that again?
Please say yes or no.
I am transferring you to an agent. Please hold the line.
Your credit card statement is issued on the fifth of every month.
A transfer to another bank takes one or two working days.
You can check your balance in the mobile application at any time.
Thank you for calling. Goodbye.
Our opening hours are Monday to Friday from {time:08:30} to {time:16:00}.
Please enter your six digit security code.
Your loan application has been received and will be decided within three days.
Bring a valid passport to any branch to order a replacement card.
The exchange rate for the euro today is 1.08.
For your safety, never tell anybody your password.
The transaction was cancelled and the money will be returned to your account.
There are two cash machines near the central station.
A fee of {percent:2} applies to every withdrawal abroad.
You can download the form from our website.
Is there anything else I can help you with?
Do you want to check your balance or report a lost card?
The minimum payment is due on {date:03-12}.
Your personal identification number can be changed at any cash machine.
Interest is paid into your savings account every quarter.
Direct debits can be stopped up to one day before they are due.
This call may be recorded for training purposes.
All our agents are busy at the moment. The waiting time is about four minutes.
""".splitlines()
MANDARIN = """\
您好，欢迎致电我行，请问有什么可以帮您？
您的账户余额是{money:3500 CNY}。
离您最近的网点在鸟巢附近，营业时间是早上九点到下午五点。
请在听到提示音后输入您的卡号后四位。
不是这个意思，我想挂失银行卡。
对不起，我们遇到了技术问题，请几分钟后再打来。
您的银行卡已经成功挂失。
请问您要办理什么业务？
请说是或者不是。
对不起，我没有听清楚，请您再说一遍。
正在为您转接人工客服，请稍候。
您的信用卡账单日是每月{number:5}号。
转账到他行需要一到两个工作日。
手机银行可以随时查询余额。
感谢您的来电，再见。
我们的营业厅在王府井大街120号。
请输入您的六位密码。
您的贷款申请已经提交，三个工作日内会有结果。
补办新卡需要携带身份证到柜台办理。
新卡将在七个工作日内寄到您的地址。
您的定期存款将于下个月到期。
今天的美元汇率是7.15。
为了您的账户安全，请不要告诉别人您的密码。
这笔交易已经被取消，钱会退回您的账户。
首都机场附近有两个自动取款机。
境外取款每笔收取{money:15 CNY}手续费。
您可以在官方网站下载申请表。
请问还有其他需要帮助的吗？
您是要查询余额吗？
客服热线的工作时间是周一到周五。
""".splitlines()
PROMPTS = {"en": ENGLISH, "zh": MANDARIN}
QUICK = 6
FIRST_AUDIO_S = 0.1
MOST_WRONG = {"en": 0.20, "zh": 0.30}


def words(text: str, language: str, tones: bool = False) -> list[str]:
    """What is compared: English words, Mandarin syllables; figures as they are said."""
    said = spoken.say(text, language).casefold()
    if language != "zh":
        return re.findall(r"[a-z']+", said.replace("-", " "))
    read = [s for word in mandarin.syllables(re.sub(r"[^\u4e00-\u9fff]", "", said)) for s in word]
    return read if tones else [s.rstrip("12345") for s in read]


def wrong(pairs: Iterable[tuple[list[str], list[str]]]) -> float:
    """Errors over reference words, all sentences together."""
    pairs = list(pairs)
    return sum(Levenshtein.distance(a, b) for a, b in pairs) / max(1, sum(len(a) for a, _ in pairs))


def understand(voice: Voice, recognizer: Recognizer, language: str, texts: list[str]) -> list[tuple[str, str, float]]:
    """(text, what was recognised of it over G.711, seconds to make it) of every text."""
    found = []
    for text in texts:
        begin = time.perf_counter()
        sound = shape(*voice.speak(spoken.say(text, language), language), LAST_GAP_MS)
        took = time.perf_counter() - begin
        stream = recognizer.stream(Expectation("open", language))
        stream.accept(pcm.over_telephone(sound))
        found.append((text, stream.finish().text, took))
    return found


def judge(report: Report, name: str, language: str, found: list[tuple[str, str, float]], required: bool) -> None:
    share = wrong((words(text, language), words(heard, language)) for text, heard, _ in found)
    measured = f"{100 * share:.1f} %"
    if language == "zh":
        toned = wrong((words(text, language, True), words(heard, language, True)) for text, heard, _ in found)
        measured += f", with tones {100 * toned:.1f} %"
    what = f"{name}, {language}: {'syllables' if language == 'zh' else 'words'} wrong, recognised back over G.711"
    limit = MOST_WRONG[language]
    report.row(what, f"<= {100 * limit:.0f} %" if required else "", measured, share <= limit if required else None)
    times = [took for _, _, took in found]
    report.row(f"{name}, {language}: time to make a prompt", "", f"p50 {1_000 * statistics.median(times):.0f} ms, "
               f"p95 {1_000 * percentile(times, 95):.0f} ms")  # fmt: skip
    report.details[f"{name} {language}"] = [[text, heard] for text, heard, _ in found]


def prompts_of(plan: str) -> dict[str, list[str]]:
    """What the scenarios of the shipped plan `plan` hear said, once each, by language. Raises Unavailable."""
    said: dict[str, dict[str, None]] = {"en": {}, "zh": {}}
    shipped, scenarios = load_all(ROOT / "dialplans").by_name.get(plan), ROOT / "tests" / "scenarios" / f"{plan}.yaml"
    if shipped is None or not scenarios.is_file():
        known = ", ".join(sorted(file.stem for file in scenarios.parent.glob("*.yaml")))
        raise Unavailable(f"no shipped plan `{plan}` with scenarios; there are {known}")
    for each in read(scenarios):
        for moment in walk(shipped, each, datetime.now(UTC), spoken.written).rehearsal.moments:
            for action in (a for a in moment.actions if isinstance(a, Speak)):
                said[action.language][action.text] = None
    return {language: list(texts) for language, texts in said.items()}


def voices(config: Config) -> list[tuple[str, Voice, tuple[str, ...]]]:
    """Name, voice and languages of what is installed."""
    found: list[tuple[str, Voice, tuple[str, ...]]] = [("pyttsx3", Pyttsx3Voice(config), ("en", "zh"))]
    model = piper_model(config, "en")
    if model is not None and model.exists():
        found.append(("piper", PiperVoice(config, "en"), ("en",)))
    return found


async def first_audio(report: Report, config: Config, count: int) -> None:
    """Seconds to the first file of a prompt, never said before and again."""
    cold: list[float] = []
    cached: list[float] = []
    voice = Pyttsx3Voice(config)
    prompts = Prompts(config, {"en": voice, "zh": voice})
    await prompts.start()
    try:
        async for _ in prompts.render("One. 一。", "zh"):
            pass
        for language, texts in PROMPTS.items():
            for text in texts[:count]:
                begin = time.perf_counter()
                rendering = prompts.render(text, language)
                await anext(rendering)
                cold.append(time.perf_counter() - begin)
                async for _ in rendering:
                    pass
                begin = time.perf_counter()
                if prompts.ready(text, language) is None:
                    raise SpeechFailed("a prompt that was made is not ready")
                cached.append(time.perf_counter() - begin)
    finally:
        await prompts.close()
    report.row("first audio of a prompt never said before", f"p95 <= {1_000 * FIRST_AUDIO_S:.0f} ms",
               f"p50 {1_000 * statistics.median(cold):.0f} ms, p95 {1_000 * percentile(cold, 95):.0f} ms",
               percentile(cold, 95) <= FIRST_AUDIO_S)  # fmt: skip
    report.row("a prompt in the cache", "", f"p50 {1_000 * statistics.median(cached):.2f} ms, "
               f"p95 {1_000 * percentile(cached, 95):.2f} ms")  # fmt: skip


def hang(report: Report, config: Config) -> None:
    """What a hung voice costs the callers who wait for it."""
    voice = Pyttsx3Voice(config)
    voice.speak("One.", "en")
    os.kill(voice.pid, signal.SIGSTOP)
    begin = time.perf_counter()
    try:
        voice.speak("Two.", "en")
    except SpeechFailed:
        killed = time.perf_counter()
        voice.speak("Three.", "en")
        again = time.perf_counter() - killed
        limit = config.synthesis.timeout_s
        report.row("a hung voice is stopped; the next sentence", f"{limit} s; <= 1 s",
                   f"{killed - begin:.2f} s; {again:.2f} s", killed - begin < limit + 0.5 and again <= 1)  # fmt: skip
    finally:
        voice.close()


async def measure(report: Report, options: argparse.Namespace) -> None:
    base = load(options.config) if options.config else Config(root=str(ROOT))
    with tempfile.TemporaryDirectory(prefix="ivr-bench-") as folder:
        config = msgspec.structs.replace(
            base, synthesis=Synthesis(cache=str(Path(folder) / "cache"), timeout_s=30),
            speech={"en": Speech(), "zh": Speech(), **base.speech},
        )  # fmt: skip
        count = QUICK if report.quick else 30
        own = prompts_of(options.plan) if options.plan else {}
        recognizers = await asyncio.to_thread(engines.build, config)
        for name, voice, languages in voices(config):
            try:
                await asyncio.to_thread(voice.speak, "One.", "en")
                for language in languages:
                    found = await asyncio.to_thread(
                        understand, voice, recognizers[language][0], language, PROMPTS[language][:count]
                    )
                    judge(report, name, language, found, required=not report.quick)
                    if own:
                        texts = own[language][: count if report.quick else None]
                        found = await asyncio.to_thread(understand, voice, recognizers[language][0], language, texts)
                        judge(report, f"{name}, prompts of `{options.plan}`", language, found, required=False)
            finally:
                await asyncio.to_thread(voice.close)
        await first_audio(report, config, count)
        await asyncio.to_thread(hang, report, msgspec.structs.replace(config, synthesis=Synthesis(timeout_s=2)))


def _extend(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", default="", help="config.toml with the voices to measure (else the defaults)")
    parser.add_argument("--plan", default="", help="a shipped plan whose prompts are recognised back too")


def main(argv: list[str]) -> int:
    return run("voice", __doc__, measure, argv, _extend)
