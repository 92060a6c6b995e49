"""The routes of the knowledge base: search it, and keep its entries.

Runs on the asyncio thread. A change is searched by the time its answer goes out. Knows nothing of SQL or vectors.
"""

from __future__ import annotations

import re
from typing import Protocol, TypeVar

import msgspec
from aiohttp import web
from multidict import MultiMapping

from ivr.errors import Unavailable
from ivr.kb.entry import ID, LANGUAGES, KbEntry, KbFound, KbQuery, faults, tidy
from ivr.store.kb import KbEntries, KbSaved
from ivr.store.store import Store
from ivr.web import query
from ivr.web.guard import BODY
from ivr.web.problem import Refusal

T = TypeVar("T")
_FIELD = re.compile(r"(?P<says>.*?)(?: - at `\$\.?(?P<field>.*?)`)?", re.DOTALL)


class Searching(Protocol):
    """Who searches."""

    async def search(self, query: KbQuery) -> KbFound: ...

    async def refresh(self) -> None: ...


class KbRollback(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which version of an entry to put back."""

    version: int


class KbApi:
    """Handlers; `routes` says where they belong. `searching` None: there is no index, so every route answers 503."""

    def __init__(self, store: Store, searching: Searching | None) -> None:
        self._entries = KbEntries(store)
        self._given = searching

    def routes(self) -> tuple[web.RouteDef, ...]:
        """Of all the handlers."""
        one = "/v1/kb/entries/{id}"
        return (
            web.post("/v1/kb/search", self.search),
            web.get("/v1/kb/entries", self.entries),
            web.post("/v1/kb/entries", self.create),
            web.get(one, self.entry),
            web.put(one, self.replace),
            web.delete(one, self.remove),
            web.get(f"{one}/versions", self.versions),
            web.post(f"{one}/rollback", self.rollback),
        )

    @property
    def _searching(self) -> Searching:
        if self._given is None:
            raise Unavailable("the knowledge base is not open")
        return self._given

    async def search(self, request: web.Request) -> web.Response:
        asked = body_of(request, KbQuery)
        if not asked.text.strip():
            raise Refusal(400, "empty", field="text")
        return json_of(await self._searching.search(asked))

    async def entries(self, request: web.Request) -> web.Response:
        after, limit, language = _page_query(request.query)
        return json_of(await self._entries.page(after, limit, language))

    async def create(self, request: web.Request) -> web.Response:
        entry = _checked(body_of(request, KbEntry))
        if await self._entries.entry(entry.id) is not None:
            raise Refusal(409, f"there is an entry `{entry.id}`; PUT /v1/kb/entries/{entry.id} changes it", field="id")
        return await self._save(msgspec.structs.replace(entry, version=0), created=True)

    async def entry(self, request: web.Request) -> web.Response:
        return json_of(_found(await self._entries.entry(_id(request))))

    async def replace(self, request: web.Request) -> web.Response:
        name, given = _id(request), body_of(request, KbEntry)
        if given.id and given.id != name:
            raise Refusal(400, "another id than the path has; leave it out", field="id")
        return await self._save(_checked(msgspec.structs.replace(given, id=name)))

    async def remove(self, request: web.Request) -> web.Response:
        saved = await self._entries.remove(_id(request))
        return await self._done(saved)

    async def versions(self, request: web.Request) -> web.Response:
        return json_of(_found(await self._entries.versions(_id(request))))

    async def rollback(self, request: web.Request) -> web.Response:
        asked = body_of(request, KbRollback)
        saved = await self._entries.rollback(_id(request), asked.version)
        if saved.what == "missing":
            raise Refusal(404, "the entry never had this version; GET its /versions", field="version")
        return await self._done(saved)

    async def _save(self, entry: KbEntry, created: bool = False) -> web.Response:
        return await self._done((await self._entries.save([entry]))[0], 201 if created else 200)

    async def _done(self, saved: KbSaved, status: int = 200) -> web.Response:
        """What was written, once searches see it."""
        if saved.what == "missing":
            raise Refusal(404, "no entry has this id")
        if saved.what == "conflict":
            says = f"the newest version is {saved.version}" if saved.version else "there is no such entry any more"
            raise Refusal(409, f"{says}; look at it and change that one", field="version")
        await self._searching.refresh()
        return json_of(saved, status)


def json_of(body: object, status: int = 200) -> web.Response:
    """A response with a record as JSON."""
    return web.Response(body=msgspec.json.encode(body), content_type="application/json", status=status)


def body_of(request: web.Request, kind: type[T]) -> T:
    """The body of a request as `kind`. Raises Refusal."""
    try:
        return msgspec.json.decode(request[BODY], type=kind)
    except msgspec.ValidationError as error:
        found = _FIELD.fullmatch(str(error))
        raise Refusal(400, found["says"], field=(found["field"] or "")[:128]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, f"the body is not JSON: {error}") from None


def _checked(entry: KbEntry) -> KbEntry:
    entry = tidy(entry)
    if wrong := faults(entry):
        raise Refusal(400, "; ".join(f"{field}: {says}" for field, says in wrong[:10]), field=wrong[0][0])
    return entry


def _found(found: T | None) -> T:
    if found is None:
        raise Refusal(404, "no entry has this id")
    return found


def _id(request: web.Request) -> str:
    name = request.match_info["id"]
    if not ID.fullmatch(name):
        raise Refusal(404, "no entry has this id")
    return name


def _page_query(given: MultiMapping[str]) -> tuple[str, int, str | None]:
    """(cursor, limit, language). Raises Refusal."""
    query.known(given, ("cursor", "limit", "language"))
    cursor, language = given.get("cursor", ""), given.get("language")
    if "cursor" in given and not ID.fullmatch(cursor):
        raise Refusal(400, "not a cursor that a page gave out", field="cursor")
    if language is not None and language not in LANGUAGES:
        raise Refusal(400, f"one of {', '.join(LANGUAGES)}", field="language")
    return cursor, query.limit_of(given), language
