"""The root: builds everything from the configuration, runs it, shuts it down in order.

Start: database, plans, models, voices, lines, HTTP. Stop: intake, calls, lines, recognisers, voices, database.
"""

from __future__ import annotations

import asyncio
import functools
import math
import os
import signal
import struct
import wave
from collections.abc import Sequence
from pathlib import Path

import structlog

from ivr import __version__, log, memory, voicemail
from ivr.backend.client import Backends
from ivr.config import Config, secret
from ivr.dialog.plan import Plan
from ivr.health import Health
from ivr.intents.live import Learner, Trainer
from ivr.kb.live import KnowledgeBase
from ivr.learning import Learning
from ivr.outbound.live import OutboundCalls
from ivr.outbound.orders import VERIFY_PLAN
from ivr.publishing import Publishing, needed
from ivr.session import House, conversing, starter
from ivr.speech import engines, stt
from ivr.speech.prompts import Prompts
from ivr.speech.tts import open_voices
from ivr.store.kb import KbEntries
from ivr.store.store import Store
from ivr.telephony.leg import Leg
from ivr.telephony.pool import LinePool
from ivr.understanding import commands
from ivr.web import server
from ivr.web.api import create_app
from ivr.web.status import LanguageStatus

logger = structlog.get_logger(__name__)

PURGE_EVERY_S = 3_600
STOP_WITHIN_S = 4.5


class App:
    """One server. `run` returns when it has stopped."""

    def __init__(self, config: Config, config_file: str = "config.toml") -> None:
        self.config = config
        self._config_file = Path(config_file).resolve()
        learning = Learning(Learner(config.path(config.store.intents), config.path(config.paths.models)))
        self.plans = Publishing(config.path(config.paths.dialplans), needed(config), self._warm_fresh, learning)
        self.plans.load()
        self.health = Health(config, self.plans)
        recordings = config.store.recordings
        self._recordings = config.path(recordings) if recordings else None
        self._messages = config.path(config.store.messages)
        self.store = Store(config.store.url, config.root, recordings, config.store.server)

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT: the first drains, the second ends everything at once."""
        stop, now = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, lambda: now.set() if stop.is_set() else stop.set())
        async with _Closing() as closing:
            await self.store.open()
            closing.later(self.store.close)
            if left := await self.store.recover("the server stopped during the call"):
                logger.warning("calls left open by a dead server are recorded as failed", calls=left)
            self.backends = Backends(self.config.backend)
            closing.later(self.backends.close)
            self.knowledge = KnowledgeBase(
                KbEntries(self.store), self.config.path(self.config.store.kb_index), self._config_file
            )
            await self.knowledge.open()
            closing.later(self.knowledge.close)
            self.outbound = outbound = self._outbound()
            web = await server.start(
                create_app(self.store, self.health.status, self.health.reload, secret(self.config.http.token_env),
                           self._recordings, self._messages, self.knowledge, Trainer(self._config_file),
                           self.config.http.token_env, outbound),
                self.config.http.host, self.config.http.port,
            )  # fmt: skip
            closing.later(web.cleanup)
            lines = await self._speech_and_lines(closing)
            work = [self._purge(), self._warm(self._served()), self.health.observe(), self.plans.run(self.store),
                    self.knowledge.watch(), *([outbound.run()] if outbound else [])]  # fmt: skip
            background = [asyncio.create_task(w) for w in work]
            closing.later(lambda: _cancelled(background))
            self.health.state = "ready"
            logger.info("ready", sip=f"{self.config.sip.host}:{self.config.sip.port}",
                        http=f"{self.config.http.host}:{self.config.http.port}", version=__version__)  # fmt: skip
            await stop.wait()
            self.health.state = "draining"
            await self.knowledge.stop_indexing()
            if outbound is not None:
                await outbound.drain()
            drained = asyncio.create_task(lines.drain())
            await asyncio.wait({drained, asyncio.create_task(now.wait())}, return_when=asyncio.FIRST_COMPLETED)
            drained.cancel()
        logger.info("stopped")

    def _outbound(self) -> OutboundCalls | None:
        """The queue of outbound calls, where a policy is configured. Nothing dials before there are lines."""
        if not self.config.outbound.policies:
            return None
        return OutboundCalls(self.config, self.store, self.backends, self.plans.get)

    async def _called_back(self, leg: Leg) -> bool:
        """Whether a caller is somebody for whom a job is open, which this call then was for."""
        return self.outbound is not None and await self.outbound.called_back(leg)

    async def _speech_and_lines(self, closing: _Closing) -> LinePool:
        config = self.config
        recognizers = await asyncio.to_thread(engines.build, config, commands.phrases)
        recognition = config.recognition
        pool = stt.RecognizerPool(recognizers, recognition.threads, recognition.queue_limit)
        closing.later(functools.partial(asyncio.to_thread, pool.close))
        voices, fallbacks = open_voices(config)
        self.health.languages = tuple(
            LanguageStatus(language=language, recognizer=able[0].name,
                           voice=voices[language].name if language in voices else "")
            for language, able in sorted(recognizers.items())
        )  # fmt: skip
        self._prompts = Prompts(config, voices, fallbacks)
        await self._prompts.start()
        closing.later(self._prompts.close)
        await asyncio.to_thread(pool.warm)
        apology = _apologies(config)
        ringback = config.path(config.synthesis.cache) / "ringback.wav"
        _write_ringback(ringback)
        lines = LinePool(
            config,
            starter(lambda: house, self.plans.get, self._called_back),
            apology={language: str(path) for language, path in apology.items()},
            on_free=self.outbound.wake if self.outbound else lambda: None,
        )
        house = House(config, lines, pool, self._prompts, self.store, self.backends, self.knowledge.search,
                      apology, ringback)  # fmt: skip
        self.health.lines, self.health.recognizers = lines, pool
        await lines.start()
        if self.outbound is not None:
            closing.later(self.outbound.close)
            self.outbound.dial(lines, conversing(house, self.plans.get))
        closing.later(lines.close)
        return lines

    async def _warm(self, plans: Sequence[Plan]) -> None:
        """Make every static prompt of plans in use, behind whatever callers need."""
        texts: dict[str, list[str]] = {}
        for plan in plans:
            for language, text in plan.prompts():
                texts.setdefault(language, []).append(text)
        served = {number.language for number in self.config.number}
        problems = await self._prompts.warm({k: v for k, v in texts.items() if k in served})
        for problem in problems:
            logger.warning("a prompt cannot be made", problem=str(problem))
        logger.info("prompts are ready", prompts=sum(map(len, texts.values())))

    async def _warm_fresh(self, plans: Sequence[Plan]) -> None:
        """The same for plans that were just published; before the voices are there, the start does it."""
        if self.health.state == "ready":
            await self._warm([plan for plan in plans if plan in self._served()])

    def _served(self) -> list[Plan]:
        names = {n.plan for n in self.config.number} | ({VERIFY_PLAN} if self.outbound else set())
        return [plan for name in sorted(names) if (plan := self.plans.get(name))]

    async def _purge(self) -> None:
        while self.config.store.retention_days:
            try:
                purged = await self.store.purge(self.config.store.retention_days)
                if purged.calls:
                    logger.info("purged", calls=purged.calls, recordings=purged.recordings)
                if self.outbound and (gone := await self.outbound.jobs.purge(self.config.store.retention_days)):
                    logger.info("purged", jobs=gone)
                await asyncio.to_thread(voicemail.purge, self._messages, self.config.store.retention_days)
            except Exception:
                logger.exception("purge failed; tried again later")
            await asyncio.sleep(PURGE_EVERY_S)


class _Closing:
    """Closes what was opened, last first, each within its time, whatever fails."""

    def __init__(self) -> None:
        self._steps: list = []

    def later(self, close) -> None:
        self._steps.append(close)

    async def __aenter__(self) -> _Closing:
        return self

    async def __aexit__(self, *_: object) -> None:
        end = asyncio.get_running_loop().time() + STOP_WITHIN_S
        for close in reversed(self._steps):
            try:
                async with asyncio.timeout_at(max(end, asyncio.get_running_loop().time() + 0.2)):
                    await close()
            except TimeoutError:
                logger.warning("something did not close in time")
            except Exception:
                logger.exception("closing failed")


async def _cancelled(tasks: list[asyncio.Task]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _apologies(config: Config) -> dict[str, Path]:
    folder = config.path(config.paths.audio_prompts)
    found = {language: folder / language / "apology.wav" for language in config.languages}
    return {language: path.resolve() for language, path in found.items() if path.is_file()}


def _write_ringback(path: Path, rate: int = 16_000) -> None:
    """Five seconds of ringing: 425 Hz, one second on and four off (ITU-T E.180)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tone = [round(2_400 * math.sin(2 * math.pi * 425 * i / rate)) for i in range(rate)] + [0] * rate * 4
    fresh = path.with_suffix(".part")
    with wave.open(str(fresh), "wb") as out:
        out.setparams((1, 2, rate, 0, "NONE", ""))
        out.writeframes(struct.pack(f"<{len(tone)}h", *tone))
    os.replace(fresh, path)


def serve(config: Config, config_file: str) -> int:
    """`ivr serve`: 0 when it was told to stop."""
    log.configure(config.log.level, config.log.format, config.log.transcripts)
    memory.share_arenas()
    asyncio.run(App(config, config_file).run())
    return 0
