"""The command sets of C-STORE (PS3.7 section 9.3.1), read and written by hand: pynetdicom takes 0.5 ms for each, on the
way of every acknowledgement. All others are pynetdicom's.

A command set is implicit VR little endian, group 0000 (PS3.7 section 6.3.1): `EEEE` element, `LLLLLLLL` length

    00 00 EE EE LL LL LL LL  value

    request                                     response
    (0000,0002) UI SOP class                    (0000,0002) UI SOP class
    (0000,0100) US 0001                         (0000,0100) US 8001
    (0000,0110) US message id                   (0000,0120) US message id answered
    (0000,0800) US 0101: no data set            (0000,0800) US 0101
    (0000,1000) UI SOP instance                 (0000,0900) US status
                                                (0000,1000) UI SOP instance
"""

from __future__ import annotations

import struct
from typing import NamedTuple

_HEAD = struct.Struct("<HHI")
_SOP_CLASS, _COMMAND, _MESSAGE_ID, _ANSWERED, _DATASET, _STATUS, _SOP_INSTANCE = (
    *(0x0002, 0x0100, 0x0110, 0x0120, 0x0800, 0x0900, 0x1000),
)
_C_STORE_RQ, _C_STORE_RSP, _NO_DATASET = b"\x01\x00", b"\x01\x80", b"\x01\x01"


class StoreRequest(NamedTuple):
    """A C-STORE-RQ. What the peer left out is empty; whether the rest makes sense is not decided here."""

    sop_class_uid: str
    sop_instance_uid: str
    message_id: int
    has_dataset: bool


def store_request(command_set: bytes) -> StoreRequest | None:
    """`command_set` if it is a C-STORE-RQ; None for any other, and for what is no command set."""
    values: dict[int, bytes] = {}
    at, end = 0, len(command_set)
    while at + _HEAD.size <= end:
        group, element, size = _HEAD.unpack_from(command_set, at)
        at += _HEAD.size + size
        if group != 0 or at > end:
            return None
        values[element] = command_set[at - size : at]
    if at != end or values.get(_COMMAND) != _C_STORE_RQ:
        return None
    return StoreRequest(
        sop_class_uid=_text(values.get(_SOP_CLASS, b"")),
        sop_instance_uid=_text(values.get(_SOP_INSTANCE, b"")),
        message_id=int.from_bytes(values.get(_MESSAGE_ID, b"")[:2], "little"),
        has_dataset=values.get(_DATASET) != _NO_DATASET,
    )


def store_response(request: StoreRequest, status: int) -> bytes:
    """The command set that answers `request`."""
    rest = (
        _element(_SOP_CLASS, _uid(request.sop_class_uid))
        + _element(_COMMAND, _C_STORE_RSP)
        + _element(_ANSWERED, struct.pack("<H", request.message_id))
        + _element(_DATASET, _NO_DATASET)
        + _element(_STATUS, struct.pack("<H", status))
        + _element(_SOP_INSTANCE, _uid(request.sop_instance_uid))
    )
    return _element(0, struct.pack("<I", len(rest))) + rest


def _element(element: int, value: bytes) -> bytes:
    return _HEAD.pack(0, element, len(value)) + value


def _text(value: bytes) -> str:
    return value.decode("ascii", "replace").rstrip("\0 ")


def _uid(text: str) -> bytes:
    octets = text.encode("ascii", "replace")
    return octets + b"\0" * (len(octets) % 2)
