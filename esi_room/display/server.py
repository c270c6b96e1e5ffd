"""`esi-room display`: the server of the pages.

Rules:
- Every answer carries the headers below: nothing from elsewhere is loaded, no script or style stands in a page, and
  nothing with data in it is kept by a browser.
- A page asks `config.json` who it is for, and where the broker is. Its MQTT client id is `client` from there, a `-`
  and something of its own; MQTT.js needs `timerVariant: "native"` (its other timers are a worker made of a blob).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from aiohttp import web

from esi_room.display import records, site
from esi_room.display.proxy import proxy
from esi_room.display.settings import DisplaySettings

CSP = (
    "default-src 'self'; connect-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
STATIC_CACHE = "no-cache"  # asked for again each time, answered with 304: a new version shows at the next reload
DATA_CACHE = "no-store"

HEADER_S = 15.0  # a connection without a whole request for so long is closed
REQUEST_BYTES = 64 << 10

log = structlog.get_logger()
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(settings: DisplaySettings) -> web.Application:
    """All routes."""
    app = web.Application(client_max_size=REQUEST_BYTES)
    app.on_response_prepare.append(_dress)
    for path, name in site.PAGES.items():
        app.router.add_get(path, _file(site.STATIC / name))
    app.router.add_get("/config.json", _configuration(settings))
    app.router.add_get("/schemas/{name}", _schema(site.schemas()))
    app.router.add_get("/mqtt", _mqtt(settings))
    pages_of_records = records.Records(settings.data)
    app.router.add_routes(pages_of_records.routes())
    app.cleanup_ctx.append(pages_of_records.context)
    app.router.add_get("/favicon.ico", _nothing)
    app.router.add_static("/static", site.STATIC)
    return app


@asynccontextmanager
async def serving(settings: DisplaySettings) -> AsyncIterator[str]:
    """The server for the time of the `with`; the address of the wall display."""
    runner = web.AppRunner(application(settings), access_log=None, keepalive_timeout=HEADER_S, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
        url = f"http://{settings.host}:{settings.port}/"
        log.info("display_listens", url=url)
        yield url
    finally:
        await runner.cleanup()


async def run(settings: DisplaySettings, stop: asyncio.Event) -> None:
    """Until `stop` is set."""
    async with serving(settings):
        await stop.wait()


async def _dress(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    fixed = request.path.startswith(("/static/", "/schemas/"))
    response.headers.setdefault("Cache-Control", STATIC_CACHE if fixed else DATA_CACHE)


def _file(path: Path) -> Handler:
    async def handle(_: web.Request) -> web.StreamResponse:
        return web.FileResponse(path)

    return handle


async def _nothing(_: web.Request) -> web.StreamResponse:
    return web.Response(status=204)


def _mqtt(settings: DisplaySettings) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await proxy(request, settings.broker)

    return handle


def _configuration(settings: DisplaySettings) -> Handler:
    async def handle(_: web.Request) -> web.StreamResponse:
        content = {
            "room": settings.room,
            "timezone": settings.timezone,
            "mqtt": "/mqtt",
            "client": f"console-{secrets.token_hex(4)}",
            "user": None,
            "role": "open",
            "may": {"console": True, "records": True, "identity": True},
            "csrf": "",
            "pages": {"wall": "/", "console": "/console", "records": "/records", "login": None, "logout": None},
        }
        return web.json_response(content)

    return handle


def _schema(texts: dict[str, str]) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        text = texts.get(request.match_info["name"])
        if text is None:
            raise web.HTTPNotFound
        return web.Response(text=text, content_type="application/json")

    return handle
