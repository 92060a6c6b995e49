"""`ivr verify-evidence FILE --key KEY`: whether evidence records are what a server signed. Needs nothing else.

FILE holds one record as `GET /v1/jobs/ID/evidence` gives it, or many, one a line; KEY is the public key in base64, or a
file that holds it or what `GET /v1/evidence/key` answers.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from ivr.errors import InvalidInput, Problem
from ivr.outbound.evidence import faults, gaps
from ivr.outbound.job import EvidenceRecord


class _KeyFile(msgspec.Struct):
    public_key: str


def main(argv: list[str]) -> int:
    """0: every record is what was signed; 1: one is not, or cannot be read."""
    parser = argparse.ArgumentParser(prog="ivr verify-evidence", description=__doc__)
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--key", required=True, help="the public key in base64, or a file of it")
    options = parser.parse_args(argv)
    records = _records(options.file)
    try:
        wrong = faults(records, _key(options.key))
    except ValueError as error:
        raise InvalidInput(Problem("--key", str(error), mend="GET /v1/evidence/key gives it")) from None
    for fault in wrong:
        print(f"{options.file}: {fault}")
    if wrong:
        return 1
    for record in records:
        body = record.body
        print(f"ok  {record.server} {record.index}  {record.at}  {body.get('job')}  {body.get('disposition')}")
    missing = gaps(records)
    print(
        f"{len(records)} records, all signed by this key" + (f"; {missing} between them are not here" * bool(missing))
    )
    return 0


def _records(name: str) -> list[EvidenceRecord]:
    """The records of a file. Raises InvalidInput with the line of what is none."""
    try:
        lines = Path(name).read_bytes().splitlines()
    except OSError as error:
        raise InvalidInput(Problem(name, f"cannot be read: {error.strerror}")) from None
    found = []
    whole = b"\n".join(lines)
    for number, line in [(1, whole)] if _is_one(whole) else enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found.append(msgspec.json.decode(line, type=EvidenceRecord))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            mend = "a record as GET /v1/jobs/ID/evidence gives it, or several, one a line"
            raise InvalidInput(Problem(name, f"no evidence record: {error}", line=number, mend=mend)) from None
    if not found:
        raise InvalidInput(Problem(name, "holds no evidence record"))
    return found


def _is_one(text: bytes) -> bool:
    """Whether it is one JSON value, on however many lines."""
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def _key(given: str) -> str:
    """The key itself, when a file was named."""
    try:
        text = Path(given).read_bytes().strip()
    except (OSError, ValueError):
        return given
    try:
        return msgspec.json.decode(text, type=_KeyFile).public_key
    except (msgspec.DecodeError, UnicodeDecodeError):
        return text.decode("utf-8", "replace")
