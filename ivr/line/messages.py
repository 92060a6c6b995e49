"""The words between the brain and a line process: commands down, events up.

Frozen structs, encoded as MessagePack behind a 4-byte big-endian length on one Unix stream socket per line process.
`leg` is an id the line process gives (an integer, never reused within a process); the brain addresses legs by it.
`*_ms` on events counts the leg's own audio clock (frames x 20 ms since its media began), not the wall clock.
Imports nothing of the rest of the project but `settings`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ivr.line.settings import Amd, LineSettings

FRAME_MS = 20
RATE_HZ = 16_000
FRAME_BYTES = RATE_HZ * FRAME_MS // 1000 * 2
MAX_MESSAGE_BYTES = 1 << 20


class _Message(msgspec.Struct, frozen=True, tag=True, array_like=False):
    pass


# Commands: brain -> line ------------------------------------------------------------------------------------------


class Configure(_Message, frozen=True):
    """First message on the socket."""

    settings: LineSettings


class Ring(_Message, frozen=True):
    """Answer an incoming leg provisionally: 180, or 183 with media when `early_media`."""

    leg: int
    early_media: bool = False


class Answer(_Message, frozen=True):
    """200 OK. `language` chooses the apology should the brain die."""

    leg: int
    language: str = "en"


class Reject(_Message, frozen=True):
    """Refuse an incoming leg before it is answered."""

    leg: int
    code: int
    reason: str = ""
    retry_after_s: int = 0


class Dial(_Message, frozen=True):
    """Place a call. The line answers with `Dialing` (same `request`) and then `LegState`s or `LegEnded`.

    From and display name come from the peer, never from here. `amd`: once answered, say who it is that answered, by
    `AnsweredBy` and what may follow it.
    """

    request: int
    uri: str
    peer: str
    timeout_ms: int = 45_000
    language: str = "en"
    amd: Amd | None = None


class Hangup(_Message, frozen=True):
    """BYE, CANCEL or a final refusal, whichever the leg's state asks for."""

    leg: int
    code: int = 0
    cause: str = "hangup"


class Refer(_Message, frozen=True):
    """Blind transfer by REFER; ends in `Transferred`."""

    leg: int
    target: str
    timeout_ms: int = 30_000


class Bridge(_Message, frozen=True):
    """Connect two legs of this process natively; both directions. Listening and playing stop on both."""

    leg: int
    other: int


class Patch(_Message, frozen=True):
    """Bridge a leg to a leg of another line process over the Unix socket `path` (its `patch_path`).

    Both sides get a `Patch` with the same `token`; the one with `connect` true opens the connection.
    """

    leg: int
    token: str
    path: str
    connect: bool


class Unbridge(_Message, frozen=True):
    """Undo Bridge or Patch; the leg hears silence until something is played."""

    leg: int


class Segment(msgspec.Struct, frozen=True):
    """A piece of a playout: one WAV file (mono, 16 bit, 16 kHz).

    barge_in: what may interrupt it. protected_ms: for so long from its beginning nothing may.
    asks: it asks for an answer, so that nothing the caller says during it is dropped for being short.
    """

    path: str
    barge_in: Literal["speech", "key", "none"] = "speech"
    asks: bool = False
    protected_ms: int = 0


class Play(_Message, frozen=True):
    """Play segments in order. `append` adds to the playout of the same id if it is still open.

    `more` says that further segments will be appended: running dry then is a gap, not the end.
    A new playout id replaces what plays. `gain_db` <= 0.
    """

    leg: int
    playout: int
    segments: tuple[Segment, ...]
    append: bool = False
    more: bool = False
    gain_db: float = 0.0


class StopPlayout(_Message, frozen=True):
    leg: int


class Listen(_Message, frozen=True):
    """Open the ear for one turn, during the prompt too. Replaces the turn before.

    The no-input clock starts when nothing plays (any more). `wait_ms` is the end-of-speech wait used while nobody
    has sent a better one by `EndpointWait`. `pause_ms`: silence after which `SpeechPaused` is sent, so that a
    recogniser can decode speculatively. 0 for `no_input_ms` waits for ever.
    """

    leg: int
    turn: int
    no_input_ms: int = 5_000
    max_speech_ms: int = 20_000
    wait_ms: int = 1_000
    pause_ms: int = 160
    verdict_ms: int = 600
    language: str = "en"


class StopListening(_Message, frozen=True):
    leg: int


class EndpointWait(_Message, frozen=True):
    """A better end-of-speech wait for a running utterance; takes effect at once, also when already passed.

    It holds for the present pause only: when speech resumes the `Listen` default counts again.
    """

    leg: int
    utterance: int
    wait_ms: int


class BargeIn(_Message, frozen=True):
    """The verdict on a paused prompt: commit stops it for good, otherwise it resumes where it stopped.

    A commit after the line resumed by itself (no verdict in `verdict_ms`) stops it all the same.
    """

    leg: int
    utterance: int
    commit: bool


class SendDtmf(_Message, frozen=True):
    leg: int
    digits: str
    method: Literal["rfc4733", "info"] = "rfc4733"


class Record(_Message, frozen=True):
    """Stereo WAV (8 kHz; left the caller, right us) from now until the leg ends."""

    leg: int
    path: str


class Mute(_Message, frozen=True):
    """Write silence instead of the caller (and of our read-back) into the recording while `on`."""

    leg: int
    on: bool


class Drain(_Message, frozen=True):
    """Refuse new calls (503); go on with those there are."""


class Shutdown(_Message, frozen=True):
    """End every leg and exit."""


Command = (
    Configure | Ring | Answer | Reject | Dial | Hangup | Refer | Bridge | Patch | Unbridge | Play | StopPlayout
    | Listen | StopListening | EndpointWait | BargeIn | SendDtmf | Record | Mute | Drain | Shutdown
)  # fmt: skip


# Events: line -> brain --------------------------------------------------------------------------------------------


class Ready(_Message, frozen=True):
    """The endpoint runs. `sip_port` is the one in use, `max_legs` what the native library really holds."""

    pid: int
    sip_port: int
    max_legs: int


class Incoming(_Message, frozen=True):
    """A call that passed the allow-list; the brain answers with Answer, Ring or Reject within two seconds.

    `number` is the user part that was dialled, `caller` the user part of From, `source` the address it came from,
    `peer` the name of the trunk at that address or empty.
    """

    leg: int
    number: str
    caller: str
    source: str
    sip_call_id: str
    peer: str = ""


class Dialing(_Message, frozen=True):
    """A Dial got its leg; the INVITE has left. `sip_call_id` is set."""

    request: int
    leg: int
    sip_call_id: str = ""


class LegState(_Message, frozen=True):
    """`ringing` (180), `early` (183 with media), `answered`, `held`, `resumed`."""

    leg: int
    state: Literal["ringing", "early", "answered", "held", "resumed"]
    codec: str = ""


Cause = Literal[
    "hangup", "cancelled", "busy", "no_answer", "rejected", "unreachable", "not_allowed", "rtp_timeout",
    "transferred", "failed", "full", "line_lost", "brain_lost", "shutdown",
]  # fmt: skip


class Quality(msgspec.Struct, frozen=True):
    """What was received over RTP."""

    packets: int = 0
    lost: int = 0
    jitter_ms: float = 0.0
    rtt_ms: float = 0.0
    codec: str = ""


class LegEnded(_Message, frozen=True):
    """The last event of a leg. `by` is who ended it; `code` the SIP status, 0 when none."""

    leg: int
    cause: Cause
    by: Literal["them", "us"]
    code: int = 0
    reason: str = ""
    quality: Quality = Quality()
    request: int = 0


class DialFailed(_Message, frozen=True):
    """A Dial that never got a leg: `full`, `not_allowed`, `failed`."""

    request: int
    cause: Cause
    reason: str = ""


class AnsweredBy(_Message, frozen=True):
    """Who answered a leg that was dialled with `amd`: once, unless the leg is over before. `unsure` counts as human.

    human: `stopped` (spoke, and waits). machine: `cadence`, `beep`, `fax`, `information` (number unobtainable).
    unsure: `silence`, `noise`, `music`, `pause`, `undecided`. `at_ms`: audio of the leg since the answer.
    """

    leg: int
    by: Literal["human", "machine", "unsure"]
    cause: Literal[
        "stopped", "cadence", "beep", "fax", "information", "silence", "noise", "music", "pause", "undecided"
    ]
    at_ms: int


class MachineAfterAll(_Message, frozen=True):
    """Who was `human` or `unsure` is a machine: it talks on over what it is told, or beeps. At most once a leg."""

    leg: int
    cause: Literal["talks_on", "beep", "fax", "information"]
    at_ms: int


class MachineReady(_Message, frozen=True):
    """A message may be left now. At most once a leg, after `AnsweredBy` machine or `MachineAfterAll`."""

    leg: int
    cause: Literal["beep", "end_of_greeting", "timeout"]
    at_ms: int


class Dtmf(_Message, frozen=True):
    leg: int
    digit: str
    at_ms: int
    method: Literal["rfc4733", "info", "inband"] = "rfc4733"


class PlayoutStarted(_Message, frozen=True):
    leg: int
    playout: int
    at_ms: int


class PlayoutPaused(_Message, frozen=True):
    """Speech paused the prompt after `heard_ms` of it; a verdict is awaited."""

    leg: int
    playout: int
    heard_ms: int


class PlayoutResumed(_Message, frozen=True):
    leg: int
    playout: int
    heard_ms: int


class PlayoutEnded(_Message, frozen=True):
    """`heard_ms` of it left for the caller. `underrun_ms`: silence it ran into while waiting for appended segments."""

    leg: int
    playout: int
    heard_ms: int
    reason: Literal["finished", "barge_in", "key", "stopped", "replaced", "hangup"]
    underrun_ms: int = 0


class SpeechStarted(_Message, frozen=True):
    """Speech began at `at_ms`. `paused` tells whether it paused a prompt, `asks` what that prompt's segment does."""

    leg: int
    turn: int
    utterance: int
    at_ms: int
    paused: bool = False
    asks: bool = True


class Audio(_Message, frozen=True):
    """Audio of a running utterance, with 300 ms from before it: 16 kHz mono 16-bit, whole frames, in order."""

    leg: int
    utterance: int
    pcm: bytes


class SpeechPaused(_Message, frozen=True):
    """`pause_ms` of silence after speech; `speech_ms` is how much voiced audio the utterance has so far."""

    leg: int
    utterance: int
    at_ms: int
    speech_ms: int


class SpeechResumed(_Message, frozen=True):
    """The caller went on after a `SpeechPaused`; `silence_ms` is how long that pause of theirs was."""

    leg: int
    utterance: int
    at_ms: int
    silence_ms: int


class SpeechEnded(_Message, frozen=True):
    """The utterance is over; every Audio of it has been sent. `end_ms` is its last voiced frame."""

    leg: int
    utterance: int
    start_ms: int
    end_ms: int
    speech_ms: int
    reason: Literal["endpoint", "max_speech", "stopped"]


class NoInput(_Message, frozen=True):
    leg: int
    turn: int


class Transferred(_Message, frozen=True):
    """The outcome of a Refer."""

    leg: int
    outcome: Literal["accepted", "busy", "no_answer", "rejected", "failed"]
    code: int = 0


class Bridged(_Message, frozen=True):
    """A Bridge or Patch carries audio."""

    leg: int


class Registration(_Message, frozen=True):
    """A trunk's registration changed."""

    peer: str
    registered: bool
    code: int = 0
    reason: str = ""


class Refused(_Message, frozen=True):
    """Something a stranger tried, for the log and the metrics: `source`, `transfer`, `replaces`, `full`, `media`."""

    what: Literal["source", "transfer", "replaces", "full", "media"]
    source: str


class Failure(_Message, frozen=True):
    """A command that could not be done, or a native error; static text, no digits, no transcript."""

    message: str
    leg: int = 0


Event = (
    Ready | Incoming | Dialing | LegState | LegEnded | DialFailed | AnsweredBy | MachineAfterAll | MachineReady | Dtmf
    | PlayoutStarted | PlayoutPaused | PlayoutResumed | PlayoutEnded | SpeechStarted | Audio | SpeechPaused
    | SpeechResumed | SpeechEnded | NoInput | Transferred | Bridged | Registration | Refused | Failure
)  # fmt: skip

_encoder = msgspec.msgpack.Encoder()
_commands = msgspec.msgpack.Decoder(Command)
_events = msgspec.msgpack.Decoder(Event)


def pack(message: Command | Event) -> bytes:
    """A message with its length in front, ready for the socket."""
    body = _encoder.encode(message)
    return len(body).to_bytes(4, "big") + body


def unpack_command(body: bytes | memoryview) -> Command:
    """The command in `body` (without its length). Raises msgspec.DecodeError."""
    return _commands.decode(body)


def unpack_event(body: bytes | memoryview) -> Event:
    """The event in `body` (without its length). Raises msgspec.DecodeError."""
    return _events.decode(body)
