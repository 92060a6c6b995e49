"""Who may ask, and how much may be sent: the bearer token (RFC 6750) and the limit on bodies.

Knows nothing of what the routes do. The token is compared in constant time and never logged.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import math
from collections.abc import Callable, Sequence
from time import monotonic

from aiohttp import web

from ivr.config_outbound import ApiKey
from ivr.web.problem import Refusal

BODY_LIMIT_BYTES = 65_536
BODY = web.RequestKey("body", bytes)
"""Where a request keeps what was sent with it."""
LARGE_BODIES = frozenset({"/v1/jobs/bulk", "/v1/verifications/bulk"})
"""Paths whose handlers read the body themselves, a line at a time."""
_BODY_WITHIN_S = 10
_BURST_S = 10


class Client:
    """Who asks: the holder of the server's token, who may do everything, or of a key of `[[outbound.key]]`."""

    def __init__(self, name: str, key: ApiKey | None = None, clock: Callable[[], float] = monotonic) -> None:
        self.name = name
        self._key = key
        self._clock = clock
        self._left = key.requests_per_second * _BURST_S if key else 0.0
        self._at = clock()

    @property
    def unlimited(self) -> bool:
        """Whether it holds the server's token."""
        return self._key is None

    @property
    def sees_all(self) -> bool:
        """Whether jobs of other clients are shown."""
        return self._key is None or "jobs:operate" in self._key.scopes

    def check(self, scope: str) -> None:
        """Raises Refusal: no such scope, or too many requests. A token bucket of ten seconds' worth."""
        if self._key is None:
            return
        if scope not in self._key.scopes:
            raise Refusal(403, f"the key `{self.name}` has not the scope {scope}")
        rate, now = self._key.requests_per_second, self._clock()
        self._left = min(rate * _BURST_S, self._left + (now - self._at) * rate)
        self._at = now
        if self._left < 1:
            wait_s = math.ceil((1 - self._left) / rate)
            says = f"more than {rate:g} requests a second over {_BURST_S} s"
            raise Refusal(429, says, headers={"Retry-After": str(wait_s)})
        self._left -= 1


CLIENT = web.RequestKey("client", Client)
"""Where a request keeps who asks."""


class Guard:
    """Two middlewares. `token` empty: every protected route answers 401 and says how to set one.

    `open_paths` need no token; nor do paths that do not exist, which answer 404. `keys` are those of outbound clients
    with their values; they open only the paths below `key_paths`.
    """

    def __init__(self, token: str, token_env: str, open_paths: frozenset[str],
                 keys: Sequence[tuple[ApiKey, str]] = (), key_paths: tuple[str, ...] = ()) -> None:  # fmt: skip
        self._token_env = token_env
        self._open_paths = open_paths
        self._key_paths = key_paths
        self._clients = [(_digest(value), Client(key.name, key)) for key, value in keys if value]
        if token:
            self._clients.append((_digest(token), Client("admin")))

    @web.middleware
    async def token(self, request: web.Request, handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        if resource is not None and resource.canonical not in self._open_paths:
            client = self._check(request.headers.getall("Authorization", []))
            if not client.unlimited and not resource.canonical.startswith(self._key_paths):
                raise Refusal(403, f"the key `{client.name}` opens outbound calls only")
            request[CLIENT] = client
        return await handler(request)

    def _check(self, given: list[str]) -> Client:
        challenge = {"WWW-Authenticate": 'Bearer realm="ivr"'}
        if not self._clients:
            name = self._token_env or "a variable, and name it in http.token_env"
            raise Refusal(
                401,
                f"no token is set, so nobody is let in: set the environment variable {name} to a long random value "
                "(`openssl rand -hex 32` makes one), start the server again, and send it as "
                "`Authorization: Bearer <token>`",
                headers=challenge,
            )
        scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        digest = _digest(token.strip())
        found = [client for known, client in self._clients if hmac.compare_digest(digest, known)]
        if not found or scheme.lower() != "bearer":
            raise Refusal(
                401,
                f"send the token as `Authorization: Bearer <token>`; it is the value of the environment variable "
                f"{self._token_env} of the server",
                headers=challenge if not given else {"WWW-Authenticate": 'Bearer realm="ivr", error="invalid_token"'},
            )
        return found[-1]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


@web.middleware
async def body_limit(request: web.Request, handler) -> web.StreamResponse:
    """A small body is read into `request[BODY]`, where few routes look; a large or slow one ends the connection."""
    request[BODY] = b""
    resource = request.match_info.route.resource
    if request.body_exists and not (resource is not None and resource.canonical in LARGE_BODIES):
        too_large = Refusal(413, f"at most {BODY_LIMIT_BYTES} bytes", headers={"Connection": "close"})
        if (request.content_length or 0) > BODY_LIMIT_BYTES:
            raise too_large
        try:
            async with asyncio.timeout(_BODY_WITHIN_S):
                body = bytearray()
                async for chunk in request.content.iter_any():
                    body += chunk
                    if len(body) > BODY_LIMIT_BYTES:
                        raise too_large
                request[BODY] = bytes(body)
        except TimeoutError:
            raise Refusal(408, "the body came too slowly", headers={"Connection": "close"}) from None
    return await handler(request)
