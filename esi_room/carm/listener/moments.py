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
# Longer than this after `acquired`, the first frame is none of the same exposure.
MAX_FIRST_FRAME_MS = 3_600_000
_FRAME_TIME_VECTOR = 0x00181065
# PS3.3 C.7.6.16.2.2.1: the moment that a frame stands for; else the beginning of its acquisition.
_FRAME_MOMENTS = ("FrameReferenceDateTime", "FrameAcquisitionDateTime")

_DATE = re.compile(r"(\d{4})\.?(\d\d)\.?(\d\d)")
_TIME = re.compile(r"(\d\d):?(\d\d)?:?(\d\d)?(\.\d{1,6})?")
_DATE_TIME = re.compile(r"(\d{8})(\d{2,6}(?:\.\d{1,6})?)?([+-]\d{4})?")


def frame_times_ms(look: Look, frames: int | None) -> tuple[float, ...]:
    """Offset of each frame from the first one; () where the header does not tell.

    Enhanced objects give each frame a date and time. Others have a Frame Time Vector (increments, the first one 0;
    PS3.3 C.7.6.5.1.2) or a Frame Time (C.7.6.5.1.1); where they have both, the Frame Increment Pointer (C.7.6.6) says
    which counts. Cine Rate and Recommended Display Frame Rate are how fast to show it, and no times.
    """
    if frames is None or not 1 < frames <= MAX_FRAMES_TIMED:
        return ()
    moments_ms = _frame_moments_ms(look)
    if len(moments_ms) == frames:
        return tuple(round(each - moments_ms[0], 3) for each in moments_ms)
    ways = [_by_vector(look, frames), _by_frame_time(look, frames)]
    pointers = look.vector("FrameIncrementPointer")
    if pointers and _FRAME_TIME_VECTOR not in pointers:
        ways.reverse()
    return next(filter(None, ways), ())


def _by_vector(look: Look, frames: int) -> tuple[float, ...]:
    increments_ms = look.vector("FrameTimeVector")[1:]
    if len(increments_ms) != frames - 1 or min(increments_ms) < 0:
        return ()
    return tuple(round(at_ms, 3) for at_ms in accumulate([0.0, *increments_ms]))


def _by_frame_time(look: Look, frames: int) -> tuple[float, ...]:
    step_ms = look.number("FrameTime")
    if step_ms is None or step_ms <= 0:
        return ()
    return tuple(round(index * step_ms, 3) for index in range(frames))


def first_frame_ms(look: Look, taken: str | None) -> float | None:
    """From `taken` (what `acquired` said) to the first frame: by its own date and time, else by Frame Delay, which
    counts from the Content Time (PS3.3 table C.7-13)."""
    if taken is None:
        return None
    begin_ms = _local_ms(taken)
    first_ms = next(iter(_frame_moments_ms(look)), None)
    delay_ms, content = look.number("FrameDelay"), stated(look, "Content")
    if first_ms is None and delay_ms is not None and content is not None:
        content_ms = _local_ms(content)
        first_ms = None if content_ms is None else content_ms + delay_ms
    if first_ms is None or begin_ms is None or not 0 <= first_ms - begin_ms <= MAX_FIRST_FRAME_MS:
        return None
    return round(first_ms - begin_ms, 3)


def _frame_moments_ms(look: Look) -> list[float]:
    """When each frame of an enhanced object was taken, by the first attribute that all of them have."""
    for keyword in _FRAME_MOMENTS if 0 < len(look.per_frame) <= MAX_FRAMES_TIMED else ():
        moments = [look.value(keyword, _milliseconds, list(look.inside([group]))) for group in look.per_frame]
        known = [moment for moment in moments if moment is not None]
        if len(known) == len(moments):
            return known
    return []


def _local_ms(iso: str) -> float | None:
    """What `_iso` wrote as `_milliseconds`: its zone is that of the whole object."""
    try:
        return _milliseconds(re.sub(r"[-:T]", "", iso[:19]) + iso[19:26].partition("+")[0].partition("-")[0])
    except ValueError:
        return None


def _milliseconds(raw: Any) -> float:
    """A DICOM date-time as milliseconds on some common axis (its zone is the same for all of an object)."""
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
    moment = stated(look, "Acquisition") or stated(look, "Content")
    if moment:
        return moment
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
