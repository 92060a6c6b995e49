"""Speech events become utterances, waits and verdicts; no telephone, no engine."""

import asyncio

import pytest

from ivr.config import Hearing
from ivr.line.messages import Audio, NoInput, SpeechEnded, SpeechPaused, SpeechResumed, SpeechStarted
from ivr.listening import NOISES, Listener, Quiet
from ivr.turn import Expectation, Hypothesis, Understood

HEARING = Hearing()
SECOND = bytes(32_000)
YES = Understood(Hypothesis("yes", 0.9), value="yes", complete=True)
OKAY = Understood(Hypothesis("okay", 0.9), value="okay")
NOISE = Understood(Hypothesis("", rejected="no_speech"))
HALF = Understood(Hypothesis("one two", 0.9), partial=True)


class Ear:
    """Answers what it was told to, counts what it was asked."""

    def __init__(self, guess, final):
        self.guess, self.final = guess, final
        self.audio = self.speculations = 0
        self.dropped = False

    def accept(self, pcm):
        self.audio += len(pcm)

    def resumed(self):
        pass

    async def speculate(self):
        self.speculations += 1
        return self.guess

    async def finish(self):
        return self.final

    def drop(self):
        self.dropped = True


class House:
    """A leg that writes down commands, a pool that gives out one ear, and a listener between them."""

    def __init__(self, guess=None, final=YES):
        self.id, self.commands, self.posted, self.tasks, self.turn = "leg", [], [], [], 0
        self.ear = Ear(guess, final)
        self.listener = Listener(self, self, lambda *_: YES, HEARING, self.posted.append, self.spawn)

    def open(self, *_):
        return self.ear

    def listen(self, **settings):
        self.turn += 1
        self.commands.append(("listen", settings))
        return self.turn

    def stop_listening(self):
        self.commands.append(("stop",))

    def endpoint_wait(self, utterance, wait_ms):
        self.commands.append(("wait", utterance, wait_ms))

    def barge_in(self, utterance, commit):
        self.commands.append(("commit" if commit else "resume", utterance))

    def spawn(self, work):
        self.tasks.append(asyncio.ensure_future(work))
        return self.tasks[-1]

    async def hear(self, *events):
        for event in events:
            self.listener.on(event)
            await asyncio.gather(*self.tasks)

    def verdicts(self):
        return [c[0] for c in self.commands if c[0] in ("commit", "resume")]

    def waits(self):
        return [c[2] for c in self.commands if c[0] == "wait"]


def began(paused=False, asks=True, turn=1):
    return SpeechStarted(1, turn, 7, 1_000, paused, asks)


def ended(speech_ms=400):
    return SpeechEnded(1, 7, 1_000, 1_400, speech_ms, "endpoint")


def house(kind="yes_no", **heard):
    made = House(**heard)
    made.listener.open(Expectation(kind, "en", min_digits=4, max_digits=4))
    return made


async def test_a_complete_answer_is_waited_for_shortly():
    """A yes that was decoded in the first silence ends the utterance soon, and is posted once."""
    h = house(guess=YES)
    await h.hear(began(), Audio(1, 7, SECOND), SpeechPaused(1, 7, 1_400, 400), ended())
    assert h.waits() == [HEARING.complete_ms]
    assert [p.understood for p in h.posted] == [YES]
    assert h.posted[0].speculative


async def test_half_a_number_is_waited_for_longest():
    """Two of four digits: more is coming."""
    h = house("digits", guess=HALF)
    await h.hear(began(), SpeechPaused(1, 7, 1_400, 600))
    assert h.waits() == [HEARING.partial_ms]


async def test_too_little_speech_for_all_digits_is_not_decoded_yet():
    """One digit of four costs no decode."""
    h = house("digits", guess=HALF)
    await h.hear(began(), SpeechPaused(1, 7, 1_400, 200))
    assert h.ear.speculations == 0


async def test_a_guess_that_speech_overtook_changes_nothing():
    """When the caller went on meanwhile, the wait of the earlier pause is not sent."""
    h = house(guess=YES)
    h.listener.on(began())
    h.listener.on(SpeechPaused(1, 7, 1_400, 400))
    h.listener.on(SpeechResumed(1, 7, 1_800, 400))
    await asyncio.gather(*h.tasks)
    assert h.waits() == []


async def test_a_cough_over_a_prompt_lets_it_resume_and_is_no_turn():
    """No speech in it: resume, nothing posted."""
    h = house(guess=NOISE, final=NOISE)
    await h.hear(began(paused=True), SpeechPaused(1, 7, 1_200, 200), ended(200))
    assert h.verdicts() == ["resume"]
    assert h.posted == []


async def test_a_short_answer_over_a_question_interrupts_it():
    """Yes over "Is that right?" counts however short."""
    h = house(guess=YES)
    await h.hear(began(paused=True, asks=True), SpeechPaused(1, 7, 1_200, 180), ended(180))
    assert h.verdicts() == ["commit"]
    assert len(h.posted) == 1


async def test_a_back_channel_over_a_statement_lets_it_go_on():
    """Okay over a notice is listening."""
    h = house(guess=OKAY, final=OKAY)
    await h.hear(began(paused=True, asks=False), SpeechPaused(1, 7, 1_300, 300), ended(300))
    assert h.verdicts() == ["resume"]
    assert h.posted == []


async def test_speech_that_goes_on_over_a_prompt_interrupts_it_before_it_ends():
    """Half a second of speech needs no words."""
    h = house(guess=None)
    await h.hear(began(paused=True), *[Audio(1, 7, bytes(1_920))] * 20)
    assert h.verdicts() == ["commit"]


async def test_a_resumed_prompt_is_interrupted_after_all_when_words_come_late():
    """A first guess of noise does not outweigh a final yes."""
    h = house(guess=NOISE, final=YES)
    await h.hear(began(paused=True), SpeechPaused(1, 7, 1_200, 200), ended(200))
    assert h.verdicts() == ["resume", "commit"]
    assert len(h.posted) == 1


async def test_noise_after_a_question_is_ignored_and_then_counts_as_silence():
    """Three noises in one turn are a silent caller."""
    h = house(final=NOISE)
    for times in range(1, NOISES + 1):
        await h.hear(began(), ended())
        assert h.posted == ([] if times < NOISES else [Quiet()])


async def test_events_of_an_earlier_turn_change_nothing():
    """Late events of what was before are dropped."""
    h = house()
    h.listener.open(Expectation("open", "en"))
    await h.hear(began(turn=1), ended(), NoInput(1, 1))
    assert h.posted == []
    await h.hear(NoInput(1, 2))
    assert h.posted == [Quiet()]


async def test_a_key_drops_the_utterance_under_way():
    """Whoever presses a key is not also quoted."""
    h = house()
    await h.hear(began(), Audio(1, 7, SECOND))
    h.listener.drop_utterance()
    await h.hear(ended())
    assert h.ear.dropped
    assert h.posted == []


@pytest.mark.parametrize("kind", ["open", "yes_no"])
async def test_the_line_is_told_the_configured_waits(kind):
    """Closed answers are decoded at a shorter silence than open ones."""
    h = house(kind)
    settings = h.commands[0][1]
    assert settings["wait_ms"] == HEARING.wait_ms
    assert settings["pause_ms"] == (HEARING.speculate_ms if kind == "open" else 100)
