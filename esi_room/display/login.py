"""`/login` and `/logout`.

Rules:
- A wrong name and a wrong password are answered alike, after the same work, and both count against name and address.
- Passwords are checked a few at a time, in threads: a flood of tries costs the tries, not the pages.
- The form's token (CSRF) belongs to a cookie of its own, as nobody is logged in yet.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets
from urllib.parse import quote

from aiohttp import web

from esi_room.display.audit import Audit
from esi_room.display.guard import CSRF_FIELD, SESSION, Guard, address
from esi_room.display.site import STATIC
from esi_room.display.throttle import Throttle, neighbourhood
from esi_room.display.users import User, Users

CHECKS_AT_ONCE = 2  # of 32 MiB and 0.1 s each
BODY_S = 10.0  # for the form to come
COOKIE = "esi-room-login"
COOKIE_S = 3600
# Where a login may lead: pages of ours, and nothing that a browser could take for another host.
NEXT = re.compile(r"/(console|records(/[A-Za-z0-9_-]{1,64})?)?")
FIRST = {"console": "/console", "auditor": "/records"}


class Login:
    """The handlers. `users` None: nobody logs in, and there is nothing here."""

    def __init__(self, guard: Guard, users: Users | None, throttle: Throttle, audit: Audit, *, tls: bool) -> None:
        self._guard, self._users, self._throttle, self._audit, self._tls = guard, users, throttle, audit, tls
        self._checking = asyncio.Semaphore(CHECKS_AT_ONCE)

    def routes(self) -> list[web.RouteDef]:
        """All of them."""
        if self._users is None:
            return []
        return [
            web.get("/login", self._page),
            web.get("/login.json", self._token),
            web.post("/login", self._login),
            web.post("/logout", self._logout),
        ]

    async def _page(self, _: web.Request) -> web.StreamResponse:
        return web.FileResponse(STATIC / "login.html")

    async def _token(self, request: web.Request) -> web.StreamResponse:
        """The form's token, and the cookie that it belongs to."""
        cookie = request.cookies.get(COOKIE) or secrets.token_urlsafe(32)
        response = web.json_response({"csrf": self._guard.sessions.signed(f"login {cookie}")})
        response.set_cookie(
            COOKIE, cookie, max_age=COOKIE_S, httponly=True, secure=self._tls, samesite="Strict", path="/login"
        )
        return response

    async def _login(self, request: web.Request) -> web.StreamResponse:
        try:
            async with asyncio.timeout(BODY_S):
                form = await request.post()
        except TimeoutError as error:
            raise web.HTTPRequestTimeout from error
        said = {name: value for name, value in form.items() if isinstance(value, str)}
        cookie = request.cookies.get(COOKIE, "")
        token = self._guard.sessions.signed(f"login {cookie}")
        if not cookie or not hmac.compare_digest(said.get(CSRF_FIELD, "").encode(), token.encode()):
            return _again("old")
        name, where = said.get("name", "").strip(), address(request)
        keys = f"name {name[:100]}", f"address {neighbourhood(where)}"
        if self._throttle.wait_s(*keys):
            return _again("wait", said.get("next"))
        user = await self._checked(name, said.get("password", ""), keys)
        if user is None:
            known = self._users is not None and self._users.get(name) is not None
            await self._audit.login_failed(name if known else None, where)
            return _again("wrong", said.get("next"))
        await self._audit.logged_in(user.name, user.role, where)
        wanted = said.get("next", "")
        to = wanted if NEXT.fullmatch(wanted) else FIRST.get(user.role, "/")
        response = web.Response(status=303, headers={"Location": to})
        self._guard.let_in(response, self._guard.sessions.begin(user), user.role)
        response.del_cookie(COOKIE, path="/login")
        return response

    async def _checked(self, name: str, password: str, keys: tuple[str, str]) -> User | None:
        if self._users is None:
            return None
        self._throttle.begin(*keys)
        async with self._checking:
            user = await asyncio.to_thread(self._users.verify, name, password)
        if user is not None:
            self._throttle.succeeded(*keys)
        return user

    async def _logout(self, request: web.Request) -> web.StreamResponse:
        session = request[SESSION]
        self._guard.sessions.end(session)
        await self._audit.logged_out(session, address(request))
        response = web.Response(status=303, headers={"Location": "/login?why=out"})
        self._guard.let_out(response)
        return response


def _again(why: str, to: str | None = None) -> web.StreamResponse:
    """The form once more; its page says why, in words."""
    target = f"&next={quote(to, safe='/')}" if to and NEXT.fullmatch(to) else ""
    return web.Response(status=303, headers={"Location": f"/login?why={why}{target}"})
