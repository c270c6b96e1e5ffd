"""The caller's process: `python -m esi_room.carm.caller <descriptor of its end of the pipe>`, started by `outgoing`.

It ends with the daemon, at once: what was under way is sent again by the next one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from esi_room.carm.caller import commitment, folder, query, steps, storing
from esi_room.carm.caller.entity import Entity
from esi_room.carm.caller.worker import Line, Worker
from esi_room.carm.helper import Daemon, begun, bound_memory
from esi_room.carm.shapes import Called
from esi_room.carm.wire import (
    Answer,
    AskWorklist,
    Call,
    Pipe,
    ReadFolder,
    RelayStep,
    Reply,
    ReportCommitment,
    Request,
    RequestCommitment,
    Send,
    ToCaller,
)
from esi_room.clock import SystemClock

OUT_OF_RESOURCES = 0x0213

_ACTIONS: dict[type[Request], Callable[[Any, Any], Reply]] = {
    Send: storing.send,
    RelayStep: steps.relay,
    RequestCommitment: commitment.request,
    ReportCommitment: commitment.report,
    ReadFolder: folder.read,
    AskWorklist: query.ask,
}
"""What each request is done by: a function of the peer's line (None for nobody) and the request."""

# On an association of their own. A peer may send its report on the one on which it was asked, and must not fall into
# the middle of a C-STORE; and an association has one role a class: in its own report the room is the SCP.
_ALONE = (RequestCommitment, ReportCommitment)


class Caller:
    """The daemon's requests on one side, a worker a peer on the other."""

    def __init__(self, pipe: Pipe, call: Call) -> None:
        self._pipe, self._entity, self._clock = pipe, Entity(call.settings), SystemClock()
        self._daemon = Daemon(pipe, call.settings.limits, OUT_OF_RESOURCES)
        self._workers: dict[tuple[Called | None, type[Request] | None], Worker] = {}

    def run(self) -> None:
        """Until the daemon is gone (EOFError)."""
        while True:
            message: ToCaller = self._pipe.receive(ToCaller)
            if isinstance(message, Answer):
                self._daemon.answered(message)
            elif isinstance(message, Request):
                self._worker(message).put(message)

    def _worker(self, request: Request) -> Worker:
        to, key = request.to, (request.to, type(request) if isinstance(request, _ALONE) else None)
        if key not in self._workers:
            line = (
                None if to is None else Line(self._entity, to, commitment.handlers(to, self._daemon.ask, self._clock))
            )
            self._workers[key] = worker = Worker(line, self._perform, self._daemon.send)
            worker.start()
        return self._workers[key]

    def _line(self, to: Called) -> Line:
        return Line(self._entity, to, commitment.handlers(to, self._daemon.ask, self._clock))

    def _perform(self, line: Line | None, request: Request) -> Reply:
        return _ACTIONS[type(request)](line, request)


def _call(pipe: Pipe, call: Call) -> None:
    threading.excepthook = lambda _: None  # pynetdicom's upper-layer thread dies loudly of a connection that broke
    bound_memory(call.settings.limits)
    Caller(pipe, call).run()


if __name__ == "__main__":
    begun(Call, _call)
