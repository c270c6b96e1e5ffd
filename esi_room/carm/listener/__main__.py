"""The listener's process: `python -m esi_room.carm.listener <descriptor of its end of the pipe>`, started by `service`.

It ends when the daemon says so, and at once when the daemon is gone: an acknowledgement that nobody stands for must
never be sent.
"""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path

from esi_room.carm.helper import Daemon, begun, bound_memory
from esi_room.carm.listener import commitment, steps
from esi_room.carm.listener.knocks import Knocks
from esi_room.carm.listener.server import Server
from esi_room.carm.listener.services import Service
from esi_room.carm.listener.storage import OUT_OF_RESOURCES, Storage
from esi_room.carm.listener.worklist import Worklist
from esi_room.carm.wire import (
    Answer,
    Configure,
    Into,
    Knocked,
    Listening,
    Offer,
    Pipe,
    Stop,
    ToListener,
    Unable,
)
from esi_room.clock import Stamp, SystemClock
from esi_room.errors import ConfigurationError
from esi_room.events import CarmAssociation


class Listener:
    """The daemon's orders on one side, the DICOM server on the other."""

    def __init__(self, pipe: Pipe, configure: Configure) -> None:
        limits, clock = configure.settings.limits, SystemClock()
        self._pipe, self._daemon = pipe, Daemon(pipe, limits, OUT_OF_RESOURCES)
        knocks = Knocks(clock, self._knocked)
        self._storage = storage = Storage(Path(configure.incoming), limits, clock, knocks, self._daemon.ask)
        self._worklist = Worklist(knocks, clock)
        services: tuple[Service, ...] = (
            self._worklist.service(),
            steps.service(self._daemon.ask, clock, knocks),
            commitment.service(self._daemon.ask, clock),
        )
        self.server = Server(configure.settings, storage, services, knocks, clock)

    def run(self) -> None:
        """Until the daemon says stop."""
        gc.freeze()  # modules stay: a full collection that walks them holds up an acknowledgement for 20 ms
        self.server.start()
        self._daemon.send(Listening(plain=self.server.address, secure=self.server.tls_address))
        drained = threading.Thread(target=self._drain, daemon=True, name="drain")
        while True:
            message: ToListener = self._pipe.receive(ToListener)
            if isinstance(message, Answer):
                self._daemon.answered(message)
            elif isinstance(message, Offer):
                self._worklist.offer(message)
            elif isinstance(message, Into):
                self._storage.into = message
            elif isinstance(message, Stop):
                drained.start()

    def _drain(self) -> None:
        self.server.drain()
        os._exit(0)

    def _knocked(self, association: CarmAssociation, at: Stamp) -> None:
        self._daemon.send(Knocked(association=association, at=at))


def _listen(pipe: Pipe, configure: Configure) -> None:
    bound_memory(configure.settings.limits)
    try:
        listener = Listener(pipe, configure)
    except OSError as error:
        pipe.send(Unable(reason=f"{error.strerror or error}"))
    except ConfigurationError as error:
        pipe.send(Unable(reason=str(error)))
    else:
        listener.run()


def main() -> None:
    """Be configured, listen, end with the daemon."""
    begun(Configure, _listen)


if __name__ == "__main__":
    main()
