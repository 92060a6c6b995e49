"""What children of the server are kept from knowing."""

from __future__ import annotations

from ivr.config import Backend, Config, Trunk
from ivr.telephony.settings import secret_names


def test_the_name_of_every_secret_is_known():
    config = Config(
        trunk=(Trunk(name="provider", host="h", password_env="P"), Trunk(name="pbx", host="h")),
        backend=(
            Backend(name="core", url="https://a", token_env="T", webhook_secret_env="W"),
            Backend(name="crm", url="https://b"),
        ),
    )
    assert secret_names(config) == {"IVR_TOKEN", "P", "T", "W"}
