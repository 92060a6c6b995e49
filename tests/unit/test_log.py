"""Logs: form, ids that follow a task, and what never gets into them."""

import asyncio
import io
import json
import logging
from datetime import UTC, datetime

import pytest
import structlog

from ivr import log
from ivr.line.messages import Dtmf, Incoming
from ivr.turn import Alternative, Hypothesis


@pytest.fixture
def stream():
    stream = io.StringIO()
    log.configure(level="info", stream=stream)
    yield stream
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if getattr(handler, "stream", None) is stream:
            root.removeHandler(handler)


def _lines(stream) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_off_a_terminal_a_line_is_one_json_object(stream):
    structlog.get_logger("ivr.session").info("call began", leg=1)
    (line,) = _lines(stream)
    assert {k: line[k] for k in ("event", "level", "logger", "leg")} == {
        "event": "call began",
        "level": "info",
        "logger": "ivr.session",
        "leg": 1,
    }
    assert datetime.fromisoformat(line["timestamp"]).utcoffset().total_seconds() == 0


def test_a_terminal_gets_text_for_people():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    log.configure(stream=terminal)
    structlog.get_logger("x").info("call began", leg=1)
    assert "call began" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")
    log.configure(stream=io.StringIO())


async def test_ids_follow_a_task_and_its_children_and_no_other(stream):
    logger = structlog.get_logger("x")

    async def child():
        logger.info("child")

    async def call(name):
        log.bind(call=name)
        logger.info("parent")
        await asyncio.create_task(child())
        log.unbind("call")
        logger.info("after")

    await asyncio.gather(asyncio.create_task(call("a")), asyncio.create_task(call("b")))
    logger.info("outside")
    seen = [(line["event"], line.get("call")) for line in _lines(stream)]
    for name in ("a", "b"):
        assert [event for event, call in seen if call == name] == ["parent", "child"]
    assert [event for event, call in seen if call is None] == ["after", "after", "outside"]


def test_below_the_level_nothing_is_written(stream):
    structlog.get_logger("x").debug("detail")
    logging.getLogger("lib").debug("detail")
    assert stream.getvalue() == ""


def test_what_somebody_said_is_withheld(stream):
    structlog.get_logger("x").info("turn", heard="我的卡丢了", said=["hello"], text="hi", alternatives=[1])
    (line,) = _lines(stream)
    assert {line[k] for k in ("heard", "said", "text", "alternatives")} == {log.WITHHELD}


def test_transcripts_are_shown_when_switched_on_but_never_keys_or_long_numbers(stream):
    log.configure(stream=stream, transcripts=True)
    structlog.get_logger("x").info("turn", heard="我的卡丢了", keys="4711", text="card 4111 1111 1111 1111 please")
    (line,) = _lines(stream)
    assert line["heard"] == "我的卡丢了"
    assert line["keys"] == log.WITHHELD
    assert line["text"] == "card **** please"


def test_words_inside_messages_and_results_are_withheld_too(stream):
    hypothesis = Hypothesis("four one one", alternatives=(Alternative("for", 0.3),), engine="whisper")
    structlog.get_logger("x").info(
        "event", message=Dtmf(leg=3, digit="7", at_ms=5), result=hypothesis, more={"a": [{"text": "secret words"}]}
    )
    (line,) = _lines(stream)
    assert line["message"]["digit"] == log.WITHHELD
    assert line["message"]["leg"] == 3
    assert line["result"]["text"] == log.WITHHELD
    assert line["result"]["engine"] == "whisper"
    assert "secret" not in stream.getvalue()


def test_numbers_are_masked_wherever_they_stand(stream):
    incoming = Incoming(
        leg=1, number="400", caller="+442079460958", source="192.168.100.200", sip_call_id="123456789@x"
    )
    structlog.get_logger("x").info("call", message=incoming, target="sip:02079460958@10.0.0.1:5060")
    logging.getLogger("lib").warning("cannot reach %s", "sip:+442079460958@example.org")
    first, second = _lines(stream)
    assert first["message"]["caller"] == "+**********58"
    assert first["message"]["number"] == "400"
    assert first["message"]["source"] == "192.168.100.200"
    assert first["message"]["sip_call_id"] == "123456789@x"
    assert first["target"] == "sip:*********58@10.0.0.1:5060"
    assert second["event"] == "cannot reach sip:+****@example.org"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("call 020 7946 0958 now", "call **** now"),
        ("it is four one one one, two two two two thanks", "it is **** thanks"),
        ("卡号是六二二八四八零零一", "卡号是****"),
        ("port 5060, leg 12, 480 ms", "port 5060, leg 12, 480 ms"),
        ("at 2026-01-31T09:30:00Z", "at 2026-01-31T09:30:00Z"),
        ("one or two cards", "one or two cards"),
        ("一二三", "一二三"),
    ],
)
def test_long_runs_of_digits_are_masked_written_or_spoken(text, expected):
    assert log.mask_runs(text) == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("400", "400"),
        ("4711", "**11"),
        ("+8613812345678", "+***********78"),
        ("sip:alice@10.0.0.1", "sip:alice@10.0.0.1"),
        ("10.0.0.1:5060", "10.0.0.1:5060"),
        ("::1", "::1"),
        ("", ""),
    ],
)
def test_a_number_keeps_its_last_two_digits(number, expected):
    assert log.mask_number(number) == expected


def test_a_traceback_shows_no_long_number_and_no_locals(stream):
    card = "4111111111111111"
    try:
        raise ValueError(f"cannot parse {card}")
    except ValueError:
        structlog.get_logger("x").exception("broke")
    assert "ValueError" in stream.getvalue()
    assert card not in stream.getvalue()


def test_bytes_are_given_by_their_length_and_times_stay_readable(stream):
    structlog.get_logger("x").info("audio", pcm=b"\0" * 640, moment=datetime(2026, 1, 31, tzinfo=UTC))
    (line,) = _lines(stream)
    assert line["pcm"] == "<640 bytes>"
    assert line["moment"] == "2026-01-31T00:00:00+00:00"


def test_configuring_again_does_not_write_twice(stream):
    log.configure(stream=stream)
    structlog.get_logger("x").info("once")
    assert len(_lines(stream)) == 1
