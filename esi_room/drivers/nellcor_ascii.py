"""Nellcor ASCII print-out: N-560, N-595, N-395, NPB-29x, N-600x pulse oximeters.

Document: N-595 operator's manual, data port; columns measured on captures of N-560s.
Line: 9600 8N1 (selectable on the device: 19200 seen), one line every 2 s, CR LF. No checksum. An interactive
mode exists (0x03 0x03), so nothing is ever sent.

    N-560    VERSION 1.56.00    CRC:XXXX  SpO2 Limit: 90-100%    PR Limit: 60-170BPM     three header lines,
                                 ADULT            0SAT-S                                 again after every 22
    TIME                 %SpO2   BPM     PA     Status                                   data lines
    29-Dec-17 07:18:57    89*     66     201    MO SL       AS
    0                    21      29      37     44 ...
    DD-Mmm-YY hh:mm:ss   SSS*    BBB*    PPP    codes of two letters in slots of three characters

    S SpO2 in %, B pulse rate per minute, P pulse amplitude (no unit), * limit violated, --- no value
    AO alarm off  AS alarm silence  LB low battery  LM loss of pulse with interference  LP loss of pulse
    MO interference (motion)  PH PL pulse rate high, low  PS pulse search  SH SL saturation high, low
    SD sensor disconnect  SO sensor off

During pulse search the last numbers are printed again, with PA `---`: they are old, and never valid.
The N-595 also prints `SPO2 RESP MODE: NORMAL|FAST` and, when it starts, `VERSION x INFO CRC:.. SEC:..`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from esi_room.drivers.contract import Ask, Identified, Info, Output, Refused, Said
from esi_room.drivers.edges import Condition, Edges
from esi_room.drivers.lines import is_text, line_grammar, stripped
from esi_room.events import Reading, ReadingStatus, VitalsNumeric
from esi_room.framing import Grammar
from esi_room.line import LineSettings
from esi_room.nomenclature import PULSE_RATE, SPO2, Parameter, reading, vendor

MAX_SILENCE_S = 5.0  # two lines missed, and the header (three lines, 0.2 s at 9600 baud) in between

PULSE_AMPLITUDE = vendor("nellcor:PA", "pulse_amplitude", "1")

STATUS = {
    "AO": "alarm_off",
    "AS": "alarm_silence",
    "LB": "low_battery",
    "LM": "loss_of_pulse_with_interference",
    "LP": "loss_of_pulse",
    "MO": "interference",
    "PH": "pulse_rate_high",
    "PL": "pulse_rate_low",
    "PS": "pulse_search",
    "SD": "sensor_disconnect",
    "SH": "saturation_high",
    "SL": "saturation_low",
    "SO": "sensor_off",
}
OFF = {"SD", "SO"}
INVALID = {"LM", "LP", "PS"}
DOUBTED = {"MO"}

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATA = re.compile(
    rb"(?P<time>\d\d-(?:%s)-\d\d \d\d:\d\d:\d\d) {3}" % "|".join(_MONTHS).encode()
    + rb"(?P<spo2>  \d| \d\d|\d{3}|---)(?P<spo2_limit>[* ]) {4}"
    + rb"(?P<bpm>  \d| \d\d|\d{3}|---)(?P<bpm_limit>[* ]) {4}"
    + rb"(?P<pa>  \d| \d\d|\d{3}|---)"
    + rb"(?: {4}(?P<status>(?:(?:[A-Z]{2}|  ) ){0,6}[A-Z]{2}))?"
)
_DATE = re.compile(rb"\d\d[-/](?:\d\d|[A-Za-z]{3})[-/]\d\d \d\d:\d\d:\d\d")
_HEADERS = (
    re.compile(
        rb"(?P<model>N[A-Z]{0,2}-?\w{3,5}) +VERSION +(?P<version>[\w.]+) +CRC: ?\w+"
        rb" +SpO2 Limit: *(?P<spo2_low_limit_pct>\d{2,3})- *(?P<spo2_high_limit_pct>\d{2,3})%"
        rb" +PR Limit: *(?P<pulse_rate_low_limit_bpm>\d{2,3})- *(?P<pulse_rate_high_limit_bpm>\d{2,3})BPM"
    ),
    re.compile(rb" +(?P<patient_mode>ADULT|NEO\w*|PED\w*) +(?P<sat_seconds>\d{1,3})SAT-S"),
    re.compile(rb"TIME +%SpO2 +BPM +PA +Status"),
    re.compile(rb" *SPO2 RESP MODE: *(?P<response_mode>NORMAL|FAST)"),
    re.compile(rb"(?:(?P<model>N[A-Z]{0,2}-?\w{3,5}) +)?VERSION +(?P<version>[\w.]+) .*CRC:.*SEC:.*"),
)


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """This device leaves nothing to choose; its baud rate is a line setting."""


INFO = Info(
    name="nellcor_ascii",
    kind="oximeter",
    maker="Nellcor (Covidien, Medtronic)",
    models="N-560, N-595, N-395, NPB-290, NPB-295, N-600x",
    document="N-595 Operator's Manual, data port, ASCII mode",
    line=LineSettings(baud=9600),
    integrity="none: strict line pattern",
    max_silence_s=MAX_SILENCE_S,
    max_frame_bytes=160,  # the longest header line has 82
    sends={},
    notes="Set the data port to ASCII; the baud rate can be chosen on the device. Columns were measured on an "
    "N-560 only.",
)


def make(options: Options) -> Nellcor:
    """A driver for one oximeter."""
    return Nellcor(options)


class Nellcor:
    """Data lines become `vitals.numeric`; what the header says goes with the next of them."""

    def __init__(self, options: Options) -> None:
        self.info = INFO
        self.grammar: Grammar = line_grammar(_fault)
        self.on_open()

    def on_open(self) -> Sequence[Output]:
        self._edges = Edges()
        self._identity: str | None = None
        self._header: dict[str, Any] = {}
        return ()

    def on_frame(self, octets: bytes) -> Sequence[Output]:
        line = stripped(octets)
        fault = _fault(line)
        if fault is not None:
            return (Refused(fault),)
        data = _DATA.fullmatch(line)
        return self._on_header(line) if data is None else self._on_data(_texts(data))

    def on_sent(self, octets: bytes) -> None:
        """Nothing is ever sent."""

    def on_tick(self, now_s: float) -> Sequence[Ask]:
        """Nothing to ask: the device prints by itself."""
        return ()

    def _on_header(self, line: bytes) -> Sequence[Output]:
        fields = next(_texts(found) for header in _HEADERS if (found := header.fullmatch(line)))
        model, version = fields.pop("model", ""), fields.pop("version", "")
        self._header |= {key: int(text) if text.isdigit() else text for key, text in fields.items()}
        identity = f"Nellcor {model}, version {version}".replace(" ,", ",")
        if not version or identity == self._identity:
            return ()
        self._identity = identity
        return (Identified(identity),)

    def _on_data(self, line: dict[str, str]) -> Sequence[Output]:
        codes = line.get("status", "").split()
        said = VitalsNumeric(
            readings=_readings(line, codes),
            stale_after_s=MAX_SILENCE_S,
            conditions=tuple(_word(code) for code in codes),
            fields=self._header,
        )
        self._header = {}
        alarms = self._edges.update({code: Condition(_word(code).replace("_", " ")) for code in codes})
        wall_s = _wall_s(line["time"])
        return [Said(data, line["time"], wall_s) for data in (said, *alarms)]


def _fault(line: bytes) -> str | None:
    """Why this is not a line of a Nellcor print-out; None if it is."""
    if not is_text(line):
        return "not text"
    data = _DATA.fullmatch(line)
    if data is not None:
        return "out of range" if int(data["spo2"].replace(b"---", b"0")) > 100 else None
    if _DATE.match(line):
        return "data line of another layout"
    return None if any(header.fullmatch(line) for header in _HEADERS) else "unknown line"


def _texts(found: re.Match[bytes]) -> dict[str, str]:
    return {key: text.decode("ascii") for key, text in found.groupdict().items() if text is not None}


def _word(code: str) -> str:
    return STATUS.get(code, f"status_{code.lower()}")


def _readings(line: dict[str, str], codes: list[str]) -> tuple[Reading, ...]:
    status, flags = _status(line, codes)
    return (
        _reading(SPO2, line["spo2"], line["spo2_limit"], status, flags),
        _reading(PULSE_RATE, line["bpm"], line["bpm_limit"], status, flags),
        _reading(PULSE_AMPLITUDE, line["pa"], " ", status, flags),
    )


def _status(line: dict[str, str], codes: list[str]) -> tuple[ReadingStatus, tuple[str, ...]]:
    """What the numbers of a line are worth, and why.

    A code that we do not know, or numbers without a pulse amplitude, may be a pulse search that noise
    has garbled: there is no checksum to tell.
    """
    if OFF & set(codes):
        return "off", tuple(_word(code) for code in codes if code in OFF)
    if INVALID & set(codes):
        return "invalid", tuple(_word(code) for code in codes if code in INVALID)
    doubts = tuple(_word(code) for code in codes if code in DOUBTED or code not in STATUS)
    if line["pa"] == "---":
        doubts = (*doubts, "no_pulse_amplitude")
    return ("questionable" if doubts else "ok"), doubts


def _reading(parameter: Parameter, text: str, limit: str, status: ReadingStatus, flags: tuple[str, ...]) -> Reading:
    if limit == "*":
        flags = (*flags, "limit_violated")
    if text == "---":
        return reading(parameter, None, "off" if status == "off" else "invalid", (*flags, "no_value"))
    return reading(parameter, int(text), status, flags)


def _wall_s(when: str) -> float | None:
    """`DD-Mmm-YY hh:mm:ss` as seconds since 1970; None where there is no such day."""
    day, name, rest = when.split("-", 2)
    year, hour, minute, second = (int(part) for part in re.split(r"\D", rest))
    month = _MONTHS.index(name) + 1
    try:
        return datetime(2000 + year, month, int(day), hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError:
        return None
