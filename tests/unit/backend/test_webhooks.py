"""Signed notifications, checked by the library that receivers use."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from ivr.backend import webhooks

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
BEGAN = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)


def test_a_receiver_can_verify_it_and_nobody_else_made_it():
    now = datetime.now(UTC)
    body = webhooks.payload("card.blocked", {"reason": "丢了"}, BEGAN)
    headers = webhooks.headers(SECRET, "msg_1", now, body)
    told = Webhook(SECRET).verify(body, headers)
    assert told == {"type": "card.blocked", "timestamp": "2026-01-31T09:30:00Z", "data": {"reason": "丢了"}}
    other = "whsec_" + base64.b64encode(bytes(32)).decode()
    for secret, changed in ((other, headers), (SECRET, headers | {"webhook-id": "msg_2"})):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, changed)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body + b" ", headers)


def test_each_try_is_signed_anew_for_its_own_moment():
    body = webhooks.payload("x", {}, BEGAN)
    first, second = (webhooks.headers(SECRET, "msg_1", BEGAN + timedelta(seconds=s), body) for s in (0, 5))
    assert first["webhook-id"] == second["webhook-id"]
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 5
    assert first["webhook-signature"] != second["webhook-signature"]


def test_without_a_secret_there_is_no_signature():
    assert webhooks.headers("", "msg_1", BEGAN, b"{}") == {"webhook-id": "msg_1", "webhook-timestamp": "1769851800"}


def test_a_good_secret_has_no_fault():
    assert webhooks.secret_fault(SECRET) == ""


@pytest.mark.parametrize(
    ("secret", "told"),
    [
        ("hush", "begins with whsec_"),
        ("whsec_not base64!", "is base64"),
        ("whsec_", "24 to 64 bytes, not 0"),
        ("whsec_" + base64.b64encode(bytes(23)).decode(), "24 to 64 bytes, not 23"),
        ("whsec_" + base64.b64encode(bytes(65)).decode(), "24 to 64 bytes, not 65"),
    ],
)
def test_a_wrong_secret_is_told_and_not_shown(secret, told):
    fault = webhooks.secret_fault(secret)
    assert told in fault
    assert secret.removeprefix("whsec_")[:8] not in fault or secret == "whsec_"
