"""One peer's thread: what is asked of it, in the order of asking. A dead peer holds up itself and nobody else.

Its association stays open while there is work and for IDLE_S longer. It proposes every presentation context that was
needed lately, so that a run of images and their dose report share one. An association that was kept open may have
died unseen: what fails on it is tried once more on a fresh one before the daemon is told.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pynetdicom.association import Association

from esi_room.carm.caller import entity
from esi_room.carm.caller.entity import Entity, Need, RefusedError, UnavailableError
from esi_room.carm.shapes import Called
from esi_room.carm.wire import Done, Reply, Request

IDLE_S = 5.0
# Of the 128 that an association can have (PS3.8 9.3.2.2: odd numbers to 255).
MAX_NEEDS = 64

_Result = TypeVar("_Result")


class Line:
    """One peer and the association with it, if any. For one thread."""

    def __init__(self, caller: Entity, to: Called, handlers: Sequence[Any]) -> None:
        self._caller, self._to, self._handlers = caller, to, handlers
        self._needs: list[Need] = []
        self._association: Association | None = None

    def on(self, need: Need, act: Callable[[Association], _Result]) -> _Result:
        """`act` on an association that proposed `need`. Raises what `act` and `Entity.open` raise."""
        self._remember(need)
        if self._association is not None and self._association.is_established:
            try:
                return self._act(act, self._association)
            except UnavailableError:
                pass  # it may have died unseen
        self.close()
        self._association = opened = self._caller.open(self._to, self._needs, self._handlers)
        return self._act(act, opened)

    def _act(self, act: Callable[[Association], _Result], association: Association) -> _Result:
        try:
            return act(association)
        except UnavailableError:
            self.abort()
            raise

    def _remember(self, need: Need) -> None:
        """The latest need is the last one."""
        if need not in self._needs:
            self.close()
        self._needs = [*(each for each in self._needs if each != need), need][-MAX_NEEDS:]

    def close(self) -> None:
        """Release the association."""
        if self._association is not None:
            entity.close(self._association)
            self._association = None

    def abort(self) -> None:
        """The association is of no use any more."""
        if self._association is not None:
            self._association.abort()
            self._association = None


class Worker(threading.Thread):
    """Does the requests for one peer, and replies to each."""

    def __init__(
        self, line: Line | None, perform: Callable[[Line | None, Request], Reply], reply: Callable[[Reply], None]
    ) -> None:
        super().__init__(daemon=True, name="peer")
        self._line, self._perform, self._reply = line, perform, reply
        self._requests: queue.SimpleQueue[Request] = queue.SimpleQueue()

    def put(self, request: Request) -> None:
        """From any thread."""
        self._requests.put(request)

    def run(self) -> None:
        """For ever."""
        while True:
            try:
                request = self._requests.get(timeout=IDLE_S)
            except queue.Empty:
                if self._line is not None:
                    self._line.close()
            else:
                self._reply(self._performed(request))

    def _performed(self, request: Request) -> Reply:
        try:
            return self._perform(self._line, request)
        except UnavailableError as error:
            return Done(id=request.id, outcome="unavailable", comment=str(error))
        except RefusedError as error:
            return Done(id=request.id, outcome="refused", status=error.status, comment=str(error))
        except Exception as error:  # noqa: BLE001 - one object that pynetdicom stumbles over must not end the peer's thread
            if self._line is not None:
                self._line.abort()
            return Done(id=request.id, outcome="refused", comment=f"not sent: {type(error).__name__}")
