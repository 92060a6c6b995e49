"""Who may ask, and how much may be sent: the bearer token (RFC 6750) and the limit on bodies.

Knows nothing of what the routes do. The token is compared in constant time and never logged.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac

from aiohttp import web

from ivr.web.problem import Refusal

BODY_LIMIT_BYTES = 65_536
BODY = web.RequestKey("body", bytes)
"""Where a request keeps what was sent with it."""
_BODY_WITHIN_S = 10


class Guard:
    """Two middlewares. `token` empty: every protected route answers 401 and says how to set one.

    `open_paths` need no token; nor do paths that do not exist, which answer 404.
    """

    def __init__(self, token: str, token_env: str, open_paths: frozenset[str]) -> None:
        self._digest = hashlib.sha256(token.encode()).digest() if token else None
        self._token_env = token_env
        self._open_paths = open_paths

    @web.middleware
    async def token(self, request: web.Request, handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        if resource is not None and resource.canonical not in self._open_paths:
            self._check(request.headers.getall("Authorization", []))
        return await handler(request)

    def _check(self, given: list[str]) -> None:
        challenge = {"WWW-Authenticate": 'Bearer realm="ivr"'}
        if self._digest is None:
            name = self._token_env or "a variable, and name it in http.token_env"
            raise Refusal(
                401,
                f"no token is set, so nobody is let in: set the environment variable {name} to a long random value "
                "(`openssl rand -hex 32` makes one), start the server again, and send it as "
                "`Authorization: Bearer <token>`",
                headers=challenge,
            )
        scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        digest = hashlib.sha256(token.strip().encode("utf-8", "surrogateescape")).digest()
        if not hmac.compare_digest(digest, self._digest) or scheme.lower() != "bearer":
            raise Refusal(
                401,
                f"send the token as `Authorization: Bearer <token>`; it is the value of the environment variable "
                f"{self._token_env} of the server",
                headers=challenge if not given else {"WWW-Authenticate": 'Bearer realm="ivr", error="invalid_token"'},
            )


@web.middleware
async def body_limit(request: web.Request, handler) -> web.StreamResponse:
    """A small body is read into `request[BODY]`, where few routes look; a large or slow one ends the connection."""
    request[BODY] = b""
    if request.body_exists:
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
