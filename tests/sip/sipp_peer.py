"""sipp as a stranger on the wire: runs one of the scenarios beside this file."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

MEDIA_PORT = 22_000
SCENARIOS = Path(__file__).parent / "scenarios"


class Sipp:
    """A running sipp."""

    def __init__(self, process: asyncio.subprocess.Process, scenario: str, folder: str) -> None:
        self._process = process
        self._scenario = scenario
        self._folder = Path(folder)

    async def passes(self, timeout_s: float = 15) -> None:
        """Wait for the end; every call must have gone as the scenario says."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            raise AssertionError(f"{self._scenario} did not end; {self._errors()}") from None
        assert self._process.returncode == 0, (
            f"{self._scenario} ended with {self._process.returncode}; {self._errors()}"
        )

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def _errors(self) -> str:
        file = self._folder / "errors.log"
        return file.read_text(errors="replace")[-3000:] if file.exists() else "no errors were written"


@contextlib.asynccontextmanager
async def sipp(
    scenario: str, remote: str, port: int, *, source: str = "127.0.0.1", number: str = "400", transport: str = "u1",
    keys: dict[str, str] | None = None,
) -> AsyncIterator[Sipp]:  # fmt: skip
    """Start `scenario` at `source:port`, towards `remote` (host:port); one call. `keys` replace `[key]` in it."""
    with tempfile.TemporaryDirectory() as folder:
        text = (SCENARIOS / f"{scenario}.xml").read_text()
        for name, value in (keys or {}).items():
            text = text.replace(f"[{name}]", value)
        file = Path(folder, "scenario.xml")
        await asyncio.to_thread(file.write_text, text)
        process = await asyncio.create_subprocess_exec(
            "sipp", remote, "-sf", str(file), "-i", source, "-p", str(port), "-mi", source,
            "-mp", str(MEDIA_PORT + port % 100 * 8), "-s", number, "-m", "1", "-t", transport,
            "-nostdin", "-timeout", "20s", "-timeout_error", "-recv_timeout", "8000", "-trace_err",
            "-error_file", f"{folder}/errors.log",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        running = Sipp(process, scenario, folder)
        try:
            yield running
        finally:
            running.kill()
            await process.wait()


async def sipp_passes(scenario: str, remote: str, port: int, **options: object) -> None:
    """Run a scenario to its end."""
    async with sipp(scenario, remote, port, **options) as peer:
        await peer.passes()
