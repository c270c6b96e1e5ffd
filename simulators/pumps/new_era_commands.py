"""The command set of a New Era pump: text in, data of the reply out. It can be driven as well as read, because the
device can: whether a program leaves it alone is for that program to prove.

Numbers have at most four digits and three decimals. Units: UM, MM, UH, MH (uL/min, mL/min, uL/h, mL/h); volumes in
UL up to a diameter of 14 mm, else ML, until told otherwise. Source: NE-1000 user manual #1200-01, chapter 10.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from simulators.pumps.syringe import COUNTER_LIMIT, DIAMETER_MM, Syringe

FIRMWARE = "NE1000V3.923"
UL_DIAMETER_MAX_MM = 14.0
PHASE_START_S = 0.05  # real seconds in which a command collides with a starting phase
PHASES_MAX, ADDRESS_MAX, TIMEOUT_MAX_S = 41, 99, 255
# How much of one mL/min is one of each unit.
RATE_UNITS = {"UM": 1e-3, "MM": 1.0, "UH": 1e-3 / 60, "MH": 1 / 60}
VOLUME_UNITS = {"UL": 1e-3, "ML": 1.0}
NUMBER = re.compile(r"(?=[\d.]*\d)(\d*)\.?(\d{0,3})")
COMMAND = re.compile(r"(\*RESET|\*ADR|AL|[A-Z]{3}|)(.*)")
TRIGGERS = ("FT", "FH", "F2", "LE", "ST", "T2", "SP", "P2", "RL", "RH", "SL", "SH")


class RefusalError(Exception):
    """The command is answered with `code`: empty unknown, NA not now, OOR out of range, IGN ignored."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Panel:
    """Everything a command can read or set. The program outlives a power cut."""

    syringe: Syringe
    now_s: Callable[[], float]
    """Scenario seconds."""
    address: int = 0
    timeout_s: int = 0
    """Communication time-out of safe mode; 0 is basic mode."""
    rate_unit: str = "MM"
    volume_unit: str = "ML"
    phase: int = 1
    beeps: int = 0
    trigger: str = "FT"
    phase_started_s: float = field(default=-1.0)
    """Monotonic second at which a run began."""

    def execute(self, text: str) -> str:
        """Do one command (blanks stripped, capitals, no address); the data of the reply. Raises RefusalError."""
        match = COMMAND.fullmatch(text)
        if match is None or match[1] not in COMMANDS:
            raise RefusalError("")
        name, data = match.groups()
        self.syringe.advance(self.now_s())
        if (data or name in ("RUN", "STP", "PUR")) and time.monotonic() - self.phase_started_s < PHASE_START_S:
            raise RefusalError("IGN")
        return COMMANDS[name](self, data)

    def status(self, data: str) -> str:
        """Nothing but the prompt."""
        return self._nothing(data)

    def firmware(self, data: str) -> str:
        """VER."""
        return self._nothing(data) or FIRMWARE

    def diameter(self, data: str) -> str:
        """DIA [mm]."""
        if not data:
            return number(self.syringe.diameter_mm)
        self._only_standing()
        diameter_mm = parse(data)
        if not DIAMETER_MM[0] <= diameter_mm <= DIAMETER_MM[1]:
            raise RefusalError("OOR")
        self.syringe.diameter_mm = diameter_mm
        self.volume_unit = "UL" if diameter_mm <= UL_DIAMETER_MAX_MM else "ML"
        return ""

    def rate(self, data: str) -> str:
        """RAT [number [unit]]. The unit cannot change while it runs."""
        if not data:
            return number(self.syringe.rate_ml_min / RATE_UNITS[self.rate_unit]) + self.rate_unit
        unit = data[-2:] if data[-2:] in RATE_UNITS else ""
        if unit:
            self._only_standing()
        rate_ml_min = parse(data.removesuffix(unit)) * RATE_UNITS[unit or self.rate_unit]
        if not self.syringe.rate_in_range(rate_ml_min):
            raise RefusalError("OOR")
        self.syringe.rate_ml_min, self.rate_unit = rate_ml_min, unit or self.rate_unit
        return ""

    def volume(self, data: str) -> str:
        """VOL [number], or VOL UL, VOL ML."""
        if not data:
            return number(self.syringe.target_ml / VOLUME_UNITS[self.volume_unit]) + self.volume_unit
        self._only_standing()
        if data in VOLUME_UNITS:
            self.volume_unit = data
        else:
            self.syringe.target_ml = parse(data) * VOLUME_UNITS[self.volume_unit]
        return ""

    def direction(self, data: str) -> str:
        """DIR [INF, WDR or REV]."""
        if not data:
            return self.syringe.direction
        self._only_standing()
        if data not in ("INF", "WDR", "REV"):
            raise RefusalError("")
        withdraw = data == "WDR" or (data == "REV" and self.syringe.direction == "INF")
        self.syringe.direction = "WDR" if withdraw else "INF"
        return ""

    def dispensed(self, data: str) -> str:
        """DIS: infused and withdrawn since the counters were cleared."""
        scale = VOLUME_UNITS[self.volume_unit]
        volumes = self.syringe.infused_ml / scale, self.syringe.withdrawn_ml / scale
        infused, withdrawn = (volume % COUNTER_LIMIT for volume in volumes)
        return self._nothing(data) or f"I{number(infused)}W{number(withdrawn)}{self.volume_unit}"

    def clear_dispensed(self, data: str) -> str:
        """CLD INF or CLD WDR."""
        self._only_standing()
        if data == "INF":
            self.syringe.infused_ml = 0.0
        elif data == "WDR":
            self.syringe.withdrawn_ml = 0.0
        else:
            raise RefusalError("")
        return ""

    def run(self, data: str) -> str:
        """RUN [phase]."""
        self._only_standing()
        if data:
            self._integer(data, 1, PHASES_MAX)
        if self.syringe.rate_ml_min <= 0:
            raise RefusalError("NA")
        self.syringe.start(self.now_s())
        self.phase_started_s = time.monotonic()
        return ""

    def stop(self, data: str) -> str:
        """STP: pause; once more: stop."""
        if self.syringe.state == "S":
            raise RefusalError("NA")
        self.syringe.stop(self.now_s())
        return self._nothing(data)

    def purge(self, data: str) -> str:
        """PUR: full speed."""
        self._only_standing()
        self.syringe.purge(self.now_s())
        return self._nothing(data)

    def safe_mode(self, data: str) -> str:
        """SAF [seconds]; 0 is basic mode."""
        if not data:
            return str(self.timeout_s)
        self.timeout_s = self._integer(data, 0, TIMEOUT_MAX_S)
        return ""

    def phase_number(self, data: str) -> str:
        """PHN [phase]."""
        if not data:
            return f"{self.phase:02}"
        self._only_standing()
        self.phase = self._integer(data, 1, PHASES_MAX)
        return ""

    def function(self, data: str) -> str:
        """FUN: this program has the one function."""
        if data not in ("", "RAT"):
            raise RefusalError("NA")
        return "" if data else "RAT"

    def alarm_setup(self, data: str) -> str:
        """AL [0 or 1]: whether it beeps."""
        if not data:
            return str(self.beeps)
        self.beeps = self._integer(data, 0, 1)
        return ""

    def trigger_setup(self, data: str) -> str:
        """TRG [mode] of the foot switch."""
        if data and data not in TRIGGERS:
            raise RefusalError("")
        self.trigger = data or self.trigger
        return "" if data else self.trigger

    def network_address(self, data: str) -> str:
        """*ADR [address]."""
        if not data:
            return f"{self.address:02}"
        self.address = self._integer(data, 0, ADDRESS_MAX)
        return ""

    def reset(self, data: str) -> str:
        """*RESET: the program as from the factory, in basic mode at address 0."""
        self._only_standing()
        self.address, self.timeout_s, self.rate_unit, self.volume_unit = 0, 0, "MM", "ML"
        self.syringe.diameter_mm, self.syringe.rate_ml_min, self.syringe.target_ml = 19.05, 5.0, 0.0
        self.syringe.direction = "INF"
        return self._nothing(data)

    def _nothing(self, data: str) -> str:
        if data:
            raise RefusalError("")
        return ""

    def _only_standing(self) -> None:
        if self.syringe.moving:
            raise RefusalError("NA")

    def _integer(self, data: str, low: int, high: int) -> int:
        if not data.isdecimal():
            raise RefusalError("")
        if not low <= int(data) <= high:
            raise RefusalError("OOR")
        return int(data)


COMMANDS: dict[str, Callable[[Panel, str], str]] = {
    "": Panel.status,
    "VER": Panel.firmware,
    "DIA": Panel.diameter,
    "RAT": Panel.rate,
    "VOL": Panel.volume,
    "DIR": Panel.direction,
    "DIS": Panel.dispensed,
    "CLD": Panel.clear_dispensed,
    "RUN": Panel.run,
    "STP": Panel.stop,
    "PUR": Panel.purge,
    "SAF": Panel.safe_mode,
    "PHN": Panel.phase_number,
    "FUN": Panel.function,
    "AL": Panel.alarm_setup,
    "TRG": Panel.trigger_setup,
    "*ADR": Panel.network_address,
    "*RESET": Panel.reset,
}


def number(value: float) -> str:
    """With three decimals at most, and four digits unless it is too large for them."""
    for decimals in (3, 2, 1):
        text = f"{value:.{decimals}f}"
        if len(text) <= 5:
            return text
    return f"{value:.0f}"


def parse(data: str) -> float:
    """A number as typed. RefusalError: unknown if it is none, out of range if it is too long."""
    match = NUMBER.fullmatch(data)
    if match is None:
        raise RefusalError("OOR" if re.fullmatch(r"\d*\.?\d+", data) else "")
    if len(match[1]) + len(match[2]) > 4:
        raise RefusalError("OOR")
    return float(data)
