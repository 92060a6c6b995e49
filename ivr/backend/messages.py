"""What a plan asks of a back end and what comes of it, and the rules for paths and JSON bodies.

Pure. Knows nothing of connections, names, secrets or plans.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote

import msgspec

Method = Literal["GET", "POST", "PUT"]
Outcome = Literal["ok", "status", "timeout", "failed", "refused", "invalid", "too_large", "busy"]

MOST_RETRIES = 3
BODY_LIMIT_BYTES = 65_536
DEPTH_LIMIT = 32
"""Lists and objects inside one another that an answer may have."""

_JSON = re.compile(r"application/(?:[\w.+-]+\+)?json", re.IGNORECASE)
# A segment `.;x` is `.` to servers that take the rest for parameters. U+FFFD is what escapes that are not UTF-8 become.
_UNSAFE = re.compile(r"//|\\|\.\.|/\.(?=[/;]|$)|[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffd]")


@dataclass(frozen=True)
class Request:
    """One question to a back end.

    Attributes:
        backend: name of a `[[backend]]`.
        method: GET, POST or PUT.
        path: below the back end's `url`, beginning with `/`, without query. `%XX` is taken as such and whatever else
            a URL cannot hold is encoded; a value put into it is quoted first, `/` too.
        query: names and values as they are; they are encoded on the way.
        body: sent as JSON; none with GET.
        timeout_s: for everything together, retries and the pauses between them too; None is the back end's own.
        retries: how often it is asked again after a broken connection or a status of 500 and above, 0 to 3.

    Raises ValueError for a method, number or body that is not of this form.
    """

    backend: str
    method: Method
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, object] | None = None
    timeout_s: float | None = None
    retries: int = 0

    def __post_init__(self) -> None:
        if self.method not in ("GET", "POST", "PUT"):
            raise ValueError(f"no method {self.method}: GET, POST or PUT")
        if self.method == "GET" and self.body is not None:
            raise ValueError("a GET has no body")
        if not 0 <= self.retries <= MOST_RETRIES:
            raise ValueError(f"{self.retries} retries: 0 to {MOST_RETRIES}")
        if self.timeout_s is not None and not self.timeout_s > 0:
            raise ValueError(f"a timeout of {self.timeout_s} s: more than nothing")


@dataclass(frozen=True)
class Response:
    """What came of a question.

    Attributes:
        outcome: `ok` a status of 200 to 299 with JSON or nothing; `status` any other status; `timeout`; `failed` no
            connection, or one that broke; `refused` by our own rules, or a redirect; `invalid` not HTTP or not JSON;
            `too_large` more than 64 KB; `busy` too many questions under way, never sent.
        status: the HTTP status, 0 when none came.
        data: the JSON of an `ok`, also of a `status` where it has some; None when there is none.
        reason: why it is not `ok`, in words for the log; nothing of what was asked or answered, no secret.
        took_ms: from the question to here.
    """

    outcome: Outcome
    status: int = 0
    data: object = None
    reason: str = ""
    took_ms: int = 0


def path_fault(path: str) -> str:
    """What is wrong with a path, empty when it may be sent. Escapes are undone as often as a server might."""
    if not path.startswith("/"):
        return "the path does not begin with /"
    if "?" in path or "#" in path:
        return "the path has a ? or #: a query is given apart"
    plain = path
    while (undone := unquote(plain)) != plain:
        plain = undone
    if found := _UNSAFE.search(plain):
        shown = found[0] if found[0].isascii() and found[0].isprintable() else "a character that is not text"
        return f"the path has {shown} in it"
    return ""


def decoded(content_type: str, body: bytes) -> tuple[object, str]:
    """The JSON value of a body, and what is wrong with it, empty when nothing is. No body at all is None.

    JSON is UTF-8 (RFC 8259 section 8.1) whatever the content type says of it; a byte order mark is ignored.
    """
    if not body:
        return None, ""
    if not _JSON.fullmatch(content_type):
        return None, "the answer is not declared as JSON"
    try:
        value = msgspec.json.decode(body.removeprefix(codecs.BOM_UTF8))
    except (ValueError, RecursionError):
        return None, "the answer is not valid JSON"
    if _depth(value) > DEPTH_LIMIT:
        return None, f"the answer is nested deeper than {DEPTH_LIMIT}"
    return value, ""


def _depth(value: object) -> int:
    """How many lists and objects stand inside one another."""
    depth, layer = 0, [value]
    while layer := [each for each in layer if isinstance(each, dict | list)]:
        depth += 1
        layer = [child for each in layer for child in (each.values() if isinstance(each, dict) else each)]
    return depth
