"""`esi-room display`: the server of the pages.

Rules:
- Every answer carries the headers below: nothing from elsewhere is loaded, no script or style stands in a page, and
  nothing with data in it is kept by a browser.
- Closed beyond this machine unless TLS and users say otherwise (`settings`); who may what is for `guard` to say.
- It lives longer than daemon and broker: the pages show that these are away, and come back with them.
- A page asks `config.json` who it is for, and where the broker is. Its MQTT client id is `client` from there, a `-`
  and something of its own; MQTT.js needs `timerVariant: "native"` (its other timers are a worker made of a blob).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from esi_room.clock import Clock, SystemClock
from esi_room.display import records, site
from esi_room.display.audit import Audit
from esi_room.display.gate import Gate, listening
from esi_room.display.guard import SESSION, Guard, address
from esi_room.display.login import Login
from esi_room.display.mqtt.proxy import Proxy
from esi_room.display.mqtt.upstream import Upstream
from esi_room.display.sessions import Sessions
from esi_room.display.settings import DisplaySettings, server_tls
from esi_room.display.throttle import Throttle
from esi_room.display.users import Users, read
from esi_room.errors import ConfigurationError

CSP = (
    "default-src 'self'; connect-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer a browser says `Origin: null` of our own forms
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "esi-room",
}
HSTS = "max-age=31536000"
STATIC_CACHE = "no-cache"  # asked for again each time, answered with 304: a new version shows at the next reload
DATA_CACHE = "no-store"

IDLE_S = 15.0  # a connection without a whole request for so long is closed (slow headers, too)
REQUEST_BYTES = 64 << 10
HEADER_BYTES = 8190  # one line of it; all together may be sixteen
END_S = 2.0

log = structlog.get_logger()


def application(settings: DisplaySettings, clock: Clock | None = None) -> web.Application:
    """All routes."""
    clock, tls = clock or SystemClock(), settings.tls is not None
    users = None if settings.users is None else Users(settings.users)
    sessions = Sessions(users, clock, session_s=settings.session_s, idle_s=settings.idle_s)
    audit = Audit(settings.data, clock)
    guard = Guard(sessions, audit, settings.host, tls=tls)
    proxy = Proxy(Upstream(settings.broker, settings.logins), sessions)
    app = web.Application(client_max_size=REQUEST_BYTES, middlewares=[_guarded(guard)])
    app.on_response_prepare.append(_dressed(tls=tls))
    for path, name in site.PAGES.items():
        app.router.add_get(path, _file(site.STATIC / name))
    app.router.add_get("/config.json", _configuration(settings))
    app.router.add_get("/schemas/{name}", _schema(site.schemas()))
    app.router.add_get("/favicon.ico", _nothing)
    app.router.add_get("/mqtt", _mqtt(proxy))
    app.router.add_routes(Login(guard, users, Throttle(clock), audit, tls=tls).routes())
    pages_of_records = records.Records(settings.data, may_identity=_may_identity, opened=_opened(audit))
    app.router.add_routes(pages_of_records.routes())
    app.router.add_static("/static", site.STATIC)
    app.cleanup_ctx.append(_watching(proxy))
    app.cleanup_ctx.append(pages_of_records.context)
    app.on_shutdown.append(lambda _: proxy.close())
    return app


@asynccontextmanager
async def serving(settings: DisplaySettings, clock: Clock | None = None) -> AsyncIterator[str]:
    """The server for the time of the `with`; the address of the wall display. ConfigurationError: it may not be."""
    settings.check()
    if settings.users is not None:
        read(settings.users)
    context = server_tls(settings.tls)
    runner = web.AppRunner(
        application(settings, clock), access_log=None, keepalive_timeout=IDLE_S, shutdown_timeout=END_S,
        max_line_size=HEADER_BYTES, max_field_size=HEADER_BYTES,
    )  # fmt: skip
    await runner.setup()
    try:
        async with _listening(settings, runner, clock, context):
            host = f"[{settings.host}]" if ":" in settings.host else settings.host
            url = f"{'http' if context is None else 'https'}://{host}:{settings.port}/"
            log.info("display_listens", url=url)
            if settings.users is None:
                log.warning("display_open", hint="nobody logs in: whoever uses this machine may see and say everything")
            yield url
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _listening(
    settings: DisplaySettings, runner: web.AppRunner, clock: Clock | None, context: ssl.SSLContext | None
) -> AsyncIterator[None]:
    if runner.server is None:
        raise RuntimeError("the runner is not set up")
    async with AsyncExitStack() as open_:
        try:
            gate = Gate(runner.server, clock or SystemClock())
            await open_.enter_async_context(listening(gate, settings.host, settings.port, context))
        except OSError as error:
            where = f"{settings.host}:{settings.port}"
            raise ConfigurationError(
                [f"the pages cannot be served at {where} ({error.strerror}): give another address with --listen"]
            ) from error
        yield


async def run(settings: DisplaySettings, stop: asyncio.Event) -> None:
    """Until `stop` is set."""
    async with serving(settings):
        await stop.wait()


def _guarded(guard: Guard) -> Middleware:
    @web.middleware
    async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await guard.check(request, handler)

    return handle


def _dressed(*, tls: bool) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    async def dress(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(HEADERS)
        if tls:
            response.headers["Strict-Transport-Security"] = HSTS
        fixed = request.path.startswith(("/static/", "/schemas/"))
        response.headers.setdefault("Cache-Control", STATIC_CACHE if fixed else DATA_CACHE)

    return dress


def _watching(proxy: Proxy) -> Callable[[web.Application], AsyncIterator[None]]:
    async def context(_: web.Application) -> AsyncIterator[None]:
        watching = asyncio.create_task(proxy.watch())
        yield
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    return context


def _file(path: Path) -> Handler:
    async def handle(_: web.Request) -> web.StreamResponse:
        return web.FileResponse(path)

    return handle


def _may_identity(request: web.Request) -> bool:
    return request[SESSION].may.identity


def _opened(audit: Audit) -> Callable[[web.Request, str], Awaitable[None]]:
    async def opened(request: web.Request, record: str) -> None:
        await audit.record_opened(request[SESSION], record, address(request))

    return opened


async def _nothing(_: web.Request) -> web.StreamResponse:
    return web.Response(status=204)


def _mqtt(proxy: Proxy) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await proxy.handle(request, request[SESSION])

    return handle


def _configuration(settings: DisplaySettings) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return web.json_response(site.configuration(settings, request[SESSION]))

    return handle


def _schema(texts: dict[str, str]) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        text = texts.get(request.match_info["name"])
        if text is None:
            raise web.HTTPNotFound
        return web.Response(text=text, content_type="application/json")

    return handle
