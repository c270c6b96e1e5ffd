"""New Era packets: how they are made, told from noise, and taken apart. Pure; the picture is in the package."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from esi_room.checksums import crc16_xmodem
from esi_room.drivers.contract import Refused
from esi_room.events import PumpState
from esi_room.framing import NEED_MORE, Skip, Take, Verdict

STX, ETX = 0x02, 0x03
SAFE_OVERHEAD_BYTES = 4  # L, two of CRC, ETX: what L counts beside the data
SAFE_SHORTEST, SAFE_LONGEST = SAFE_OVERHEAD_BYTES + len("00S"), 40  # values of L in a reply


STATES: dict[str, tuple[PumpState, str | None]] = {
    "I": ("infusing", None),
    "W": ("withdrawing", None),
    "S": ("stopped", None),
    "P": ("paused", None),
    "T": ("paused", "timed pause"),
    "U": ("paused", "waiting for trigger"),
    "X": ("purging", None),
}
ALARMS = {
    "R": "pump was reset: power was lost",
    "S": "motor stalled: occlusion or end of travel",
    "T": "safe mode communication timeout",
    "E": "pumping program error",
    "O": "pumping program phase out of range",
}
ML_H = {"UM": 0.06, "MM": 60.0, "UH": 0.001, "MH": 1.0}
ML = {"UL": 0.001, "ML": 1.0}

_NUMBER = r"((?=\.?\d)\d{0,4}\.?\d{0,3})"
ANSWERS = {
    "": re.compile(""),
    "SAF0": re.compile(""),
    "VER": re.compile(r"(\w+)V(\d+\.\d+\w*)"),
    "DIA": re.compile(_NUMBER),
    "DIR": re.compile(r"(INF|WDR)"),
    "RAT": re.compile(_NUMBER + "(UM|MM|UH|MH)"),
    "VOL": re.compile(_NUMBER + "(UL|ML)"),
    "DIS": re.compile(f"I{_NUMBER}W{_NUMBER}(UL|ML)"),
}
"""What may answer which query: an answer that came too late must not pass for that of another."""


_REPLY = re.compile(r"(?P<address>\d\d)(?:A\?(?P<alarm>[A-Z])|(?P<state>[IWSPTUX])(?P<data>[0-9A-Z.?]{0,24}))")
ERRORS = ("?", "?NA", "?OOR", "?COM", "?IGN")
ASK_AGAIN = {"?COM", "?IGN"}


class Reply(NamedTuple):
    """One packet of the pump, taken apart. Either `alarm` or `state` is empty."""

    address: int
    alarm: str
    state: str
    data: str


def command(name: str, *, address: int, safe: bool) -> bytes:
    """The octets of a query. Address 0 needs no digits."""
    text = f"{address}{name}" if address else name
    # A safe packet has no place for nothing at all: the bare address asks for the state.
    return safe_packet(text or "0") if safe else text.encode("ascii") + b"\r"


def leave_safe(address: int) -> bytes:
    """`SAF0` as a safe packet: a pump in either mode takes it."""
    return command("SAF0", address=address, safe=True)


def safe_packet(text: str) -> bytes:
    data = text.encode("ascii")
    crc = crc16_xmodem(data).to_bytes(2, "big")
    return bytes([STX, len(data) + SAFE_OVERHEAD_BYTES]) + data + crc + bytes([ETX])


# --- packets --------------------------------------------------------------------------------------------


def judge_basic(window: bytes) -> Verdict:
    """`02 aa s data 03`, printable in between."""
    if window[0] != STX:
        return _skip_to_stx(window)
    for at in range(1, len(window)):
        octet = window[at]
        if octet == ETX:
            fits = _REPLY.fullmatch(window[1:at].decode("ascii"))
            return Take(at + 1) if fits else Skip(at + 1, "malformed packet")
        if not 0x20 <= octet < 0x7F:
            # The length of a safe packet stands where the address should.
            mode = at == 1 and SAFE_SHORTEST <= octet <= SAFE_LONGEST
            return Skip(at, "safe mode packet" if mode else "malformed packet")
    return NEED_MORE


def judge_safe(window: bytes) -> Verdict:
    """`02 L data C C 03`."""
    if window[0] != STX:
        return _skip_to_stx(window)
    if len(window) < 2:
        return NEED_MORE
    if not SAFE_SHORTEST <= window[1] <= SAFE_LONGEST:
        return Skip(1, "bad length")
    size = window[1] + 1
    if len(window) < size:
        return NEED_MORE
    return Skip(1, "bad checksum") if _safe_data(window[:size]) is None else Take(size)


def _skip_to_stx(window: bytes) -> Skip:
    at = window.find(STX)
    return Skip(len(window) if at < 0 else at, "no packet")


def _safe_data(packet: bytes) -> bytes | None:
    """What a safe packet carries; None if it is not intact."""
    if len(packet) <= SAFE_OVERHEAD_BYTES or packet[0] != STX or packet[-1] != ETX:
        return None
    data, crc = packet[2:-3], packet[-3:-1]
    intact = packet[1] == len(packet) - 1 and crc16_xmodem(data) == int.from_bytes(crc, "big")
    return data if intact else None


def taken_apart(octets: bytes, *, safe: bool) -> Reply | Refused:
    """Take a packet apart."""
    data = _safe_data(octets) if safe else _basic_data(octets)
    if data is None:
        return Refused("bad packet")
    found = _REPLY.fullmatch(data.decode("latin-1"))
    if found is None:
        return Refused("malformed reply")
    return Reply(int(found["address"]), found["alarm"] or "", found["state"] or "", found["data"] or "")


def _basic_data(packet: bytes) -> bytes | None:
    framed = len(packet) > 2 and packet[0] == STX and packet[-1] == ETX
    return packet[1:-1] if framed else None


# --- answers --------------------------------------------------------------------------------------------


def _number(text: str) -> float:
    """At most four digits and a point, which may stand at either end."""
    return float(text)


def _scaled(text: str, factor: float) -> float:
    return round(_number(text) * factor, 9)


_LEARN: dict[str, Callable[..., dict[str, Any]]] = {
    "DIA": lambda text: {"diameter_mm": _number(text)},
    "DIR": lambda word: {"direction": "infuse" if word == "INF" else "withdraw"},
    "RAT": lambda text, unit: {"rate_ml_h": _scaled(text, ML_H[unit])},
    "VOL": lambda text, unit: {"target_ml": _scaled(text, ML[unit])},
    "DIS": lambda infused, withdrawn, unit: {
        "delivered_ml": _scaled(infused, ML[unit]),
        "withdrawn_ml": _scaled(withdrawn, ML[unit]),
    },
}
FIELDS = {
    "DIA": ("diameter_mm",),
    "DIR": ("direction",),
    "RAT": ("rate_ml_h",),
    "VOL": ("target_ml",),
    "DIS": ("delivered_ml", "withdrawn_ml"),
}
"""Of `PumpStatus`: what each query tells, and what is unknown when the pump refuses it."""


def learned(name: str, values: tuple[str, ...]) -> dict[str, Any]:
    """The fields of `PumpStatus` that `values`, the groups of `ANSWERS[name]`, stand for."""
    return _LEARN[name](*values) if name in _LEARN else {}


def step_ml(infused: str, unit: str) -> float:
    """What the last printed digit of `DIS` is worth."""
    return float(ML[unit] * 10.0 ** -len(infused.partition(".")[2]))
