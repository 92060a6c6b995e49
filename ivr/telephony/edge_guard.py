"""The process between the brain and Kamailio: it outlives the brain for as long as lines say their farewell.

`python -m ivr.telephony.edge_guard --linger S --lines HOST PORT... -- PROGRAM ARGS...`; standard input is a pipe from
the brain. When that closes, the proxy stays until the line processes have freed their ports (their apology and BYE go
through it), at most S seconds. SIGTERM ends it at once. Kamailio itself dies with this process (PR_SET_PDEATHSIG).
Its log lines go on to standard error, at most LINES_A_SECOND. One thread; knows nothing of calls.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import re
import select
import signal
import subprocess
import sys
import time

from ivr.telephony.ports import is_free

LINES_A_SECOND = 10
KILL_AFTER_S = 1.0
POLL_S = 0.2
_PR_SET_PDEATHSIG = 1
_LOG_LINE = re.compile(r"\s*\d+\(\d+\) [A-Z]+:")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--linger", type=float, required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--lines", type=int, nargs="*", default=[])
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    libc = ctypes.CDLL(None)
    terminated: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: terminated.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    proxy = subprocess.Popen(
        options.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM),  # noqa: PLW1509 - only one thread
    )  # fmt: skip
    try:
        _watch(proxy, options, terminated)
    finally:
        _end(proxy)
    return proxy.returncode if not terminated else 0


def _watch(proxy: subprocess.Popen[bytes], options: argparse.Namespace, terminated: list[int]) -> None:
    """Until the proxy ends, SIGTERM comes, or the brain has been gone for long enough."""
    assert proxy.stdout is not None
    speech = _Speech()
    readers = [0, proxy.stdout.fileno()]
    gone_since = 0.0
    while not terminated and proxy.poll() is None:
        ready, _, _ = select.select(readers, [], [], POLL_S)
        if 0 in ready and not os.read(0, 4096):
            readers.remove(0)
            gone_since = time.monotonic()
        if proxy.stdout.fileno() in ready:
            text = os.read(proxy.stdout.fileno(), 65_536)
            if not text:
                readers.remove(proxy.stdout.fileno())
            speech.say(text)
        if gone_since:
            over = time.monotonic() - gone_since >= options.linger
            if over or all(is_free(options.host, port, tcp=False) for port in options.lines):
                return


class _Speech:
    """Passes log lines on, some each second, and says how many were held back."""

    def __init__(self) -> None:
        self._second = 0
        self._said = 0
        self._held = 0

    def say(self, text: bytes) -> None:
        second = int(time.monotonic())
        if second != self._second:
            if self._held:
                _log("the edge proxy said more than is shown", lines=self._held)
            self._second, self._said, self._held = second, 0, 0
        for line in text.decode("utf-8", "replace").splitlines():
            if not _LOG_LINE.match(line):
                continue
            if self._said >= LINES_A_SECOND:
                self._held += 1
            else:
                self._said += 1
                _log("edge proxy", line=line.strip()[:500])


def _log(event: str, **fields: object) -> None:
    with contextlib.suppress(OSError):
        os.write(2, (json.dumps({"level": "warning", "event": event, **fields}) + "\n").encode())


def _end(proxy: subprocess.Popen[bytes]) -> None:
    for stop in (proxy.terminate, proxy.kill):
        if proxy.poll() is None:
            stop()
        with contextlib.suppress(subprocess.TimeoutExpired):
            proxy.wait(KILL_AFTER_S)


if __name__ == "__main__":
    sys.exit(main())
