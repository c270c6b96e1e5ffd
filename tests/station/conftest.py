"""A device that speaks lines, a driver for it, and a record that is a list."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from esi_room.clock import Stamp
from esi_room.drivers.contract import Ask, Identified, Info, Output, Refused, Said
from esi_room.errors import RecordFull
from esi_room.events import DeviceRejected, DeviceState, Event, Payload, Reading, VitalsNumeric
from esi_room.framing import Skip, Take, Verdict
from esi_room.line import LineSettings


class LineDriver:
    r"""`V97\n` a reading; `T100 V97\n` the same at 100 s of the device's clock; `I name\n`; `R\n` not understood;
    `E\n` a bug; `?\n` asks for `POLL\r`; `!\n` asks for something that it may not; `.\n` nothing to say."""

    def __init__(self, *, max_silence_s: float = 0.3, tick_s: float | None = None, poll_at_open: bool = False) -> None:
        self.info = Info(
            name="lines",
            kind="monitor",
            maker="nobody",
            models="one",
            document="this docstring",
            line=LineSettings(baud=9600),
            integrity="none",
            max_silence_s=max_silence_s,
            max_frame_bytes=40,
            sends={b"POLL\r": "a reading"},
            tick_s=tick_s,
        )
        self.calls: list[Any] = []
        self._poll_at_open = poll_at_open

    def grammar(self, octets: bytes) -> Verdict:
        if octets[:1] == b"#":
            raise KeyError("grammar bug")
        if octets[:1] not in b"VTIRE?!.":
            return Skip(1, "no frame")
        end = octets.find(b"\n")
        return None if end < 0 else Take(end + 1)

    def on_open(self) -> Sequence[Output]:
        self.calls.append("open")
        return [Ask(b"POLL\r")] if self._poll_at_open else []

    def on_frame(self, octets: bytes) -> Sequence[Output]:
        text = octets.decode("latin-1").strip()
        reading = re.fullmatch(r"(?:T(\d+) )?V(\d+)", text)
        if reading is not None:
            clock_s, value = reading.groups()
            data = numeric(int(value))
            return [Said(data, clock_s, float(clock_s)) if clock_s else Said(data)]
        answers: dict[str, Callable[[], Sequence[Output]]] = {
            "I": lambda: [Identified(text[2:])],
            "E": lambda: [Refused({}["bug"])],
            "?": lambda: [Ask(b"POLL\r")],
            "!": lambda: [Ask(b"START\r")],
            ".": lambda: [],
        }
        return answers.get(text[:1], lambda: [Refused("not understood")])()

    def on_sent(self, octets: bytes) -> None:
        self.calls.append(("sent", octets))

    def on_tick(self, now_s: float) -> Sequence[Output]:
        self.calls.append(("tick", now_s))
        return [Ask(b"POLL\r")]


def numeric(value: int) -> VitalsNumeric:
    return VitalsNumeric(readings=(Reading(code=150456, name="spo2_pct", value=value, unit="%", status="ok"),))


class ListJournal:
    """What the station asks of a journal."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.wire_lines: list[tuple[str, bytes]] = []
        self.full = False
        self.problem: str | None = None

    def append(self, event: Event) -> None:
        if self.full:
            raise RecordFull("the disk is full")
        self.events.append(event)

    def wire(self, device: str) -> ListJournal:
        return self

    def opened(self, stamp: Stamp) -> None:
        self.wire_lines.append(("open", b""))

    def received(self, stamp: Stamp, octets: bytes) -> None:
        self.wire_lines.append(("rx", octets))

    def sent(self, stamp: Stamp, octets: bytes) -> None:
        self.wire_lines.append(("tx", octets))

    def closed(self, stamp: Stamp) -> None:
        self.wire_lines.append(("close", b""))

    def of(self, payload: type[Payload]) -> list[Any]:
        return [event.data for event in self.events if isinstance(event.data, payload)]

    def states(self) -> list[str]:
        return [state.state for state in self.of(DeviceState)]

    def reasons(self) -> list[str]:
        return [state.reason for state in self.of(DeviceState)]

    def values(self) -> list[int]:
        return [event.readings[0].value for event in self.of(VitalsNumeric)]

    def rejected(self) -> dict[str, int]:
        total: dict[str, int] = {}
        for entry in self.of(DeviceRejected):
            for reason, count in entry.counts.items():
                total[reason] = total.get(reason, 0) + count
        return total


@pytest.fixture
def journal() -> ListJournal:
    return ListJournal()


@pytest.fixture(scope="session")
def make_driver() -> type[LineDriver]:
    return LineDriver
