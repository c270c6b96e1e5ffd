"""The case: what is exported. One record, verified, with what belongs to it and stands elsewhere.

    journal.jsonl, amendments.jsonl, and entries of later records that say `taken_in` of this one -> Case

Rules:
- It is verified before a line of it is believed, and so is every later record that something is taken from.
- What does not verify is read all the same, as far as it can be, when the caller says so; `broken` then says what is
  wrong, and the lines that are no entries are counted.
- No path leads out of the records: no symbolic link is followed, and a digest is a digest before it names a file.
- Images with `taken_in` came when this record was sealed already: the object lies in the record that received it.
"""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from esi_room.audit import trail
from esi_room.audit.trail import Used
from esi_room.clock import parse_rfc3339
from esi_room.commands import Identity
from esi_room.errors import BrokenRecord
from esi_room.events import (
    CarmImage,
    Delivery,
    DeviceGap,
    Entry,
    Payload,
    PumpStatus,
    RecordOpened,
    VitalsNumeric,
    VitalsWaveform,
)
from esi_room.events.clinical import Correction
from esi_room.procedure import identity as identities
from esi_room.procedure.facts import Facts
from esi_room.procedure.taken import Taken
from esi_room.record import held
from esi_room.record.amendments import AMENDMENTS
from esi_room.record.reader import JOURNAL
from esi_room.record.verify import Report
from esi_room.record.verify_lines import VERSION, is_regular, lines, opened
from esi_room.record.verify_room import record_ids

Place = Literal["journal", "amendment", "late", "use"]
Progress = Callable[[int], None]
"""Told how many octets more were read."""
MOST_PROBLEMS = 5  # that an export tells of, of a record that does not verify: there may be one a line
EPOCH = "1970-01-01T00:00:00.000000Z"  # the time of a record in which no entry can be read
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Said(NamedTuple):
    """An entry of the case: where it stands, and what it says; `data` is None where its type is not known."""

    place: Place
    entry: Entry
    taken: Taken | None

    @property
    def data(self) -> Payload | None:
        """What it says."""
        return None if self.taken is None else self.taken.data


@dataclass(frozen=True)
class Case:
    """A record to be exported. `broken`: why it does not verify. `identity`: asked for, and still there."""

    directory: Path
    report: Report
    broken: str | None
    unreadable: int
    zone: ZoneInfo
    opened: RecordOpened | None
    facts: Facts
    corrections: dict[int, tuple[Said, ...]]
    """By the `seq` of the form that they correct."""
    events: tuple[Said, ...]
    """All that `said` gives and can be understood, but for vitals and a pump's mere states, which are many."""
    sources: frozenset[str]
    began: str
    until: str
    """When the first and the last entry of the journal was received."""
    late: tuple[Said, ...]
    late_lines: tuple[bytes, ...]
    with_identity: bool
    identity: Identity | None
    progress: Progress

    @property
    def record(self) -> str:
        """Its id."""
        return self.directory.name

    def said(self) -> Iterator[Said]:
        """Every entry, in order: the journal, the amendments, then what came late."""
        yield from _said(self.directory / JOURNAL, "journal", self.report, self.progress)
        yield from _said(self.directory / AMENDMENTS, "amendment", self.report, self.progress)
        yield from self.late

    def lines(self) -> Iterator[bytes]:
        """The octets of the journal, as far as `said` reads it."""
        yield from _lines(self.directory / JOURNAL, _limit(self.report), self.progress)

    @cached_property
    def uses(self) -> list[Used]:
        """Who used it, as entries of the room say, until then. The records in which they stand are not verified for
        that: each names its entry."""
        if self.directory.parent.name != "records":
            return []
        return [used for used in trail.uses(self.directory.parent.parent, self.record) if used.entry is not None]

    def images(self) -> list[Said]:
        """The images of this case, the late ones with them, by the time at which they were taken: not those of another
        case or another patient, nor what came twice."""
        found = [said for said in self.events if isinstance(said.data, CarmImage) and self._is_of_it(said.data)]
        return sorted(found, key=lambda said: (said.entry.time, said.entry.record, said.entry.seq))

    def _is_of_it(self, image: CarmImage) -> bool:
        here = image.taken_in is None or image.taken_in == self.record
        return here and image.rows is not None and image.duplicate_of is None and image.identity != "mismatch"

    def object_of(self, said: Said) -> Path | None:
        """The DICOM object of an image; None where it is not there."""
        if not isinstance(said.data, CarmImage) or _DIGEST.fullmatch(said.data.sha256) is None:
            return None
        path = self.directory.parent / said.entry.record / "frames" / f"{said.data.sha256}.dcm"
        path = path if said.place == "late" else self.directory / "frames" / path.name
        return path if is_regular(path) else None


def load(
    directory: Path, *, even_if_broken: bool = False, identity: bool = False, progress: Progress = lambda _: None
) -> Case:
    """The case of the record in `directory`. BrokenRecord where it does not verify and nobody insists."""
    directory = directory.resolve()
    report = held.report(directory, progress=progress)
    late, problems = _late(directory)
    read = {octets: said for octets in late if (said := _read(octets, "late")) is not None and said.taken is not None}
    broken = _in_short([*_problems(report, directory), *problems])
    if broken is not None and not even_if_broken:
        raise BrokenRecord(
            f"{directory.name} does not verify: {broken}\n"
            "Nothing was exported; --even-if-broken exports it, and every file says so."
        )
    fold = _Fold(directory.name)
    for said in _said(directory / JOURNAL, "journal", report, progress):
        fold.take(said)
    for said in _said(directory / AMENDMENTS, "amendment", report, progress):
        fold.take(said)
    return Case(
        directory=directory,
        report=report,
        broken=broken,
        unreadable=0 if report.ok else _unreadable(directory),
        zone=_zone(fold.opened),
        opened=fold.opened,
        facts=fold.facts,
        corrections=fold.corrections,
        events=(*fold.events, *read.values()),
        sources=frozenset(fold.sources | {said.entry.source for said in read.values()}),
        began=fold.began or EPOCH,
        until=fold.until or EPOCH,
        late=tuple(read.values()),
        late_lines=tuple(read),
        with_identity=identity,
        identity=_identity(directory) if identity else None,
        progress=progress,
    )


class _Fold:
    """What is kept of the entries on the one way through them: a record may be long."""

    def __init__(self, record: str) -> None:
        self.facts = Facts(record)
        self.corrections: dict[int, tuple[Said, ...]] = {}
        self.opened: RecordOpened | None = None
        self.events: list[Said] = []
        self.sources: set[str] = set()
        self.began = self.until = ""

    def take(self, said: Said) -> None:
        """The next one."""
        entry, data = said.entry, said.data
        if said.taken is None:
            return  # of a type that is not known, or its times are none: `said` gives it all the same
        self.sources.add(entry.source)
        if said.place == "journal":
            self.began, self.until = self.began or entry.received, entry.received
        if isinstance(data, RecordOpened):
            self.opened = self.opened or data
        if isinstance(data, Correction):
            self.corrections[data.seq] = (*self.corrections.get(data.seq, ()), said)
        if isinstance(data, VitalsNumeric | VitalsWaveform):
            return  # the facts would keep but the last half hour of them, for rules that were judged already
        if type(data) is not PumpStatus:
            self.events.append(said)
        self.facts.take(said.taken)


def _problems(report: Report, directory: Path) -> list[str]:
    """In words, with no path of this machine in them."""
    return [str(problem).replace(f"{directory}/", "") for problem in report.problems]


def _in_short(problems: list[str]) -> str | None:
    """The first of them: it stands on every row, page and document."""
    more = len(problems) - MOST_PROBLEMS
    rest = [f"and {more} more, which `esi-room verify` names"] if more > 0 else []
    return "; ".join([*problems[:MOST_PROBLEMS], *rest]) or None


def _limit(report: Report) -> int | None:
    """Of an open record that holds, as many lines as were verified: the daemon goes on writing."""
    return report.lines if report.ok else None


def _said(path: Path, place: Place, report: Report, progress: Progress) -> Iterator[Said]:
    for octets in _lines(path, _limit(report) if place == "journal" else None, progress):
        said = _read(octets, place)
        if said is not None:
            yield said


def _lines(path: Path, limit: int | None = None, progress: Progress = lambda _: None) -> Iterator[bytes]:
    if not is_regular(path):
        return
    with opened(path) as file:
        for octets in islice(lines(file), limit):
            progress(len(octets))
            yield octets


def _read(octets: bytes, place: Place) -> Said | None:
    try:
        entry = msgspec.json.decode(octets, type=Entry)
    except (ValueError, RecursionError):  # of msgspec, and of octets that are no UTF-8
        return None
    if entry.v != VERSION:
        return None
    taken = Taken.of_entry(entry)
    return Said(place, entry, None if taken is None or not _in_time(taken.data) else taken)


def _in_time(data: Payload) -> bool:
    """The moments that it names are such; only in a record that was altered they are not."""
    match data:
        case DeviceGap(from_=begin, to=end):
            moments = [begin, end]
        case Delivery(started_at=begin, ended_at=end, interruptions=interruptions):
            moments = [begin, end, *(at for each in interruptions for at in (each.from_, each.to))]
        case _:
            return True
    try:
        for each in moments:
            parse_rfc3339(each)
    except ValueError:
        return False
    return True


def _unreadable(directory: Path) -> int:
    return sum(_read(octets, "journal") is None for octets in _lines(directory / JOURNAL))


def _late(directory: Path) -> tuple[list[bytes], list[str]]:
    """What later records of the room say was taken in this one; and what is wrong with those of them that do."""
    found, problems = list[bytes](), list[str]()
    if directory.parent.name != "records":
        return found, problems
    mark = f'"taken_in":"{directory.name}"'.encode()
    for record in record_ids(directory.parent.parent):
        path = directory.parent / record / JOURNAL
        own = f'{{"v":1,"record":"{record}",'.encode()
        there = record > directory.name and _holds(path, mark)
        marked = [each for each in _lines(path) if mark in each] if there else []
        if marked:
            problems += [f"{record}: {what}" for what in _problems(held.report(path.parent), path.parent)]
            found += [octets for octets in marked if octets.startswith(own)]
    return found, problems


def _holds(path: Path, mark: bytes) -> bool:
    """Whether it is anywhere in the file: then alone are its lines looked at. A room has a thousand records."""
    if not is_regular(path):
        return False
    with opened(path) as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as octets:
            return octets.find(mark) >= 0


def _zone(opened: RecordOpened | None) -> ZoneInfo:
    try:
        return ZoneInfo("UTC" if opened is None else opened.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def _identity(directory: Path) -> Identity | None:
    path = directory / "private" / identities.FILE
    if directory.parent.name != "records" or path.is_symlink():
        return None
    return identities.read(directory.parent.parent, directory.name)
