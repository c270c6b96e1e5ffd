"""What a DICOM service beside storage (worklist, MPPS, commitment) gives to the listener: a file a service.

A handler runs in the thread of its association. It may take as long as the daemon's answer takes, and no longer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from pynetdicom.presentation import PresentationContext

from esi_room.carm.wire import Answer, Asking

Ask = Callable[[Asking], Answer]
"""Ask the daemon and wait for its answer; the question's `id` is given on the way (write 0)."""


class Service(NamedTuple):
    """`contexts`: what is negotiated for it. `handlers`: pynetdicom's event and what is called for it."""

    contexts: tuple[PresentationContext, ...]
    handlers: tuple[tuple[Any, Callable[[Any], Any]], ...]
