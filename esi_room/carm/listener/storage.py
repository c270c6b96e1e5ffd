"""C-STORE (PS3.4 annex B). Runs in the listener's process, in the thread of the association.

    octets arrive -> Incoming (file, digests) -> header read -> Received to the daemon
    daemon: linked into the open record, fsynced, journal line durable -> Answer -> status to the C-arm

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
from pathlib import Path
from typing import Any

from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE

from esi_room.carm.dose import reports
from esi_room.carm.listener import header
from esi_room.carm.listener.association import RoomAssociation
from esi_room.carm.listener.incoming import Incoming, file_meta
from esi_room.carm.listener.knocks import Knocks
from esi_room.carm.listener.services import Ask
from esi_room.carm.settings import Limits
from esi_room.carm.shapes import Patient
from esi_room.carm.wire import Received
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
        self._incoming, self._limits, self._clock = incoming, limits, clock
        self._knocks, self._ask = knocks, ask
        self._numbers = itertools.count(1)

    def begin(self, association: RoomAssociation, message: C_STORE_RQ, problem: str | None = None) -> Incoming:
        """The request's command set is whole; its data set follows. `problem`: why it is not to be kept."""
        context = association._accepted_cx.get(message.context_id or 0)
        command = message.command_set
        meta = file_meta(
            str(command.get("AffectedSOPClassUID") or ""),
            str(command.get("AffectedSOPInstanceUID") or ""),
            str(context.transfer_syntax[0]) if context is not None else "",
        )
        return Incoming(
            self._incoming / f"{next(self._numbers)}.dcm",
            meta,
            started=self._clock.now(),
            max_bytes=self._limits.object_bytes,
            problem=problem or self._no_room(),
        )

    def store(self, association: RoomAssociation, request: C_STORE, context: Any) -> int:
        """The status for the peer; below 0000 lies a durable entry."""
        received = request.DataSet if isinstance(request.DataSet, Incoming) else None
        try:
            status = self._store(association, request, context, received)
        except Refusal as refusal:
            self._say(association, str(refusal), refusal.status)
            return refusal.status
        except Exception as error:  # noqa: BLE001 - the peer must get an answer, and the next object its chance
            self._say(association, f"{type(error).__name__}: {error}", PROCESSING_FAILURE)
            return PROCESSING_FAILURE
        finally:
            if received is not None:
                received.discard()
        return status

    def _store(self, association: RoomAssociation, request: C_STORE, context: Any, received: Incoming | None) -> int:
        sop_class, sop_instance = str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID)
        if sop_class != str(context.abstract_syntax):
            raise Refusal(CLASS_NOT_SUPPORTED, "another SOP class than the presentation context's")
        if _UID.fullmatch(sop_instance) is None:
            raise Refusal(INVALID_INSTANCE, "the SOP instance UID is no UID")
        if received is None:
            raise Refusal(CANNOT_UNDERSTAND, "no data set came")
        received.finish()
        if received.problem is not None:
            raise Refusal(OUT_OF_RESOURCES, received.problem)
        syntax = str(context.transfer_syntax[0])
        image, who = self._image(association, received, sop_class, sop_instance, syntax)
        dose = None
        if reports.is_structured(sop_class):
            dose = reports.read(received.path, received.meta_bytes, syntax, self._clock)
        file, started = received.path.name, received.started
        answer = self._ask(Received(id=0, file=file, image=image, started=started, patient=who, dose=dose))
        if answer.status != SUCCESS:
            raise Refusal(answer.status, answer.comment)
        return SUCCESS

    def _image(
        self, association: RoomAssociation, received: Incoming, sop_class: str, sop_instance: str, syntax: str
    ) -> tuple[CarmImage, Patient]:
        read = header.read(received.path, received.meta_bytes, syntax)
        if read.sop_instance_uid not in (None, sop_instance) or read.sop_class_uid not in (None, sop_class):
            raise Refusal(MISMATCH, "the data set names another object than the request")
        image = CarmImage(
            sop_class_uid=sop_class,
            sop_instance_uid=sop_instance,
            transfer_syntax_uid=syntax,
            sha256=received.sha256,
            content_sha256=received.content_sha256,
            size_bytes=received.size_bytes,
            peer=association.peer,
            duplicate_of=None,
            **read.attributes,
        )
        return image, read.patient

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
