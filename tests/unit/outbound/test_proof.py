"""Proofs under AES-GCM: what opens them and what does not; hashes of requests that tell nothing."""

from __future__ import annotations

import base64

import pytest

from ivr.outbound.proof import ProofBox, key_of, plain_hash

BOX = ProofBox(b"k" * 32)
PROOF = {"birth_date": "1987-04-29", "name": "王小明"}


def test_a_proof_opens_with_its_key_for_its_job():
    assert BOX.open("job_1", BOX.seal("job_1", PROOF)) == PROOF


def test_sealing_twice_gives_nothing_to_compare():
    assert BOX.seal("job_1", PROOF) != BOX.seal("job_1", PROOF)
    assert b"1987" not in BOX.seal("job_1", PROOF)


@pytest.mark.parametrize("change", ["job", "key", "byte", "short", "empty"])
def test_nothing_else_opens_it(change):
    sealed = BOX.seal("job_1", PROOF)
    box, job = BOX, "job_1"
    if change == "job":
        job = "job_2"
    elif change == "key":
        box = ProofBox(b"K" * 32)
    elif change == "byte":
        sealed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    else:
        sealed = sealed[:5] if change == "short" else b""
    with pytest.raises(ValueError, match="does not open"):
        box.open(job, sealed)


def test_the_hash_of_a_request_depends_on_the_key():
    assert BOX.request_hash(b"1987-04-29") == BOX.request_hash(b"1987-04-29")
    others = {
        ProofBox(b"K" * 32).request_hash(b"1987-04-29"),
        plain_hash(b"1987-04-29"),
        BOX.request_hash(b"1987-04-30"),
    }
    assert BOX.request_hash(b"1987-04-29") not in others


@pytest.mark.parametrize("text", ["", "short", "k" * 31, base64.b64encode(b"k" * 31).decode(), "ü" * 43])
def test_what_is_no_key_is_refused_without_showing_it(text):
    with pytest.raises(ValueError, match="32 bytes in base64") as caught:
        key_of(text)
    assert not text or text not in str(caught.value)


def test_a_key_may_be_written_in_either_base64_and_with_a_newline():
    key = bytes(range(224, 256))
    assert key_of(base64.b64encode(key).decode() + "\n") == key_of(base64.urlsafe_b64encode(key).decode()) == key
