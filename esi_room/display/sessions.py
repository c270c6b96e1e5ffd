"""Who is logged in.

Rules:
- A session is a random token of 256 bits in the browser's cookie, and what the server knows of it under the token's
  hash. A restart of the server ends them all.
- A wall display is a user of the role `display`: nobody logs in at it again and again, so its token is signed with what
  the file of users holds of it, outlives restarts, and ends with its password.
- A session ends with its user: taken out of the file, given another role or another password.
- Whoever shows a certificate has a session as long as the certificate and the file of users say so.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections import OrderedDict
from typing import NamedTuple

from esi_room.clock import NS, Clock
from esi_room.display.users import User, Users

TOKEN_BYTES = 32
MAX_SESSIONS = 1000  # more than a hospital's people; the ones longest unused go first
DEVICE_S = 400 * 86_400.0  # what browsers keep a cookie at most
DEVICE = "display"  # the role whose sessions are a device's
OPEN = "open"  # the role of whoever comes where nobody logs in
_DEVICE_MARK = "d"


class May(NamedTuple):
    """What a role is let into, besides the wall. The broker knows the same roles and decides over topics."""

    console: bool = False
    records: bool = False
    identity: bool = False


MAY = {
    OPEN: May(console=True, records=True, identity=True),
    "display": May(),
    "engineer": May(),
    "console": May(console=True, identity=True),
    "auditor": May(records=True),
}


class Session:
    """One login. `key` names it and is no secret; `client`: what its pages' MQTT client ids begin with. `ends`: by
    itself; `leaves`: somebody can log out of it."""

    def __init__(
        self, user: User | None, key: str, csrf: str, now_s: float, *, ends: bool, leaves: bool = False
    ) -> None:
        self.user, self.key, self.csrf, self.ends, self.leaves = user, key, csrf, ends, leaves
        self.began_s = self.used_s = now_s
        self.role = OPEN if user is None else user.role
        self.client = OPEN if user is None else f"{user.role}-{key[:8]}"

    @property
    def name(self) -> str | None:
        """The user's."""
        return None if self.user is None else self.user.name

    @property
    def may(self) -> May:
        """What its role is let into."""
        return MAY[self.role]


class Sessions:
    """All of them. `users` None: nobody logs in, and there is one session for everybody."""

    def __init__(self, users: Users | None, clock: Clock, *, session_s: float, idle_s: float) -> None:
        self._users, self._clock, self._session_s, self._idle_s = users, clock, session_s, idle_s
        self._key = secrets.token_bytes(TOKEN_BYTES)
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self.everybody = None if users is not None else self._made(None, OPEN, ends=False)

    def begin(self, user: User) -> str:
        """A new session; its token, for the cookie."""
        if user.role == DEVICE:
            return self._device_token(user)
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self._keep(self._made(user, _hash(token), ends=True, leaves=True))
        return token

    def find(self, token: str) -> Session | None:
        """The session of this token, if it holds; this counts as a use of it."""
        session = self._sessions.get(_hash(token)) or self._device(token)
        if session is None or not self.holds(session):
            return None
        self.use(session)
        return session

    def of_certificate(self, common_name: str) -> Session | None:
        """The session of whoever has shown a certificate of this name that our authority signed."""
        user = None if self._users is None else self._users.get(common_name)
        if user is None:
            return None
        key = _hash(f"certificate {user.name}")
        session = self._sessions.get(key)
        if session is None or session.user != user:
            session = self._made(user, key, ends=False)
            self._keep(session)
        return session

    def end(self, session: Session) -> None:
        """Logged out. A device's token the browser alone can forget."""
        self._sessions.pop(session.key, None)

    def holds(self, session: Session) -> bool:
        """Whether it goes on: its user is as it was, and its time is not over."""
        if session is self.everybody:
            return True
        user, now_s = session.user, self._now_s()
        over = now_s - session.began_s > self._session_s or now_s - session.used_s > self._idle_s
        known = self._users is not None and user is not None and self._users.get(user.name) == user
        if known and session.key in self._sessions and not (session.ends and over):
            return True
        self.end(session)
        return False

    def use(self, session: Session) -> None:
        """Somebody did something."""
        session.used_s = self._now_s()
        if session.key in self._sessions:
            self._sessions.move_to_end(session.key)

    def signed(self, text: str) -> str:
        """Something that this server alone can say of `text`, until it restarts."""
        return hmac.new(self._key, text.encode(), "sha256").hexdigest()

    def _made(self, user: User | None, key: str, *, ends: bool, leaves: bool = False) -> Session:
        return Session(user, key, self.signed(f"csrf {key}"), self._now_s(), ends=ends, leaves=leaves)

    def _keep(self, session: Session) -> None:
        self._sessions[session.key] = session
        while len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)

    def _now_s(self) -> float:
        return self._clock.now().mono_ns / NS

    # --- devices: d.<name>.<when, s since 1970>.<nonce>.<signature>, the name in base64 -----------------------

    def _device_token(self, user: User) -> str:
        name = base64.urlsafe_b64encode(user.name.encode()).decode()
        said = f"{_DEVICE_MARK}.{name}.{self._clock.now().wall_ns // NS}.{secrets.token_urlsafe(16)}"
        return f"{said}.{_signature(user, said)}"

    def _device(self, token: str) -> Session | None:
        """The session of a device's token that holds."""
        said, _, signature = token.rpartition(".")
        match said.split("."):
            case ["d", name, when, _] if self._users is not None and when.isascii() and when.isdigit():
                user = self._users.get(_decoded(name))
            case _:
                return None
        if user is None or user.role != DEVICE or not hmac.compare_digest(signature, _signature(user, said)):
            return None
        if abs(self._clock.now().wall_ns / NS - int(when[:12])) > DEVICE_S:
            return None
        session = self._made(user, _hash(token), ends=False, leaves=True)
        self._keep(session)
        return session


def _signature(user: User, said: str) -> str:
    """Of a device's token: with another password or role another one."""
    return hmac.new(f"esi-room device {user.role} {user.secret}".encode(), said.encode(), "sha256").hexdigest()


def _decoded(name: str) -> str:
    try:
        return base64.b64decode(name, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
