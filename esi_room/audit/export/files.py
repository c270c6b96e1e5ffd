"""How a file of an export comes to be.

Rules:
- Readable by its owner alone, like the record: pseudonymous is not anonymous.
- Whole or not at all: it is written beside its place and then moved there.
- Its name is the record's id, with `BROKEN` in it where the record does not verify.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from esi_room.audit.export.case import Case

_MODE = 0o600
_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


def named(case: Case, to: Path, suffix: str) -> Path:
    """`<to>/<record>.<suffix>`."""
    broken = "" if case.broken is None else "BROKEN."
    return to / f"{case.record}.{broken}{suffix}"


@contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """To be written into; it gets its name when the block ends well. OSError."""
    temporary = path.with_name(f"{path.name}.part")
    try:
        with os.fdopen(os.open(temporary, _NEW, _MODE), "wb") as file:
            yield file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
