"""The evidence record of an outcome: chained by hash on each server, signed with Ed25519; and how one is checked.

A record is JSON. Its `hash` is SHA-256 over the canonical form of the rest without `signature`: UTF-8, keys sorted, no
spaces, no fractional numbers (RFC 8785 for what is in it). The signature is over the 32 bytes of that hash. Each record
names the hash of the one before on its server, so none can be taken out or put in between. Pure: needs no file but the
records and the public key.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ivr.outbound.job import FIRST_HASH, EvidenceRecord

VERSION = 1


class Signer:
    """Signs with the key whose 32 bytes are `seed` (RFC 8032). Safe in any thread."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    def record(self, server: str, index: int, at: datetime, body: Mapping[str, Any], previous: str) -> EvidenceRecord:
        """The record, signed. Raises ValueError for numbers with fractions, which have no canonical form here."""
        plain = _plain(body)
        head = {"version": VERSION, "server": server, "index": index, "at": _plain(at), "previous": previous}
        digest = _digest(head | {"body": plain})
        signature = base64.b64encode(self._key.sign(digest)).decode()
        return EvidenceRecord(**head, body=plain, hash=digest.hex(), signature=signature)


def faults(records: Sequence[EvidenceRecord], public_key: str) -> list[str]:
    """What is wrong, empty when every record is what was signed and those of a server follow one another.

    Raises ValueError when `public_key` is not 32 bytes in base64.
    """
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
    except ValueError:
        raise ValueError("the public key is not 32 bytes in base64") from None
    wrong = [f"record {n}: {fault}" for n, record in enumerate(records, 1) if (fault := _fault(record, key))]
    latest: dict[str, EvidenceRecord] = {}
    for n, record in enumerate(records, 1):
        before = latest.get(record.server)
        if record.index == 1 and record.previous != FIRST_HASH:
            wrong.append(f"record {n}: it is the first of its server and names one before it")
        if before is not None and record.index <= before.index:
            wrong.append(f"record {n}: it is out of order, after {before.index} comes {record.index}")
        elif before is not None and record.index == before.index + 1 and record.previous != before.hash:
            wrong.append(f"record {n}: it does not follow the one before it")
        latest[record.server] = record
    return wrong


def gaps(records: Iterable[EvidenceRecord]) -> int:
    """How many records are missing between those given, which is no fault of these."""
    latest: dict[str, int] = {}
    missing = 0
    for record in records:
        if record.server in latest:
            missing += max(0, record.index - latest[record.server] - 1)
        latest[record.server] = record.index
    return missing


def canonical(value: Mapping[str, Any]) -> bytes:
    """The bytes that are hashed."""
    return msgspec.json.encode(value, order="sorted")


def _fault(record: EvidenceRecord, key: Ed25519PublicKey) -> str:
    if record.version != VERSION:
        return f"its version is {record.version}, this program knows {VERSION}"
    content = msgspec.to_builtins(record)
    said, signature = content.pop("hash"), content.pop("signature")
    digest = _digest(content)
    if digest.hex() != said:
        return "its content is not what its hash says"
    try:
        key.verify(base64.b64decode(signature, validate=True), digest)
    except (InvalidSignature, ValueError):
        return "the signature is not by this key"
    return ""


def _digest(content: Mapping[str, Any]) -> bytes:
    return hashlib.sha256(canonical(content)).digest()


def _plain(value: Any) -> Any:
    """Made of what has one form in JSON."""
    plain = msgspec.to_builtins(value)
    waiting = [plain]
    while waiting:
        each = waiting.pop()
        if isinstance(each, float):
            raise ValueError(f"{each} has a fraction: evidence holds whole numbers and text")
        waiting += each.values() if isinstance(each, dict) else each if isinstance(each, list | tuple) else ()
    return plain
