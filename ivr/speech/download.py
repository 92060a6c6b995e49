"""Fetches archives: from a web address with resume, or a package of the Python package index through pip.

Every archive has a known size and SHA-256 and is never handed on before both were checked. Knows nothing of models.
Runs in the foreground of a command; a broken download leaves `NAME.part`, and the next run goes on from there.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ivr.errors import IvrError

CHUNK_BYTES = 1 << 18
ATTEMPTS = 5
TIMEOUT_S = 30

OnProgress = Callable[[int, int], None]
"""Called with (bytes so far, bytes in all)."""


class DownloadFailed(IvrError):
    """An archive could not be had: no network, no such file, or not the file that was expected."""


class _Broken(Exception):
    """The connection failed on the way; trying again may help."""


@dataclass(frozen=True)
class Archive:
    """A file to fetch.

    Attributes:
        bytes: its exact size.
        sha256: hexadecimal.
        package: `name==version` of a wheel on the Python package index, empty for a `url`.
        url: http or https address, empty for a `package`.
    """

    bytes: int
    sha256: str
    package: str = ""
    url: str = ""

    @property
    def label(self) -> str:
        return self.package or self.url.rsplit("/", 1)[-1]

    @property
    def file_name(self) -> str:
        return self.package.replace("==", "-") + ".whl" if self.package else self.label


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_archive(path: Path, archive: Archive) -> bool:
    """Whether `path` holds exactly this archive."""
    return path.is_file() and path.stat().st_size == archive.bytes and sha256_of(path) == archive.sha256


def fetch(archive: Archive, folder: Path, progress: OnProgress, wait: Callable[[float], None] = time.sleep) -> Path:
    """The archive as a checked file in `folder`; nothing is fetched when it lies there already.

    `wait` takes seconds and stands between attempts. Raises DownloadFailed.
    """
    target = folder / archive.file_name
    if is_archive(target, archive):
        return target
    target.unlink(missing_ok=True)
    if archive.package:
        _from_index(archive, target, progress)
    else:
        _from_web(archive, target, progress, wait)
    return target


def _from_web(archive: Archive, target: Path, progress: OnProgress, wait: Callable[[float], None]) -> None:
    if urllib.parse.urlsplit(archive.url).scheme not in {"http", "https"}:
        raise DownloadFailed(f"{archive.url}: only http and https addresses are fetched")
    part = target.with_name(target.name + ".part")
    failure = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            wait(2 ** (attempt - 1))
        before = part.stat().st_size if part.exists() else 0
        try:
            _continue(archive, part, progress)
        except _Broken as error:
            failure = str(error)
            continue
        if is_archive(part, archive):
            part.replace(target)
            return
        got = f"{part.stat().st_size} bytes, SHA-256 {sha256_of(part)}"
        part.unlink()
        failure = f"not the expected file: got {got}; expected {archive.bytes} bytes, SHA-256 {archive.sha256}"
        if not before:
            break
    raise DownloadFailed(f"{archive.url}: {failure}")


def _continue(archive: Archive, part: Path, progress: OnProgress) -> None:
    """One request for what is missing of `part`. Raises _Broken when it ends early, DownloadFailed for good."""
    have = part.stat().st_size if part.exists() else 0
    if have >= archive.bytes:
        return
    headers = {"User-Agent": "ivr-models", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = urllib.request.Request(archive.url, headers=headers)  # noqa: S310 - the scheme is checked by the caller
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=ssl.create_default_context()) as answer:  # noqa: S310
            resumed = answer.status == 206 and _starts_at(answer.headers.get("Content-Range", ""), have)
            if not resumed:
                have = 0
            with part.open("ab" if resumed else "wb") as file:
                _copy(answer, file, have, archive, progress)
    except urllib.error.HTTPError as error:
        if error.code == 416:
            part.unlink(missing_ok=True)
        if error.code in {408, 416, 429} or error.code >= 500:
            raise _Broken(f"HTTP {error.code} {error.reason}") from None
        raise DownloadFailed(f"{archive.url}: HTTP {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(str(getattr(error, "reason", "") or error)) from None
    if part.stat().st_size < archive.bytes:
        raise _Broken(f"the connection closed after {part.stat().st_size} of {archive.bytes} bytes")


def _starts_at(content_range: str, offset: int) -> bool:
    """Whether a Content-Range header (RFC 9110, section 14.4) begins at `offset`."""
    found = re.fullmatch(r"bytes (\d+)-\d+/(?:\d+|\*)", content_range.strip())
    return bool(found) and int(found[1]) == offset


def _copy(answer: http.client.HTTPResponse, file, have: int, archive: Archive, progress: OnProgress) -> None:
    """Never writes more than one byte over the expected size: a wrong file must not fill the disk."""
    progress(have, archive.bytes)
    while have <= archive.bytes and (chunk := answer.read(min(CHUNK_BYTES, archive.bytes + 1 - have))):
        file.write(chunk)
        have += len(chunk)
        progress(min(have, archive.bytes), archive.bytes)


def _from_index(archive: Archive, target: Path, progress: OnProgress) -> None:
    """pip fetches the wheel, so that its index, proxy, certificates and cache settings hold; it resumes by itself."""
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        wanted = Path(scratch) / "wanted.txt"
        wanted.write_text(f"{archive.package} --hash=sha256:{archive.sha256}\n", "ascii")
        output = _run_pip(["-r", str(wanted), "--dest", scratch], archive, progress)
        wheels = list(Path(scratch).glob("*.whl"))
        if len(wheels) != 1 or not is_archive(wheels[0], archive):
            raise DownloadFailed(f"{archive.package}: {_reason(output)}")
        wheels[0].replace(target)


def _run_pip(arguments: list[str], archive: Archive, progress: OnProgress) -> list[str]:
    """Runs `pip download`; returns what it said. Its raw progress lines drive ours."""
    command = [
        *(sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--no-deps"),
        *("--only-binary", ":all:", "--require-hashes", "--progress-bar", "raw", *arguments),
    ]
    said: list[str] = []
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, text=True
    ) as pip:
        try:
            for line in pip.stdout:
                if found := re.match(r"Progress (\d+) of (\d+)", line):
                    progress(min(int(found[1]), archive.bytes), archive.bytes)
                else:
                    said.append(line.rstrip())
        except BaseException:
            pip.terminate()
            raise
    return said


def _reason(output: list[str]) -> str:
    """What pip gave as its reason, on one line."""
    errors = [line.removeprefix("ERROR: ").strip() for line in output if line.startswith("ERROR: ")]
    if any("Retrying" in line or "ConnectionError" in line for line in output):
        return "the package index cannot be reached"
    return errors[-1] if errors else (output[-1] if output else "pip said nothing")
