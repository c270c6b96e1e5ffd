"""C-STORE (PS3.4 annex B). Runs in the listener's process, in the thread of the association.

    octets arrive -> Incoming (file, digest)
    -> linked into the open record, file and directory fsynced; beside that the header is read
    -> Received to the daemon: journal line durable -> Answer -> status to the C-arm

Where the listener cannot link (the record was opened a moment ago, the name is taken), the daemon does: see `keeper`.

What the peer is told, and what happens to its object:

    0000  it is in the record, durable
    A700  not kept: disk full, record not writable, daemon gone or too slow. The C-arm holds it and may send it again
    A900  not kept: the data set names another SOP class or instance than the request does
    0122  not kept: another SOP class than the presentation context's
    0117  not kept: the SOP instance UID is no UID
    C000  not kept: no data set came
    0110  not kept: an error of ours

A data set that does not parse is kept all the same, with 0000, and the entry says what is unreadable: the octets are
what the C-arm holds, a later reader may understand them, and a C-arm that is told C000 may drop its only copy.
"""

from __future__ import annotations

import itertools
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec.structs import replace
from pynetdicom.presentation import PresentationContext

from esi_room.carm.dose import reports
from esi_room.carm.dose.homes import is_report
from esi_room.carm.listener import header
from esi_room.carm.listener.association import Arrival, RoomAssociation
from esi_room.carm.listener.commands import StoreRequest
from esi_room.carm.listener.incoming import Incoming, file_meta
from esi_room.carm.listener.knocks import Knocks
from esi_room.carm.listener.services import Ask
from esi_room.carm.settings import Limits
from esi_room.carm.wire import Into, Received
from esi_room.clock import Clock
from esi_room.events import CarmImage

SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
INVALID_INSTANCE = 0x0117
CLASS_NOT_SUPPORTED = 0x0122
OUT_OF_RESOURCES = 0xA700
MISMATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000

# PS3.5 section 9.1, without its ban on leading zeros, which real devices break.
_UID = re.compile(r"[0-9.]{1,64}")


class Refusal(Exception):
    """The object is not kept: `status` for the peer, the reason for the record."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Storage:
    """Takes objects in, and answers once the daemon has."""

    def __init__(self, incoming: Path, limits: Limits, clock: Clock, knocks: Knocks, ask: Ask) -> None:
        self.into: Into | None = None
        """The open record, as the daemon said last."""
        self._incoming, self._limits, self._clock = incoming, limits, clock
        self._knocks, self._ask = knocks, ask
        self._numbers = itertools.count(1)
        # What is done while an association waits for the disk.
        self._beside = ThreadPoolExecutor(limits.associations, thread_name_prefix="beside")

    def begin(self, context: PresentationContext, request: StoreRequest, problem: str | None = None) -> Incoming:
        """The request's command set is whole; its data set follows. `problem`: why it is not to be kept."""
        return Incoming(
            self._incoming / f"{next(self._numbers)}.dcm",
            file_meta(request.sop_class_uid, request.sop_instance_uid, str(context.transfer_syntax[0])),
            started=self._clock.now(),
            max_bytes=self._limits.object_bytes,
            problem=problem or self._no_room(),
        )

    def store(self, association: RoomAssociation, arrived: Arrival) -> int:
        """The status for the peer; below 0000 lies a durable entry. Whoever calls discards the object."""
        try:
            self._store(association, arrived)
        except Refusal as refusal:
            self._say(association, str(refusal), refusal.status)
            return refusal.status
        except OSError as error:
            self._say(association, f"cannot write: {error.strerror}", OUT_OF_RESOURCES)
            return OUT_OF_RESOURCES
        except Exception as error:  # noqa: BLE001 - the peer must get an answer, and the next object its chance
            self._say(association, f"{type(error).__name__}: {error}", PROCESSING_FAILURE)
            return PROCESSING_FAILURE
        return SUCCESS

    def _store(self, association: RoomAssociation, arrived: Arrival) -> None:
        request, context, _ = arrived
        received = _acceptable(arrived)
        syntax = str(context.transfer_syntax[0])
        into = self.into
        if into is None or not received.link(Path(into.frames)):
            self._asked(self._read(association.peer, request, syntax, received))
            return
        reading = self._beside.submit(self._read, association.peer, request, syntax, received)
        received.sync()
        received.sync_name()
        try:
            question = reading.result()
        except Refusal:
            received.unlink()
            raise
        self._asked(replace(question, linked=into.record))

    def _asked(self, question: Received) -> None:
        answer = self._ask(question)
        if answer.status != SUCCESS:
            raise Refusal(answer.status, answer.comment)

    def _read(self, peer: str, request: StoreRequest, syntax: str, received: Incoming) -> Received:
        """What the daemon is to be told of a whole object."""
        read = header.read(received.path, received.meta_bytes, syntax, received.head)
        named = (read.sop_class_uid or request.sop_class_uid, read.sop_instance_uid or request.sop_instance_uid)
        if named != (request.sop_class_uid, request.sop_instance_uid):
            raise Refusal(MISMATCH, "the data set names another object than the request")
        dose = None
        if is_report(request.sop_class_uid, read.attributes["modality"]):
            dose = reports.read(received.path, received.meta_bytes, syntax, self._clock)
        image = CarmImage(
            sop_class_uid=request.sop_class_uid,
            sop_instance_uid=request.sop_instance_uid,
            transfer_syntax_uid=syntax,
            sha256=received.sha256,
            size_bytes=received.size_bytes,
            peer=peer,
            duplicate_of=None,
            **read.attributes,
        )
        file, started = received.path.name, received.started
        return Received(id=0, file=file, image=image, started=started, patient=read.patient, dose=dose)

    def _no_room(self) -> str | None:
        try:
            disk = os.statvfs(self._incoming)
        except OSError as error:
            return f"cannot write: {error.strerror}"
        free = disk.f_bavail * disk.f_frsize
        return None if free > self._limits.disk_reserve_bytes else f"the disk is full: {free >> 20} MiB left"

    def _say(self, association: RoomAssociation, reason: str, status: int) -> None:
        called = str(association.acceptor.ae_title)
        self._knocks.say("failed", association.peer, called, f"C-STORE answered {status:04X}: {reason}")


def _acceptable(arrived: Arrival) -> Incoming:
    """The object, or the Refusal that needs no look into it."""
    request, context, received = arrived
    if request.sop_class_uid != str(context.abstract_syntax):
        raise Refusal(CLASS_NOT_SUPPORTED, "another SOP class than the presentation context's")
    if _UID.fullmatch(request.sop_instance_uid) is None:
        raise Refusal(INVALID_INSTANCE, "the SOP instance UID is no UID")
    if received is None:
        raise Refusal(CANNOT_UNDERSTAND, "no data set came")
    if received.problem is not None:
        raise Refusal(OUT_OF_RESOURCES, received.problem)
    return received
