"""A serial line's settings: vocabulary shared by drivers (which know them) and links (which set them)."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class LineSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a serial line is set. `rts`/`dtr`: level to hold; None leaves what the adapter does by itself."""

    baud: int
    data_bits: Literal[5, 6, 7, 8] = 8
    parity: Literal["none", "even", "odd", "mark", "space"] = "none"
    stop_bits: Literal[1, 2] = 1
    rtscts: bool = False
    xonxoff: bool = False
    rts: bool | None = None
    dtr: bool | None = None
