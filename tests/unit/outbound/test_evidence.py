"""Evidence records: a chain by hash, signed; every change of it is named."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from ivr.cli import main
from ivr.outbound.evidence import Signer, faults, gaps
from ivr.outbound.job import FIRST_HASH, EvidenceRecord

AT = datetime(2026, 11, 23, 9, 30, 5, 120_000, tzinfo=UTC)
SIGNER = Signer(bytes(range(32)))


def chain(length: int = 3, server: str = "a") -> list[EvidenceRecord]:
    records, previous = [], FIRST_HASH
    for index in range(1, length + 1):
        records.append(
            SIGNER.record(server, index, AT, {"job": f"job_{index}", "said": "不是我", "tries": 2}, previous)
        )
        previous = records[-1].hash
    return records


def test_a_chain_holds():
    assert faults(chain(), SIGNER.public_key) == []
    mixed = [r for pair in zip(chain(), chain(server="b"), strict=True) for r in pair]
    assert faults(mixed, SIGNER.public_key) == []


def test_a_record_alone_holds_and_what_lies_between_is_counted():
    records = chain(5)
    assert faults(records[2:3], SIGNER.public_key) == []
    assert faults([records[0], records[4]], SIGNER.public_key) == []
    assert gaps([records[0], records[4]]) == 3


@pytest.mark.parametrize(
    ("field", "value"),
    [("at", "2026-11-23T09:30:06.120Z"), ("server", "b"), ("index", 7), ("previous", "1" * 64),
     ("body", {"job": "job_2", "said": "是我", "tries": 2})],
)  # fmt: skip
def test_a_changed_field_is_found(field, value):
    records = chain()
    records[1] = msgspec.structs.replace(records[1], **{field: value})
    assert "record 2: its content is not what its hash says" in faults(records, SIGNER.public_key)


def test_a_record_that_another_key_signed_is_found():
    other = Signer(b"o" * 32)
    forged = other.record("a", 1, AT, {"job": "job_1"}, FIRST_HASH)
    assert faults([forged], SIGNER.public_key) == ["record 1: the signature is not by this key"]


def test_a_record_put_in_or_out_of_order_is_found():
    records = chain()
    other = SIGNER.record("a", 2, AT, {"job": "job_9"}, "2" * 64)
    assert faults([records[0], other, records[2]], SIGNER.public_key) == [
        "record 2: it does not follow the one before it", "record 3: it does not follow the one before it",
    ]  # fmt: skip
    assert faults([records[1], records[0]], SIGNER.public_key) == ["record 2: it is out of order, after 2 comes 1"]
    assert faults([records[0], records[0]], SIGNER.public_key) == ["record 2: it is out of order, after 1 comes 1"]


def test_fractions_have_no_one_form_and_are_refused():
    with pytest.raises(ValueError, match="fraction"):
        SIGNER.record("a", 1, AT, {"score": [{"x": 0.5}]}, FIRST_HASH)


def lines(records: list[EvidenceRecord]) -> bytes:
    return b"\n".join(msgspec.json.encode(r) for r in records) + b"\n"


def test_the_command_needs_the_file_and_the_key_only(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file, key = tmp_path / "evidence.ndjson", tmp_path / "key.json"
    file.write_bytes(lines(chain()))
    key.write_bytes(msgspec.json.encode({"algorithm": "Ed25519", "public_key": SIGNER.public_key}))
    for given in (SIGNER.public_key, str(key)):
        assert main(["verify-evidence", str(file), "--key", given]) == 0
        assert capsys.readouterr().out.endswith("3 records, all signed by this key\n")
    file.write_bytes(lines([chain()[0], chain()[2]]))
    assert main(["verify-evidence", str(file), "--key", str(key)]) == 0
    assert "; 1 between them are not here" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "key", "says"),
    [
        (None, SIGNER.public_key, "cannot be read"), (b"", SIGNER.public_key, "holds no evidence record"),
        (b"{}\n", SIGNER.public_key, ":1: no evidence record: Object missing required field"),
        (lines(chain()) + b"nonsense\n", SIGNER.public_key, ":4: no evidence record"),
        (b"\xff\xfe\n", SIGNER.public_key, ":1: no evidence record"),
        (lines(chain()), "AAAA", "--key: the public key is not 32 bytes in base64"),
        (lines(chain()), "\0", "--key: the public key is not 32 bytes in base64"),
    ],
)  # fmt: skip
def test_what_cannot_be_checked_is_said_with_its_place(tmp_path, capsys, content, key, says):
    file = tmp_path / "evidence.ndjson"
    if content is not None:
        file.write_bytes(content)
    assert main(["verify-evidence", str(file), "--key", key]) == 1
    assert says in capsys.readouterr().err
