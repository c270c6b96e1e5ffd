"""Masimo Rad-8 or Radical-7 printing ASCII 1. 9600 8N1, one line a second, CR LF, no checksum; it never listens.

    02/24/18 04:48:53 SN=0000145838 SPO2=097% BPM=080 PI=04.96% SPCO=--.-% SPMET=--.-% DESAT=-- PIDELTA=+-- \
ALARM=0000 EXC=000800
    MM/DD/YY HH:MM:SS (device clock); SPO2 %, BPM 1/min, PI %; dashes: no value; ALARM and EXC: hexadecimal bits

EXC (Rad-8 operator's manual p. 4-24): 0x004 low perfusion, 0x008 pulse search, 0x020 sensor off patient,
0x400 low signal IQ, 0x800 SET (always, with a sensor connected). ALARM (by experiment, Masimo does not document
it): 0x02 SpO2 low, 0x04 BPM high, 0x08 BPM low, 0x10 sounding.
The Radical-7 with a colour screen has more keys, PI without `%`, and wider hexadecimals.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Literal

from simulators.monitors.oximeter import PULSE_LIMITS, SPO2_LOW_LIMIT_PCT, Oximeter, Probe

SERIAL_NUMBER = "0000145838"
EXC_LOW_PERFUSION, EXC_SEARCH, EXC_OFF_PATIENT, EXC_LOW_SIGNAL, EXC_SET = 0x004, 0x008, 0x020, 0x400, 0x800
ALARM_SPO2_LOW, ALARM_BPM_HIGH, ALARM_BPM_LOW, ALARM_SOUNDING = 0x02, 0x04, 0x08, 0x10


class MasimoAscii1(Oximeter):
    """A Rad-8, or with `model="radical7"` a Radical-7."""

    EVERY_S: ClassVar[float] = 1.0

    def __init__(self, *args: Any, model: Literal["rad8", "radical7"] = "rad8", **settings: Any) -> None:
        super().__init__(*args, **settings)
        if model not in ("rad8", "radical7"):
            raise ValueError(f"model {model!r}: rad8 or radical7")
        self._line = rad8_line if model == "rad8" else radical7_line

    def print_out(self, probe: Probe) -> bytes:
        """One line."""
        return self._line(self.device_now(), probe).encode() + b"\r\n"


def rad8_line(now: datetime, probe: Probe) -> str:
    """As a Rad-8 prints it."""
    return (
        f"{now:%m/%d/%y %H:%M:%S} SN={SERIAL_NUMBER} {_values(probe)}% SPCO=--.-% SPMET=--.-% DESAT=-- "
        f"PIDELTA=+-- ALARM={alarm_bits(probe):04X} EXC={exc_bits(probe):06X}"
    )


def radical7_line(now: datetime, probe: Probe) -> str:
    """As a Radical-7 with a colour screen prints it."""
    return (
        f"{now:%m/%d/%y %H:%M:%S} SN=---------- {_values(probe)} SPCO=--% SPMET=--.-% SPHB=--.- SPOC=-- RESVD=--- "
        f"DESAT=-- PIDELTA=+-- PVI=--- ALARM={alarm_bits(probe):06X} EXC={exc_bits(probe):07X} EXC1=00000000"
    )


def exc_bits(probe: Probe) -> int:
    """The exceptions in force."""
    bits = EXC_SET
    bits |= EXC_OFF_PATIENT if probe.finger_off else 0
    bits |= EXC_SEARCH if probe.searching else 0
    bits |= EXC_LOW_PERFUSION | EXC_LOW_SIGNAL if probe.low_perfusion else 0
    return bits


def alarm_bits(probe: Probe) -> int:
    """The alarms in force; a probe that measures nothing raises no limit alarm."""
    if not probe.valid or probe.spo2_pct is None or probe.pulse_rate is None:
        return 0
    low, high = PULSE_LIMITS
    bits = ALARM_SPO2_LOW if probe.spo2_pct < SPO2_LOW_LIMIT_PCT else 0
    bits |= ALARM_BPM_LOW if probe.pulse_rate < low else 0
    bits |= ALARM_BPM_HIGH if probe.pulse_rate > high else 0
    return bits | ALARM_SOUNDING if bits else 0


def _values(probe: Probe) -> str:
    """The three values, up to but without the sign after PI, which the models differ in."""
    spo2 = "---" if probe.spo2_pct is None else f"{probe.spo2_pct:03}"
    pulse = "---" if probe.pulse_rate is None else f"{probe.pulse_rate:03}"
    perfusion = "--.--" if probe.perfusion_index_pct is None else f"{probe.perfusion_index_pct:05.2f}"
    return f"SPO2={spo2}% BPM={pulse} PI={perfusion}"
