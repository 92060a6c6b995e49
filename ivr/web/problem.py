"""Errors over HTTP, all in one form: `application/problem+json` (RFC 9457).

Knows nothing of routes. `Refusal` is raised by handlers, `middleware` turns it, aiohttp's own errors and everything
unforeseen into that form.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
import structlog
from aiohttp import web

from ivr import metrics
from ivr.errors import Rejected, Unavailable

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_S = 5

log = structlog.get_logger(__name__)


class FieldError(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with one parameter."""

    field: str
    detail: str


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 9457: `title` is the status in words, `detail` what happened here and what to do about it."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    errors: tuple[FieldError, ...] = ()


class Refusal(Exception):
    """A request that is answered with a problem. `field` names the parameter that is wrong."""

    def __init__(self, status: int, detail: str, field: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = (FieldError(field=field, detail=detail),) if field else ()
        self.headers = dict(headers or {})


def response(refusal: Refusal) -> web.Response:
    problem = Problem(
        title=HTTPStatus(refusal.status).phrase, status=refusal.status, detail=refusal.detail, errors=refusal.errors
    )
    return web.Response(
        status=refusal.status,
        body=msgspec.json.encode(problem),
        content_type=CONTENT_TYPE,
        headers={"Cache-Control": "no-store", "Server": "ivr", **refusal.headers},
    )


def of_http(error: web.HTTPException) -> Refusal:
    """aiohttp's own errors in our form."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = sorted(error.allowed_methods)
        return Refusal(405, f"allowed here: {', '.join(allowed)}", headers={"Allow": ", ".join(allowed)})
    if error.status == 404:
        return Refusal(404, "no such page; GET /openapi.json lists them all")
    if error.status == 417:
        return Refusal(417, "only `Expect: 100-continue` can be met")
    return Refusal(error.status, error.reason)


@web.middleware
async def middleware(request: web.Request, handler) -> web.StreamResponse:
    """The outermost middleware: nothing but problems leaves as an error; counts the requests."""
    route = request.match_info.route.resource.canonical if request.match_info.route.resource else "unknown"
    try:
        answer = await handler(request)
    except Refusal as refusal:
        answer = response(refusal)
    except Rejected as error:
        answer = response(Refusal(400, str(error)))
    except Unavailable as error:
        answer = response(Refusal(503, str(error), headers={"Retry-After": str(RETRY_AFTER_S)}))
    except web.HTTPException as error:
        answer = error if error.status < 400 else response(of_http(error))
    except Exception:  # the edge of HTTP: said once, never shown to the client
        log.exception("http request failed", method=request.method, route=route)
        answer = response(Refusal(500, "an error of the server; its log says which"))
    metrics.http_request(route, answer.status)
    return answer
