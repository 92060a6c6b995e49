"""What a customer must prove to know, kept under AES-GCM; and the keyed hash by which one request is told from another.

The id of the job is the associated data, so that a sealed proof opens for no other job. A plain hash of a birth date
hides nothing, so the hash of a request that holds one is keyed too (HMAC-SHA256 under a key derived by HKDF). Pure but
for the nonces. Knows nothing of jobs or databases.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
NONCE_BYTES = 12


def key_of(text: str) -> bytes:
    """The 32 bytes that a base64 text holds. Raises ValueError, which shows nothing of it."""
    try:
        key = base64.b64decode(text.strip().replace("-", "+").replace("_", "/") + "==", validate=False)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(f"the key is not {KEY_BYTES} bytes in base64: `openssl rand -base64 32` makes one")
    return key


class ProofBox:
    """Seals and opens proofs under one key. Safe in any thread."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._hash_key = HKDF(SHA256(), KEY_BYTES, None, b"ivr request hash").derive(key)

    def seal(self, job_id: str, proof: Mapping[str, str]) -> bytes:
        """Nonce and ciphertext; another nonce each time (NIST SP 800-38D)."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, msgspec.json.encode(dict(proof)), job_id.encode())

    def open(self, job_id: str, sealed: bytes) -> dict[str, str]:
        """The proof. Raises ValueError: another key, another job, or not what was sealed."""
        try:
            plain = self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], job_id.encode())
        except (InvalidTag, ValueError):
            raise ValueError("the proof does not open: another key, another job, or changed") from None
        return msgspec.json.decode(plain, type=dict[str, str])

    def request_hash(self, body: bytes) -> str:
        """64 hex digits that tell nothing of `body` to who has not the key."""
        return hmac.new(self._hash_key, body, hashlib.sha256).hexdigest()


def plain_hash(body: bytes) -> str:
    """The same for a request that holds no proof."""
    return hashlib.sha256(body).hexdigest()
