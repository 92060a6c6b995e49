"""The bank of the example as its own process, asked over HTTP as the telephone server asks it."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

SCRIPT = Path(__file__).parents[2] / "scripts" / "bank.py"
TOKEN = "a-long-random-value"
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
WRONG_DATE = "1900-01-01"
SATURDAY, SUNDAY, MONDAY = date(2026, 1, 31), date(2026, 2, 1), date(2026, 2, 2)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        assert self.headers["content-type"].startswith("application/json")
        return json.loads(self.body)


@dataclass(frozen=True)
class Running:
    """A bank that runs, and a client of it."""

    port: int
    token: str = TOKEN

    def ask(self, method: str, path: str, content: Any = None, **headers: str) -> Answer:
        """One request. `content`: bytes as they are, anything else as JSON. Underscores in `headers` are hyphens."""
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        body = content if isinstance(content, bytes | None) else json.dumps(content).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {name: value for name, value in sent.items() if value})
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def post(self, path: str, content: Any, **headers: str) -> Answer:
        return self.ask("POST", path, content, **headers)

    def identify(self, last_four: str, birth_date: str, lang: str = "en") -> Answer:
        return self.post(f"/identity?lang={lang}", {"last_four": last_four, "birth_date": birth_date})

    def reference(self, path: str, content: Any, key: str = "") -> str:
        answer = self.post(path, content, Idempotency_Key=key)
        assert answer.status == 200
        return answer.json["reference"]

    def branch(self, query: str) -> Any:
        answer = self.get(f"/branches?{query}")
        assert answer.status == 200
        return answer.json


def refused(status: int, answer: Answer) -> str:
    """The error of an answer that must be one in the bank's form."""
    assert answer.status == status
    assert answer.json.keys() >= {"error", "mend"}
    assert "Traceback" not in answer.body.decode()
    return answer.json["error"]


def environment(token: str = TOKEN, secret: str = SECRET) -> dict[str, str]:
    return {**os.environ, "BANK_TOKEN": token, "BANK_WEBHOOK_SECRET": secret}


@contextmanager
def running(*arguments: str, token: str = TOKEN, secret: str = SECRET) -> Iterator[Running]:
    """A bank on a free port until the block ends; it must then end well on SIGTERM."""
    process = subprocess.Popen(
        [sys.executable, SCRIPT, "--port", "0", *arguments],
        env=environment(token, secret), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        port = re.fullmatch(r"bank: http://127\.0\.0\.1:(\d+)\n", line)
        assert port, line + process.stderr.read()
        yield Running(int(port[1]), token)
    finally:
        process.terminate()
        _, complaints = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in complaints


@pytest.fixture(scope="module")
def bank() -> Iterator[Running]:
    with running("--faults", "--date", SATURDAY.isoformat()) as bank:
        yield bank


@pytest.fixture
def fresh() -> Iterator[Running]:
    with running() as bank:
        yield bank


# Branches -----------------------------------------------------------------------------------------------------------


def test_the_nearest_branch_in_both_languages(bank):
    assert bank.branch("near=xidan") == {
        "name": "Xidan Branch",
        "address": "110 Xidan North Street",
        "hours": "open today, Saturday, from 10:00 to 19:00",
        "distance": "300 metres",
        "more": True,
    }
    assert bank.branch("near=xidan&lang=zh") == {
        "name": "西单支行",
        "address": "西单北大街110号",
        "hours": "今天星期六，10:00到19:00营业",
        "distance": "300米",
        "more": True,
    }


def test_another_one_is_further_away_until_there_is_none(bank):
    def metres(found: dict) -> float:
        figure, unit = found["distance"].split()
        return float(figure) * (1_000 if unit.startswith("kilo") else 1)

    found = [bank.branch("near=wangjing&skip=0")]
    while found[-1]["more"]:
        found.append(bank.branch(f"near=wangjing&skip={len(found)}"))
    assert len({branch["name"] for branch in found}) == len(found) > 1
    assert [metres(branch) for branch in found] == sorted(metres(branch) for branch in found)
    refused(404, bank.get(f"/branches?near=wangjing&skip={len(found)}"))


@pytest.mark.parametrize("place", ["chongming-island", "badaling-great-wall"])
def test_far_out_there_is_none(bank, place):
    assert "no branch" in refused(404, bank.get(f"/branches?near={place}"))


@pytest.mark.parametrize(
    ("day", "en", "zh"),
    [
        (SATURDAY, "closed today, Saturday; open on Monday from 9:00 to 17:00",
         "今天星期六不营业，星期一9:00到17:00营业"),
        (SUNDAY, "closed today, Sunday; open on Monday from 9:00 to 17:00",
         "今天星期日不营业，星期一9:00到17:00营业"),
        (MONDAY, "open today, Monday, from 9:00 to 17:00", "今天星期一，9:00到17:00营业"),
    ],
)  # fmt: skip
def test_hours_are_those_of_the_day(day, en, zh):
    with running("--date", day.isoformat()) as bank:
        assert bank.branch("near=financial-street&lang=en")["hours"] == en
        assert bank.branch("near=financial-street&lang=zh")["hours"] == zh


@pytest.mark.parametrize(
    "query",
    [
        "", "near=", "near=atlantis", "near=xidan&lang=fr", "near=xidan&skip=-1", "near=xidan&skip=1001",
        "near=xidan&skip=one", "near=xidan&skip=1.5", "near=xidan&caller=138", "near=xidan&near=dongdan",
        "near=%FF%FE", "near=%ED%A0%80", "near=" + "x" * 4_000, "near=../../etc/passwd",
    ],
)  # fmt: skip
def test_a_query_that_makes_no_sense_is_refused(bank, query):
    refused(400, bank.get(f"/branches?{query}"))


# Identity -----------------------------------------------------------------------------------------------------------


def customers() -> list[tuple[str, ...]]:
    """The rows of the table that the bank's help shows."""
    return re.findall(
        r"^  (C\d{4})  +(\d{4})  +(\d{4}-\d\d-\d\d)  +(\S[^,]+), (\S+)  +(-?[\d.]+ [A-Z]{3})  +(\w+)$",
        SCRIPT.read_text("utf-8"),
        re.MULTILINE,
    )


def test_the_table_of_customers_holds_at_least_twelve():
    rows = customers()
    assert len(rows) >= 12
    known = {("8620", "1985-03-12"), ("0957", "1990-10-01"), ("6688", "2001-07-23"), ("1234", "1988-06-06")}
    assert known <= {(row[1], row[2]) for row in rows}


@pytest.mark.parametrize("row", customers(), ids=lambda row: row[0])
def test_a_customer_is_as_the_table_says(bank, row):
    customer, card, born, en, zh, balance, new_card = row
    for lang, name in (("en", en), ("zh", zh)):
        answer = bank.identify(card, born, lang)
        assert (answer.status, answer.json) == (200, {"customer": customer, "name": name, "card": card})
    accounts = {"en": {"current account", "savings account"}, "zh": {"活期账户", "储蓄账户"}}
    for lang, possible in accounts.items():
        answer = bank.get(f"/customers/{customer}/balance?lang={lang}").json
        assert answer["balance"] == balance
        assert answer["account"] in possible
    delivery = bank.get(f"/customers/{customer}/card")
    if new_card == "none":
        refused(404, delivery)
    else:
        assert delivery.json["status"] == new_card
        assert (date.fromisoformat(delivery.json["expected"]) >= SATURDAY) == (new_card != "delivered")


def test_the_third_failed_check_locks_and_a_restart_does_not_unlock(tmp_path):
    state = ("--state", str(tmp_path / "bank.db"))
    with running(*state) as bank:
        first = bank.identify("8620", WRONG_DATE)
        assert (first.status, first.json["failed"], first.json["left"]) == (403, 1, 2)
    with running(*state) as bank:
        second = bank.identify("8620", "1985-03-13")
        assert (second.status, second.json["failed"], second.json["left"]) == (403, 2, 1)
        third = bank.identify("8620", WRONG_DATE)
        assert (third.status, third.json["failed"]) == (423, 3)
        assert "left" not in third.json
    with running(*state) as bank:
        assert refused(423, bank.identify("8620", "1985-03-12"))
        assert bank.identify("8620", WRONG_DATE).json["failed"] == 3
        assert bank.identify("0957", "1990-10-01").status == 200


def test_success_forgets_what_failed_before(fresh):
    for _ in range(2):
        assert [fresh.identify("6688", WRONG_DATE).status for _ in range(2)] == [403, 403]
        assert fresh.identify("6688", "2001-07-23").status == 200


def test_an_unknown_card_answers_like_a_known_one(fresh):
    known = [fresh.identify("1234", WRONG_DATE) for _ in range(4)]
    unknown = [fresh.identify("9999", WRONG_DATE) for _ in range(4)]
    assert [(a.status, a.body) for a in known] == [(a.status, a.body) for a in unknown]
    assert [a.status for a in unknown] == [403, 403, 423, 423]


def test_a_failure_counts_for_everybody_whose_card_ends_so(fresh):
    """Anna's success must not give somebody who tries for John's card new tries."""
    anna, john = ("4477", "1972-09-09"), ("4477", "1983-01-15")
    assert [fresh.identify("4477", WRONG_DATE).status for _ in range(2)] == [403, 403]
    assert fresh.identify(*anna).status == 200
    locked_john = fresh.identify("4477", WRONG_DATE)
    assert (locked_john.status, locked_john.json["failed"]) == (403, 1)
    right_but_locked = fresh.identify(*john)
    assert (right_but_locked.status, right_but_locked.json["failed"]) == (403, 2)
    assert fresh.identify(*anna).json["customer"] == "C1008"
    assert [fresh.identify(*john).status for _ in range(3)] == [403, 403, 423]
    assert fresh.identify(*anna).status == 423


IDENTITY = {"last_four": "1234", "birth_date": "1988-06-06"}
BAD_IDENTITIES = [
    {}, [], None, "1234", {"last_four": "1234"}, {"birth_date": "1988-06-06"}, IDENTITY | {"last_four": 1234},
    IDENTITY | {"last_four": "123"}, IDENTITY | {"last_four": "12345"}, IDENTITY | {"last_four": "1234\n"},
    IDENTITY | {"last_four": "１２３４"}, IDENTITY | {"last_four": "12 4"}, IDENTITY | {"last_four": None},
    IDENTITY | {"birth_date": "06.06.1988"}, IDENTITY | {"birth_date": "1988-6-6"},
    IDENTITY | {"birth_date": "1988-02-30"}, IDENTITY | {"birth_date": 19880606},
]  # fmt: skip


@pytest.mark.parametrize("content", BAD_IDENTITIES, ids=repr)
def test_an_identity_that_is_none_is_refused_and_counts_for_nothing(bank, content):
    refused(400, bank.post("/identity", content))
    assert bank.identify("1234", "1988-06-06").status == 200


def test_who_rings_from_where_is_no_proof(bank):
    assert "caller" in refused(400, bank.post("/identity", IDENTITY | {"caller": "+8613800138000"}))
    assert "caller" in refused(400, bank.post("/identity?caller=13800138000", IDENTITY))


# Customers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("customer", ["C9999", "c1001", "..", "C1001%00", "%FF", "x" * 2_000])
@pytest.mark.parametrize("what", ["balance", "card"])
def test_an_unknown_customer_is_not_found(bank, customer, what):
    refused(404, bank.get(f"/customers/{customer}/{what}"))


def test_a_language_that_is_not_spoken_is_refused(bank):
    refused(400, bank.get("/customers/C1001/balance?lang=ko"))


# Blocking -----------------------------------------------------------------------------------------------------------


def test_a_card_is_blocked_once_also_after_a_restart(tmp_path):
    state = ("--state", str(tmp_path / "bank.db"))
    with running(*state) as bank:
        answer = bank.post("/cards/block", {"last_four": "8620"})
        assert (answer.status, answer.json["blocked"]) == (200, True)
        reference = answer.json["reference"]
        assert re.fullmatch(r"4\d{5}", reference)
        assert bank.reference("/cards/block", {"customer": "C1001"}) == reference
        assert bank.reference("/cards/block", {"customer": "C1002"}, key="lost-1") != reference
    with running(*state) as bank:
        assert bank.reference("/cards/block", {"last_four": "8620"}) == reference
        refused(422, bank.post("/cards/block", {"last_four": "8620"}, Idempotency_Key="lost-1"))


def test_a_key_belongs_to_one_request(fresh):
    block = {"last_four": "8620"}
    assert fresh.reference("/cards/block", block, "k1") == fresh.reference("/cards/block", block, "k1")
    refused(422, fresh.post("/cards/block", {"last_four": "0957"}, Idempotency_Key="k1"))
    refused(422, fresh.post("/complaints", {"text": "slow"}, Idempotency_Key="k1"))
    assert fresh.reference("/cards/block", block, "k2") == fresh.reference("/cards/block", block, "k1")


def test_a_refused_request_does_not_use_its_key(fresh):
    refused(404, fresh.post("/cards/block", {"last_four": "9999"}, Idempotency_Key="k1"))
    fresh.reference("/cards/block", {"last_four": "8620"}, "k1")


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (404, {"last_four": "9998"}), (404, {"customer": "C9999"}), (409, {"last_four": "4477"}), (400, {}),
        (400, {"last_four": "8620", "customer": "C1001"}), (400, {"last_four": 8620}), (400, {"customer": ["C1001"]}),
        (400, {"card": "8620"}), (400, []),
    ],
)  # fmt: skip
def test_a_block_of_no_one_card_is_refused(bank, status, content):
    refused(status, bank.post("/cards/block", content))


@pytest.mark.parametrize("key", ["x" * 256, "a\tb", "\xfc"])
def test_a_key_that_is_none_is_refused(bank, key):
    refused(400, bank.post("/cards/block", {"customer": "C1012"}, Idempotency_Key=key))


# Complaints ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["The queue was too long.", "排队时间太长了"])
def test_a_complaint_has_a_reference_of_its_own(bank, text):
    plain = bank.reference("/complaints", {"text": text})
    named = bank.reference("/complaints", {"text": text, "customer": "C1003"})
    assert re.fullmatch(r"7\d{5}", plain)
    assert plain != named


def test_a_complaint_sent_again_is_one_complaint(tmp_path):
    state, complaint = ("--state", str(tmp_path / "bank.db")), {"text": "你们的服务太差了"}
    with running(*state) as bank:
        reference = bank.reference("/complaints", complaint, "call-1")
        assert bank.reference("/complaints", complaint, "call-2") != reference
    with running(*state) as bank:
        assert bank.reference("/complaints", complaint, "call-1") == reference


def test_what_was_written_can_be_read_newest_first(fresh):
    blocks = [
        {"reference": fresh.reference("/cards/block", {"customer": c}), "customer": c} for c in ("C1003", "C1001")
    ]
    spoken = [("C1002", "慢"), (None, "slow")]
    written = [
        {"reference": fresh.reference("/complaints", {"text": t, "customer": c}), "customer": c, "text": t}
        for c, t in spoken
    ]
    assert fresh.get("/cards/blocked").json == {"blocked": blocks[::-1]}
    assert fresh.get("/complaints").json == {"complaints": written[::-1]}


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (400, {}), (400, {"text": ""}), (400, {"text": "x" * 2_001}), (400, {"text": 7}), (400, {"text": None}),
        (400, {"text": "slow", "customer": 1001}), (404, {"text": "slow", "customer": "C9999"}),
        (400, {"text": "\ud800"}), (400, {"text": "slow", "phone": "138"}),
    ],
)  # fmt: skip
def test_a_complaint_that_is_none_is_refused(bank, status, content):
    refused(status, bank.post("/complaints", content))


# Events -------------------------------------------------------------------------------------------------------------


def signed(number: int, payload: str, secret: str = SECRET, ago: timedelta = timedelta()) -> dict[str, str]:
    """Headers of a webhook (Standard Webhooks)."""
    sent, message = datetime.now(UTC) - ago, f"msg_{number}"
    return {
        "webhook_id": message,
        "webhook_timestamp": str(int(sent.timestamp())),
        "webhook_signature": Webhook(secret).sign(message, sent, payload),
        "Authorization": "",
    }


EVENT = json.dumps({"type": "call.ended", "data": {"id": "c1", "heard": "我的卡丢了"}}, ensure_ascii=False)


def test_signed_events_are_kept_once_and_newest_first(fresh):
    for number in (1, 2, 1):
        assert fresh.post("/events", EVENT.encode(), **signed(number, EVENT)).status == 204
    events = fresh.get("/events").json["events"]
    assert [event["id"] for event in events] == ["msg_2", "msg_1"]
    assert events[0]["payload"] == json.loads(EVENT)
    assert datetime.fromisoformat(events[0]["at"]).tzinfo is not None


def test_the_last_hundred_events_are_kept(fresh):
    for number in range(103):
        assert fresh.post("/events", b"{}", **signed(number, "{}")).status == 204
    assert [event["id"] for event in fresh.get("/events").json["events"]] == [f"msg_{n}" for n in range(102, 2, -1)]


OTHER_SECRET = "whsec_" + "A" * 43 + "="
BAD_SIGNATURES = {
    "none": dict,
    "other secret": lambda: signed(1, EVENT, OTHER_SECRET),
    "other payload": lambda: signed(1, EVENT + " "),
    "other id": lambda: signed(1, EVENT) | {"webhook_id": "msg_2"},
    "old": lambda: signed(1, EVENT, ago=timedelta(hours=1)),
    "to come": lambda: signed(1, EVENT, ago=-timedelta(hours=1)),
    "no time": lambda: signed(1, EVENT) | {"webhook_timestamp": "nan"},
    "no signature": lambda: signed(1, EVENT) | {"webhook_signature": "nonsense"},
    "no base64": lambda: signed(1, EVENT) | {"webhook_signature": "v1,not base64 at all"},
    "other scheme": lambda: signed(1, EVENT) | {"webhook_signature": "v1a,AAAA"},
}


@pytest.mark.parametrize("headers", BAD_SIGNATURES.values(), ids=BAD_SIGNATURES)
def test_an_event_that_is_not_signed_is_refused_though_the_token_is_right(bank, headers):
    sent = headers() | {"Authorization": f"Bearer {TOKEN}"}
    refused(401, bank.post("/events", EVENT.encode(), **sent))
    assert bank.get("/events").json == {"events": []}


@pytest.mark.parametrize("payload", ["", "[]", "7", "{", '{"a": NaN}', "[" * 30_000])
def test_a_signed_event_that_is_no_object_is_refused(bank, payload):
    refused(400, bank.post("/events", payload.encode(), **signed(1, payload)))


def test_without_a_secret_no_event_is_taken():
    with running(secret="") as bank:
        refused(503, bank.post("/events", EVENT.encode(), **signed(1, EVENT)))
        assert bank.get("/events").json == {"events": []}


# Every request ------------------------------------------------------------------------------------------------------

EVERYTHING = [
    ("GET", "/branches?near=xidan"), ("POST", "/identity"), ("GET", "/customers/C1001/balance"),
    ("GET", "/customers/C1001/card"), ("POST", "/cards/block"), ("POST", "/complaints"), ("GET", "/events"),
    ("GET", "/faults/500"), ("GET", "/nowhere"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), EVERYTHING)
@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer \xff"])
def test_nobody_is_let_in_without_the_token(bank, method, path, authorization):
    answer = bank.ask(method, path, Authorization=authorization)
    refused(401, answer)
    assert answer.headers["www-authenticate"] == "Bearer"
    assert TOKEN not in answer.body.decode()


POSTS = ("/identity", "/cards/block", "/complaints")


@pytest.mark.parametrize("path", [*POSTS, "/events"])
def test_a_large_body_is_refused(bank, path):
    refused(413, bank.post(path, b'{"text": "' + b"x" * 1_000_000 + b'"}'))


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b'{"text": "\xff"}', b'{"text": ' + b"[" * 30_000, b"[" * 30_000, b'{"text": "a"} trailing'],
    ids=["empty", "broken", "bytes", "no UTF-8", "deep", "deeper", "two things"],
)
def test_a_body_that_is_no_json_is_refused(bank, path, content):
    refused(400, bank.post(path, content))


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_body_that_does_not_say_json_is_refused(bank, content_type):
    """What a foreign web page could send without asking first."""
    refused(415, bank.post("/complaints", {"text": "slow"}, Content_Type=content_type))


def test_what_there_is_not_is_told_as_json(bank):
    refused(404, bank.get("/nowhere"))
    answer = bank.ask("DELETE", "/branches")
    refused(405, answer)
    assert "GET" in answer.headers["allow"]


def test_bytes_that_are_no_text_in_an_address_do_no_harm(bank):
    with socket.create_connection(("127.0.0.1", bank.port), timeout=60) as connection:
        authorization = f"Authorization: Bearer {TOKEN}\r\n".encode()
        connection.sendall(
            b"GET /branches?near=\xff\xfe&\xff=1 HTTP/1.1\r\nHost: x\r\n" + authorization + b"Connection: close\r\n\r\n"
        )
        status = connection.makefile("rb").readline()
    assert status.split()[1] == b"400"


# Faults -------------------------------------------------------------------------------------------------------------


def test_faults_are_as_bad_as_they_say(bank):
    with pytest.raises(json.JSONDecodeError):
        _ = bank.get("/faults/not-json").json
    assert len(bank.get("/faults/big").body) > 10_000_000
    redirect = bank.get("/faults/redirect")
    assert (redirect.status, redirect.headers["location"]) == (302, "/customers/C1001/balance")
    refused(500, bank.get("/faults/500"))


async def test_a_slow_answer_keeps_nobody_else_waiting(bank):
    reader, writer = await asyncio.open_connection("127.0.0.1", bank.port)
    writer.write(f"GET /faults/slow HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
    await writer.drain()
    slow = asyncio.create_task(reader.read(1))
    assert (await asyncio.to_thread(bank.get, "/customers/C1001/card")).status == 200
    assert not slow.done()
    slow.cancel()
    writer.close()


def test_requests_are_told_without_their_bodies():
    process = subprocess.Popen(
        [sys.executable, SCRIPT, "--port", "0", "--log"], env=environment(), text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        bank = Running(int(process.stdout.readline().rpartition(":")[2]))
        assert bank.get("/branches?near=xidan").status == 200
        assert bank.post("/cards/block", {"last_four": "9999"}).status == 404
    finally:
        process.terminate()
        told, _ = process.communicate(timeout=60)
    assert told.splitlines() == ["GET /branches?near=xidan HTTP/1.1 200", "POST /cards/block HTTP/1.1 404"]


def test_without_the_option_there_are_no_faults(fresh):
    for name in ("slow", "not-json", "big", "redirect", "500"):
        refused(404, fresh.get(f"/faults/{name}"))


# Opening ------------------------------------------------------------------------------------------------------------


def started(*arguments: str, token: str = TOKEN, secret: str = SECRET) -> tuple[int, str]:
    """How a bank ends that cannot open."""
    done = subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        env=environment(token, secret),
        text=True,
        capture_output=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_without_a_token_it_opens_on_loopback_and_says_how_to_set_one():
    with running(token="") as bank:
        assert bank.ask("GET", "/customers/C1001/card", Authorization="").status == 200
    code, says = started("--host", "0.0.0.0", token="")
    assert code == 1
    assert "export BANK_TOKEN=" in says


@pytest.mark.parametrize("secret", ["whsec_", "whsec_short", "not base64!", "whsec_" + "A" * 400])
def test_a_secret_that_is_none_is_told_with_its_mend(secret):
    code, says = started(secret=secret)
    assert code == 1
    assert "openssl rand" in says


def test_a_state_that_is_no_database_is_left_alone(tmp_path):
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear bank, " * 100)
    for state in (letter, tmp_path, tmp_path / "missing" / "bank.db"):
        code, says = started("--state", str(state))
        assert code == 1
        assert f"--state {state}" in says
    assert letter.read_text() == "Dear bank, " * 100


def test_a_port_that_is_taken_is_told_with_its_mend(bank):
    code, says = started("--port", str(bank.port))
    assert code == 1
    assert "--port" in says


@pytest.mark.parametrize("option", ["--port=70000", "--port=x", "--host=nowhere", "--date=yesterday", "--tokne=x"])
def test_an_option_that_makes_no_sense_is_refused(option):
    code, says = started(option)
    assert code == 2
    assert option.split("=")[0] in says
