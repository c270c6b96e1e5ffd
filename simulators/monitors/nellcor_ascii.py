"""Nellcor N-560 (N-595, N-395, NPB-29x alike) printing in real time. 9600 8N1, a line every 2 s, CR LF, no checksum.

    N-560    VERSION 1.56.00    CRC:XXXX  SpO2 Limit: 90-100%    PR Limit: 60-170BPM     header: three lines, at
                                 ADULT            0SAT-S                                 power-on and after every
    TIME                 %SpO2   BPM     PA     Status                                   22 data lines
    29-Dec-17 07:18:57    89*     66     201    MO SL       AS
    |0                   |21     |29     |37   |44 two-letter codes in slots of three                 width 61

SpO2 %, BPM 1/min, PA pulse amplitude (no unit); `*` after a value: outside its limit; `---`: none. Codes: SO sensor
off, PS pulse search (the last values are still printed, PA is `---`), LP loss of pulse (the same), SL saturation
low, PL and PH pulse rate low and high. Columns measured on a capture of an N-560. English month names. The first
line after power-on is garbage, as on the captured one.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from simulators.monitors.oximeter import PULSE_LIMITS, SPO2_LOW_LIMIT_PCT, Oximeter, Probe

LINES_PER_HEADER = 22
LINE_WIDTH = 61
STATUS_COLUMN = 44
PERFUSION_TO_AMPLITUDE = 12  # an index of 5 % shows an amplitude of about 60
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
POWER_ON_GARBAGE = b"\xe5\x00\x7f\xa9N-\xff\r\n"


class NellcorAscii(Oximeter):
    """An N-560."""

    EVERY_S: ClassVar[float] = 2.0

    _lines_left: int | None = None
    """Data lines until the next header; None right after power-on."""

    async def _session(self) -> None:
        self._lines_left = None
        await super()._session()

    def print_out(self, probe: Probe) -> bytes:
        """One data line, after a header where a page begins."""
        heading = b""
        if not self._lines_left:
            heading = (POWER_ON_GARBAGE if self._lines_left is None else b"") + header()
            self._lines_left = LINES_PER_HEADER
        self._lines_left -= 1
        return heading + data_line(self.device_now(), probe).encode() + b"\r\n"


def header() -> bytes:
    """The three lines at the head of a page."""
    low, high = PULSE_LIMITS
    lines = (
        f"N-560    VERSION 1.56.00    CRC:XXXX  SpO2 Limit: {SPO2_LOW_LIMIT_PCT}-100%    PR Limit: {low}-{high}BPM",
        f"{'ADULT':>34}{'0SAT-S':>18} ",
        "TIME                 %SpO2   BPM     PA     Status",
    )
    return "".join(line + "\r\n" for line in lines).encode()


def data_line(now: datetime, probe: Probe) -> str:
    """One line of `LINE_WIDTH` characters, without its line end."""
    date = f"{now.day:02}-{MONTHS[now.month - 1]}-{now:%y %H:%M:%S}"
    codes = status_codes(probe)
    spo2 = _limited(probe.spo2_pct, violated="SL" in codes)
    pulse = _limited(probe.pulse_rate, violated="PL" in codes or "PH" in codes)
    line = f"{date:<21}{spo2}{'':4}{pulse}{'':4}{_amplitude(probe)}".ljust(STATUS_COLUMN)
    return (line + " ".join(codes)).ljust(LINE_WIDTH)


def status_codes(probe: Probe) -> list[str]:
    """The two-letter codes in force."""
    if probe.finger_off:
        return ["SO"]
    if probe.searching:
        return ["PS"]
    codes = ["LP"] if probe.low_perfusion else []
    if probe.spo2_pct is not None and probe.spo2_pct < SPO2_LOW_LIMIT_PCT:
        codes.append("SL")
    if probe.pulse_rate is not None and not PULSE_LIMITS[0] <= probe.pulse_rate <= PULSE_LIMITS[1]:
        codes.append("PL" if probe.pulse_rate < PULSE_LIMITS[0] else "PH")
    return codes


def _limited(value: int | None, *, violated: bool) -> str:
    return "--- " if value is None else f"{value:>3}{'*' if violated else ' '}"


def _amplitude(probe: Probe) -> str:
    if probe.perfusion_index_pct is None or not probe.valid or probe.low_perfusion:
        return "---"
    return f"{min(254, round(probe.perfusion_index_pct * PERFUSION_TO_AMPLITUDE)):>3}"
