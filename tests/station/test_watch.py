"""What the watchdog says of a silent device, second by second; its longest silence is 3 s."""

from __future__ import annotations

import pytest

from esi_room.clock import NS, Stamp
from esi_room.station import words
from esi_room.station.watch import Watch

TEXT = b"23-Nov-26 02:04:10 097 074\r\n"


def at(seconds: float) -> Stamp:
    return Stamp(0, round(seconds * NS))


def findings(watch: Watch, arrivals: dict[float, bytes], until_s: float, *, since_s: float = 0.0) -> list[str]:
    """Everything it says while these bytes arrive, looked at ten times a second."""
    said = []
    for tenth in range(round(since_s * 10), round(until_s * 10) + 1):
        if tenth / 10 in arrivals:
            watch.bytes_came(arrivals[tenth / 10], at(tenth / 10))
        finding = watch.finding(at(tenth / 10))
        if finding is not None:
            said.append(f"{tenth / 10}: {finding}")
    return said


def test_nothing_ever_comes() -> None:
    (said,) = findings(Watch(3, at(0)), {}, 60)
    assert said.startswith("3.0: no bytes for 3.0 s")


def test_it_speaks_and_stops() -> None:
    watch = Watch(3, at(0))
    watch.bytes_came(b"good", at(1.2))
    watch.heard(at(1.0))
    (said,) = findings(watch, {}, 60, since_s=1.3)
    assert said.startswith("4.0: no bytes for 2.8 s")


def test_it_is_cut_off_inside_a_frame() -> None:
    watch = Watch(3, at(0))
    watch.heard(at(1.0))
    (said,) = findings(watch, {1.4: b"half"}, 60, since_s=1.1)
    assert said.startswith("4.0: no bytes for 2.6 s")


@pytest.mark.parametrize("every_s", [0.2, 1.0, 2.0])
def test_another_device_speaks_however_often(every_s: float) -> None:
    arrivals = {round(every_s * n, 1): TEXT for n in range(1, 200)}
    (said,) = findings(Watch(3, at(0)), arrivals, 30)
    assert said.startswith("3.0: bytes arrive but none make a frame: readable text")


def test_bytes_that_come_back_are_given_time_to_make_a_frame() -> None:
    watch = Watch(3, at(0))
    findings(watch, {}, 9.9)
    assert findings(watch, {10.0: b"half a "}, 11, since_s=10.0) == []
    watch.bytes_came(b"frame", at(11.1))
    watch.heard(at(10.0))
    assert watch.finding(at(11.2)) is None
    assert findings(watch, {}, 60, since_s=12)[0].startswith("13.0: no bytes")


def test_a_flickering_line_is_told_in_three_entries_at_most() -> None:
    arrivals = {round(0.1 * n, 1): b"\x80\x00" for n in range(10_000) if n % 200 < 100}
    assert len(findings(Watch(3, at(0)), arrivals, 1000)) <= 3


@pytest.mark.parametrize(("seconds", "text"), [(0.42, "0.4 s"), (35, "35 s"), (720, "12 min"), (12_600, "3.5 h")])
def test_spans(seconds: float, text: str) -> None:
    assert words.span(round(seconds * NS)) == text
