"""Runs the application on a socket, with bounds on connections and one form for every error.

aiohttp answers what it cannot parse, and an unknown `Expect`, before any middleware runs; here these too become
`problem+json`. Runs on the asyncio thread.
"""

from __future__ import annotations

import ipaddress

import structlog
from aiohttp import web

from ivr.errors import Unavailable
from ivr.web.problem import Refusal, of_http, response

CONNECTIONS = 256
_SHUTDOWN_S = 2.0

log = structlog.get_logger(__name__)


class _Protocol(web.RequestHandler):
    """One connection; what cannot be parsed is a 400 in our form."""

    __slots__ = ()

    def handle_error(self, request, status=500, exc=None, _message=None):
        log.info("http request cannot be read", status=status, error=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("the response had begun")
        detail = "not a request that can be read" if status < 500 else "an error of the server; its log says which"
        answer = response(Refusal(status, detail))
        answer.force_close()
        return answer


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)

    def connection_made(self, handler, transport) -> None:
        super().connection_made(handler, transport)
        if len(self.connections) > CONNECTIONS:
            transport.abort()


class _Runner(web.AppRunner):
    async def _make_server(self) -> web.Server:
        inner = await super()._make_server()

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            try:
                return await inner.request_handler(request)
            except web.HTTPException as error:
                return response(of_http(error))

        return _Server(handle, request_factory=inner.request_factory, loop=inner._loop, **inner._kwargs)


async def start(app: web.Application, host: str, port: int) -> web.AppRunner:
    """Listen; `await runner.cleanup()` ends it. Raises Unavailable when the address cannot be had."""
    runner = _Runner(app, access_log=None, handle_signals=False, shutdown_timeout=_SHUTDOWN_S, keepalive_timeout=30)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        raise Unavailable(f"HTTP cannot listen on {host} port {port}: {error.strerror or error}") from None
    if not _is_loopback(host):
        log.warning("http listens beyond loopback, in clear text: put TLS in front", host=host, port=port)
    log.info("http listens", host=host, port=port)
    return runner


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
