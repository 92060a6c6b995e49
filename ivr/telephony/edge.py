"""Debian's Kamailio in front of several line processes: its files, its life, its registrations.

Knows the proxy; knows nothing of legs. What the proxy does with a request is in edge_config.py; passwords reach it over
its private RPC socket only and never stand in a file. Runs in asyncio's thread only.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from ivr.config import Config, Trunk, secret
from ivr.errors import Unavailable
from ivr.telephony.child import environment
from ivr.telephony.dialing import Agent, parse_agent
from ivr.telephony.edge_config import PRIVATE_MB, SHARED_MB, EdgeSettings, Target, files
from ivr.telephony.edge_rpc import Rpc, RpcFailed
from ivr.telephony.line import SETTLED_AFTER_S, restart_delay_s
from ivr.telephony.runtime import private_folder
from ivr.telephony.settings import inside_host, inside_port, line_port, listening_hosts, secret_names

log = structlog.get_logger(__name__)

LINGER_S = 11.0
READY_WITHIN_S = 10.0
POLL_S = 2.0
RESOLVE_EVERY_POLLS = 60
DEAF_POLLS = 3
CLOSE_S = 2.5
UNREGISTER_S = 0.6
REGISTRATION_EXPIRES_S = 120
_REG_INIT, _REG_ONLINE = 16, 4


class HasUri(Protocol):
    """An agent, as configured or as parsed."""

    @property
    def uri(self) -> str: ...


@dataclass(frozen=True)
class EdgeStatus:
    """`registrations` holds every trunk that registers: whether it is registered."""

    up: bool
    restarts: int
    registrations: Mapping[str, bool]


class KamailioEdge:
    """The proxy on the SIP port."""

    def __init__(self, config: Config, agents: Sequence[HasUri] = ()) -> None:
        """`agents` may be called besides those of the configuration."""
        self._config = config
        self._trunks = {_registration_user(t, config.trunk): t for t in config.trunk if t.register}
        self._runtime = private_folder("edge")
        uris = {agent.uri for agent in (*config.agent, *agents)}
        self.settings = edge_settings(config, [parse_agent(uri) for uri in sorted(uris)], self._runtime)
        self._rpc = Rpc(self.settings.rpc_path, self._runtime / "brain.sock")
        self._lines_up: dict[int, bool] = {}
        self._peers: dict[str, str] = {}
        self._registered: dict[str, bool] = dict.fromkeys((t.name for t in self._trunks.values()), False)
        self._up = False
        self._restarts = 0
        self._closing = False
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def pid(self) -> int:
        """Process id of what guards the proxy, 0 when there is none."""
        return self._process.pid if self._process is not None else 0

    def status(self) -> EdgeStatus:
        return EdgeStatus(self._up, self._restarts, dict(self._registered))

    def line_up(self, index: int, up: bool) -> None:
        """Send new calls to line `index`, or none any more."""
        self._lines_up[index] = up
        if self._up:
            self._spawn(self._tell_line(index))

    # Life ----------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Write the configuration, have it checked, start the proxy. Raises Unavailable."""
        program = shutil.which("kamailio", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if program is None:
            raise Unavailable("several line processes need Kamailio in front: sudo apt-get install kamailio")
        for path, text in files(self.settings).items():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            path.write_text(text, "utf-8")
        await self._check(program)
        await self._launch(program)
        await self._configure()
        self._spawn(self._supervise(program))

    async def _check(self, program: str) -> None:
        check = await asyncio.create_subprocess_exec(
            program, "-c", *self._arguments(), stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT, env=environment(secret_names(self._config)),
        )  # fmt: skip
        said, _ = await check.communicate()
        if check.returncode:
            lines = [line for line in said.decode("utf-8", "replace").splitlines() if "ERROR" in line or "CRIT" in line]
            raise Unavailable("Kamailio refuses its configuration: " + "; ".join(lines[:3])[:600])

    def _arguments(self) -> list[str]:
        run = str(self._runtime)
        return ["-f", str(self.settings.config_path), "-Y", run, "-w", run, "-m", str(SHARED_MB), "-M", str(PRIVATE_MB)]

    async def _launch(self, program: str) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ivr.telephony.edge_guard", "--linger", str(LINGER_S), "--host", self.settings.inside,
            "--lines", *map(str, self.settings.line_ports), "--", program, "-DD", "-E", *self._arguments(),
            stdin=asyncio.subprocess.PIPE, stdout=sys.stderr.fileno(), env=environment(secret_names(self._config)),
            start_new_session=True,
        )  # fmt: skip
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                while not await self._answers():
                    if self._process.returncode is not None:
                        raise Unavailable(f"Kamailio ended with status {self._process.returncode} at its start")
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise Unavailable(f"Kamailio did not answer within {READY_WITHIN_S:.0f} s") from None

    async def _answers(self) -> bool:
        try:
            await self._rpc.call("core.uptime")
        except RpcFailed:
            return False
        return True

    async def _configure(self) -> None:
        """Tell a fresh proxy what its files do not say: peers' addresses, lines that are down, registrations."""
        self._peers = {}
        await self._tell_peers()
        for index in list(self._lines_up):
            await self._tell_line(index)
        for user, trunk in self._trunks.items():
            await self._register(user, trunk)
        self._up = True
        log.info("edge ready", port=self.settings.port, lines=len(self.settings.line_ports))

    async def _supervise(self, program: str) -> None:
        deaths = 0
        while not self._closing:
            began = asyncio.get_running_loop().time()
            status = await self._watch()
            if self._closing:
                return
            self._up = False
            self._registered = dict.fromkeys(self._registered, False)
            deaths = 1 if asyncio.get_running_loop().time() - began > SETTLED_AFTER_S else deaths + 1
            delay_s = restart_delay_s(deaths)
            log.error("edge lost", status=status, deaths=deaths, again_in_s=delay_s)
            await asyncio.sleep(delay_s)
            self._restarts += 1
            try:
                await self._launch(program)
                await self._configure()
            except (Unavailable, RpcFailed) as error:
                log.error("edge does not start", why=str(error))
                await self._kill()

    async def _watch(self) -> int:
        """Until the proxy ends, or is deaf for too long and is ended; returns its exit status."""
        assert self._process is not None
        ended = asyncio.ensure_future(self._process.wait())
        deaf = polls = 0
        try:
            while True:
                await asyncio.wait({ended}, timeout=POLL_S)
                if ended.done():
                    return ended.result()
                polls += 1
                try:
                    await self._poll(polls)
                    deaf = 0
                except RpcFailed as error:
                    deaf += 1
                    log.warning("edge does not answer", why=str(error))
                if deaf >= DEAF_POLLS:
                    await self._kill()
        finally:
            ended.cancel()

    async def _poll(self, polls: int) -> None:
        if polls % RESOLVE_EVERY_POLLS == 0:
            await self._tell_peers()
        if not self._trunks:
            await self._rpc.call("core.uptime")
            return
        rows = await self._rpc.call("uac.reg_dump")
        said = {row["l_uuid"]: int(row["flags"]) & _REG_ONLINE != 0 for row in rows if isinstance(row, dict)}
        for user, trunk in self._trunks.items():
            now = said.get(user, False)
            if now != self._registered[trunk.name]:
                self._registered[trunk.name] = now
                log.info("registration", trunk=trunk.name, registered=now)

    async def close(self) -> None:
        """Unregister and end the proxy."""
        self._closing = True
        if self._up and any(self._registered.values()):
            await self._unregister()
        self._up = False
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._kill()
        self._rpc.close()
        shutil.rmtree(self._runtime, ignore_errors=True)

    async def _kill(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        for within_s, stop in ((CLOSE_S, process.terminate), (None, process.kill)):
            with contextlib.suppress(ProcessLookupError):
                stop()
            try:
                async with asyncio.timeout(within_s):
                    await process.wait()
                return
            except TimeoutError:
                log.warning("edge does not end", pid=process.pid)

    # What the proxy is told ----------------------------------------------------------------------------------------

    async def _tell_line(self, index: int) -> None:
        state = "a" if self._lines_up.get(index) else "i"
        try:
            await self._rpc.call("dispatcher.set_state", state, 1, self.settings.line_uri(index))
        except RpcFailed as error:
            log.warning("edge was not told of a line", line=index, why=str(error))

    async def _tell_peers(self) -> None:
        """Keep the table of trunks' addresses: what comes from there is a trunk, whatever the allow-list says."""
        found: dict[str, str] = {}
        for trunk in self._config.trunk:
            for address in await _addresses(trunk.host):
                found[address] = trunk.name
        for address, name in found.items():
            if self._peers.get(address) != name:
                await self._rpc.call("htable.sets", "peers", address, name)
        for address in self._peers.keys() - found.keys():
            await self._rpc.call("htable.delete", "peers", address)
        self._peers = found

    async def _register(self, user: str, trunk: Trunk) -> None:
        proxy = f"sip:{trunk.host}:{trunk.port}" + (";transport=tcp" if trunk.transport == "tcp" else "")
        name = trunk.username or trunk.from_user
        await self._rpc.call(
            "uac.reg_add", user, name, trunk.host, name, trunk.host, "", trunk.username or name,
            secret(trunk.password_env), "", proxy, REGISTRATION_EXPIRES_S, _REG_INIT, 0, "", "",
        )  # fmt: skip

    async def _unregister(self) -> None:
        try:
            for user in self._trunks:
                await self._rpc.call("uac.reg_unregister", "l_uuid", user)
            async with asyncio.timeout(UNREGISTER_S):
                while any(  # noqa: ASYNC110 - the proxy sends no news
                    int(row["flags"]) & _REG_ONLINE for row in await self._rpc.call("uac.reg_dump")
                ):
                    await asyncio.sleep(0.05)
        except (RpcFailed, TimeoutError) as error:
            log.info("left without unregistering", why=str(error))

    def _spawn(self, work) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def edge_settings(config: Config, agents: Sequence[Agent], runtime: Path) -> EdgeSettings:
    """What the configuration says of the proxy."""
    targets = [Target(t.host, t.port) for t in config.trunk] + [Target(a.host, a.port) for a in agents]
    return EdgeSettings(
        hosts=listening_hosts(config), port=config.sip.port, tcp=config.sip.tcp, inside=inside_host(config),
        inside_port=inside_port(config),
        public_address=config.sip.public_address, allow=config.sip.allow,
        flood_per_second=config.sip.flood_per_second,
        line_ports=tuple(line_port(config, i) for i in range(config.lines.processes)), targets=tuple(targets),
        registers=any(t.register for t in config.trunk), runtime=runtime, user_agent=config.sip.user_agent,
    )  # fmt: skip


def _registration_user(trunk: Trunk, trunks: Sequence[Trunk]) -> str:
    """User of the Contact that is registered, which the trunk will dial: its user name, if no other trunk has it."""
    user = trunk.from_user or trunk.username or trunk.name
    return user if sum(user in (t.from_user, t.username) for t in trunks if t.register) <= 1 else trunk.name


async def _addresses(host: str) -> set[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except OSError:
        log.warning("a trunk's host has no address", host=host)
        return set()
    return {entry[4][0] for entry in found}
