"""The listener's process: `python -m esi_room.carm.listener <descriptor of its end of the pipe>`, started by `service`.

It ends when the daemon says so, and at once when the daemon is gone: an acknowledgement that nobody stands for must
never be sent.
"""

from __future__ import annotations

import gc
import itertools
import os
import resource
import signal
import sys
import threading
import warnings
from pathlib import Path
from queue import Empty, SimpleQueue

import msgspec

from esi_room.carm.listener import commitment, steps
from esi_room.carm.listener.knocks import Knocks
from esi_room.carm.listener.server import Server
from esi_room.carm.listener.services import Service
from esi_room.carm.listener.storage import OUT_OF_RESOURCES, Storage
from esi_room.carm.listener.worklist import Worklist
from esi_room.carm.wire import (
    Answer,
    Asking,
    Configure,
    Into,
    Knocked,
    Listening,
    Message,
    Offer,
    Pipe,
    Stop,
    ToListener,
    Unable,
)
from esi_room.clock import Stamp, SystemClock
from esi_room.errors import ConfigurationError
from esi_room.events import CarmAssociation

DAEMON_GONE = 3
# Twice for every association; pynetdicom needs a tenth of it, recursion in nested sequences the rest.
_STACK_BYTES = 2 << 20


class Listener:
    """The daemon's orders on one side, the DICOM server on the other."""

    def __init__(self, pipe: Pipe, configure: Configure) -> None:
        self._pipe, self._limits = pipe, configure.settings.limits
        self._numbers = itertools.count(1)
        self._waiting: dict[int, SimpleQueue[Answer]] = {}
        clock = SystemClock()
        knocks = Knocks(clock, self._knocked)
        self._storage = storage = Storage(Path(configure.incoming), self._limits, clock, knocks, self.ask)
        self._worklist = Worklist(knocks, clock)
        services: tuple[Service, ...] = (
            self._worklist.service(),
            steps.service(self.ask, clock, knocks),
            commitment.service(self.ask, clock),
        )
        self.server = Server(configure.settings, storage, services, knocks, clock)

    def run(self) -> None:
        """Until the daemon says stop."""
        gc.freeze()  # modules stay: a full collection that walks them holds up an acknowledgement for 20 ms
        self.server.start()
        self._send(Listening(plain=self.server.address, secure=self.server.tls_address))
        drained = threading.Thread(target=self._drain, daemon=True, name="drain")
        while True:
            message: ToListener = self._pipe.receive(ToListener)
            if isinstance(message, Answer):
                self._answered(message)
            elif isinstance(message, Offer):
                self._worklist.offer(message)
            elif isinstance(message, Into):
                self._storage.into = message
            elif isinstance(message, Stop):
                drained.start()

    def _drain(self) -> None:
        self.server.drain()
        os._exit(0)

    def ask(self, question: Asking) -> Answer:
        """Ask the daemon, and wait for what it says; in the thread of an association. The `id` is given here."""
        number, answers = next(self._numbers), SimpleQueue[Answer]()
        self._waiting[number] = answers
        self._send(msgspec.structs.replace(question, id=number))
        try:
            return answers.get(timeout=self._limits.answer_timeout_s)
        except Empty:
            return Answer(id=number, status=OUT_OF_RESOURCES, comment="the record did not answer in time")
        finally:
            self._waiting.pop(number, None)

    def _answered(self, answer: Answer) -> None:
        waiting = self._waiting.get(answer.id)
        if waiting is not None:
            waiting.put(answer)

    def _knocked(self, association: CarmAssociation, at: Stamp) -> None:
        self._send(Knocked(association=association, at=at))

    def _send(self, message: Message) -> None:
        try:
            self._pipe.send(message)
        except OSError:
            os._exit(DAEMON_GONE)


def main() -> None:
    """Be configured, listen, end with the daemon."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the daemon's to handle; it stops us in order
    warnings.simplefilter("ignore")  # pydicom's remarks on devices' data sets quote values
    threading.stack_size(_STACK_BYTES)
    pipe = Pipe(int(sys.argv[1]))
    try:
        configure: Configure = pipe.receive(Configure)
        memory_bytes = configure.settings.limits.memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        try:
            listener = Listener(pipe, configure)
        except OSError as error:
            pipe.send(Unable(reason=f"{error.strerror or error}"))
            return
        except ConfigurationError as error:
            pipe.send(Unable(reason=str(error)))
            return
        listener.run()
    except EOFError:
        os._exit(DAEMON_GONE)


if __name__ == "__main__":
    main()
