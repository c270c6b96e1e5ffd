"""C-STORE to a destination (PS3.4 annex B): a file's data set as it lies, octet for octet.

Nothing is decoded and no other transfer syntax is offered than the file's own: what the destination holds is what the
C-arm sent. The file is digested before it is sent: what has changed on the disk is never passed on as an image.

    0000, Bxxx            the destination has it (Bxxx: it changed or left out elements of its own copy)
    A7xx, 0110 … 0124 …   see `outcome`
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from pynetdicom.association import Association

from esi_room.carm.caller.entity import Need, RefusedError, UnavailableError, accepted, answered, status_of
from esi_room.carm.caller.worker import Line
from esi_room.carm.wire import Done, Send

# PS3.7 annex C, PS3.4 table B.2-1: what may be otherwise in an hour. All other failures are of this object.
_TRANSIENT = frozenset(range(0xA700, 0xA800)) | {0x0110, 0x0213}
_WARNINGS = range(0xB000, 0xC000)


def send(line: Line, request: Send) -> Done:
    """Store the object, if its file is what it was."""
    trouble = _trouble(Path(request.path), request.sha256)
    if trouble is not None:
        return Done(id=request.id, outcome="broken", comment=trouble)
    need = Need(request.sop_class_uid, (request.transfer_syntax_uid,))
    status = line.on(need, lambda association: _store(association, request))
    return Done(id=request.id, outcome="done", status=status)


def _store(association: Association, request: Send) -> int:
    accepted(association, request.sop_class_uid, request.transfer_syntax_uid)
    status = status_of(answered(lambda: association.send_c_store(request.path)))
    judge(status)
    return status


def judge(status: int) -> None:
    """Raise what a status that is neither success nor warning means."""
    if status == 0 or status in _WARNINGS or status in (0x0001, 0x0107, 0x0116):
        return
    if status in _TRANSIENT:
        raise UnavailableError(f"answered {status:04X}")
    raise RefusedError(f"answered {status:04X}", status)


def _trouble(file: Path, sha256: str) -> str | None:
    try:
        with file.open("rb") as octets:
            found = hashlib.file_digest(octets, "sha256").hexdigest()
    except OSError as error:
        return f"its file cannot be read: {error.strerror}"
    return None if found == sha256 else "its file has changed: the SHA-256 is another"
