"""The bytes of GE's S/5 Computer Interface as a monitor writes and reads them.

    7E  <record, then its checksum, with 7E and 7D escaped as 7D 5E and 7D 5D>  7E       checksum: sum mod 256

    LL LL NN VV PP PP TT TT TT TT 00 00 00 00 MM MM {OO OO SS} x 8, then the subrecords       all little endian
    L length with header   N running number   V DRI level   P plug id   T Unix seconds of the monitor's clock
    M 0 values, 1 waveforms, 4 alarms         O offset of a subrecord after the header, S its type, FF ends the list

    values, 278 bytes:   TT TT TT TT <270 bytes> KK 00 CC CC     K marker, bits 8 to 11 of C: class
    waveform:            AA AA SS SS LL LL <A samples, i16>      S 0001 gap before, 0008 lead off
    alarms, 510 bytes:   00 00 sound 00 00 00 00 silence {text 80, changed, colour, changed, 12} x 5, 10

Sources: GE M1017617 12th edition (serial), 8005313 12th edition (DRI structures).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

FLAG, ESCAPE, ESCAPE_BIT = 0x7E, 0x7D, 0x20
HEADER = struct.Struct("<hBBHIBBHh")
SLOT = struct.Struct("<hB")
HEADER_BYTES, SLOTS, NO_SUBRECORD = 40, 8, 0xFF
VALUES, WAVES, ALARMS = 0, 1, 4
DISPLAYED, AUX, ALARM_STATUS = 1, 4, 1
BODY_BYTES, AUX_BYTES, ALARM_TEXT_BYTES = 270, 114, 80
BASIC, EXT1, EXT2, EXT3 = range(4)
RESERVED_TAIL = 0x5B  # seen in the low byte of the class word of a real monitor
INVALID = -32767
EXISTS, ACTIVE = 1 << 0, 1 << 1
WAVE_GAP, WAVE_LEAD_OFF = 0x0001, 0x0008
PLUG_ID = 0x1234
SOUND_ON = 1
REQUEST_MAX_BYTES = 512  # far above the longest request with every byte escaped; more without a flag is noise

# Where each group of the basic class begins, and how many values follow its status and label.
BASIC_GROUPS: Mapping[str, tuple[int, int]] = {
    "ecg": (0, 5),
    "p1": (16, 4),
    "p2": (30, 4),
    "p3": (44, 4),
    "p4": (58, 4),
    "nibp": (72, 4),
    "t1": (86, 1),
    "t2": (94, 1),
    "t3": (102, 1),
    "t4": (110, 1),
    "spo2": (118, 4),
    "co2": (132, 4),
    "o2": (146, 2),
    "n2o": (156, 2),
    "aa": (166, 3),
    "flow_vol": (178, 8),
    "co_wedge": (200, 4),
    "nmt": (214, 3),
    "svo2": (232, 1),
    "p5": (240, 4),
    "p6": (254, 4),
}
ECG_EXTRA_AT, ECG_EXTRA_VALUES = 226, 3  # the one group without status and label


class Group(NamedTuple):
    """A group that a module measures; `values` are as on the wire, None is invalid."""

    status: int
    label: int
    values: Sequence[int | None]


class Request(NamedTuple):
    """What a host asked: main type, subrecord type, the level it spoke, and what follows the header."""

    maintype: int
    subtype: int
    level: int
    body: bytes


def frame(record: bytes, *, spoil_checksum: bool = False) -> bytes:
    """A record as it goes over the line."""
    checksum = sum(record) + spoil_checksum & 0xFF
    escaped = bytearray()
    for octet in (*record, checksum):
        escaped += bytes((ESCAPE, octet & ~ESCAPE_BIT)) if octet in (FLAG, ESCAPE) else bytes((octet,))
    return bytes((FLAG, *escaped, FLAG))


def record(maintype: int, subrecords: Sequence[tuple[int, bytes]], *, number: int, level: int, unix_s: int) -> bytes:
    """A record of (type, bytes) subrecords."""
    slots, offset = b"", 0
    for subtype, octets in subrecords:
        slots += SLOT.pack(offset, subtype)
        offset += len(octets)
    slots += SLOT.pack(0, NO_SUBRECORD) * (len(subrecords) < SLOTS)
    header = HEADER.pack(HEADER_BYTES + offset, number & 0xFF, level, PLUG_ID, unix_s, 0, 0, 0, maintype)
    return (header + slots).ljust(HEADER_BYTES, b"\0") + b"".join(octets for _, octets in subrecords)


def basic_body(groups: Mapping[str, Group]) -> bytes:
    """The 270 bytes of the basic class; groups that are not given have no module."""
    body = bytearray(BODY_BYTES)
    for name, (offset, count) in BASIC_GROUPS.items():
        group = groups.get(name, Group(0, 0, [None] * count))
        values = [INVALID if value is None else value for value in group.values]
        struct.pack_into(f"<IH{count}h", body, offset, group.status, group.label, *values)
    struct.pack_into(f"<{ECG_EXTRA_VALUES}h", body, ECG_EXTRA_AT, *[INVALID] * ECG_EXTRA_VALUES)
    return bytes(body)


def arrhythmia_body(heart_rate: int | None, arrhythmias: int) -> bytes:
    """The 270 bytes of the first extension class: status, label, HR, RR interval in ms, PVCs, arrhythmia bits."""
    status = EXISTS | ACTIVE if heart_rate else EXISTS
    beat_ms = min(30_000, 60_000 // heart_rate) if heart_rate else INVALID
    values = struct.pack("<IHhhhI", status, 0, heart_rate or INVALID, beat_ms, 0, arrhythmias)
    return values.ljust(BODY_BYTES, b"\0")


def class_subrecord(unix_s: int, body: bytes, class_number: int) -> bytes:
    """The 278 bytes of one class of displayed values."""
    return struct.pack("<I", unix_s) + body + struct.pack("<BBH", 0, 0, class_number << 8 | RESERVED_TAIL)


def aux_subrecord(nibp_unix_s: int) -> bytes:
    """The auxiliary values; of these a monitor in this room knows when the cuff was last read (0: never)."""
    return struct.pack("<I", nibp_unix_s).ljust(AUX_BYTES, b"\0")


def wave_subrecord(samples: Sequence[int], *, status: int) -> bytes:
    """One block of a waveform."""
    return struct.pack(f"<hHH{len(samples)}h", len(samples), status, 0, *samples)


def alarm_subrecord(alarms: Sequence[tuple[str, int, bool]], *, silence: int) -> bytes:
    """The alarm status: up to five of (text, colour, changed since the last one)."""
    octets = struct.pack("<hhhhh", 0, SOUND_ON, 0, 0, silence)
    for text, colour, changed in [*alarms, *[("", 0, False)] * 5][:5]:
        encoded = text.encode("latin-1", "replace")[: ALARM_TEXT_BYTES - 1].ljust(ALARM_TEXT_BYTES, b"\0")
        octets += encoded + struct.pack("<hhh", changed, colour, changed) + bytes(12)
    return octets + bytes(10)


def read_requests(buffer: bytearray) -> list[Request | None]:
    """Take the whole frames out of what a host sent; None for one that is no request (a monitor says nothing)."""
    *parts, rest = bytes(buffer).split(bytes((FLAG,)))
    buffer[:] = rest[-REQUEST_MAX_BYTES:]
    return [_request(part) for part in parts if part]


def _request(escaped: bytes) -> Request | None:
    unescaped = bytearray()
    escaping = False
    for octet in escaped:
        if octet == ESCAPE and not escaping:
            escaping = True
            continue
        unescaped.append(octet | ESCAPE_BIT if escaping else octet)
        escaping = False
    octets, checksum = bytes(unescaped[:-1]), unescaped[-1] if unescaped else 0
    if len(octets) < HEADER_BYTES or escaping or sum(octets) & 0xFF != checksum:
        return None
    length, _, level, _, _, _, _, _, maintype = HEADER.unpack_from(octets)
    offset, subtype = SLOT.unpack_from(octets, HEADER.size)
    if length != len(octets) or not 0 <= offset <= len(octets) - HEADER_BYTES:
        return None
    return Request(maintype, subtype, level, octets[HEADER_BYTES + offset :])
