"""What every bench stands on: a server of its own in a folder of its own, its records over HTTP, its processes.

The server is a real `ivr serve` in a subprocess with a generated configuration; nothing is reached but through SIP,
RTP, HTTP and /proc. Runs on asyncio's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import re
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ivr.caller import Call
from ivr.errors import Unavailable

ROOT = Path(__file__).resolve().parents[2]
PORTS = (27_300, 29_900)
START_S = 300
TOKEN_ENV = "IVR_TOKEN"  # noqa: S105 - the name of a variable, not a token


def port_free(port: int) -> bool:
    """Whether a port of loopback is free for UDP and TCP."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with contextlib.closing(socket.socket(socket.AF_INET, kind)) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def free_ports(count: int, step: int = 1) -> list[int]:
    """Ports of loopback free for UDP and TCP, `step` apart, in a range that the system hands to nobody."""
    for _ in range(200):
        first = random.randrange(PORTS[0], PORTS[1] - count * step, 2)  # noqa: S311 - no secret
        ports = [first + i * step for i in range(count)]
        if all(map(port_free, ports)):
            return ports
    raise Unavailable(f"no {count} free ports between {PORTS[0]} and {PORTS[1]}")


def toml(tree: Mapping[str, Any], prefix: str = "") -> str:
    """A nested mapping as TOML: scalars, lists of scalars, tables, lists of tables."""
    plain, tables = [], []
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            tables.append(f"\n[{name}]\n{toml(value, name + '.')}")
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            tables += [f"\n[[{name}]]\n{toml(item, name + '.')}" for item in value]
        else:
            plain.append(f"{key} = {json.dumps(value, ensure_ascii=False)}\n")
    return "".join(plain + tables)


class Server:
    """A running `ivr serve`.

    plans: name -> YAML text, or a Path to copy (with its knowledge file). numbers: dicts of [[number]].
    settings: whole sections that are laid over the defaults, e.g. {"lines": {"processes": 3}}.
    `environment` may be added to before it starts. Raises Unavailable when it does not become ready; its last words are
    in the text.
    """

    def __init__(self, plans: Mapping[str, str | Path], numbers: list[dict[str, str]],
                 settings: Mapping[str, Any] | None = None, keep: Path | None = None) -> None:  # fmt: skip
        self.folder = keep or Path(tempfile.mkdtemp(prefix="ivr-bench-"))
        self._keep = keep is not None
        self.port, self.http_port = free_ports(2)
        rtp_port = random.randrange(14_000, 19_000, 2)  # noqa: S311 - no secret
        self.token = secrets.token_hex(16)
        self._tree: dict[str, Any] = {
            "sip": {"port": self.port, "rtp_port": rtp_port},
            "number": numbers,
            "http": {"port": self.http_port, "token_env": TOKEN_ENV},
            "paths": {"models": str(ROOT / "models"), "audio_prompts": str(ROOT / "audio_prompts")},
            "synthesis": {"cache": str(ROOT / "var" / "bench-prompts")},
            "log": {"format": "json"},
        }
        for section, value in (settings or {}).items():
            mapping = isinstance(value, Mapping)
            self._tree[section] = {**self._tree.get(section, {}), **value} if mapping else value
        self._write(plans)
        self.process: asyncio.subprocess.Process | None = None
        self.environment: dict[str, str] = {}

    def _write(self, plans: Mapping[str, str | Path]) -> None:
        dialplans = self.folder / "dialplans"
        dialplans.mkdir(parents=True, exist_ok=True)
        for name, plan in plans.items():
            if isinstance(plan, Path):
                for file in plan.parent.glob(f"{plan.stem}*.yaml"):
                    shutil.copy(file, dialplans / file.name)
            else:
                (dialplans / f"{name}.yaml").write_text(plan, "utf-8")
        (self.folder / "config.toml").write_text(toml(self._tree), "utf-8")

    def uri(self, number: str) -> str:
        return f"sip:{number}@127.0.0.1:{self.port}"

    @property
    def log_file(self) -> Path:
        return self.folder / "server.log"

    @property
    def pid(self) -> int:
        if self.process is None:
            raise Unavailable("the server does not run")
        return self.process.pid

    async def start(self) -> None:
        """Start it and wait until it is ready."""
        with self.log_file.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "ivr", "serve", "--config", str(self.folder / "config.toml"),
                cwd=self.folder, env={**os.environ, TOKEN_ENV: self.token, "PYTHONPATH": str(ROOT), **self.environment},
                stdout=log, stderr=log, stdin=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            if self.process.returncode is not None:
                raise Unavailable(f"the server ended with {self.process.returncode}:\n{self.last_words()}")
            with contextlib.suppress(OSError, urllib.error.HTTPError):
                await self.get("/readyz")
                return
            await asyncio.sleep(0.2)
        await self.stop()
        raise Unavailable(f"the server was not ready after {START_S} s:\n{self.last_words()}")

    async def stop(self, within_s: float = 15.0) -> int | None:
        """SIGTERM, a second one after `within_s`, then SIGKILL; the exit code."""
        if self.process is None or self.process.returncode is not None:
            return self.process.returncode if self.process else None
        for sign, wait in ((signal.SIGTERM, within_s), (signal.SIGTERM, 8.0), (signal.SIGKILL, 5.0)):
            self.process.send_signal(sign)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    return await self.process.wait()
        return None

    async def __aenter__(self) -> Server:
        try:
            await self.start()
        except BaseException:
            await self.stop(0.1)
            raise
        return self

    async def __aexit__(self, kind: type | None, *_: object) -> None:
        await self.stop()
        if kind is None:
            self.remove()

    def remove(self) -> None:
        """Delete its folder, unless it was given one."""
        if not self._keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def last_words(self, lines: int = 12) -> str:
        text = self.log_file.read_text("utf-8", "replace") if self.log_file.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    # HTTP ------------------------------------------------------------------------------------------------------------

    async def get(self, path: str) -> Any:
        """The JSON body of GET `path`. Raises HTTPError, OSError."""
        return await self._fetch(path, "GET")

    async def post(self, path: str) -> Any:
        """The JSON body that POST `path` answers. Raises HTTPError, OSError."""
        return await self._fetch(path, "POST")

    async def _fetch(self, path: str, method: str) -> Any:
        def fetch() -> Any:
            request = urllib.request.Request(
                f"http://127.0.0.1:{self.http_port}{path}", headers={"Authorization": f"Bearer {self.token}"},
                method=method,
            )  # fmt: skip
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                return json.loads(answer.read())

        return await asyncio.to_thread(fetch)

    async def record(self, call: Call, *, ended: bool = True, within_s: float = 20.0) -> dict[str, Any]:
        """The server's own record of `call`, found by its Call-ID; once it has ended unless `ended` is False.

        Raises Unavailable when there is none.
        """
        return await self.record_of(call.dialog.call_id, ended=ended, within_s=within_s)

    async def record_of(self, sip_call_id: str, *, ended: bool = True, within_s: float = 20.0) -> dict[str, Any]:
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            page = await self.get("/v1/calls?limit=200")
            found = next((c for c in page["calls"] if c["sip_call_id"] == sip_call_id), None)
            if found is not None and (not ended or found["ended_at"]):
                return await self.get(f"/v1/calls/{found['id']}")
            await asyncio.sleep(0.1)
        raise Unavailable(f"no {'ended ' if ended else ''}call {sip_call_id} in the records after {within_s:g} s")

    # Processes -------------------------------------------------------------------------------------------------------

    def family(self) -> dict[int, str]:
        """Every process of the server: pid -> command line."""
        return {pid: command_of(pid) for pid in [self.pid, *descendants(self.pid)]}

    def line_pids(self) -> list[int]:
        """The line processes that run now."""
        return sorted(pid for pid, command in self.family().items() if "ivr.line.process" in command)

    async def lines_up(self) -> int:
        """How many line processes take calls, by `/healthz`."""
        return sum(line["state"] == "up" for line in (await self.get("/healthz"))["lines"])

    async def learnt(self, within_s: float) -> bool:
        """Whether models answer in every plan and language by then, and no longer the words of the examples."""
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            states = {i["state"] for p in (await self.get("/healthz"))["plans"] for i in p["intents"]}
            if not states & {"waiting", "learning"}:
                return True
            await asyncio.sleep(0.2)
        return False


def descendants(pid: int) -> list[int]:
    """Children of `pid` and theirs."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, task.read_text().split()):
                found += [child, *descendants(child)]
    return found


def command_of(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    return ""


def footprint(pid: int) -> dict[str, int]:
    """RSS and PSS in KB, threads and descriptors of a process; zeros when it is gone."""
    out = {"rss_kb": 0, "pss_kb": 0, "threads": 0, "fds": 0}
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{pid}/status").read_text()
        out["rss_kb"] = int(re.search(r"VmRSS:\s+(\d+)", status)[1])
        out["threads"] = int(re.search(r"Threads:\s+(\d+)", status)[1])
        out["fds"] = len(os.listdir(f"/proc/{pid}/fd"))
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        out["pss_kb"] = int(re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)[1])
    return out


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of processes so far."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError, IndexError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def plan_main(numbers: tuple[tuple[str, str], ...] = (("400", "en"), ("401", "zh"))) -> dict[str, Any]:
    """The shipped service as keyword arguments of Server."""
    return {
        "plans": {"main": ROOT / "dialplans" / "main.yaml"},
        "numbers": [{"pattern": number, "plan": "main", "language": language} for number, language in numbers],
    }
