"""`ivr jobs`: outbound calls of a running server, through its API.

The address and the token are those of config.toml and the environment. Opens no database.
"""

from __future__ import annotations

import argparse
import http.client
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, get_args

import msgspec

from ivr.config import Config, load, secret
from ivr.errors import InvalidInput, IvrError, Problem, Unavailable
from ivr.outbound.job import Decision, Disposition, Events, Job, JobPage, State
from ivr.web.jobs import BulkLine
from ivr.web.problem import Problem as HttpProblem

TIMEOUT_S = 60
BULK_LINES = 500
"""Orders that one request carries, so that the bar moves and a failure loses little."""


class Refused(IvrError):
    """The server does not do it; the text is its own."""


def main(argv: list[str]) -> int:
    """`ivr jobs list | show ID | why ID | retry ID | cancel ID | bulk FILE`."""
    parser = argparse.ArgumentParser(prog="ivr jobs", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (_, text) in _COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--config", default="config.toml", metavar="FILE")
        command.add_argument("--json", action="store_true", help="as the API gives it")
        if name == "list":
            command.add_argument("--state", choices=get_args(State))
            command.add_argument("--disposition", choices=get_args(Disposition))
            command.add_argument("--policy")
            command.add_argument("--phone")
            command.add_argument("--limit", type=int, default=50, help="1 to 200")
        elif name == "bulk":
            command.add_argument("file", metavar="FILE", help="one order a line (NDJSON)")
            command.add_argument("--kind", choices=("verifications", "jobs"), default="verifications")
        else:
            command.add_argument("id", help="of the job")
    options = parser.parse_args(argv)
    run, _ = _COMMANDS[options.command]
    return run(Api(load(options.config)), options)


class Api:
    """The jobs API of the server that runs with a configuration."""

    def __init__(self, config: Config) -> None:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.http.host, config.http.host)  # noqa: S104 - compared
        self._base = f"http://{f'[{host}]' if ':' in host else host}:{config.http.port}"
        self._token_env = config.http.token_env

    def get(self, path: str, **query: object) -> bytes:
        """The body of an answer. Raises Refused, Unavailable."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._ask("GET", path + (f"?{urllib.parse.urlencode(given)}" if given else ""))

    def post(self, path: str, body: bytes = b"") -> bytes:
        """The same for what changes something."""
        return self._ask("POST", path, body)

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        headers = {"Authorization": f"Bearer {secret(self._token_env)}"}
        request = urllib.request.Request(self._base + path, body, headers, method=method)  # noqa: S310 - http, ours
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
                return answer.read()
        except urllib.error.HTTPError as error:
            raise Refused(_said(error)) from None
        except (OSError, http.client.HTTPException) as error:
            why = getattr(error, "reason", error)
            raise Unavailable(f"no server answers at {self._base} ({why}): start it with `ivr serve`") from None


def _said(error: urllib.error.HTTPError) -> str:
    """A problem in words."""
    try:
        problem = msgspec.json.decode(error.read(), type=HttpProblem)
    except (msgspec.DecodeError, OSError):
        return f"the server answers {error.code}"
    if error.code == 404 and problem.detail.startswith("no such page"):
        return "the server has no outbound calls: add [outbound.policies.NAME] to its config.toml"
    return problem.detail


def _list(api: Api, options: argparse.Namespace) -> int:
    body = api.get("/v1/jobs", state=options.state, disposition=options.disposition, policy=options.policy,
                   phone=options.phone, limit=options.limit)  # fmt: skip
    if options.json:
        print(body.decode())
        return 0
    page = msgspec.json.decode(body, type=JobPage)
    for job in page.jobs:
        print(_row(job))
    if page.next:
        print(f"... and older ones; --limit shows up to 200 of them, {len(page.jobs)} are shown")
    elif not page.jobs:
        print("no job")
    return 0


def _row(job: Job) -> str:
    state = job.disposition or (f"{job.state} ({job.held_by})" if job.held_by else job.state)
    attempts = f"{job.attempts} attempt{'' if job.attempts == 1 else 's'}"
    return f"{job.id}  {job.created_at:%Y-%m-%d %H:%M:%S}  {job.phone:16} {job.policy:12} {attempts:11} {state}"


def _show(api: Api, options: argparse.Namespace) -> int:
    body, happened = api.get(_path(options)), api.get(f"{_path(options)}/events")
    if options.json:
        print(body.decode())
        return 0
    job, events = msgspec.json.decode(body, type=Job), msgspec.json.decode(happened, type=Events)
    print(_row(job))
    for event in events.events:
        said = "  ".join(f"{name} {value}" for name, value in event.body.items())
        print(f"{event.seq:4}  {event.at:%Y-%m-%d %H:%M:%S}  {event.kind:14} {said}".rstrip())
    return 0


def _why(api: Api, options: argparse.Namespace) -> int:
    body = api.get(f"{_path(options)}/why")
    if options.json:
        print(body.decode())
        return 0
    decision = msgspec.json.decode(body, type=Decision)
    print(decision.words)
    for hold in decision.holds:
        until = f"until {hold.until:%Y-%m-%d %H:%M:%S} UTC" if hold.until else "nobody knows until when"
        print(f"  {hold.rule:16} {until:32} {hold.words}")
    return 0


def _retry(api: Api, options: argparse.Namespace) -> int:
    return _changed(api.post(f"{_path(options)}/retry"), options)


def _cancel(api: Api, options: argparse.Namespace) -> int:
    return _changed(api.post(f"{_path(options)}/cancel"), options)


def _changed(body: bytes, options: argparse.Namespace) -> int:
    print(body.decode() if options.json else _row(msgspec.json.decode(body, type=Job)))
    return 0


def _bulk(api: Api, options: argparse.Namespace) -> int:
    """Post a file of orders in stretches. Sending it again makes no job twice: keys are what they were."""
    lines = _orders(options.file)
    taken = refused = 0
    for start in range(0, len(lines), BULK_LINES):
        stretch = lines[start : start + BULK_LINES]
        answer = api.post(f"/v1/{options.kind}/bulk", b"\n".join(text for _, text in stretch))
        for result in msgspec.json.Decoder(BulkLine).decode_lines(answer):
            taken, refused = taken + (result.status == 202), refused + (result.status != 202)
            if options.json:
                print(msgspec.json.encode(result).decode())
            elif result.status != 202:
                place = stretch[result.line - 1][0] if result.line else 0
                field = result.errors[0].field if result.errors else ""
                print(Problem(options.file, result.detail, line=place, field=field), file=sys.stderr)
        _bar(min(start + BULK_LINES, len(lines)), len(lines))
    if not options.json:
        print(f"{taken} taken, {refused} refused")
    return 1 if refused or taken < len(lines) else 0


def _orders(name: str) -> list[tuple[int, bytes]]:
    """(line of the file, order); empty lines are passed over. Raises InvalidInput."""
    try:
        lines = enumerate(Path(name).read_bytes().splitlines(), 1)
    except OSError as error:
        raise InvalidInput(Problem(name, f"cannot be read: {error.strerror}")) from None
    found = [(number, line) for number, line in lines if line.strip()]
    if not found:
        raise InvalidInput(Problem(name, "no order in it", mend="one JSON object a line"))
    return found


def _bar(done: int, of: int) -> None:
    """How far it is, in one line of a terminal."""
    if sys.stderr.isatty():
        end = "\n" if done >= of else ""
        print(f"\r[{'#' * round(30 * done / of):30}] {done}/{of} orders ", end=end, file=sys.stderr, flush=True)


def _path(options: argparse.Namespace) -> str:
    return f"/v1/jobs/{urllib.parse.quote(options.id, safe='')}"


_COMMANDS: dict[str, tuple[Any, str]] = {
    "list": (_list, "jobs, the newest first"),
    "show": (_show, "one job and everything that happened to it"),
    "why": (_why, "which rules hold a job, and when it may ring"),
    "retry": (_retry, "let a waiting job skip its ladder; every other rule holds"),
    "cancel": (_cancel, "end a job, also during its call"),
    "bulk": (_bulk, "order many, one a line of a file"),
}
