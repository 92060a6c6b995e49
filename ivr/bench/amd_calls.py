"""Who answers a call that we placed: recorded and spoken people, and answering machines built from recorded prompts.

Two sets that share no voice, no text and no recording. `fitting` is spoken by espeak-ng, Festival and one flite voice
and is what the detector's figures were chosen on; `reported` is recordings and other voices, and figures are told of
it only. All audio is 8 kHz int16 as it leaves a G.711 line, from the moment of the answer. Knows nothing of verdicts.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from ivr.bench import corpus
from ivr.caller import g711
from ivr.caller.rtp import RATE_HZ
from ivr.caller.speak import read_wav, speak
from ivr.errors import Unavailable

SOUNDS = Path("/usr/share/asterisk/sounds")
PROMPT_VOICES = {"en": "en_US_f_Allison", "es": "es_MX_f_Allison", "fr": "fr_CA_f_June", "it": "it_IT_m_Carlo",
                 "ru": "ru_RU_f_IvrvoiceRU"}  # fmt: skip
# What machines open with in under 1.5 s; Spanish has no `hello`.
OPENERS = {"en": ("hello", "im-sorry", "sorry", "vm-goodbye"), "es": ("hello-world", "vm-extension"),
           "fr": ("hello", "im-sorry", "sorry"), "it": ("hello", "im-sorry", "sorry"),
           "ru": ("hello", "im-sorry", "sorry")}  # fmt: skip
GROUPS = ("human, a word", "human, 2-4 s", "machine, short opening", "machine")
SHORT_S, LONG_S = 1.5, 4.0
# Line after the end of a call, and after a beep.
AFTER_S, AFTER_BEEP_S = 6.0, 1.0

NAMES = ("Mary Jones", "Peter Miller", "Anna Schmidt", "David Lee", "Susan Clark", "Robert Green", "Linda Evans",
         "James Walker", "Helen Carter", "Thomas Baker", "Karen White")  # fmt: skip
LONG_EN = ("Hello, this is {} speaking.", "Good morning, {} speaking, how can I help you?", "Hello? Yes, this is {}.",
           "Hi, {} here, who is calling please?")  # fmt: skip
NAMES_ZH = ("王小明", "李丽华", "张伟", "陈静", "刘洋", "赵敏")
SHORT_ZH = ("喂？", "你好。", "喂，你好。", "喂，哪位？")
LONG_ZH = ("喂，你好，我是{}，请问您是哪位？", "您好，我是{}，请问有什么事情吗？", "喂，你好，我就是{}，您请讲。")
MACHINE_ZH = ("您好，您拨打的用户暂时无法接听，请在提示音后留言。",
              "您好，我现在不方便接听电话。请在嘀声之后留下您的姓名和电话号码，"
              "我会尽快回复您。",
              "对不起，您拨打的电话无人接听，请在听到提示音后留言，留言结束请按井号键。")  # fmt: skip
OPENER_ZH = ("您好。", "你好，我是王芳。")
MACHINE_EN = (
    "You have called the office of Doctor Hill. All our lines are busy at present. Please speak after the beep.",
    "Nobody can come to the telephone right now. Tell us who you are and what you need after the beep.",
)
OPENER_EN = ("Hello.", "Hi, Jane here.")
SPOKEN_MACHINES = {"zh": (MACHINE_ZH, OPENER_ZH, ("cmn-latn-pinyin+f3", "cmn-latn-pinyin+m1")),
                   "en": (MACHINE_EN, OPENER_EN, ("slt", "rms"))}  # fmt: skip

FIT_SHORT = {"en-gb": ("Hello?", "Yes?", "Hi.", "Hello, hello?"), "de": ("Hallo?", "Ja bitte?", "Schmidt."),
             "nl": ("Hallo?", "Met Jan."), "pt-br": ("Alô?", "Oi, tudo bem?"), "yue": ("喂？", "你好。"),
             "sv": ("Hallå?", "Ja, hej."), "pl": ("Słucham?", "Halo?")}  # fmt: skip
FIT_LONG = {"en-gb": ("Hello, you are speaking with John Brown.", "Yes hello, Kate Wilson is my name, good evening."),
            "de": ("Guten Tag, hier spricht Martin Weber.", "Hallo, Müller am Apparat, wer ist da bitte?"),
            "nl": ("Goedemorgen, u spreekt met Jan de Vries.",),
            "pt-br": ("Alô, aqui é a Maria, quem fala por favor?",),
            "yue": ("喂，你好，我係陳大文，請問邊位？",), "sv": ("Hej, det här är Erik Lindgren, vem talar jag med?",),
            "pl": ("Dzień dobry, mówi Anna Kowalska, słucham.",)}  # fmt: skip
FIT_MACHINE = {
    "en-gb": ("Hello.", "You have called the Browns.", "We are out at the moment, but if you leave your name and "
              "number, we will ring you back as soon as we can."),
    "de": ("Guten Tag.", "Sie sind mit dem Anschluss der Familie Weber verbunden.", "Leider sind wir zur Zeit nicht zu "
           "Hause. Bitte hinterlassen Sie eine Nachricht nach dem Signalton."),
    "nl": ("Hallo.", "U bent verbonden met de voicemail van Jan de Vries.", "Ik kan de telefoon nu niet opnemen. "
           "Spreek een bericht in na de toon, dan bel ik u zo snel mogelijk terug."),
    "pt-br": ("Olá.", "Você ligou para a casa da Maria.", "No momento não posso atender, deixe o seu recado após o "
              "sinal e retornaremos a ligação assim que possível."),
    "yue": ("你好。", "你打嘅電話暫時未能接通。", "請喺嘟一聲之後留低你嘅姓名、電話同埋口訊，我會盡快覆你電話。"),
    "sv": ("Hej.", "Du har kommit till Erik Lindgren.", "Jag kan tyvärr inte svara just nu. Lämna ett meddelande efter "
           "tonen, så ringer jag upp dig så snart jag kan."),
    "pl": ("Dzień dobry.", "Dodzwoniłeś się do poczty głosowej abonenta.", "Niestety nie mogę teraz "
           "rozmawiać. Proszę zostawić wiadomość po sygnale, oddzwonię najszybciej jak to możliwe."),
}  # fmt: skip


@dataclass(frozen=True)
class Answered:
    """One answered call. `group` is how its class behaves; times are seconds after the answer, `speech_s` lasts until
    the first silence of 1.5 s, `opening_s` until the first of 0.25 s; `beep_end_s` where there is a beep."""

    name: str
    machine: bool
    group: Literal["human, a word", "human, 2-4 s", "machine, short opening", "machine"]
    language: str
    voice: str
    pcm: np.ndarray
    begin_s: float
    speech_s: float
    pause_s: float = 0.0
    beep_end_s: float | None = None
    line: str = "quiet"


def _silence(seconds: float) -> np.ndarray:
    return np.zeros(int(RATE_HZ * seconds), np.int16)


def _trimmed(pcm: np.ndarray) -> np.ndarray:
    return corpus.edges_trimmed(corpus.at_level(pcm))


def _human(name: str, group: str, language: str, voice: str, said: np.ndarray, again: np.ndarray, rng: random.Random,
           ) -> Answered:  # fmt: skip
    """Somebody who speaks 200-600 ms after the answer and waits; half of them say something again after 1.5-3 s."""
    lead_s = rng.uniform(0.2, 0.6)
    parts = [_silence(lead_s), said]
    if rng.random() < 0.5:
        parts += [_silence(rng.uniform(1.5, 3.0)), again]
    return Answered(name, False, group, language, voice, np.concatenate(parts), lead_s, len(said) / RATE_HZ)


def _machine(name: str, language: str, voice: str, opening: np.ndarray | None, body: list[np.ndarray],
             beep: np.ndarray | None, rng: random.Random) -> Answered:  # fmt: skip
    """A greeting, with an opening and a pause of 400-1,000 ms before it where there is one, and 0.2-1 s to the beep."""
    lead_s, pause_s = rng.uniform(0.1, 1.0), rng.uniform(0.4, 1.0) if opening is not None else 0.0
    parts = [_silence(lead_s)] + ([opening, _silence(pause_s)] if opening is not None else [])
    for piece in body:
        parts += [piece, _silence(rng.uniform(0.05, 0.2))]
    speech_s = sum(map(len, parts[1:-1])) / RATE_HZ
    end_s = None
    if beep is not None:
        parts += [_silence(rng.uniform(0.2, 1.0)), beep]
        end_s = sum(map(len, parts)) / RATE_HZ
    group = "machine, short opening" if opening is not None else "machine"
    return Answered(name, True, group, language, voice, np.concatenate(parts), lead_s, speech_s, pause_s, end_s)


def _need_prompts() -> None:
    """Raises Unavailable with the packages to install where recorded prompts are missing."""
    missing = [x for x, voice in PROMPT_VOICES.items() if not (SOUNDS / voice / "vm-intro.wav").is_file()]
    if missing:
        packages = " ".join(f"asterisk-core-sounds-{language}-wav" for language in missing)
        raise Unavailable(f"no recorded prompts in {SOUNDS}: apt-get install {packages}, or use --quick")


def _prompt(language: str, name: str) -> np.ndarray:
    return _trimmed(read_wav(SOUNDS / PROMPT_VOICES[language] / f"{name}.wav"))


def _beep(language: str) -> np.ndarray:
    """As recorded, up to its last sample above a tenth of the peak."""
    pcm = read_wav(SOUNDS / PROMPT_VOICES[language] / "beep.wav")
    level = np.abs(pcm.astype(np.int32))
    return pcm[: np.flatnonzero(level > level.max() / 10)[-1] + 1]


def _recorded_machines(each: int, rng: random.Random) -> list[Answered]:
    """Voicemail of a switchboard: `each` a language with a full greeting, and half as many that open briefly."""
    found = []
    for language, voice in PROMPT_VOICES.items():
        beep = _beep(language)
        for index in range(each + each // 2):
            digits = [_prompt(language, f"digits/{rng.randint(0, 9)}") for _ in range(rng.randint(2, 4))]
            reason = ("vm-isunavail", "vm-isonphone")[index % 2]
            person = [_prompt(language, "vm-theperson"), *digits, _prompt(language, reason)]
            nobody = [_prompt(language, "vm-nobodyavail")]
            full = [_prompt(language, "vm-mailboxfull"), _prompt(language, "vm-goodbye")]
            body = (person, nobody, person, full)[index % 4]
            if body is not full:
                body = [*body, _prompt(language, "vm-intro")]
            opener = OPENERS[language][index % len(OPENERS[language])] if index >= each else ""
            found.append(_machine(f"{language} {index} {opener}".strip(), language, voice,
                                  _prompt(language, opener) if opener else None, body,
                                  None if body[-1] is full[-1] else beep, rng))  # fmt: skip
    return found


def _spoken_machines(language: str, each: int, rng: random.Random) -> list[Answered]:
    """Greetings in two synthetic voices: `each` in full, and half as many that open briefly."""
    texts, openers, voices = SPOKEN_MACHINES[language]
    found = []
    for index in range(each + each // 2):
        voice = voices[index % len(voices)]
        opening = speak(openers[index % len(openers)], language, voice) if index >= each else None
        body = [speak(texts[index % len(texts)], language, voice)]
        found.append(_machine(f"{language} {index}", language, voice, opening, body, tone(1_000, 0.5), rng))
    return found


def _hellos(rng: random.Random) -> list[Answered]:
    """`hello` of Debian's recorded voices."""
    found = []
    for language, voice in PROMPT_VOICES.items():
        if language != "es":
            hello = _prompt(language, "hello")
            found.append(_human(f"hello {language}", "human, a word", language, voice, hello, hello, rng))
    return found


def _recorded_humans(data: Path | None, count: int, rng: random.Random) -> list[Answered]:
    """Words that people say (an4, fsdd), up to 1.5 s and, spelled or counted, up to 4 s."""
    said = [(u, _trimmed(u.pcm)) for name in ("an4", "fsdd") for u in corpus.recorded(data, name, "en")]
    seen: dict[str, tuple[corpus.Utterance, np.ndarray]] = {}
    for utterance, pcm in said:
        if len(pcm) <= LONG_S * RATE_HZ:
            seen.setdefault(Path(utterance.name).name, (utterance, pcm))
    an4 = [one for name, one in sorted(seen.items()) if name.endswith("-b.wav")]
    fsdd = [one for name, one in sorted(seen.items()) if not name.endswith("-b.wav")]
    chosen = an4 + rng.sample(fsdd, min(len(fsdd), max(0, count - len(an4))))
    found = []
    for utterance, pcm in chosen[:count]:
        again = rng.choice([p for u, p in seen.values() if u.speaker == utterance.speaker])
        group = "human, a word" if len(pcm) <= SHORT_S * RATE_HZ else "human, 2-4 s"
        found.append(_human(utterance.name, group, "en", utterance.speaker, pcm, again, rng))
    return found


def _spoken_humans(count: int, words: int, rng: random.Random) -> list[Answered]:
    """`count` people who introduce themselves in 2-4 s, two voices a language, and Mandarin ones who say a word."""
    found = []
    pairs = [("en", v, "Hello?", t.format(n)) for n in NAMES for t in LONG_EN for v in ("slt", "rms")]
    rng.shuffle(pairs)
    zh = [("zh", v, "喂？", t.format(n)) for n in NAMES_ZH for t in LONG_ZH
          for v in ("cmn-latn-pinyin+f3", "cmn-latn-pinyin+m1")]  # fmt: skip
    rng.shuffle(zh)
    for pool, share in ((pairs, count * 2 // 3), (zh, count - count * 2 // 3)):
        long = []
        for language, voice, again, text in pool:
            pcm = speak(text, language, voice)
            if len(long) < share and 2.0 <= len(pcm) / RATE_HZ <= LONG_S:
                long.append(_human(text, "human, 2-4 s", language, voice, pcm, speak(again, language, voice), rng))
        found += long
    for text in SHORT_ZH[:words]:
        for voice in ("cmn-latn-pinyin+f3", "cmn-latn-pinyin+m1"):
            pcm = speak(text, "zh", voice)
            found.append(_human(text, "human, a word", "zh", voice, pcm, pcm, rng))
    return found


def reported(data: Path | None, seed: int, quick: bool = False) -> list[Answered]:
    """The set that figures are told of, every call on a quiet line and once more in noise.

    quick: a few synthetic ones of each, from what `scripts/setup` installs. Raises Unavailable when recordings are
    missing otherwise, with the packages that hold them.
    """
    rng = corpus.seeded(seed)
    if quick:
        calls = _spoken_humans(3, 1, rng) + _spoken_machines("en", 2, rng) + _spoken_machines("zh", 2, rng)
    else:
        _need_prompts()
        calls = _recorded_humans(data, 110, rng) + _hellos(rng) + _spoken_humans(60, len(SHORT_ZH), rng)
        calls += _recorded_machines(16, rng) + _spoken_machines("zh", 8, rng)
    return [on_line(call, kind, data, rng) for call in calls for kind in ("quiet", "noise")]


def others(data: Path, seed: int) -> list[Answered]:
    """People of up to 4 s on whom nothing was chosen either, each in noise: Mandarin commands read by two people
    (AISHELL), Mandarin questions to a bank (synthetic), English coffee orders and single words."""
    rng = corpus.seeded(seed)
    calls = []
    for name, language in (("zh_aishell_sample", "zh"), ("zh_caller", "zh"), ("en_coffee_commands", "en"),
                           ("speech_commands_v1", "en")):  # fmt: skip
        said = [(u, _trimmed(u.pcm)) for u in corpus.recorded(data, name, language)]
        for utterance, pcm in said:
            if len(pcm) <= LONG_S * RATE_HZ:
                group = "human, a word" if len(pcm) <= SHORT_S * RATE_HZ else "human, 2-4 s"
                calls.append(_human(f"{name} {utterance.name}", group, language, utterance.speaker, pcm, pcm, rng))
    return [on_line(call, "noise", data, rng) for call in calls]


def fitting(seed: int, languages: Collection[str] = tuple(FIT_MACHINE)) -> list[Answered]:
    """The set that the detector's figures were chosen on: other voices, languages and texts, generated beeps."""
    rng = corpus.seeded(seed)
    calls = []
    for language in languages:
        opening, second, last = FIT_MACHINE[language]
        voices = ((language, language), (language, f"{language}+f4"))
        if language == "en-gb":
            voices = (("en", "festival"), ("en", "awb"))
        for spoken, voice in voices:
            lines = [speak(text, spoken, voice) for text in (opening, second, last)]
            for again in range(2):
                beep = tone(rng.choice((440, 880, 1000, 1400)), rng.uniform(0.15, 0.8))
                calls.append(_machine(f"fit {language} {again}", language, voice, None, lines[1:], beep, rng))
                calls.append(_machine(f"fit {language} {again}", language, voice, lines[0], lines[1:], beep, rng))
            short = [speak(text, spoken, voice) for text in FIT_SHORT[language]]
            for text, pcm in zip(FIT_SHORT[language], short, strict=True):
                calls.append(_human(f"fit {text}", "human, a word", language, voice, pcm, short[0], rng))
            for text in FIT_LONG[language]:
                pcm = speak(text, spoken, voice)
                calls.append(_human(f"fit {text}", "human, 2-4 s", language, voice, pcm, short[0], rng))
    return [on_line(call, kind, None, rng) for call in calls for kind in ("quiet", "noise")]


def nobody(data: Path | None, seed: int) -> dict[str, np.ndarray]:
    """Ten seconds of lines on which nobody speaks, at usual levels."""
    hiss = np.random.default_rng(seed).standard_normal(10 * RATE_HZ)
    ringing = np.concatenate([tone(450, 1.0), _silence(4.0)])
    found = {"silence": _silence(10.0), "hiss": (100 * hiss).astype(np.int16), "ringing": np.tile(ringing, 2)}
    if data is not None:
        found |= {name: corpus.noise(data, name, 10.0, seed) for name in ("music", "tap", "bike", "babble")}
    return found


def tone(hz: float, seconds: float, peak: float = 6_000.0) -> np.ndarray:
    """One steady tone with edges of 5 ms."""
    count = int(RATE_HZ * seconds)
    edge = np.minimum(1.0, np.minimum(np.arange(count), np.arange(count)[::-1]) / 40)
    return (peak * edge * np.sin(2 * np.pi * hz * np.arange(count) / RATE_HZ)).astype(np.int16)


def on_line(call: Answered, kind: Literal["quiet", "noise"], data: Path | None, rng: random.Random) -> Answered:
    """The call as it arrives: some of the line after its end, hiss or noise 15-20 dB below its speech, and G.711."""
    after_s = AFTER_S if call.beep_end_s is None else AFTER_BEEP_S
    pcm = np.concatenate([call.pcm, _silence(after_s)]).astype(np.float64)
    frames = pcm[: len(pcm) // 160 * 160].reshape(-1, 160)
    levels = np.sqrt(np.mean(frames**2, axis=1))
    speech = float(np.sqrt(np.mean(levels[levels > 0.1 * levels.max()] ** 2)))
    seed = rng.randrange(1 << 30)
    hiss = np.random.default_rng(seed).standard_normal(len(pcm))
    if kind == "quiet":
        name, snr_db, noise = "quiet", rng.uniform(35, 50), hiss
    else:
        name, snr_db, noise = rng.choice(("hiss", "babble", "tap", "bike")), rng.uniform(15, 20), hiss
        if data is None:
            name = "hiss"
        elif name != "hiss":
            noise = corpus.noise(data, name, len(pcm) / RATE_HZ + 1, seed)[: len(pcm)].astype(np.float64)
    noise = noise * speech / 10 ** (snr_db / 20) / max(1e-9, float(np.sqrt(np.mean(noise**2))))
    sent = np.clip(pcm + noise, -32_768, 32_767).astype(np.int16)
    codec = rng.choice(("PCMU", "PCMA"))
    return replace(call, pcm=g711.decode(codec, g711.encode(codec, sent)), line=name)
