"""When an object and each of its frames was taken, as its header says it.

A device's own time, in the device's own words: whether its clock is right is not decided here.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Any

from esi_room.carm.listener.look import Look

# Frame times go into a journal line: 10,000 are 80 KB. At 30 frames/s that is a run of 5 min.
MAX_FRAMES_TIMED = 10_000
_FRAME_TIME_VECTOR = 0x00181065

_DATE = re.compile(r"(\d{4})\.?(\d\d)\.?(\d\d)")
_TIME = re.compile(r"(\d\d):?(\d\d)?:?(\d\d)?(\.\d{1,6})?")
_DATE_TIME = re.compile(r"(\d{8})(\d{2,6}(?:\.\d{1,6})?)?([+-]\d{4})?")


def frame_times_ms(look: Look, frames: int | None) -> tuple[float, ...]:
    """Offsets from the first frame: by frame time vector (PS3.3 C.7.6.5.1.2: increments, the first one 0), frame time,
    or the acquisition times of the per-frame functional groups; () where none of them fits."""
    if frames is None or not 1 < frames <= MAX_FRAMES_TIMED:
        return ()
    if look.per_frame:
        return _per_frame_ms(look, frames)
    increments_ms = look.vector("FrameTimeVector")
    if len(increments_ms) == frames and look.value("FrameIncrementPointer", int) in (None, _FRAME_TIME_VECTOR):
        return tuple(round(at_ms, 3) for at_ms in accumulate([0.0, *increments_ms[1:]]))
    step_ms = look.number("FrameTime")
    if step_ms is None or step_ms < 0:
        return ()
    return tuple(round(index * step_ms, 3) for index in range(frames))


def _per_frame_ms(look: Look, frames: int) -> tuple[float, ...]:
    at_ms: list[float] = []
    for group in look.per_frame:
        content = list(look.inside([group]))
        moment = look.value("FrameReferenceDateTime", _milliseconds, content)
        if moment is None:
            moment = look.value("FrameAcquisitionDateTime", _milliseconds, content)
        if moment is None:
            return ()
        at_ms.append(moment)
    return tuple(round(each - at_ms[0], 3) for each in at_ms) if len(at_ms) == frames else ()


def _milliseconds(raw: Any) -> float:
    """A DICOM date-time as milliseconds on some common axis (its zone is the same for all frames of an object)."""
    matched = _DATE_TIME.fullmatch(str(raw).strip())
    if matched is None or matched[2] is None:
        raise ValueError("no date and time")
    day, clock = matched[1], matched[2].ljust(6, "0")
    days = _day_number(int(day[:4]), int(day[4:6]), int(day[6:8]))
    return ((days * 24 + int(clock[:2])) * 60 + int(clock[2:4])) * 60_000 + float(clock[4:]) * 1000


def _day_number(year: int, month: int, day: int) -> int:
    """Days since some day long ago, proleptic Gregorian."""
    year -= month <= 2
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * ((month + 9) % 12) + 2) // 5 + day


def acquired(look: Look) -> str | None:
    """When it was taken, as the header says it: acquisition, else content, else the first frame."""
    zone = look.text("TimezoneOffsetFromUTC")
    moment = look.value("AcquisitionDateTime", lambda raw: _iso(str(raw), zone))
    if moment:
        return str(moment)
    for kind in ("Acquisition", "Content"):
        date, clock = look.text(f"{kind}Date"), look.text(f"{kind}Time")
        if date and clock:
            return _iso_from(date, clock, zone)
    moment = look.value("FrameAcquisitionDateTime", lambda raw: _iso(str(raw), zone))
    return str(moment) if moment else None


def stated(look: Look, kind: str) -> str | None:
    """The attributes `<kind>Date` and `<kind>Time` of a data set as one."""
    date, clock = look.text(f"{kind}Date"), look.text(f"{kind}Time")
    return _iso_from(date, clock, look.text("TimezoneOffsetFromUTC")) if date and clock else None


def _iso(date_time: str, zone: str | None) -> str | None:
    matched = _DATE_TIME.fullmatch(date_time.strip())
    if matched is None or matched[2] is None:
        raise ValueError("no date and time")
    return _iso_from(matched[1], matched[2], matched[3] or zone)


def _iso_from(date: str, clock: str, zone: str | None) -> str | None:
    day, time = _DATE.fullmatch(date), _TIME.fullmatch(clock)
    if day is None or time is None:
        return None
    offset = f"{zone[:3]}:{zone[3:]}" if zone and re.fullmatch(r"[+-]\d{4}", zone) else ""
    return f"{day[1]}-{day[2]}-{day[3]}T{time[1]}:{time[2] or '00'}:{time[3] or '00'}{time[4] or ''}{offset}"
