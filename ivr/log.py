"""Structured logs: pretty on a terminal, one JSON object a line otherwise; numbers masked, words and digits left out.

Every module takes `log = structlog.get_logger(__name__)` and writes one line a state change, static text first, the
rest as fields. Ids are bound once (`bind`) and follow the task and its children through contextvars. What libraries
log through `logging` takes the same way. Privacy is a processor, so that no call site can forget it:

- fields that hold what somebody said are withheld unless `log.transcripts` is on;
- fields that hold keys or digits are always withheld;
- telephone numbers keep their last two digits; long runs of digits in any text, spoken ones too ("four one one ..."),
  are masked, with or without `log.transcripts`, since card and account numbers are;
- bytes are given by their length.

Layer words: imports nothing of the house. Any thread may log.
"""

from __future__ import annotations

import dataclasses
import logging
import re
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, TextIO

import msgspec
import structlog

WITHHELD = "[withheld]"

_WORDS = {
    "alternatives", "answer", "ask", "body", "heard", "heard_text", "hypothesis", "partial", "passage", "phrase",
    "phrases", "prompt", "question", "readings", "said", "says", "sentence", "sentences", "slots", "speech", "spoken",
    "text", "texts", "transcript", "understood", "value", "values", "words",
}  # fmt: skip
_DIGITS = {"account", "card", "digit", "digits", "dtmf", "keys", "pin", "pressed"}
_NUMBERS = {
    "address", "callee", "caller", "contact", "dialled", "display_name", "from_user", "number", "numbers", "target",
    "to", "uri", "uris",
}  # fmt: skip
# Never rewritten, whatever they look like: identifiers and moments made by us.
_IDS = {"call", "host", "id", "leg", "level", "logger", "path", "pid", "port", "source", "timestamp", "version"}
_ID_ENDINGS = ("_id", "_at", "_port")

_ENGLISH = "zero|oh|one|two|three|four|five|six|seven|eight|nine|double|triple"
_DATE = r"\d{4}-\d\d-\d\d(?:[T ]\d\d|\b)"
_RUN = re.compile(
    rf"(?<!\d)(?!{_DATE})(?:(?:\d|\b(?:{_ENGLISH})\b|[〇零一二三四五六七八九幺两]|[영공일이삼사오육칠팔구])[\s,()+-]{{0,3}}){{7,}}",
    re.IGNORECASE,
)
_HOST = re.compile(r"[0-9.]+(?::\d+)?|\[?[0-9a-f:]*:[0-9a-f:.]*\]?(?::\d+)?", re.IGNORECASE)
_DEPTH = 6
_LENGTH = 4_000


def mask_number(number: str) -> str:
    """A telephone number, or the user part of a SIP URI, with all but its last two digits replaced by `*`.

    Up to three digits (an extension such as 400) stay: they name a service, not a person. So does a bare IP address.
    """
    user, at, host = number.partition("@")
    if not at and number.count(".") + number.count(":") > 1 and _HOST.fullmatch(number):
        return number
    digits = sum(c.isdigit() for c in user)
    if digits <= 3:
        return number
    hidden = iter(range(digits - 2))
    return "".join("*" if c.isdigit() and next(hidden, None) is not None else c for c in user) + at + host


def mask_runs(text: str) -> str:
    """`text` with every run of seven or more digits, written or spoken, replaced by `****`."""
    return _RUN.sub(lambda run: "****" + (" " if run[0][-1].isspace() else ""), text)


class Privacy:
    """The processor that takes words, digits and numbers out of an event."""

    def __init__(self, transcripts: bool) -> None:
        self._transcripts = transcripts

    def __call__(self, _logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
        return {key: self._field(key, value, 0) for key, value in event.items()}

    def _field(self, key: str, value: Any, depth: int) -> Any:
        name = key.lower()
        if value is None or isinstance(value, bool):
            return value
        if name in _DIGITS:
            return WITHHELD
        if name in _WORDS and not self._transcripts:
            return WITHHELD
        if name in _NUMBERS:
            return mask_number(str(value)) if isinstance(value, str | int) else self._value(value, depth, mask_number)
        if (name in _IDS or name.endswith(_ID_ENDINGS)) and isinstance(value, str | int):
            return value
        return self._value(value, depth, mask_runs)

    def _value(self, value: Any, depth: int, mask: Any) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            return mask(value[:_LENGTH])
        if isinstance(value, datetime):
            return value.isoformat()
        if isinstance(value, bytes | bytearray | memoryview):
            return f"<{len(value)} bytes>"
        if depth >= _DEPTH:
            return f"<{type(value).__name__}>"
        if isinstance(value, msgspec.Struct):
            value = msgspec.structs.asdict(value)
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            value = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        if isinstance(value, Mapping):
            return {str(k): self._field(str(k), v, depth + 1) for k, v in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._value(v, depth + 1, mask) for v in value]
        return mask(str(value)[:_LENGTH])


def configure(
    level: Literal["debug", "info", "warning", "error"] = "info",
    style: Literal["auto", "console", "json"] = "auto",
    transcripts: bool = False,
    stream: TextIO | None = None,
) -> None:
    """Set logging up for the process; call it first. May be called again, the last call holds.

    `style` auto is console on a terminal, JSON otherwise. `stream` is standard error if None.
    """
    stream = stream or sys.stderr
    console = style == "console" or (style == "auto" and stream.isatty())
    shared = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
    ]
    render = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback)
        if console
        else structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.PositionalArgumentsFormatter(), *shared],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            Privacy(transcripts),
            render,
        ],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in root.handlers[:]:
        if getattr(old, "_ivr", False):
            root.removeHandler(old)
    handler._ivr = True
    root.addHandler(handler)
    root.setLevel(level.upper())
    for noisy in ("alembic", "aiohttp.access", "asyncio", "sqlalchemy"):
        logging.getLogger(noisy).setLevel("WARNING")
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared[:-1],
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def bind(**ids: Any) -> None:
    """Put ids (`call=...`, `leg=...`) on every further line of this task and of the tasks it starts."""
    structlog.contextvars.bind_contextvars(**ids)


def unbind(*names: str) -> None:
    """Take them off again."""
    structlog.contextvars.unbind_contextvars(*names)
