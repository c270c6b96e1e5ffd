"""`/records` and everything below it: the auditor's pages. The server lets in whom they are for, and nobody else.

    /records                      the list
    /records/<id>                 the page of a record: the same as `esi-room export --format html` makes
    /records/<id>/style.css, script.js, frame?sha256=…&frame=…

    summary   a record in a line      shelf    what is known of the records, and kept       listing   the list as a page
    worker    what takes long, in a process of its own: verifying, making a page            work      that process

Rules:
- Who the patient is is on a page only for those who may see it; else its pictures are as in an export without identity.
- Opening a record is recorded.
- Who goes away stops what is made for them alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web

from esi_room.audit.export import page as record_page
from esi_room.display.records import listing
from esi_room.display.records.shelf import Page, Shelf
from esi_room.display.records.work import CannotShow
from esi_room.record.entry import RECORD_ID

THREAD_BYTES = 64 << 10  # a larger page is compressed in a thread: eight hours have 2 MiB
GONE_S = 0.5  # how often it is looked whether somebody still waits
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NUMBER = re.compile(r"[1-9][0-9]{0,5}")

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def _nobody(_: web.Request, __: str) -> None:
    """In the place of who records that a record was opened."""


class Records:
    """The pages of the records under `data`. `may_identity`: of a request; `opened`: is told what was opened."""

    def __init__(
        self,
        data: Path,
        *,
        may_identity: Callable[[web.Request], bool] = lambda _: False,
        opened: Callable[[web.Request, str], Awaitable[None]] = _nobody,
    ) -> None:
        self._shelf, self._may_identity, self._opened = Shelf(data), may_identity, opened

    def routes(self) -> list[web.RouteDef]:
        """All of them."""
        return [
            web.get("/records", self._list),
            web.get("/records/{record}", self._page),
            web.get("/records/{record}/style.css", self._style),
            web.get("/records/{record}/script.js", _script),
            web.get("/records/{record}/frame", self._frame),
        ]

    async def context(self, _: web.Application) -> AsyncIterator[None]:
        """For the time of the server."""
        yield
        await self._shelf.close()

    async def _list(self, request: web.Request) -> web.StreamResponse:
        html = listing.page(await self._shelf.rows(), _search(request))
        return web.Response(text=html, content_type="text/html")

    async def _page(self, request: web.Request) -> web.StreamResponse:
        record = await self._record(request)
        try:
            page = await self._made(request, record)
        except CannotShow as why:
            return web.Response(status=500, text=listing.refusal(str(why)), content_type="text/html")
        await self._opened(request, record)
        response = web.Response(
            body=page.html, content_type="text/html", charset="utf-8", zlib_executor_size=THREAD_BYTES
        )
        response.enable_compression()
        return response

    async def _style(self, request: web.Request) -> web.StreamResponse:
        record = await self._record(request)
        try:
            page = await self._made(request, record)
        except CannotShow as why:
            raise web.HTTPNotFound(text=str(why)) from why
        return web.Response(text=page.css, content_type="text/css")

    async def _frame(self, request: web.Request) -> web.StreamResponse:
        record, query = await self._record(request), request.query
        sha256, frame, thumb = query.get("sha256", ""), query.get("frame"), "small" in query
        if not _DIGEST.fullmatch(sha256) or (frame is not None and not _NUMBER.fullmatch(frame)):
            raise web.HTTPBadRequest(text="sha256 is of an image of this record; frame counts from 1")
        number, identity = None if frame is None else int(frame), self._may_identity(request)
        making = self._shelf.frame(record, sha256, number, identity=identity, thumb=thumb)
        try:
            jpeg = await _while_asked(request, making)
        except CannotShow as why:
            raise web.HTTPNotFound(text=str(why)) from why
        return web.Response(body=jpeg, content_type="image/jpeg")

    async def _made(self, request: web.Request, record: str) -> Page:
        return await _while_asked(request, self._shelf.page(record, identity=self._may_identity(request)))

    async def _record(self, request: web.Request) -> str:
        record = request.match_info["record"]
        why: str | None = "There is no record of this name."
        if RECORD_ID.fullmatch(record) is not None:
            why = await asyncio.to_thread(self._shelf.lacks, record)
        if why is not None:
            raise web.HTTPNotFound(text=listing.refusal(why), content_type="text/html")
        return record


async def _script(_: web.Request) -> web.StreamResponse:
    return web.Response(text=record_page.script(), content_type="text/javascript")


async def _while_asked(request: web.Request, work: Coroutine[Any, Any, T]) -> T:
    """Its result; it is stopped when whoever asked has gone."""
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            await asyncio.wait([task], timeout=GONE_S)
            if request.transport is None or request.transport.is_closing():
                raise web.HTTPServiceUnavailable(text="nobody waits for it any more")
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def _search(request: web.Request) -> listing.Search:
    query = request.query
    return listing.Search(
        first=_day(query.get("from", "")),
        last=_day(query.get("to", "")),
        words=query.get("q", "").strip()[:100],
        standby="standby" in query,
        before=query.get("before", ""),
    )


def _day(said: str) -> date | None:
    try:
        return date.fromisoformat(said)
    except ValueError:
        return None
