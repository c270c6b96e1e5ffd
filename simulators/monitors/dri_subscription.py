"""What a host has asked a GE monitor for since the line came up.

    values, 9 bytes:      KK II II CC CC CC CC 00 00     K 1 displayed values; I interval in s, -1 once, 0 stop;
                                                         C 1 no basic class, 2, 4, 8 extensions 1, 2, 3
    waveforms, 32 bytes:  RR RR 00 00 <types, ended by FF> …       R 0 start, 1 stop
    alarms, 12 bytes:     RR RR 00 …                     R 0 once, 2 enter, 3 leave the differential mode

A request that is wrong or not supported is refused, and a refused request is not answered.
"""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass, field
from random import Random

from simulators.monitors import dri_records as dri
from simulators.monitors.bedside import Alarm
from simulators.monitors.waves import CHANNELS

WAVE_DELAY_S = (0.2, 0.9)  # specification: within 1 s of the request
WAVE_SAMPLES_MAX = 600  # a second, all waveforms together
VALUES_MIN_S = 5
VALUES_DELAY_S = (0.1, 0.6)
ALARM_LEVEL = 10  # DRI level from which alarms are sent
ONCE, STOP = -1, 0

VALUES_REQUEST = struct.Struct("<BhIh")
WAVE_REQUEST = struct.Struct("<hh8s")
ALARM_REQUEST = struct.Struct("<h")
ALARM_ONCE, ALARM_ENTER, ALARM_LEAVE = 0, 2, 3


@dataclass
class Subscription:
    """Due times are monotonic seconds; None is: not at all."""

    values_every_s: int = 0
    values_due_s: float | None = None
    classes: int = 0
    single_at_s: float | None = None
    waves: tuple[int, ...] = ()
    waves_due_s: float = 0.0
    wave_gap: bool = True
    alarms_differential: bool = False
    alarms_due_s: float | None = None
    alarms_sent_s: float = 0.0
    alarms_said: list[Alarm] = field(default_factory=list)
    silence_said: bool = False

    def accept(self, request: dri.Request, level: int, *, strict: bool, rng: Random) -> bool:
        """Take a request to a monitor of that DRI level; False where the monitor ignores it."""
        if request.subtype != 0 or request.level > level or (strict and request.level != level):
            return False
        if request.maintype == dri.VALUES:
            return self._ask_values(request.body, rng)
        if request.maintype == dri.WAVES:
            return self._ask_waves(request.body, rng)
        return request.maintype == dri.ALARMS and level >= ALARM_LEVEL and self._ask_alarms(request.body)

    def _ask_values(self, body: bytes, rng: Random) -> bool:
        if len(body) < VALUES_REQUEST.size:
            return False
        kind, interval_s, classes, _ = VALUES_REQUEST.unpack_from(body)
        now_s = time.monotonic()
        if kind != dri.DISPLAYED or not (interval_s in (ONCE, STOP) or interval_s >= VALUES_MIN_S):
            return False
        if interval_s == ONCE:
            if self.single_at_s is not None and now_s - self.single_at_s < VALUES_MIN_S:
                return False
            self.single_at_s = now_s
        self.classes = classes
        self.values_every_s = max(0, interval_s)
        self.values_due_s = None if interval_s == STOP else now_s + rng.uniform(*VALUES_DELAY_S)
        return True

    def _ask_waves(self, body: bytes, rng: Random) -> bool:
        if len(body) < WAVE_REQUEST.size:
            return False
        stop, _, types = WAVE_REQUEST.unpack_from(body)
        self.waves = () if stop else _served(types.split(b"\xff")[0])
        self.waves_due_s = time.monotonic() + rng.uniform(*WAVE_DELAY_S)
        self.wave_gap = True
        return bool(stop or self.waves)

    def _ask_alarms(self, body: bytes) -> bool:
        if len(body) < ALARM_REQUEST.size:
            return False
        (command,) = ALARM_REQUEST.unpack_from(body)
        if command not in (ALARM_ONCE, ALARM_ENTER, ALARM_LEAVE):
            return False
        if command != ALARM_ONCE:
            self.alarms_differential = command == ALARM_ENTER
        if command != ALARM_LEAVE:
            self.alarms_due_s = time.monotonic()
        return True


def _served(types: bytes) -> tuple[int, ...]:
    """Of the waveform types asked for, those that exist here, as many as the line has room for."""
    served: list[int] = []
    rate_hz = 0
    for wave in dict.fromkeys(types):
        if wave in CHANNELS and rate_hz + CHANNELS[wave].rate_hz <= WAVE_SAMPLES_MAX:
            served.append(wave)
            rate_hz += CHANNELS[wave].rate_hz
    return tuple(served)
