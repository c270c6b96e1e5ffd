"""DRI frames and records: escaping, checksum, header, requests. Pure; the picture is in the package."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Literal, NamedTuple

from esi_room.checksums import sum8
from esi_room.framing import NEED_MORE, Drop, Grammar, Skip, Take, Verdict

FLAG, ESCAPE, ESCAPE_BIT = 0x7E, 0x7D, 0x20

HEADER_BYTES = 40
LONGEST_RECORD_BYTES = HEADER_BYTES + 1450
MAX_FRAME_BYTES = 2 * (LONGEST_RECORD_BYTES + 1) + 1  # every octet escaped, checksum too, and the end flag
LIST_END = 0xFF
LIST_PLACES = 8

PHDB, WAVE, ALARM = 0, 1, 4  # r_maintype
REQUEST = 0  # the subrecord type of a request, whatever the main type

Checksum = Literal["spec", "escaped"]

_HEADER = struct.Struct("<hBBHIBBHh")
_PLACE = struct.Struct("<hB")


class Subrecord(NamedTuple):
    """One entry of a record's list. `data` runs to the record's end: only its type knows its length."""

    type: int
    data: bytes


class Record(NamedTuple):
    """A record's header and its subrecords. `time_s`: Unix seconds by the monitor's clock, 0 if it has none."""

    number: int
    level: int
    plug_id: int
    time_s: int
    maintype: int
    subrecords: tuple[Subrecord, ...]


def grammar(checksum: Checksum) -> Grammar:
    """A frame is what ends at a flag and checks; the flags before it are filling.

    So it does not matter whether the monitor ends one frame and begins the next with the same flag or with two.
    """

    def judge(window: bytes) -> Verdict:
        if window[0] == FLAG:
            return Drop(len(window) - len(window.lstrip(bytes([FLAG]))))
        size = window.find(FLAG) + 1
        if not size:
            return NEED_MORE
        content = contents(window[:size], checksum)
        return Skip(size, content) if isinstance(content, str) else Take(size)

    return judge


def contents(frame: bytes, checksum: Checksum) -> bytes | str:
    """The record in a frame (with or without its flags); as a string, what is wrong with it."""
    escaped = frame.strip(bytes([FLAG]))
    plain = unescaped(escaped)
    if plain is None:
        return "bad escape"
    record = plain[:-1]
    if len(record) <= HEADER_BYTES:
        return "too short"
    fits = checksums_that_fit(escaped, plain)
    if checksum not in fits:
        # Counted apart: a monitor that always ends up here wants the option `checksum = "escaped"`.
        return "escaped-octet checksum" if "escaped" in fits else "bad checksum"
    return record if int.from_bytes(record[:2], "little") == len(record) else "bad length"


def checksums_that_fit(escaped: bytes, plain: bytes) -> set[Checksum]:
    """The document sums the record's octets; some software sums them as they stand on the wire."""
    fits: set[Checksum] = set()
    if sum8(plain[:-1]) == plain[-1]:
        fits.add("spec")
    own_bytes = 2 if len(escaped) > 1 and escaped[-2] == ESCAPE else 1
    if sum8(escaped[:-own_bytes]) == plain[-1]:
        fits.add("escaped")
    return fits


def unescaped(escaped: bytes) -> bytes | None:
    """None if an escape has nothing behind it, or there is nothing at all."""
    head, *rest = escaped.split(bytes([ESCAPE]))
    if not escaped or not all(rest):
        return None
    return head + b"".join(bytes([part[0] | ESCAPE_BIT]) + part[1:] for part in rest)


def framed(record: bytes) -> bytes:
    """A record as it goes out."""
    plain = record + bytes([sum8(record)])
    escaped = b"".join(
        bytes([ESCAPE, octet & ~ESCAPE_BIT]) if octet in {FLAG, ESCAPE} else bytes([octet]) for octet in plain
    )
    return bytes([FLAG]) + escaped + bytes([FLAG])


def parsed(record: bytes) -> Record | str:
    """Header and list; as a string, what is wrong with them."""
    _, number, level, plug_id, time_s, _, _, _, maintype = _HEADER.unpack_from(record)
    subrecords = []
    for offset, type_ in _places(record):
        at = HEADER_BYTES + offset
        if offset < 0 or at >= len(record):
            return "subrecord outside the record"
        subrecords.append(Subrecord(type_, record[at:]))
    return Record(number, level, plug_id, time_s, maintype, tuple(subrecords))


def _places(record: bytes) -> Iterator[tuple[int, int]]:
    for n in range(LIST_PLACES):
        offset, type_ = _PLACE.unpack_from(record, _HEADER.size + n * _PLACE.size)
        if type_ == LIST_END:
            return
        yield offset, type_


# --- requests: the only octets that go to the monitor ---------------------------------------------------


def values_request(level: int, interval_s: int, classes: int) -> bytes:
    """Displayed values every `interval_s` seconds; `classes`: bit mask, see `CLASS_BITS`."""
    return _request(level, PHDB, struct.pack("<BhIh", 1, interval_s, classes, 0))


def waveforms_request(level: int, types: tuple[int, ...]) -> bytes:
    """Start these waveforms, eight at most."""
    listed = bytes(types) + bytes([LIST_END] if len(types) < LIST_PLACES else [])
    return _request(level, WAVE, struct.pack("<hh8s16x4x", 0, 0, listed))


def alarms_request(level: int) -> bytes:
    """The alarm status at once, then whenever it changes (differential mode)."""
    return _request(level, ALARM, struct.pack("<h10x", 2))


def _request(level: int, maintype: int, data: bytes) -> bytes:
    header = _HEADER.pack(HEADER_BYTES + len(data), 0, level, 0, 0, 0, 0, 0, maintype)
    places = _PLACE.pack(0, REQUEST) + _PLACE.pack(0, LIST_END)
    return framed(header + places.ljust(LIST_PLACES * _PLACE.size, b"\0") + data)
