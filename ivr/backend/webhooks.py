"""Signed notifications after Standard Webhooks (https://www.standardwebhooks.com): secrets, headers and the payload.

Pure. Knows nothing of how they are sent or of what they tell.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime

import msgspec
from standardwebhooks.webhooks import Webhook

SECRET_BYTES = range(24, 65)
"""How long a secret may be; the bounds are the specification's."""

_PREFIX = "whsec_"


def secret_fault(secret: str) -> str:
    """What is wrong with a secret, empty when notifications can be signed with it. Shows nothing of it."""
    if not secret.startswith(_PREFIX):
        return f"a webhook secret begins with {_PREFIX}"
    try:
        size = len(base64.b64decode(secret.removeprefix(_PREFIX), validate=True))
    except binascii.Error:
        return f"after {_PREFIX} a webhook secret is base64"
    if size not in SECRET_BYTES:
        return f"a webhook secret holds {SECRET_BYTES[0]} to {SECRET_BYTES[-1]} bytes, not {size}"
    return ""


def payload(event: str, data: Mapping[str, object], happened_at: datetime) -> bytes:
    """The JSON that is sent: `type`, `timestamp` (ISO 8601), `data`. Raises TypeError or ValueError for other data."""
    return msgspec.json.encode({"type": event, "timestamp": happened_at, "data": dict(data)})


def headers(secret: str, message_id: str, sent_at: datetime, body: bytes) -> dict[str, str]:
    """The three headers of one try; the id stays over tries, `sent_at` (UTC) is each try's own.

    Without a `secret` there is no signature.
    """
    named = {"webhook-id": message_id, "webhook-timestamp": str(int(sent_at.timestamp()))}
    if secret:
        named["webhook-signature"] = Webhook(secret).sign(message_id, sent_at, body.decode())
    return named
