"""A received object goes into the record. Runs in the daemon.

    the file lies in `incoming/`, in nobody's record
    -> linked as `frames/<sha256>.dcm` into the open record, file and directory fsynced
    -> entry `carm.image`, durable (the journal's COMMIT POINT)
    -> only then 0000

The listener links and fsyncs, beside reading the header, and says into which record. Where it could not (there is no
such directory yet, the name is taken) or another record has been opened since, it is done here.

A crash between two of these steps leaves a file that no entry names, or an entry whose file is there; never an entry
without its file, and never an acknowledgement without its entry.

The same SOP instance UID again: with the same content an entry says so and no second file is made in the same record;
with other content both are kept and an alert names them. What "the same content" is, the file's digest
decides: what stands in front of the data set is made of the request alone.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from esi_room.carm.dose.desk import DoseDesk
from esi_room.carm.index import Held, Index, held
from esi_room.carm.patients import Patients
from esi_room.carm.time_axis.placing import Placed, Placer
from esi_room.carm.wire import Received
from esi_room.clock import NS, Clock, Stamp, rfc3339
from esi_room.errors import RecordError
from esi_room.events import AlertRaised, CarmImage, Event
from esi_room.record.disk import Disk
from esi_room.record.journal import Journal, Receipt

SOURCE = "carm"
# How often a wait for the disk looks whether the disk has failed meanwhile.
_LOOK_S = 0.25
_DISK = Disk()


class Kept(NamedTuple):
    """`image` as its entry says it. `last`: it is the picture that was taken last."""

    image: CarmImage
    record: str
    seq: int
    last: bool


class Keeper:
    """Puts objects into `journal`; RecordError where one could not be kept, with the reason for the peer."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        index: Index,
        placer: Placer,
        dose: DoseDesk,
        patients: Patients,
        *,
        timeout_s: float,
    ) -> None:
        self._journal, self._clock, self._index, self._timeout_s = journal, clock, index, timeout_s
        self._placer, self._dose, self._patients = placer, dose, patients

    async def keep(self, file: Path, received: Received) -> Kept:
        """The object in `file`, and what it says of dose, are durable in the record when this returns."""
        if self._journal.problem is not None:
            raise RecordError(self._journal.problem)
        image = received.image
        order = await self._patients.order_of(received.patient, image.study_uid)
        try:
            record = self._journal.record
            if received.linked != record:
                record = await self._link(file, image)
        except OSError as error:
            raise RecordError(f"the image cannot be written: {error.strerror or error}") from error
        # No await from here to the append: the record is still the one linked into, the index is what it was.
        before = self._index.find(image.sop_instance_uid)
        placed = self._placer.place(_compared(image, before, record), received.started, record)
        image = self._patients.marked(placed.image, received.patient, record, order)
        if placed.offset is not None:
            self._journal.append(Event(source=SOURCE, data=placed.offset, received=self._clock.now()))
        receipt = self._journal.append(_event(placed._replace(image=image), received.started))
        place = held(receipt.record, receipt.seq, rfc3339(placed.happened_wall_ns), image)
        conflict = [each for each in before if each.sha256 != place.sha256]
        self._index.add(image.sop_instance_uid, place)
        if conflict and image.duplicate_of is None:
            self._journal.append(self._alert(image, place, conflict[-1]))
        self._patients.alert(image, receipt)
        await self._durable(self._dose.on_image(image, receipt, received.dose))
        last = self._index.last is not None and self._index.last[1] is place
        return Kept(image, receipt.record, receipt.seq, last)

    async def _link(self, file: Path, image: CarmImage) -> str:
        """Link `file` into the open record; the record's id, which is still the open one."""
        while True:
            record, directory = self._journal.record, self._journal.directory
            if _same(image, self._index.find(image.sop_instance_uid), record) is None:
                await asyncio.to_thread(link, file, directory, image.sha256)
            if self._journal.record == record:
                return record

    async def _durable(self, receipt: Receipt) -> None:
        """Wait for the commit. A disk that fails meanwhile, or never answers, is no reason to keep a C-arm waiting:
        it may send the object again, and will then be told that it is held."""
        deadline_ns = self._clock.now().mono_ns + round(self._timeout_s * NS)
        while True:
            try:
                async with asyncio.timeout(_LOOK_S):
                    await receipt.durable()
            except TimeoutError:
                if self._journal.problem is not None:
                    raise RecordError(self._journal.problem) from None
                if self._clock.now().mono_ns > deadline_ns:
                    raise RecordError("the disk does not answer") from None
            else:
                return

    def _alert(self, image: CarmImage, place: Held, other: Held) -> Event:
        where = "" if other.record == place.record else f" of record {other.record}"
        facts = (other.seq, place.seq) if other.record == place.record else (place.seq,)
        alert = AlertRaised(
            alert=f"carm-uid-conflict-{image.sha256[:16]}",
            rule="carm.uid_conflict",
            severity="high",
            text=f"Two different images under one UID: this one and line {other.seq}{where}. Both are kept.",
            facts=facts,
            actor=None,
            reason=f"SOP instance UID {image.sop_instance_uid}",
        )
        return Event(source=SOURCE, data=alert, received=self._clock.now())


def _event(placed: Placed, started: Stamp) -> Event:
    """The entry of an object, at the time when it was taken."""
    return Event(
        source=SOURCE,
        data=placed.image,
        received=started,
        happened_wall_ns=placed.happened_wall_ns,
        device_time=placed.image.acquired,
        device_offset_s=placed.device_offset_s,
    )


def _same(image: CarmImage, places: list[Held], record: str) -> Held | None:
    """The entry in `record` that holds this very content."""
    return next((p for p in places if p.sha256 == image.sha256 and p.record == record), None)


def _compared(image: CarmImage, before: list[Held], record: str) -> CarmImage:
    """`image`, saying of which entry it is a duplicate, and naming the file that this record has of it."""
    first = next((each for each in before if each.sha256 == image.sha256), None)
    if first is None:
        return image
    here = _same(image, before, record)
    return replace(image, duplicate_of=first.ref, sha256=here.sha256 if here else image.sha256)


def link(file: Path, directory: Path, sha256: str) -> None:
    """`file` becomes `<directory>/frames/<sha256>.dcm`, durably. OSError where the disk does not take it."""
    frames = directory / "frames"
    name = frames / f"{sha256}.dcm"
    if not frames.is_dir():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        frames.mkdir(mode=0o700, exist_ok=True)
        _DISK.sync_directory(directory)
    try:
        os.link(file, name)
    except FileExistsError:  # left by a crash or a failing disk: it may be torn, this one is whole
        again = frames / f"{file.name}.again"
        again.unlink(missing_ok=True)
        os.link(file, again)
        again.replace(name)
    # After the link, not before: the file system's log then commits octets, name and size at one go.
    _DISK.sync_file(file)
    _DISK.sync_directory(frames)
