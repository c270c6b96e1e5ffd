"""The caller's process: `python -m esi_room.carm.caller <descriptor of its end of the pipe>`, started by `outgoing`.

It ends with the daemon, at once: what was under way is sent again by the next one.
"""

from __future__ import annotations

import itertools
import os
import resource
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import msgspec

from esi_room.carm.caller import commitment, folder, query, steps, storing
from esi_room.carm.caller.entity import Entity
from esi_room.carm.caller.worker import Line, Worker
from esi_room.carm.shapes import Called
from esi_room.carm.wire import (
    Answer,
    Asking,
    AskWorklist,
    Call,
    Message,
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

DAEMON_GONE = 3
OUT_OF_RESOURCES = 0x0213
# Three threads a peer; pydicom recurses in nested sequences.
_STACK_BYTES = 2 << 20

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
        self._answer_timeout_s = call.settings.limits.answer_timeout_s
        self._workers: dict[tuple[Called | None, type[Request] | None], Worker] = {}
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[Answer]] = {}

    def run(self) -> None:
        """Until the daemon is gone (EOFError)."""
        while True:
            message: ToCaller = self._pipe.receive(ToCaller)
            if isinstance(message, Answer):
                waiting = self._waiting.get(message.id)
                if waiting is not None:
                    waiting.set_result(message)
            elif isinstance(message, Request):
                self._worker(message).put(message)

    def _worker(self, request: Request) -> Worker:
        to, key = request.to, (request.to, type(request) if isinstance(request, _ALONE) else None)
        if key not in self._workers:
            line = None if to is None else Line(self._entity, to, commitment.handlers(to, self._ask, self._clock))
            self._workers[key] = worker = Worker(line, self._perform, self._send)
            worker.start()
        return self._workers[key]

    def _perform(self, line: Line | None, request: Request) -> Reply:
        return _ACTIONS[type(request)](line, request)

    def _ask(self, question: Asking) -> Answer:
        """Ask the daemon, in the thread of an association."""
        number, answer = next(self._numbers), Future[Answer]()
        self._waiting[number] = answer
        self._send(msgspec.structs.replace(question, id=number))
        try:
            return answer.result(self._answer_timeout_s)
        except TimeoutError:
            return Answer(id=number, status=OUT_OF_RESOURCES, comment="the record did not answer in time")
        finally:
            self._waiting.pop(number, None)

    def _send(self, message: Message) -> None:
        try:
            self._pipe.send(message)
        except OSError:
            os._exit(DAEMON_GONE)


def main() -> None:
    """Be configured, call, end with the daemon."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the daemon's to handle
    warnings.simplefilter("ignore")  # pydicom's remarks on devices' data sets quote values
    threading.excepthook = lambda _: None  # pynetdicom's upper-layer thread dies loudly of a connection that broke
    threading.stack_size(_STACK_BYTES)
    pipe = Pipe(int(sys.argv[1]))
    try:
        call: Call = pipe.receive(Call)
        memory_bytes = call.settings.limits.memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        Caller(pipe, call).run()
    except EOFError:
        os._exit(DAEMON_GONE)


if __name__ == "__main__":
    main()
