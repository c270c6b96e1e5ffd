"""What the listener's and the caller's process have in common: they are the daemon's, and ask it in many threads.

Either ends at once when the daemon is gone: an acknowledgement that nobody stands for must never be sent, and what was
under way is done again by the next one.
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
from queue import Empty, SimpleQueue
from typing import TypeVar

import msgspec

from esi_room.carm.settings import Limits
from esi_room.carm.wire import Answer, Asking, Message, Pipe

DAEMON_GONE = 3
# Two or three for every association; pynetdicom needs a tenth of it, recursion in nested sequences the rest.
_STACK_BYTES = 2 << 20

_First = TypeVar("_First", bound=Message)


class Daemon:
    """The other end of the pipe. Any thread may `ask` and `send`; one receives, and hands on what is `answered`.

    `silent`: the status for a peer whose question the daemon did not answer in time.
    """

    def __init__(self, pipe: Pipe, limits: Limits, silent: int) -> None:
        self._pipe, self._timeout_s, self._silent = pipe, limits.answer_timeout_s, silent
        self._numbers = itertools.count(1)
        self._waiting: dict[int, SimpleQueue[Answer]] = {}

    def ask(self, question: Asking) -> Answer:
        """Ask it, and wait for what it says; in the thread of an association. The `id` is given here."""
        number, answers = next(self._numbers), SimpleQueue[Answer]()
        self._waiting[number] = answers
        self.send(msgspec.structs.replace(question, id=number))
        try:
            return answers.get(timeout=self._timeout_s)
        except Empty:
            return Answer(id=number, status=self._silent, comment="the record did not answer in time")
        finally:
            self._waiting.pop(number, None)

    def answered(self, answer: Answer) -> None:
        """It says this; whoever asked may have stopped waiting."""
        waiting = self._waiting.get(answer.id)
        if waiting is not None:
            waiting.put(answer)

    def send(self, message: Message) -> None:
        """Tell it."""
        try:
            self._pipe.send(message)
        except OSError:
            os._exit(DAEMON_GONE)


def begun(first: type[_First], work: Callable[[Pipe, _First], None]) -> None:
    """A helper process's `main`: do `work` with the daemon's first message, and end with the daemon."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the daemon's to handle; it stops us in order
    warnings.simplefilter("ignore")  # pydicom's remarks on devices' data sets quote values
    threading.stack_size(_STACK_BYTES)
    pipe = Pipe(int(sys.argv[1]))
    try:
        work(pipe, pipe.receive(first))
    except EOFError:
        os._exit(DAEMON_GONE)


def bound_memory(limits: Limits) -> None:
    """Of this process, from here on."""
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
