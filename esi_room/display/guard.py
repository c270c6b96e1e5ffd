"""Who asks, and whether they may: before any page, file or socket.

Rules:
- Closed unless named: what is not in PUBLIC needs a session, what is in FOR needs a role that may.
- A request that changes something, and a WebSocket, must come from a page of ours (Origin), and the former carry the
  session's CSRF token as well.
- Where nobody logs in, the host must be this machine by name: another site's name may lead to 127.0.0.1 as well.
"""

from __future__ import annotations

import hmac
import ssl
from typing import Any
from urllib.parse import quote, urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from esi_room.display.audit import Audit
from esi_room.display.sessions import DEVICE, DEVICE_S, Session, Sessions

PUBLIC = frozenset({"/login", "/login.json", "/static", "/favicon.ico", "/schemas/{name}"})
FOR = {"/console": "console", "/records": "records"}  # beginning of a route -> of `May`
HERE = frozenset({"localhost", "127.0.0.1", "::1"})
CSRF_HEADER, CSRF_FIELD = "X-CSRF-Token", "csrf"
SAFE = frozenset({"GET", "HEAD"})

SESSION = web.RequestKey("session", Session)


class Guard:
    """At the door of one server."""

    def __init__(self, sessions: Sessions, audit: Audit, host: str, *, tls: bool) -> None:
        self.sessions, self._audit, self._tls = sessions, audit, tls
        self._here = HERE | {host}
        # The browser takes a cookie of the first name from https:// alone, and for this host alone.
        self._cookie = "__Host-esi-room" if tls else "esi-room"

    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Hand on what may pass; answer the rest."""
        route = request.match_info.route.resource
        canonical = "" if route is None else route.canonical
        if self.sessions.everybody is not None and urlsplit(f"//{request.host}").hostname not in self._here:
            raise web.HTTPForbidden(text="This server is for pages of this machine: http://127.0.0.1")
        session = self.session(request)
        if request.method not in SAFE or canonical == "/mqtt":
            from_our_page(request)
        if session is None:
            if canonical in PUBLIC or not canonical:
                return await handler(request)
            return _login(request, canonical)
        request[SESSION] = session
        for start, need in FOR.items():
            if canonical.startswith(start) and not getattr(session.may, need):
                await self._audit.refused(session, start, address(request))
                raise web.HTTPForbidden(text=f"{start} is not for the role {session.role}: log in as somebody else.")
        if request.method not in SAFE:
            await has_token(request, session.csrf)
        return await handler(request)

    def session(self, request: web.Request) -> Session | None:
        """Whose request this is: by certificate, else by cookie."""
        if self.sessions.everybody is not None:
            return self.sessions.everybody
        name = common_name(request)
        found = None if name is None else self.sessions.of_certificate(name)
        return found or self.sessions.find(request.cookies.get(self._cookie, ""))

    def let_in(self, response: web.StreamResponse, token: str, role: str) -> None:
        """The cookie of a new session."""
        self._set(response, self._cookie, token, DEVICE_S if role == DEVICE else None)

    def let_out(self, response: web.StreamResponse) -> None:
        """Nothing is left in the browser."""
        self._set(response, self._cookie, "", 0)

    def _set(self, response: web.StreamResponse, name: str, value: str, max_age_s: float | None) -> None:
        age = None if max_age_s is None else int(max_age_s)
        response.set_cookie(name, value, max_age=age, httponly=True, secure=self._tls, samesite="Strict", path="/")


def common_name(request: web.Request) -> str | None:
    """Of the certificate that the client has shown, which our authority signed; None where it has shown none."""
    transport = request.transport
    tls = None if transport is None else transport.get_extra_info("ssl_object")
    shown = tls.getpeercert() if isinstance(tls, ssl.SSLObject) else None
    subject: Any = (shown or {}).get("subject", ())
    names: list[str] = [value for part in subject for key, value in part if key == "commonName"]
    return names[0] if len(names) == 1 else None


def address(request: web.Request) -> str:
    """The client's, for people and for counting."""
    return request.remote or "nowhere"


def from_our_page(request: web.Request) -> None:
    """A browser says in Origin which page asks. HTTPForbidden where it is none of ours, or nobody says."""
    origin = urlsplit(request.headers.get("Origin", ""))
    if origin.scheme not in {"http", "https"} or origin.netloc.lower() != request.host.lower():
        raise web.HTTPForbidden(text="This may be asked by this server's own pages alone.")


async def has_token(request: web.Request, csrf: str) -> None:
    """HTTPForbidden where the request does not carry the session's token, in the header or as a form's field."""
    said: object = request.headers.get(CSRF_HEADER)
    if said is None:
        said = (await request.post()).get(CSRF_FIELD)
    if not isinstance(said, str) or not hmac.compare_digest(said.encode(), csrf.encode()):
        raise web.HTTPForbidden(text="This page is from before the last login: load it again.")


def _login(request: web.Request, canonical: str) -> web.StreamResponse:
    """A person is shown where to log in; a program is told."""
    page = canonical in {"/", "/console"} or canonical.startswith("/records")
    if page and request.method in SAFE and "text/html" in request.headers.get("Accept", ""):
        target = "" if canonical == "/" else f"?next={quote(request.path, safe='/')}"
        return web.Response(status=303, headers={"Location": f"/login{target}"})
    raise web.HTTPUnauthorized(text="Log in first: /login")
