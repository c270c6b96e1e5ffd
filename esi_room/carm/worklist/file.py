"""The order book's file, `<data>/private/worklist.json`: the only place of the identities on the worklist."""

from __future__ import annotations

import secrets
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct

from esi_room.commands import Order
from esi_room.errors import RecordError
from esi_room.record.disk import Disk

log = structlog.get_logger()


def same(one: Order, other: Order) -> bool:
    """Whether these are the same order: an id alone may come again for another patient."""
    return (one.id, one.study_uid) == (other.id, other.study_uid)


class Used(Struct, frozen=True):
    """An order that a procedure began with."""

    order: Order
    at_ns: int


class Book(Struct, frozen=True, kw_only=True):
    """What the file holds. `answered`: when the hospital last did (RFC 3339); `salt`: of the digests in entries."""

    salt: str
    folder: tuple[Order, ...] = ()
    hospital: tuple[Order, ...] = ()
    command: tuple[Order, ...] = ()
    answered: str | None = None
    chosen: Order | None = None
    used: tuple[Used, ...] = ()

    def merged(self) -> dict[str, Order]:
        """By id, the origin that counts last."""
        return {order.id: order for order in (*self.command, *self.folder, *self.hospital)}

    def is_used(self, order: Order) -> bool:
        """Whether a procedure began with it: this id, of this study."""
        return any(same(used.order, order) for used in self.used)

    def is_over(self, order: Order) -> bool:
        """Whether a procedure began with it, and is not the one under way."""
        return self.is_used(order) and not (self.chosen is not None and same(self.chosen, order))

    def known(self) -> list[Order]:
        """Each order once: those of the lists before those that were used."""
        known = list(self.merged().values())
        for order in (self.chosen, *(used.order for used in reversed(self.used))):
            if order is not None and not any(same(order, each) for each in known):
                known.append(order)
        return known


def load(path: Path) -> Book:
    """The book as it was kept; a new one where there is none, or none that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Book)
    except FileNotFoundError:
        pass
    except (OSError, msgspec.MsgspecError) as error:
        log.error("worklist_unreadable", file=str(path), reason=type(error).__name__)
    return Book(salt=secrets.token_hex(16))


def save(disk: Disk, path: Path, book: Book) -> None:
    """Durable, 0600 in a directory of 0700. RecordError where the disk does not take it."""
    try:
        disk.make_directory(path.parent)
        disk.write_file(path, msgspec.json.encode(book))
    except OSError as error:
        raise RecordError(f"the worklist cannot be kept: {error.strerror or error}") from error
