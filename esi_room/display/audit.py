"""Word of who came to the pages: in the log, and for the room's record (PS3.15 A.5).

Rules:
- The log says it always; the record takes refusals up to a bound an hour, or whoever guesses passwords would fill it.
  The next one that is taken says how many were left out.
- A name that nobody here has is not repeated: it may be a password in the wrong field.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog

from esi_room.audit import trail
from esi_room.clock import NS, Clock
from esi_room.display.sessions import Session
from esi_room.events.audit import (
    PROCEDURE_RECORD,
    SECURITY_ALERT,
    USER_AUTHENTICATION,
    Action,
    EventCode,
    Outcome,
)

REFUSALS_MAX = 60
REFUSALS_S = 3600.0
NOBODY = "somebody unknown"

log = structlog.get_logger()


class Audit:
    """One server's. `data`: the room's data directory."""

    def __init__(self, data: Path, clock: Clock) -> None:
        self._data, self._clock = data, clock
        self._since_s, self._taken, self._left_out = 0.0, 0, 0

    async def logged_in(self, name: str, role: str, address: str) -> None:
        """Somebody is in."""
        log.info("display_login", user=name, role=role, address=address)
        await self._note(self._data, USER_AUTHENTICATION, f"logged in at the pages as {role}, from {address}", name)

    async def logged_out(self, session: Session, address: str) -> None:
        """Somebody has left."""
        log.info("display_logout", user=session.name, address=address)
        await self._note(self._data, USER_AUTHENTICATION, f"logged out of the pages, from {address}", session.name)

    async def login_failed(self, name: str | None, address: str) -> None:
        """A wrong password, or a name that is not known (None)."""
        log.warning("display_login_failed", user=name or NOBODY, address=address)
        await self._refused(USER_AUTHENTICATION, f"login at the pages refused, from {address}", name)

    async def refused(self, session: Session, what: str, address: str) -> None:
        """Somebody asked for what their role is not let into."""
        log.warning("display_refused", user=session.name, role=session.role, what=what, address=address)
        await self._refused(SECURITY_ALERT, f"refused to the role {session.role}: {what}, from {address}", session.name)

    async def record_opened(self, session: Session, record: str, address: str) -> None:
        """A record is shown."""
        log.info("display_record_opened", user=session.name, record=record, address=address)
        at = self._data / "records" / record
        await self._note(at, PROCEDURE_RECORD, f"record shown on its page, to {address}", session.name)

    async def _refused(self, event: EventCode, what: str, name: str | None) -> None:
        now_s = self._clock.now().mono_ns / NS
        if now_s - self._since_s > REFUSALS_S:
            self._since_s, self._taken = now_s, 0
        if self._taken >= REFUSALS_MAX:
            self._left_out += 1
            return
        self._taken += 1
        if self._left_out:
            what, self._left_out = f"{what}; {self._left_out} more before it that the log alone has", 0
        await self._note(self._data, event, what, name or NOBODY, outcome=trail.FAILED)

    async def _note(
        self, at: Path, event: EventCode, what: str, name: str | None, *, outcome: Outcome = trail.DONE
    ) -> None:
        action: Action = "R" if event == PROCEDURE_RECORD else "E"
        why = await asyncio.to_thread(
            trail.note, at, event, action, what, outcome=outcome, actor=name or "anybody (no login is asked for)"
        )
        if why is not None:
            log.warning("display_not_recorded", reason=why)
