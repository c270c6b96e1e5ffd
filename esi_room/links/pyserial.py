"""Our line settings in pyserial's words."""

from __future__ import annotations

import serial
from serial.serialutil import SerialBase

from esi_room.line import LineSettings

_PARITY = {
    "none": serial.PARITY_NONE,
    "even": serial.PARITY_EVEN,
    "odd": serial.PARITY_ODD,
    "mark": serial.PARITY_MARK,
    "space": serial.PARITY_SPACE,
}


def apply(line: LineSettings, port: SerialBase) -> None:
    """Set `port` (not yet open: so RTS and DTR never stand wrong). ValueError where a value makes no sense."""
    port.baudrate = line.baud
    port.bytesize = line.data_bits
    port.parity = _PARITY[line.parity]
    port.stopbits = line.stop_bits
    port.rtscts = line.rtscts
    port.xonxoff = line.xonxoff
    if line.rts is not None:
        port.rts = line.rts
    if line.dtr is not None:
        port.dtr = line.dtr
