"""Amendments: what is said of a record after it was sealed, in `amendments.jsonl` beside its journal.

Rules:
- Its lines have the shape of the journal's and go on from its seal: `seq` counts on, the first line's `prev` is the
  SHA-256 of the seal's octets. So `record` + `seq` is the id of a line in either file.
- An amendment is two lines, written at one go: `operator.command`, and what it says.
- The COMMIT POINT is `append_durably` in `add`. Below it the amendment is durable, and the record that is open then
  says so (`record.amended`), which puts it under the room's chain.
- If the disk does not take it, the file is cut back and the amendment refused: it was not made.
- What a crash left behind the last whole amendment was never acknowledged. The next amendment cuts it off, keeps it in
  a file of its own and says so in a `record.recovered` before its own two lines.
- What sound lines follow, or a `record.amended` names, is no torn tail: nothing is cut, and nothing added.
- The daemon alone writes here: it holds the lock of the data directory.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from esi_room.errors import BrokenRecord, CommandRefused
from esi_room.events import Entry, Event, OperatorCommand, RecordAmended, RecordRecovered, RecordSealed
from esi_room.record import recovery
from esi_room.record.disk import Disk
from esi_room.record.entry import RECORD_ID, Cursor, Line, encode, sha256
from esi_room.record.reader import directory, journal_path, last_line, records
from esi_room.record.removed import removal
from esi_room.record.verify_lines import opened
from esi_room.record.writing import append_durably

AMENDMENTS = "amendments.jsonl"
_ANNOUNCED = b'"type":"record.amended"'


class Amendment(NamedTuple):
    """One amendment as it stands on disk: the command, and the line that says it."""

    asked: OperatorCommand
    line: Line
    type: str
    received: str

    @property
    def announcement(self) -> RecordAmended:
        """What the open record says of it."""
        line = self.line
        return RecordAmended(record=line.record, seq=line.seq, type=self.type, sha256=sha256(line.octets))

    def made_after(self, record: str) -> bool:
        """Whether `record` was open by then: its id begins with the second in which it was opened."""
        return self.received.replace("-", "").replace(":", "")[:15] > record[:15]


class Announced(NamedTuple):
    """A `record.amended`: where it stands, and what it says."""

    record: str
    seq: int
    said: RecordAmended


class _Seal(NamedTuple):
    """The place behind a record's last line, and that line's hash."""

    end: Cursor
    sha256: str


class _Chain(NamedTuple):
    """The whole amendments of a record, with their lines and octets; the next line's `seq` and `prev`; what lies behind
    them, and whether that is more than a torn tail."""

    made: tuple[Amendment, ...]
    lines: tuple[Line, ...]
    size_bytes: int
    seq: int
    prev: str
    rest: bytes = b""
    damaged: bool = False


# --- reading --------------------------------------------------------------------------------------------------


def amendments_path(root: Path, record: str) -> Path:
    """Where a record's amendments lie, if there are any."""
    return directory(root, record) / AMENDMENTS


def amendments(root: Path, record: str) -> tuple[Amendment, ...]:
    """Those of a record, in order, as far as they hold. OSError."""
    seal = _seal(root, record)
    return () if seal is None else _chain(root, seal).made


def read_amendments(root: Path, record: str, from_seq: int = 0) -> list[Line]:
    """The lines of a record's whole amendments from `from_seq` on, as far as they hold. What comes `after` each is the
    end of its journal: there the room's next record follows. OSError."""
    seal = _seal(root, record)
    return [] if seal is None else [line for line in _chain(root, seal).lines if line.seq >= from_seq]


def announcements(root: Path, ids: Iterable[str]) -> Iterator[Announced]:
    """Every `record.amended` in the journals of these records. OSError."""
    for path in (journal_path(root, record) for record in ids):
        if not path.exists():  # a record just begun
            continue
        with opened(path) as file:
            for octets in file:
                announced = _announced(octets) if _ANNOUNCED in octets else None
                if announced is not None:
                    yield announced


def _announced(octets: bytes) -> Announced | None:
    try:
        entry = msgspec.json.decode(octets, type=Entry)
        if entry.type == RecordAmended.TYPE:
            return Announced(entry.record, entry.seq, msgspec.json.decode(entry.data, type=RecordAmended))
    except ValueError:  # no entry announces nothing; `verify` names it
        return None
    return None


def _seal(root: Path, record: str) -> _Seal | None:
    """None where the record is not there, or not sealed."""
    try:
        with opened(journal_path(root, record)) as file:
            size_bytes = file.seek(0, io.SEEK_END)
            last = last_line(file, size_bytes)
        head = msgspec.json.decode(last, type=recovery.Head)
        sealed = msgspec.json.decode(head.data, type=RecordSealed)
    except (FileNotFoundError, ValueError):  # msgspec's own errors are such, too
        return None
    if head.type != RecordSealed.TYPE or recovery.sound(last, record, sealed.entries - 1, None) is None:
        return None
    return _Seal(Cursor(record, sealed.entries, size_bytes), sha256(last))


def _chain(root: Path, seal: _Seal) -> _Chain:
    try:
        with opened(amendments_path(root, seal.end.record)) as file:
            octets = file.read()
    except FileNotFoundError:
        octets = b""
    chain = _Chain((), (), 0, seal.end.seq, seal.sha256)
    asked: OperatorCommand | None = None
    lines: list[Line] = []
    seq, prev, size_bytes = chain.seq, chain.prev, 0
    for line in io.BytesIO(octets):
        head = recovery.sound(line, seal.end.record, seq, prev)
        if head is None:
            break
        lines.append(Line(head.record, seq, line, seal.end))
        seq, prev, size_bytes = seq + 1, sha256(line), size_bytes + len(line)
        if asked is not None:
            amendment = Amendment(asked, lines[-1], head.type, head.received)
            chain = _Chain((*chain.made, amendment), tuple(lines), size_bytes, seq, prev)
        asked = _command(head)
    return chain._replace(rest=octets[chain.size_bytes :], damaged=recovery.damaged(octets[size_bytes:]))


def _command(head: recovery.Head) -> OperatorCommand | None:
    if head.type != OperatorCommand.TYPE:
        return None
    try:
        return msgspec.json.decode(head.data, type=OperatorCommand)
    except msgspec.MsgspecError:
        return None


# --- writing --------------------------------------------------------------------------------------------------


class Amendments:
    """A room's amendments, to be written. Every call blocks: make it in a thread.

    CommandRefused: this record is not one to be amended. BrokenRecord: its amendments do not hold. OSError: the disk.
    """

    def __init__(self, root: Path, disk: Disk) -> None:
        self._root, self._disk = root, disk

    def find(self, record: str, command: str) -> Amendment | None:
        """The amendment of `record` that the command of this id made."""
        made = _chain(self._root, self._sealed(record)).made
        return next((amendment for amendment in made if amendment.asked.id == command), None)

    def announced(self, amendment: Amendment) -> Announced | None:
        """Where the room says that it was made."""
        said = amendment.announcement
        return next((each for each in self._announced(said.record) if each.said == said), None)

    def unannounced(self) -> list[Amendment]:
        """What a crash left durable, and the room has not said. The crash was in one of its last two records: whatever
        was made before these were opened is announced before them, and is not looked for."""
        ids = records(self._root)
        last = ids[-2:]
        known = {each.said for each in announcements(self._root, last)}
        amended = [record for record in ids if amendments_path(self._root, record).exists()]
        made = [amendment for record in amended for amendment in amendments(self._root, record)]
        return [each for each in made if each.made_after(last[0]) and each.announcement not in known]

    def add(self, record: str, asked: Event, said: Event) -> Amendment:
        """Amend a sealed record: `asked` is the command, `said` what it says. Durable when this returns."""
        chain = _chain(self._root, self._sealed(record))
        self._must_hold(record, chain)
        torn = [self._keep(record, chain, asked)] if chain.rest else []
        lines = _encoded([*torn, asked, said], record, chain)
        path = amendments_path(self._root, record)
        append_durably(self._disk, path, chain.size_bytes, b"".join(lines))  # THE COMMIT POINT
        return amendments(self._root, record)[-1]

    def _sealed(self, record: str) -> _Seal:
        gone = removal(self._root, record)
        if gone is not None:
            raise CommandRefused(f"record {record} {gone.words}; it cannot be amended")
        if RECORD_ID.fullmatch(record) is None or not journal_path(self._root, record).exists():
            raise CommandRefused(f"there is no record {record!r} here: `esi-room records` lists them")
        if recovery.kind(self._root, record) != "procedure":
            raise CommandRefused(f"record {record} is a standby record, of no procedure: there is nothing to amend")
        seal = _seal(self._root, record)
        if seal is not None:
            return seal
        if record == records(self._root)[-1]:
            raise CommandRefused(f"record {record} is not sealed, it is open: say it with `mark`")
        raise CommandRefused(f"record {record} has no seal to go on from: it does not hold, `esi-room verify` says why")

    def _must_hold(self, record: str, chain: _Chain) -> None:
        if chain.damaged or (chain.rest and any(each.said.seq >= chain.seq for each in self._announced(record))):
            raise BrokenRecord(
                f"the amendments of {record} do not hold from seq {chain.seq} on and are left as they are: "
                "`esi-room verify` says why"
            )

    def _announced(self, record: str) -> Iterator[Announced]:
        """The announcements of this record's amendments stand in records opened after it."""
        later = [other for other in records(self._root) if other > record]
        return (each for each in announcements(self._root, later) if each.said.record == record)

    def _keep(self, record: str, chain: _Chain, asked: Event) -> Event:
        """Put what a crash tore into a file of its own; what is said of it."""
        digest = sha256(chain.rest)
        kept = f"torn-amendment-{chain.seq}-{digest[:8]}"
        self._disk.write_file(directory(self._root, record) / kept, chain.rest)
        recovered = RecordRecovered(
            reason="the daemon ended in the middle of an amendment",
            cut_bytes=len(chain.rest),
            cut_sha256=digest,
            kept_as=kept,
        )
        return Event(source="room", data=recovered, received=asked.received)


def _encoded(events: list[Event], record: str, chain: _Chain) -> list[bytes]:
    lines: list[bytes] = []
    prev = chain.prev
    for seq, event in enumerate(events, chain.seq):
        lines.append(encode(event, record=record, seq=seq, prev=prev))
        prev = sha256(lines[-1])
    return lines
