"""Waveform and alarm subrecords. Pure."""

from __future__ import annotations

import struct
from typing import NamedTuple

from esi_room.drivers.edges import Condition
from esi_room.drivers.ge_dri.wave_table import WAVE_BITS, WAVES
from esi_room.drivers.ge_dri.words import SMALLEST_VALUE
from esi_room.events import VitalsWaveform

_BY_TYPE = {wave.type: wave for wave in WAVES.values()}
_WAVE_HEADER = struct.Struct("<hHH")

ALARM_BYTES = 510
_ALARM_HEADER = struct.Struct("<hhhhh")
_DISPLAYED = struct.Struct("<80shhh12x")
DISPLAYED_PLACES = 5
COLOURS = {1: "white", 2: "yellow", 3: "red"}
SILENCES = (None, "apnea", "asystole", "apnea and asystole", "all", "2 min", "5 min", "20 s")


def waveform(type_: int, data: bytes) -> VitalsWaveform | str:
    """One block of samples; as a string, what is wrong with it. Numbers under -32000 are control codes."""
    wave = _BY_TYPE.get(type_)
    if wave is None:
        return f"waveform type {type_}"
    if len(data) < _WAVE_HEADER.size:
        return "waveform cut off"
    count, status, _ = _WAVE_HEADER.unpack_from(data)
    if not 0 <= count <= (len(data) - _WAVE_HEADER.size) // 2:
        return "waveform cut off"
    raw = struct.unpack_from(f"<{count}h", data, _WAVE_HEADER.size)
    divisor = wave.divisor or 1
    bits = [n for n in range(16) if status >> n & 1]
    return VitalsWaveform(
        code=wave.parameter.code,
        name=wave.parameter.name,
        unit=wave.parameter.unit,
        rate_hz=float(wave.rate_hz),
        samples=tuple(n / divisor if n > SMALLEST_VALUE else None for n in raw),
        gap_before=0 in bits,
        conditions=tuple(WAVE_BITS.get(n, f"wave_bit_{n}") for n in bits if n),
    )


class Alarms(NamedTuple):
    """The alarm status: what stands on the screen, and what can be heard of it."""

    displayed: dict[str, Condition]
    silence: dict[str, Condition]


def alarms(data: bytes) -> Alarms | None:
    """The monitor's alarm status; None if it is cut off. The texts are in the monitor's own language."""
    if len(data) < ALARM_BYTES:
        return None
    _, sound_on, _, _, silence = _ALARM_HEADER.unpack_from(data)
    displayed: dict[str, Condition] = {}
    for n in range(DISPLAYED_PLACES):
        octets, _, colour, _ = _DISPLAYED.unpack_from(data, _ALARM_HEADER.size + n * _DISPLAYED.size)
        text = octets.split(b"\0")[0].decode("latin-1").strip()
        # Sorted by colour: of the same text twice the first is the graver.
        if text and text not in displayed:
            displayed[text] = Condition(text, COLOURS.get(colour))
    return Alarms(displayed, _silence(sound_on, silence))


def _silence(sound_on: int, silence: int) -> dict[str, Condition]:
    out = {} if sound_on else {"ge_dri:sound_off": Condition("alarm sound is off")}
    if silence:
        what = SILENCES[silence] if 0 < silence < len(SILENCES) else f"code {silence}"
        out["ge_dri:silence"] = Condition(f"alarms silenced: {what}")
    return out
