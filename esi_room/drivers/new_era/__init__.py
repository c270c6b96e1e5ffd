"""New Era NE-1000 family and WPI Aladdin AL-1000 syringe pumps. NOT FOR CLINICAL USE ON HUMANS (the maker).

Document: NE-1000 user manual, publication #1200-01, chapter 10. Line: 19200 8N1 (also 300 to 9600), no
handshake. One command, then one reply; the pump speaks first only in safe mode, and only to raise an alarm.

    basic  host  [address] command CR        pump  02 aa s data 03
    safe   host  02 L [address] command C C 03     02 L aa s data C C 03
           L octets from L to 03, both counted;  C C CRC-16/XMODEM over what stands between L and C, high first

    aa address 00-99.  s state: I infusing  W withdrawing  S stopped  P paused  T timed pause  U waiting for
    trigger  X purging; or an alarm, A?c: R reset (power was lost)  S stalled (occlusion, end of travel)
    T safe mode timeout  E program error  O phase out of range.
    data: ? unknown, ?NA not now, ?OOR out of range, ?COM bad packet, ?IGN ignored; else the answer to
        (nothing) state only      VER NE1000V3.923     DIA 14.43 mm           DIR INF | WDR
        RAT 500.0MH   UM MM UH MH: microlitre, millilitre per minute, per hour
        VOL 3.000ML   target, 0: none; UL ML           DIS I0.974W0.959ML     infused, withdrawn since reset

**The reply to any valid command may be the alarm instead: it was not executed, and the pump now holds the alarm
for acknowledged.** So the alarm is latched here (`pump.alarm`, once), the command is sent again, and the alarm
ends when a later reply shows another state. An alarm packet that the pump sends by itself acknowledges nothing
and answers nothing. Bytes of a packet are at most 0.5 s apart.

Events (IHE IPEC), only for a transition that was seen:
    DELIV_START  pump.started    not delivering -> I or W
    DELIV_STOP   pump.stopped    I or W -> anything else, an alarm included
    DELIV_COMP   pump.completed  I -> S with DIS, counted from the start, at or over VOL; the pump says no more
                                 than S, so DIS is asked once more before the one or the other is told
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from esi_room.drivers.contract import Info
from esi_room.drivers.new_era.pump import CYCLE, MAX_SILENCE_S, NewEra
from esi_room.drivers.new_era.wire import SAFE_LONGEST, command, leave_safe
from esi_room.errors import ConfigurationError
from esi_room.line import LineSettings

INTER_BYTE_S = 0.5  # manual 10.2.3: the pump itself discards a packet with a longer pause in it
LONGEST_POLL_S, SHORTEST_POLL_S = 0.5, 0.25  # 2 to 4 queries a second: an event is seen soon, the line stays free


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """`address`: of the pump, 0-99. `mode`: how the pump is set. `poll_s`: seconds between queries, 0.25-0.5.

    `force_basic`: send `SAF0` when the line opens. It writes the pump's setting and disables its communication
    watchdog; everything else this driver sends is a query.
    """

    address: int = 0
    mode: Literal["basic", "safe"] = "basic"
    poll_s: float = 0.3
    force_basic: bool = False


def _info(options: Options) -> Info:
    return Info(
        name="new_era",
        kind="pump",
        maker="New Era Pump Systems",
        models="NE-1000 family; WPI Aladdin AL-1000",
        document="NE-1000 User Manual, publication #1200-01, chapter 10",
        line=LineSettings(baud=19200),
        integrity="CRC-16/XMODEM" if options.mode == "safe" else "none: strict packet pattern",
        max_silence_s=MAX_SILENCE_S,
        max_frame_bytes=SAFE_LONGEST + 1,
        inter_byte_s=INTER_BYTE_S,
        sends=_sends(options),
        tick_s=options.poll_s,
        notes="NOT FOR CLINICAL USE ON HUMANS (the maker): bench, phantom and simulation only. "
        "Even a query acknowledges a pending alarm on the pump. A pump in safe mode with a timeout takes this "
        "driver's queries for its heartbeat, and stops when they end.",
    )


def _sends(options: Options) -> Mapping[bytes, str]:
    address, safe = options.address, options.mode == "safe"
    queries = {command(name, address=address, safe=safe): f"query {name or 'state'}" for name in ("VER", *CYCLE)}
    if options.force_basic:
        queries[leave_safe(address)] = "leave safe mode (option force_basic)"
    return queries


INFO = _info(Options())


def make(options: Options) -> NewEra:
    """A driver for one pump. ConfigurationError if an option is out of range."""
    problems = []
    if not 0 <= options.address <= 99:
        problems.append(f"address = {options.address}: allowed are 0 to 99")
    if not SHORTEST_POLL_S <= options.poll_s <= LONGEST_POLL_S:
        problems.append(f"poll_s = {options.poll_s}: allowed are 0.25 to 0.5 (4 to 2 queries a second)")
    if options.force_basic and options.mode == "safe":
        problems.append('force_basic = true: has no meaning with mode = "safe"')
    if problems:
        raise ConfigurationError(problems)
    return NewEra(
        _info(options),
        address=options.address,
        safe=options.mode == "safe",
        poll_s=options.poll_s,
        force_basic=options.force_basic,
    )
