"""A room that signs, with one case in it that has every kind of file."""

from __future__ import annotations

from pathlib import Path

from esi_room.clock import ManualClock
from esi_room.events import CarmImage, CarmMpps, ClinicalNote, Event, OperatorCommand, Payload, ProcedureStarted
from esi_room.record.amendments import Amendments
from esi_room.record.checkpoints import Checkpoints
from esi_room.record.disk import Disk
from esi_room.record.entry import sha256
from esi_room.record.journal import Identity, Journal
from esi_room.record.reader import journal_path

IMAGE = b"\0" * 128 + b"DICM" + bytes(range(256)) * 4
STEP = b"\0" * 128 + b"DICM" + b"a procedure step"


async def build(root: Path) -> None:
    """Three records: a sealed standby record, a sealed case that has every kind of file, and an open record; every line
    is signed but the last three of the open one."""
    clock, checkpoints = ManualClock(), Checkpoints(root, Disk())
    checkpoints.keys.make()
    async with Journal.open(root, clock, Identity(room="esi-1")) as journal:
        await _say(journal, clock, ClinicalNote(text="standby", actor="a"))
        checkpoints.sign_up_to(journal.committed, clock.now().wall_ns)
        case = await journal.switch("procedure", "a case")
        await _say(journal, clock, ClinicalNote(text="before a crash", actor="a"))
        checkpoints.sign_up_to(journal.committed, clock.now().wall_ns)
    with journal_path(root, case).open("ab") as file:
        file.write(b'{"v":1,"record":"torn')
    async with Journal.open(root, clock, Identity(room="esi-1")) as journal:
        await _play_case(journal, clock)
        checkpoints.sign_up_to(journal.committed, clock.now().wall_ns)
        await journal.switch("standby", "the case is over")
        checkpoints.sign_up_to(journal.committed, clock.now().wall_ns)
        await _amend(journal, clock, checkpoints, case)
        for n in range(6):
            journal.wire("monitor-1").received(clock.now(), b"standby %d" % n)
            await _say(journal, clock, ClinicalNote(text=f"standby {n}", actor="a"))
            if n in (0, 2):
                checkpoints.sign_up_to(journal.committed, clock.now().wall_ns)


async def _say(journal: Journal, clock: ManualClock, payload: Payload) -> None:
    clock.advance(1)
    await journal.commit(Event(source="room", data=payload, received=clock.now()))


async def _play_case(journal: Journal, clock: ManualClock) -> None:
    private, frames = journal.directory / "private", journal.directory / "frames"
    private.mkdir(mode=0o700)
    frames.mkdir(mode=0o700)
    identity = b'{"name":"Doe^Jane","salt":"00"}\n'
    (private / "identity.json").write_bytes(identity)
    await _say(journal, clock, ProcedureStarted(procedure="ESI", origin="staff", identity_sha256=sha256(identity)))
    (private / f"{sha256(STEP)}.mpps").write_bytes(STEP)
    await _say(
        journal,
        clock,
        CarmMpps(
            sop_instance_uid="1.2.9", status="IN PROGRESS", message="create", peer="OEC_9900@127.0.0.1",
            sha256=sha256(STEP), started=None, ended=None, procedure=None, order=None, images=0,
        ),
    )  # fmt: skip
    for n in range(4):
        journal.wire("pump-1").received(clock.now(), b"\x0200I\x03")
        journal.wire("monitor-1").received(clock.now(), bytes(range(40)))
        await _say(journal, clock, ClinicalNote(text=f"note {n}", actor="a"))
    for n in range(2):
        octets = IMAGE + bytes([n])
        (frames / f"{sha256(octets)}.dcm").write_bytes(octets)
        image = CarmImage(
            sop_class_uid="1.2.840.10008.5.1.4.1.1.12.1", sop_instance_uid=f"1.2.{n}", study_uid="1.2",
            series_uid="1.2.1", transfer_syntax_uid="1.2.840.10008.1.2.1", sha256=sha256(octets),
            size_bytes=len(octets), rows=2, columns=2, frames=1, acquired=None, dose={}, peer="OEC_9900@127.0.0.1",
            duplicate_of=None,
        )  # fmt: skip
        await _say(journal, clock, image)


async def _amend(journal: Journal, clock: ManualClock, checkpoints: Checkpoints, case: str) -> None:
    for n in range(2):
        clock.advance(1)
        asked = OperatorCommand(id=f"id-{n}", name="amend", actor="a", client="c")
        late = ClinicalNote(text=f"amendment {n}", actor="a")
        events = (Event(source="room", data=data, received=clock.now()) for data in (asked, late))
        made = Amendments(journal.root, Disk()).add(case, *events)
        await _say(journal, clock, asked)
        await _say(journal, clock, made.announcement)
        checkpoints.sign_amendment(made.announcement, clock.now().wall_ns)
