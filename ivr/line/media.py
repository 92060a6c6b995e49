"""A leg's ear and mouth: one native port for both directions, and the hearing thread that thinks about what it heard.

Three threads meet here. The media clock (native, one frame each way every 20 ms) copies bytes and does nothing else.
The SIP thread calls the commands of LegMedia. The hearing thread runs VAD, Endpointer, AMD, recorder and patches, and
pauses a prompt itself when the caller speaks over it. What they share is the Playout, under a lock held for
microseconds, and deques. Knows nothing of SIP or of dialogs.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import selectors
import sys
import threading
from collections import deque
from collections.abc import Callable

import numpy as np
import pjsua2 as pj

from ivr.errors import Unavailable
from ivr.line import messages
from ivr.line.amd import Watch
from ivr.line.dtmf import ToneDetector
from ivr.line.echo import EchoGate
from ivr.line.endpointer import Endpointer
from ivr.line.messages import FRAME_BYTES, FRAME_MS, RATE_HZ, Event
from ivr.line.patch import Link, PatchBoard
from ivr.line.playout import BYTES_PER_MS, SILENCE, Playout, Sound
from ivr.line.recorder import Recorder
from ivr.line.settings import Amd, LineSettings
from ivr.line.sounds import Sounds
from ivr.line.vad import NARROW_SAMPLES, SILENT_DB, Decimator, level_db, make_vad
from ivr.speech import pcm

# Captured frames that wait for the hearing thread: one second. Beyond that the oldest are lost, the clock is not.
RING_FRAMES = 50
# So much of early media may still be in the jitter buffer when the call is answered.
EARLY_TAIL_MS = 200
# The default of 5 ms would let another thread keep the media clock waiting for a quarter of a frame.
SWITCH_INTERVAL_S = 0.0005
MAX_VERDICTS = 8

log = logging.getLogger("ivr.line")
_sounds = Sounds()
_Vector = ctypes.POINTER(ctypes.c_size_t)


def _storage(vector: pj.ByteVector) -> tuple[int, int]:
    """Begin and end address of a C++ vector's elements: its first two pointers."""
    begin, end = ctypes.cast(int(vector.this), _Vector)[0:2]
    return begin, end


class _Port(pj.AudioMediaPort):
    """The native end. Callbacks come on the media clock's thread and must neither raise, block nor log."""

    _spare: list[_Port] = []
    _made = 0

    def __init__(self) -> None:
        super().__init__()
        form = pj.MediaFormatAudio()
        form.init(pj.PJMEDIA_FORMAT_PCM, RATE_HZ, 1, FRAME_MS * 1000, 16)
        _Port._made += 1
        self.createPort(f"leg{_Port._made}", form)
        self.media: LegMedia | None = None
        self._out = pj.ByteVector(FRAME_BYTES)
        self._out_at = _storage(self._out)[0]

    @classmethod
    def take(cls, media: LegMedia) -> _Port:
        """A port for a leg. Ports are used again and never freed: the bridge removes them asynchronously."""
        port = cls._spare.pop() if cls._spare else cls()
        port.media = media
        return port

    def give_back(self) -> None:
        self.media = None
        _Port._spare.append(self)

    def onFrameReceived(self, frame: pj.MediaFrame) -> None:
        media = self.media
        if media is None:
            return
        try:
            vector = frame.buf
            begin, end = _storage(vector)
            captured = ctypes.string_at(begin, FRAME_BYTES) if end - begin == FRAME_BYTES else SILENCE
            media.captured(captured)
        except Exception:
            media.clock_faults += 1

    def onFrameRequested(self, frame: pj.MediaFrame) -> None:
        media = self.media
        try:
            ctypes.memmove(self._out_at, SILENCE if media is None else media.requested(), FRAME_BYTES)
            frame.type = pj.PJMEDIA_FRAME_TYPE_AUDIO
            frame.buf = self._out
            frame.size = FRAME_BYTES
        except Exception:
            if media is not None:
                media.clock_faults += 1


def release_ports() -> None:
    """Forget the spare ports; SIP thread, before the library is destroyed."""
    _Port._spare.clear()


class LegMedia:
    """Commands run in the SIP thread, `captured` and `requested` in the media clock's, `hear` in the hearing thread.

    Events of a leg leave in order and from the hearing thread, but for Dtmf and what `close` still has to say.
    """

    def __init__(
        self, leg: int, settings: LineSettings, emit: Callable[[Event], None], inband_dtmf: bool = False
    ) -> None:
        self.leg = leg
        self.clock_faults = 0
        self.lost_frames = 0
        self._emit = emit
        self._port: _Port | None = None
        self._stream: pj.AudioMedia | None = None
        self._wake: Callable[[], None] = lambda: None
        self._patches: PatchBoard | None = None
        self._lock = threading.Lock()
        self._hearing_lock = threading.Lock()
        self._playout = Playout(leg)
        self._link: Link | None = None
        self._held = self._closed = False
        self._at_ms = 0
        self._sent: bytes = SILENCE
        self._ring: deque[tuple[int, bytes, bytes]] = deque(maxlen=RING_FRAMES)
        self._inbox: deque[Callable[[], None]] = deque()
        self._verdict_ms = 600
        self._spoken_over: dict[int, int] = {}
        self._paused_for = 0
        self._endpointer = Endpointer(leg, self._interrupt)
        self._vad = make_vad(settings)
        self._echo = EchoGate()
        self._tones = ToneDetector()
        self._inband_dtmf = inband_dtmf
        self._narrow_in = Decimator()
        self._narrow_out = Decimator()
        self._recorder: Recorder | None = None
        self._watch: Watch | None = None
        self._answered_ms = self._tail_ms = 0
        self._mated: LegMedia | None = None
        self.last_narrow = np.zeros(NARROW_SAMPLES, np.float32)

    # SIP thread -------------------------------------------------------------------------------------------------

    def attach(self, stream: pj.AudioMedia) -> None:
        """Connect to the call's audio; again after every change of it. Raises pj.Error."""
        if self._closed:
            return
        if self._port is None:
            self._port = _Port.take(self)
        if self._stream is not None and self._stream.getPortId() != stream.getPortId():
            self.detach()
        self._stream = stream
        stream.startTransmit(self._port)
        self._port.startTransmit(stream)

    def detach(self) -> None:
        """Disconnect from the call's audio, before the call goes."""
        stream, self._stream = self._stream, None
        if stream is None or self._port is None:
            return
        for source, sink in ((stream, self._port), (self._port, stream)):
            try:
                source.stopTransmit(sink)
            except pj.Error:
                log.debug("the stream was gone already", extra={"leg": self.leg})

    def play(self, command: messages.Play) -> None:
        sounds = [s for s in (self._load(segment) for segment in command.segments) if s is not None]
        with self._lock:
            self._playout.play(command.playout, sounds, command.append, command.more, command.gain_db)
        self._wake()

    def stop_playout(self, command: messages.StopPlayout) -> None:  # noqa: ARG002 - commands look alike
        with self._lock:
            self._playout.stop("stopped")
        self._wake()

    def listen(self, command: messages.Listen) -> None:
        self._verdict_ms = command.verdict_ms
        self._post(lambda: self._endpointer.listen(command))

    def stop_listening(self, command: messages.StopListening) -> None:  # noqa: ARG002
        self._post(self._endpointer.stop)

    def endpoint_wait(self, command: messages.EndpointWait) -> None:
        self._post(lambda: self._endpointer.endpoint_wait(command.utterance, command.wait_ms))

    def barge_in(self, command: messages.BargeIn) -> None:
        """The brain's verdict on speech over a prompt; void once another playout has begun."""
        with self._lock:
            playout = self._playout
            if self._spoken_over.get(command.utterance) != playout.playout or not playout.open:
                return
            if not command.commit:
                playout.resume()
            elif playout.interruptible("speech"):
                playout.stop("barge_in")
        self._wake()

    def watch(self, amd: Amd, early: bool) -> None:
        """The leg has been answered: find out by whom, from the next frame on. `early`: there was early media."""
        self._tail_ms = self._at_ms + (EARLY_TAIL_MS if early else 0)
        self._answered_ms, self._watch = self._at_ms, Watch(self.leg, amd)

    def record(self, command: messages.Record) -> None:
        try:
            recorder = Recorder(command.path)
        except OSError as error:
            self._emit(messages.Failure(f"recording: {error.strerror}", self.leg))
            return
        self._post(lambda: self._start_recording(recorder))

    def mute(self, command: messages.Mute) -> None:
        self._post(lambda: self._mute(command.on))

    def patch(self, command: messages.Patch) -> None:
        """Bridge to a leg of another process; Bridged or Failure follows."""
        self._silence()
        if self._patches is not None:
            self._patches.requests.append((command, self))
            self._wake()

    def unpatch(self) -> None:
        if self._patches is not None:
            self._patches.requests.append(self)
            self._wake()

    def bridged_to(self, other: LegMedia | None) -> None:
        """The leg is bridged natively to `other` (None: no more): its side of a recording is what `other` hears."""
        self._silence()
        self._mated = other

    def dtmf(self, digit: str, method: str) -> None:
        """A key was pressed: it interrupts a prompt that allows it and restarts the wait for input."""
        self._emit(messages.Dtmf(self.leg, digit, self._at_ms, method))
        self._post(self._endpointer.key)
        with self._lock:
            if self._playout.interruptible("key"):
                self._playout.stop("key")
        self._wake()

    def hold(self, on: bool) -> None:
        """While held nothing plays on and nothing is heard."""
        self._held = on
        if on:
            self._post(self._endpointer.cut)

    def say_apology(self, path: str) -> int:
        """Play `path` at once, whatever else goes on, and never mind the caller. Its length in ms, 0 if unreadable."""
        self.unpatch()
        self._post(self._endpointer.stop)
        sound = self._load(messages.Segment(path, barge_in="none"))
        if sound is None:
            return 0
        self._held = False
        with self._lock:
            self._playout.play(-1, [sound])
        return len(sound.pcm) // BYTES_PER_MS

    def close(self, reason: str = "hangup") -> None:
        """The leg is over: say what is left to say, end the recording, free everything. Idempotent."""
        if self._closed:
            return
        self.detach()
        self.unpatch()
        with self._hearing_lock:
            self._closed = True
            with self._lock:
                self._playout.stop("hangup" if reason == "hangup" else "stopped")
            self._run_inbox()
            self._endpointer.close()
            self._send_events()
            if self._recorder is not None:
                self._recorder.close()
                self._recorder = None
        port, self._port = self._port, None
        if port is not None:
            port.give_back()

    def _silence(self) -> None:
        self._watch = None
        with self._lock:
            self._playout.stop("stopped")
        self._post(self._endpointer.stop)

    def _load(self, segment: messages.Segment) -> Sound | None:
        try:
            return Sound(_sounds.load(segment.path), segment)
        except Unavailable as error:
            self._emit(messages.Failure(str(error), self.leg))
            return None

    def _post(self, command: Callable[[], None]) -> None:
        self._inbox.append(command)
        self._wake()

    # Media clock ------------------------------------------------------------------------------------------------

    def requested(self) -> bytes:
        """The next frame for the caller."""
        if self._held or self._closed:
            self._sent = SILENCE
            return SILENCE
        with self._lock:
            frame = self._playout.next_frame(self._at_ms)
        link = self._link
        if link is not None and link.incoming:
            patched = link.incoming.popleft()
            frame = patched if frame is SILENCE else pcm.mixed(frame, patched)
        self._sent = frame
        return frame

    def captured(self, frame: bytes) -> None:
        """A frame from the caller, with what was sent in the same tick."""
        self._at_ms += FRAME_MS
        if len(self._ring) == RING_FRAMES:
            self.lost_frames += 1
        self._ring.append((self._at_ms, frame, self._sent))
        self._wake()

    # Hearing thread ---------------------------------------------------------------------------------------------

    def connect(self, wake: Callable[[], None], patches: PatchBoard) -> None:
        """Called by Hearing when it takes the leg on."""
        self._wake, self._patches = wake, patches

    def patch_opened(self, link: Link) -> None:
        self._link = link

    def patch_closed(self, link: Link) -> None:
        if self._link is link:
            self._link = None

    def hear(self) -> None:
        """Handle whatever has come since the last time."""
        with self._hearing_lock:
            if self._closed:
                return
            self._run_inbox()
            while self._ring:
                self._frame(*self._ring.popleft())
                self._send_events()
            self._send_events()

    def fail(self) -> None:
        """Hearing broke on this leg: stop what may be stuck in a file; the call goes on."""
        self._recorder = None
        self._emit(messages.Failure("hearing failed", self.leg))

    def _run_inbox(self) -> None:
        while self._inbox:
            self._inbox.popleft()()

    def _frame(self, at_ms: int, frame: bytes, sent: bytes) -> None:
        if self._link is not None:
            self._link.send(frame)
        narrow = self._narrow_in(frame)
        played = self._narrow_out(sent)
        self.last_narrow = narrow
        if self._recorder is not None:
            self._write_recording(narrow, played)
        if self._held:
            return
        tone = self._tones.push(narrow)
        if tone.pressed and self._inband_dtmf:
            self.dtmf(tone.pressed, "inband")
        heard, at_least_db = self._echo.process(narrow, played, self._vad.threshold_db)
        voiced = self._vad.voiced(heard, at_least_db) and not tone.present
        if (watch := self._watch) is not None and at_ms > self._answered_ms:
            echo = SILENT_DB < level_db(heard) <= at_least_db
            watch.push(heard, tone.present or echo or at_ms <= self._tail_ms)
        endpointer = self._endpointer
        endpointer.push(frame, voiced, self._playout.open, at_ms)
        if endpointer.speaking and self._paused_for != endpointer.utterance:
            self._pause_late()

    def _interrupt(self) -> tuple[bool, bool]:
        """Speech has begun: pause the prompt if it may be. The Endpointer asks this before it tells the brain."""
        with self._lock:
            playout = self._playout
            utterance = self._endpointer.utterance
            asks = playout.asks
            if not playout.open:
                self._paused_for = utterance
                return False, asks
            self._spoken_over[utterance] = playout.playout
            if len(self._spoken_over) > MAX_VERDICTS:
                del self._spoken_over[min(self._spoken_over)]
            paused = playout.pause(self._verdict_ms)
            if paused:
                self._paused_for = utterance
            return paused, asks

    def _pause_late(self) -> None:
        """Speech that began in a protected passage goes on after its end."""
        with self._lock:
            utterance, playout = self._endpointer.utterance, self._playout
            if self._spoken_over.get(utterance) == playout.playout and playout.pause(self._verdict_ms):
                self._paused_for = utterance

    def _send_events(self) -> None:
        watch = self._watch
        for events in (self._endpointer.events, self._playout.events, watch.events if watch is not None else ()):
            while events:
                self._emit(events.popleft())

    def _start_recording(self, recorder: Recorder) -> None:
        if self._recorder is not None:
            self._recorder.close()
        self._recorder = recorder

    def _mute(self, on: bool) -> None:
        if self._recorder is not None:
            self._recorder.muted = on

    def _write_recording(self, narrow: np.ndarray, played: np.ndarray) -> None:
        mate = self._mated
        ours = mate.last_narrow if mate is not None else played
        try:
            self._recorder.write(narrow, ours)
        except OSError as error:
            self._recorder = None
            self._emit(messages.Failure(f"recording: {error.strerror}", self.leg))


class Hearing:
    """The hearing thread of a process. The media clock wakes it by an eventfd for every captured frame."""

    def __init__(self, settings: LineSettings, emit: Callable[[Event], None]) -> None:
        self._selector = selectors.DefaultSelector()
        self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._selector.register(self._event, selectors.EVENT_READ, self._clear)
        self._patches = PatchBoard(settings.patch_path, emit, self._selector)
        self._legs: tuple[LegMedia, ...] = ()
        self._running = self._awake = False
        self._thread = threading.Thread(target=self._run, name="hearing", daemon=True)

    def add(self, media: LegMedia) -> None:
        """SIP thread: take a leg on."""
        media.connect(self._wake, self._patches)
        self._legs = (*self._legs, media)

    def remove(self, media: LegMedia) -> None:
        """SIP thread: forget a leg, after its `close`."""
        self._legs = tuple(m for m in self._legs if m is not media)

    def start(self) -> None:
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._running = True
        self._thread.start()

    def stop(self) -> None:
        """End the thread and every patch."""
        self._wake()
        self._running = False
        if self._thread.is_alive():
            self._thread.join(1.0)
        self._patches.close()
        self._selector.close()
        os.close(self._event)

    def _wake(self) -> None:
        if self._running and not self._awake:
            self._awake = True
            os.eventfd_write(self._event, 1)

    def _clear(self) -> None:
        """Take the wake-up before the next may come: the other way round one in between is lost, and all after it."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._event)
        self._awake = False

    def _run(self) -> None:
        while self._running:
            for key, _ in self._selector.select(0.5):
                key.data()
            self._patches.handle_requests()
            for media in self._legs:
                try:
                    media.hear()
                except Exception:
                    log.exception("hearing failed", extra={"leg": media.leg})
                    media.fail()
