"""The demo's rules: those of the software, with every duration divided by the speed at which the case is played.

The daemon lives in real time. Five minutes without a blood pressure are half a minute of a case at ten times its speed.
"""

from __future__ import annotations

import re
from pathlib import Path

from esi_room.procedure.rules import DEFAULT

SHORTEST_S = 5.0  # some monitors say something every five seconds only, however fast the case is played
_DURATION = re.compile(r"^(?!fluoro_time_s)(\w+_s = )([\d.]+)", re.MULTILINE)  # fluoroscopy is told by the C-arm


def write(path: Path, speed: float) -> None:
    """Write them into `path`."""
    text = DEFAULT.read_text("utf-8")
    if speed > 1:
        text = _DURATION.sub(lambda found: f"{found[1]}{_shorter(float(found[2]), speed):g}", text)
        text = text.replace('version = "', f'version = "demo at {speed:g} times real time, ', 1)
    path.write_text(text, "utf-8")


def _shorter(duration_s: float, speed: float) -> float:
    return float(max(duration_s / speed, min(duration_s, SHORTEST_S)))
