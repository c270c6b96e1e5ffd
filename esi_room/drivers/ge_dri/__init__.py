"""GE / Datex-Ohmeda S/5 Computer Interface (DRI): CARESCAPE B850 B650 B450, B20 B30 B40, B105 B125, S/5, AS/3.

Document: M1017617 "S/5 Computer Interface Specification", 8005313 "DRI Specification", both 12th ed.
Line: 19200 8E1, RTS/CTS (CARESCAPE software 3 also 115200). The host asks once, the monitor streams.

    7E <record and checksum, escaped> 7E     every 7E is a delimiter: one frame's end may be the next one's start
    escaped   7E -> 7D 5E, 7D -> 7D 5D       checksum: sum of the unescaped record, modulo 256

    LL LL NN DD PP PP TT TT TT TT 00 00 00 00 MM MM (OO OO YY)*8 | subrecords       little endian
    L length of the record   N running number   D DRI level   P plug id   T Unix seconds, monitor's clock
    M 0 values, 1 waveforms, 4 alarms   O offset counted from octet 40, Y type; type FF ends the list

    values    TT TT TT TT <270 octets> KK 00 CC CC      K last mark, C bits 8-11: 0 basic, 1 to 3 ext1 to ext3
       group  SS SS SS SS BB BB VV VV VV VV ...         S status: bit 0 module exists, bit 1 measuring; B label;
              values i16 in 1/100 mmHg, 1/100 %, 1/100 Cel, 1/min; -32767 invalid, -32766 not updated,
              -32765 discontinuity, -32764 under range, -32763 over range, -32762 not calibrated
    waveform  NN NN SS SS BB BB VV VV ...               N samples; S 1 gap before, 4 pacer, 8 lead off
    alarms    00 00 OO OO 00 00 00 00 II II (80 text, changed, colour, changed, 12)*5 10

There is no error reply and no keep-alive. Minimum interval 5 s. A cuff value is told when it was measured, not
each time that it is repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from esi_room.drivers.contract import Info
from esi_room.drivers.ge_dri import wire
from esi_room.drivers.ge_dri.monitor import Monitor
from esi_room.drivers.ge_dri.subscription import LEVELS, Requests
from esi_room.drivers.ge_dri.tables import CLASS_BITS
from esi_room.drivers.ge_dri.wave_table import SAMPLES_PER_S_CAP, WAVES
from esi_room.errors import ConfigurationError
from esi_room.line import LineSettings

SHORTEST_INTERVAL_S = 5  # a hard limit of the monitor
LONGEST_INTERVAL_S = 60  # the cuff's age flag turns at 60 s; and 125 and 126 would need escaping (see `wire`)
SHORTEST_SILENCE_S = 15.0
TICK_S = 1.0


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """`interval_s`: seconds between records, 5 to 60. `classes`: displayed-value classes beside `basic`.

    `waveforms`: names such as `PLETH`, eight at most and 600 samples/s together. `alarms`: ask for the alarm
    status (CARESCAPE answers). `level`: DRI level to ask at; null tries them in turn. `checksum`: `escaped` only
    for a monitor whose frames are all rejected as `escaped-octet checksum`.
    """

    interval_s: int = 5
    classes: tuple[Literal["basic", "ext1", "ext2", "ext3"], ...] = ("basic", "ext1", "ext2", "ext3")
    waveforms: tuple[str, ...] = ()
    alarms: bool = True
    level: Literal[0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11] | None = None
    checksum: wire.Checksum = "spec"


def _requests(options: Options) -> dict[int, Requests]:
    """What may be sent, by DRI level."""
    mask = sum(CLASS_BITS[name] for name in set(options.classes)) | ("basic" not in options.classes)
    types = tuple(WAVES[name].type for name in options.waveforms)
    levels = LEVELS if options.level is None else (options.level,)
    return {
        level: Requests(
            values=wire.values_request(level, options.interval_s, mask),
            waveforms=wire.waveforms_request(level, types) if types else None,
            alarms=wire.alarms_request(level) if options.alarms else None,
        )
        for level in levels
    }


def _sends(requests: Mapping[int, Requests]) -> dict[bytes, str]:
    return {
        octets: f"{what}, DRI level {level}"
        for level, asked in requests.items()
        for octets, what in (
            (asked.values, "start displayed values"),
            (asked.waveforms, "start waveforms"),
            (asked.alarms, "start alarm status"),
        )
        if octets is not None
    }


def _info(options: Options) -> Info:
    return Info(
        name="ge_dri",
        kind="monitor",
        maker="GE Healthcare (Datex-Ohmeda)",
        models="CARESCAPE B850, B650, B450; B20, B30, B40, B105, B125; S/5, Cardiocap/5, AS/3, CS/3",
        document="M1017617 S/5 Computer Interface Specification and 8005313 DRI Specification, 12th ed.",
        line=LineSettings(baud=19200, parity="even", rtscts=True, rts=True),
        integrity="8-bit sum",
        max_silence_s=max(SHORTEST_SILENCE_S, 3.0 * options.interval_s),
        max_frame_bytes=wire.MAX_FRAME_BYTES,
        sends=_sends(_requests(options)),
        tick_s=TICK_S,
        notes="B20, B40, B105 and B125 have a female DB-9 with 2/3 and 7/8 swapped; B850, B650 and B450 need the "
        "USB-serial adapter that GE names. Waveforms stop when CTS blocks the monitor for 2 s.",
    )


INFO = _info(Options())


def make(options: Options) -> Monitor:
    """A driver for one monitor. ConfigurationError with all that is wrong in the options."""
    problems = _problems(options)
    if problems:
        raise ConfigurationError(problems)
    return Monitor(_info(options), _requests(options), options.checksum)


def _problems(options: Options) -> list[str]:
    out = []
    if not SHORTEST_INTERVAL_S <= options.interval_s <= LONGEST_INTERVAL_S:
        out.append(f"interval_s = {options.interval_s}: allowed are {SHORTEST_INTERVAL_S} to {LONGEST_INTERVAL_S}")
    if not options.classes:
        out.append(f"classes = []: name at least one of {', '.join(CLASS_BITS)}")
    out += [f"waveform {name!r}: known are {', '.join(WAVES)}" for name in options.waveforms if name not in WAVES]
    if len(set(options.waveforms)) < len(options.waveforms):
        out.append("waveforms: one is named twice")
    if len(options.waveforms) > wire.LIST_PLACES:
        out.append(f"waveforms: {len(options.waveforms)} named, {wire.LIST_PLACES} allowed")
    rate = sum(WAVES[name].rate_hz for name in options.waveforms if name in WAVES)
    if rate > SAMPLES_PER_S_CAP:
        out.append(f"waveforms: {rate} samples/s together, the monitor sends {SAMPLES_PER_S_CAP}")
    return out
