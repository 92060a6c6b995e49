"""Keys of outbound clients: what their scopes allow, and how often."""

from __future__ import annotations

import pytest

from ivr.config_outbound import ApiKey
from ivr.web.guard import Client
from ivr.web.problem import Refusal


def test_a_bucket_of_ten_seconds_is_spent_and_fills_again():
    now = 0.0
    client = Client("bank", ApiKey(name="bank", key_env="K", requests_per_second=2.0), lambda: now)
    for _ in range(20):
        client.check("jobs:read")
    with pytest.raises(Refusal) as caught:
        client.check("jobs:read")
    assert (caught.value.status, caught.value.headers) == (429, {"Retry-After": "1"})
    now = 0.5
    client.check("jobs:read")
    with pytest.raises(Refusal):
        client.check("jobs:read")
    now = 1_000.0
    for _ in range(20):
        client.check("jobs:read")
    with pytest.raises(Refusal):
        client.check("jobs:read")


def test_a_scope_that_a_key_has_not_is_named_and_costs_nothing():
    client = Client(
        "bank", ApiKey(name="bank", key_env="K", scopes=("jobs:read",), requests_per_second=0.1), lambda: 0.0
    )
    for _ in range(3):
        with pytest.raises(Refusal, match="has not the scope jobs:operate") as caught:
            client.check("jobs:operate")
        assert caught.value.status == 403
    client.check("jobs:read")


def test_the_holder_of_the_token_is_never_asked():
    client = Client("admin")
    for _ in range(1_000):
        client.check("jobs:operate")
    assert (client.unlimited, client.sees_all) == (True, True)
