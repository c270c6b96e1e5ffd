"""Octets in, events out: what a device said, with no line, no task and no clock within reach.

Rules:
- What comes out depends on the calls alone: `opened`, `received`, `sent`, `closed`, in the order of the wire
  file. Octets may be split in any way. `tick` only ever asks.
- A good frame is one that the driver understood: it said something, or had nothing to say. A `Heard` comes
  before whatever the frame says. A frame that was only `Refused` is not heard.
- A driver that raises is a bug of ours, not of the device: the frame is rejected as "driver error", and the
  driver goes on.
"""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from esi_room.clock import NS, Stamp
from esi_room.drivers import contract
from esi_room.drivers.contract import Ask, Driver, Identified, Refused, Said
from esi_room.events import Event
from esi_room.framing import Frame, Junk, Receiver, Skip, Verdict

DRIVER_ERROR = "driver error"

# Of the device's clock against ours, each message gives one sample, late by what its way took: the least of a
# window is the best. 32 messages: half a minute at one a second.
OFFSET_SAMPLES = 32
# More than any delivery takes on a working line: by this much, somebody has set one of the two clocks.
OFFSET_JUMP_S = 2.0


class Heard(NamedTuple):
    """A good frame began to arrive at `stamp`."""

    stamp: Stamp


class Rejected(NamedTuple):
    """Octets that were not understood. `bug`: where in the driver it failed, for the log."""

    reason: str
    octets: bytes
    stamp: Stamp
    bug: str | None = None


Output = Heard | Event | Rejected | Ask | Identified


class Decoder:
    """One device's driver with its receive buffer."""

    def __init__(self, device: str, driver: Driver) -> None:
        self._device, self._driver = device, driver
        self._receiver = self._new_receiver()
        self._offset = ClockOffset()
        self._grammar_bug: str | None = None

    def opened(self, stamp: Stamp) -> list[Output]:
        """The line was opened (again): nothing that was pending or known counts any more."""
        self._receiver = self._new_receiver()
        self._offset = ClockOffset()
        return self._called(self._driver.on_open, b"", stamp)

    def received(self, octets: bytes, stamp: Stamp) -> list[Output]:
        """The device sent these; `stamp` is of the read that brought them."""
        return self._judged(self._receiver.feed(octets, stamp))

    def sent(self, octets: bytes, stamp: Stamp) -> list[Output]:
        """The device was sent these."""

        def on_sent() -> Sequence[contract.Output]:
            self._driver.on_sent(octets)
            return ()

        return self._called(on_sent, octets, stamp)

    def tick(self, stamp: Stamp) -> list[Output]:
        """Time has passed: what the driver wants to ask."""
        return self._called(lambda: self._driver.on_tick(stamp.mono_ns / NS), b"", stamp)

    def closed(self) -> list[Output]:
        """The line was closed or lost: what waits for its end will not get it."""
        return self._judged(self._receiver.flush("line closed inside a frame"))

    def _new_receiver(self) -> Receiver:
        # A device that fell silent inside a frame and comes back begins a new one: the remains must not spoil it.
        info = self._driver.info
        pause_s = info.max_silence_s if info.inter_byte_s is None else info.inter_byte_s
        return Receiver(self._grammar, max_frame_bytes=info.max_frame_bytes, inter_byte_s=pause_s)

    def _grammar(self, octets: bytes) -> Verdict:
        try:
            return self._driver.grammar(octets)
        except Exception as error:  # noqa: BLE001 - slide on, or the same bytes fail for ever
            self._grammar_bug = _where(error)
            return Skip(1, DRIVER_ERROR)

    def _judged(self, items: list[Frame | Junk]) -> list[Output]:
        out: list[Output] = []
        for item in items:
            if isinstance(item, Junk):
                out.append(self._junk(item))
            else:
                out += self._framed(item)
        return out

    def _junk(self, junk: Junk) -> Rejected:
        bug = self._grammar_bug if junk.reason == DRIVER_ERROR else None
        return Rejected(junk.reason, junk.octets, junk.stamp, bug)

    def _framed(self, frame: Frame) -> list[Output]:
        out = self._called(lambda: self._driver.on_frame(frame.octets), frame.octets, frame.stamp)
        understood = any(isinstance(o, Event | Identified) for o in out)
        refused = any(isinstance(o, Rejected) for o in out)
        return [Heard(frame.stamp), *out] if understood or not refused else out

    def _called(self, call: Callable[[], Sequence[contract.Output]], octets: bytes, stamp: Stamp) -> list[Output]:
        """What the driver answers, as events of this device."""
        try:
            return [self._output(output, octets, stamp) for output in call()]
        except Exception as error:  # noqa: BLE001 - one driver's bug must not cost the other devices their record
            return [Rejected(DRIVER_ERROR, octets, stamp, _where(error))]

    def _output(self, output: contract.Output, octets: bytes, stamp: Stamp) -> Output:
        if isinstance(output, Said):
            return self._event(output, stamp)
        if isinstance(output, Refused):
            return Rejected(output.reason, octets, stamp)
        return output

    def _event(self, said: Said, stamp: Stamp) -> Event:
        offset_s = None
        if said.device_wall_s is not None:
            offset_s = round(self._offset.add(stamp.wall_ns / NS - said.device_wall_s), 3)
        return Event(
            source=self._device,
            data=said.data,
            received=stamp,
            device_time=said.device_time,
            device_offset_s=None if said.device_time is None else offset_s,
        )


class ClockOffset:
    """Room clock minus device clock, estimated from the device's own stamps."""

    def __init__(self) -> None:
        self._samples_s: deque[float] = deque(maxlen=OFFSET_SAMPLES)

    def add(self, sample_s: float) -> float:
        """One message's receipt minus its stamp; the estimate, this one included. After a jump it starts anew."""
        if self._samples_s and abs(sample_s - min(self._samples_s)) > OFFSET_JUMP_S:
            self._samples_s.clear()
        self._samples_s.append(sample_s)
        return min(self._samples_s)


def _where(error: Exception) -> str:
    """`KeyError at ge_dri.py:120`. Not the message: it may quote what the device sent, a name among it."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
