"""Masimo ASCII 1: Rad-8, Radical-7 pulse oximeters.

Document: Rad-8 Operator's Manual, serial interface (p. 4-24 names the EXC bits); lines of real devices.
Line: 9600 8N1, no handshake, one line a second, CR LF, nothing is ever sent to it. No checksum.

    02/24/18 04:48:53 SN=0000145838 SPO2=097% BPM=080 PI=04.96% SPCO=--.-% SPMET=--.-% DESAT=-- PIDELTA=+--
    MM/DD/YY hh:mm:ss serial        %         /min    %         other parameters, on Radical-7 more of them
        ALARM=0000 EXC=000800        bits, hexadecimal, of any width

    dashes: no value.  The clock is the device's own, US order.
    EXC   001 no sensor  002 defective sensor  004 low perfusion  008 pulse search  010 interference
          020 sensor off patient  040 ambient light  080 unrecognised sensor  400 low signal IQ  800 SET (normal)
    ALARM 01 SpO2 high  02 SpO2 low  04 BPM high  08 BPM low  10 sounding  20 mute key: found by experiment
          (N. Menon), Masimo does not document them, so they are advisory.

The device goes on printing the last numbers with the sensor off: EXC decides what a number is worth. A key we
do not know is kept under the vendor's id: as a reading if the wire gives its unit (`%`), as a field if not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from msgspec import Struct

from esi_room.drivers.contract import Ask, Identified, Info, Output, Refused, Said
from esi_room.drivers.edges import Condition, Edges
from esi_room.drivers.lines import is_text, line_grammar, stripped
from esi_room.events import Reading, ReadingStatus, VitalsNumeric
from esi_room.framing import Grammar
from esi_room.line import LineSettings
from esi_room.nomenclature import PERFUSION_INDEX, PULSE_RATE, SPO2, Parameter, reading, vendor

MAX_SILENCE_S = 3.0  # three lines missed

EXC_SET = 0x800
EXC_BITS = {
    0x001: "no_sensor",
    0x002: "defective_sensor",
    0x004: "low_perfusion",
    0x008: "pulse_search",
    0x010: "interference",
    0x020: "sensor_off_patient",
    0x040: "ambient_light",
    0x080: "unrecognised_sensor",
    0x400: "low_signal_iq",
    EXC_SET: "set",
}
EXC_INVALID = 0x001 | 0x002 | 0x008 | 0x020 | 0x080
"""While one of these is set the numbers are not of this patient now."""
EXC_DOUBTED = 0x004 | 0x010 | 0x040 | 0x400

ALARM_BITS = {
    0x01: "spo2_high",
    0x02: "spo2_low",
    0x04: "pulse_rate_high",
    0x08: "pulse_rate_low",
    0x10: "alarm_sounding",
    0x20: "mute_key",
}

_LINE = re.compile(rb"(\d\d/\d\d/\d\d \d\d:\d\d:\d\d)((?: [A-Z][A-Z0-9]*=[0-9A-Za-z.+-]+%?)+)")
_TREND = re.compile(rb"\d\d/\d\d/\d\d \d\d:\d\d:\d\d SpO2=")  # trend download: mixed case, no serial number
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")
_DASHES = re.compile(r"[+-]?-+(?:\.-+)?")
_PATTERNS = {
    "SN": re.compile(r"\d+|-+"),
    "SPO2": re.compile(r"(?:\d{3}|-{1,3})%"),
    "BPM": re.compile(r"\d{3}|-{1,3}"),
    "PI": re.compile(r"(?:\d\d\.\d\d|--\.--|--)%?"),
    "ALARM": re.compile(r"[0-9A-F]+"),
    "EXC": re.compile(r"[0-9A-F]+"),
}
"""The keys without which a line is cut or garbled, and how each must look."""


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """This device leaves nothing to choose."""


INFO = Info(
    name="masimo_ascii1",
    kind="oximeter",
    maker="Masimo",
    models="Rad-8, Radical-7",
    document="Rad-8 Operator's Manual, serial interface, ASCII 1",
    line=LineSettings(baud=9600),
    integrity="none: strict line pattern",
    max_silence_s=MAX_SILENCE_S,
    max_frame_bytes=512,  # the longest line seen (Radical-7) has 180
    sends={},
    notes="The device starts in ASCII 2: hold Enter and Down for 5 s, menu SEr, choose AS1.",
)


def make(options: Options) -> Masimo:
    """A driver for one oximeter."""
    return Masimo(options)


class Masimo:
    """One line in, one `vitals.numeric` out, with the edges of EXC and ALARM."""

    def __init__(self, options: Options) -> None:
        self.info = INFO
        self.grammar: Grammar = line_grammar(_fault)
        self.on_open()

    def on_open(self) -> Sequence[Output]:
        self._edges = Edges()
        self._serial: str | None = None
        return ()

    def on_frame(self, octets: bytes) -> Sequence[Output]:
        line = stripped(octets)
        fault = _fault(line)
        if fault is not None:
            return (Refused(fault),)
        when, fields = _split(line)
        exc, alarm = int(fields["EXC"], 16), int(fields["ALARM"], 16)
        said = VitalsNumeric(
            readings=_readings(fields, exc),
            stale_after_s=MAX_SILENCE_S,
            conditions=(*_words(exc, EXC_BITS, "exc"), *_words(alarm, ALARM_BITS, "alarm")),
            fields=_other_fields(fields),
        )
        wall_s = _wall_s(when)
        alarms = self._edges.update(_alarms(exc, alarm))
        out: list[Output] = [Said(data, when, wall_s) for data in (said, *alarms)]
        return self._identified(fields["SN"]) + out

    def on_sent(self, octets: bytes) -> None:
        """Nothing is ever sent."""

    def on_tick(self, now_s: float) -> Sequence[Ask]:
        """Nothing to ask: the device streams."""
        return ()

    def _identified(self, serial: str) -> list[Output]:
        if serial == self._serial or _DASHES.fullmatch(serial):
            return []
        self._serial = serial
        return [Identified(f"Masimo, serial number {serial}")]


def _fault(line: bytes) -> str | None:
    """Why this is not a whole line of a Masimo in ASCII 1; None if it is."""
    if not is_text(line):
        return "not text"
    if _TREND.match(line):
        return "trend line"
    if not _LINE.fullmatch(line):
        return "unknown line"
    if line.count(b"=") != len(_split(line)[1]):
        return "key twice"
    return _field_fault(_split(line)[1])


def _field_fault(fields: dict[str, str]) -> str | None:
    """A key that is missing or does not hold what it must: the line is cut or garbled."""
    for key, pattern in _PATTERNS.items():
        if key not in fields:
            return "incomplete line"
        if not pattern.fullmatch(fields[key]):
            return "malformed value"
    spo2 = _number(fields["SPO2"])
    return "out of range" if spo2 is not None and spo2 > 100 else None


def _split(line: bytes) -> tuple[str, dict[str, str]]:
    """Date and time, and the fields by key. `line` fits `_LINE`."""
    words = line.decode("ascii").split(" ")
    return " ".join(words[:2]), dict(word.split("=", 1) for word in words[2:])


def _number(text: str) -> float | None:
    """None for dashes (and for what is no number)."""
    bare = text.removesuffix("%")
    if not _NUMBER.fullmatch(bare):
        return None
    return float(bare) if "." in bare else int(bare)


def _readings(fields: dict[str, str], exc: int) -> tuple[Reading, ...]:
    status = _status(exc)
    out = [
        _reading(SPO2, _number(fields["SPO2"]), status, exc),
        _reading(PULSE_RATE, _number(fields["BPM"]), status, exc),
        _reading(PERFUSION_INDEX, _number(fields["PI"]), status, exc),
    ]
    for key, text in fields.items():
        value = _number(text)
        if key not in _PATTERNS and text.endswith("%") and value is not None:
            out.append(_reading(vendor(f"masimo:{key}", f"{key.lower()}_pct", "%"), value, status, exc))
    return tuple(out)


def _reading(parameter: Parameter, value: float | None, status: ReadingStatus, exc: int) -> Reading:
    flags = _words(exc & (EXC_INVALID | EXC_DOUBTED), EXC_BITS, "exc")
    if value is None:
        return reading(parameter, None, "off" if exc & 0x021 else "invalid", (*flags, "no_value"))
    return reading(parameter, value, status, flags)


def _status(exc: int) -> ReadingStatus:
    """What the numbers of a line are worth. 0x001 and 0x020: nothing is being measured at all."""
    if exc & (0x001 | 0x020):
        return "off"
    if exc & EXC_INVALID:
        return "invalid"
    return "questionable" if exc & EXC_DOUBTED else "ok"


def _other_fields(fields: dict[str, str]) -> dict[str, str]:
    """What has a value, and no unit on the wire."""
    return {
        key: text
        for key, text in fields.items()
        if key not in _PATTERNS and not text.endswith("%") and not _DASHES.fullmatch(text)
    }


def _words(bits: int, table: dict[int, str], what: str) -> tuple[str, ...]:
    """Every set bit as a word; one without a name by its number."""
    return tuple(table.get(1 << n, f"{what}_bit_{n}") for n in range(bits.bit_length()) if bits & (1 << n))


def _alarms(exc: int, alarm: int) -> dict[str, Condition]:
    """EXC as the manual names it; ALARM as somebody found out. SET is the normal state, no alarm."""
    out = {f"EXC {bit:03X}": Condition(word.replace("_", " ")) for bit, word in EXC_BITS.items() if exc & bit}
    out.pop(f"EXC {EXC_SET:03X}", None)
    for bit, word in ALARM_BITS.items():
        if alarm & bit:
            out[f"ALARM {bit:02X}"] = Condition(word.replace("_", " "), advisory=True)
    return out


def _wall_s(when: str) -> float | None:
    """`MM/DD/YY hh:mm:ss` as seconds since 1970; None where there is no such day."""
    month, day, year, hour, minute, second = (int(part) for part in re.split(r"\D", when))
    try:
        return datetime(2000 + year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError:
        return None
