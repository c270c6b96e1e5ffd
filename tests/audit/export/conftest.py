"""A room with one case in it that has everything: a correction, an amendment, an image that came too late."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, XRayAngiographicImageStorage

from esi_room import events as e
from esi_room.audit import trail
from esi_room.clock import ManualClock, SystemClock, parse_rfc3339, rfc3339
from esi_room.commands import Amend, Identity
from esi_room.events.clinical import Component, Correction, DrawnUp, DrugGiven, Pain
from esi_room.procedure import identity as identities
from esi_room.procedure.amending import Amending
from esi_room.record.disk import Disk
from esi_room.record.entry import sha256
from esi_room.record.journal import Identity as RoomIdentity
from esi_room.record.journal import Journal
from esi_room.record.reader import records
from esi_room.room.uses import Uses

BEGAN = "2026-03-29T00:55:00Z"  # five minutes before the clocks go forward in Berlin
NAME = "Muster^Erika"


class Built(NamedTuple):
    """The data directory, the case, and the `seq` of what tests ask for."""

    root: Path
    record: str
    directory: Path
    seqs: dict[str, int]


def dicom(number: int, *, burned_in: str | None = "NO", name: str = NAME) -> bytes:
    """A picture with a bright square, of a patient, as Part 10."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = XRayAngiographicImageStorage
    meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
    image = Dataset()
    image.file_meta = meta
    image.SOPClassUID, image.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    image.PatientName, image.Modality = name, "XA"
    if burned_in is not None:
        image.BurnedInAnnotation = burned_in
    image.Rows = image.Columns = 64
    image.SamplesPerPixel, image.PhotometricInterpretation, image.PixelRepresentation = 1, "MONOCHROME2", 0
    image.BitsAllocated = image.BitsStored = 8
    image.HighBit = 7
    pixels = np.full((64, 64), 40, np.uint8)
    pixels[16:48, 16:48] = 200
    image.PixelData = pixels.tobytes()
    out = io.BytesIO()
    image.save_as(out, enforce_file_format=True)
    return out.getvalue()


def image_entry(octets: bytes, number: int, **more: Any) -> e.CarmImage:
    return e.CarmImage(
        sop_class_uid=str(XRayAngiographicImageStorage),
        sop_instance_uid=f"1.2.3.{number}",
        study_uid="1.2.3",
        series_uid="1.2.3.0",
        transfer_syntax_uid=str(ExplicitVRLittleEndian),
        sha256=sha256(octets),
        size_bytes=len(octets),
        rows=64,
        columns=64,
        frames=None,
        acquired=None,
        dose={},
        peer="OEC @ 127.0.0.1",
        duplicate_of=None,
        modality="XA",
        **more,
    )


def dose(dap_gy_m2: float, **more: Any) -> e.CarmDose:
    total = e.DoseTotal(
        dap_gy_m2=dap_gy_m2, air_kerma_rp_gy=0.0012, fluoro_time_s=13.0, irradiation_events=2, provenance={}
    )
    return e.CarmDose(
        dap_gy_m2=dap_gy_m2,
        air_kerma_rp_gy=None,
        fluoro_time_s=13.0,
        irradiation_events=(),
        scope="study",
        provenance="dose report",
        unreadable=(),
        total=total,
        **more,
    )


def vitals(spo2: float | None, rate: float, systolic: float | None = None) -> e.VitalsNumeric:
    status = "ok" if spo2 is not None else "invalid"
    readings = [
        e.Reading(code=150456, name="spo2_pct", value=spo2, unit="%", status=status),
        e.Reading(code=147842, name="heart_rate_bpm", value=rate, unit="/min", status="ok"),
        e.Reading(code="vendor:x", name="st_1_mm", value=0.1, unit="mm", status="ok"),
    ]
    if systolic is not None:
        readings += [
            e.Reading(code=150021, name="nibp_systolic_mmhg", value=systolic, unit="mm[Hg]", status="ok"),
            e.Reading(code=150022, name="nibp_diastolic_mmhg", value=systolic - 50, unit="mm[Hg]", status="ok"),
        ]
    return e.VitalsNumeric(readings=tuple(readings))


def pump(kind: type[e.PumpStatus], state: e.PumpState, rate: float, delivered: float) -> e.PumpStatus:
    return kind(state=state, rate_ml_h=rate, delivered_ml=delivered, target_ml=3.0, pressure_mmhg=None, drug=None)


def alert(kind: type[e.AlertRaised], text: str, seq: int, **more: Any) -> e.AlertRaised:
    of = {"alert": "R4", "rule": "R4", "severity": "high", "facts": (seq,), "actor": None, "reason": None}
    return kind(**(of | {"text": text} | more))


class Writer:
    """Says one thing after the other."""

    def __init__(self, journal: Journal, clock: ManualClock) -> None:
        self.journal, self.clock, self.seqs = journal, clock, dict[str, int]()

    async def say(self, payload: e.Payload, source: str = "room", name: str = "", **more: Any) -> int:
        self.clock.advance(20)
        event = e.Event(source=source, data=payload, received=self.clock.now(), **more)
        seq = (await self.journal.commit(event)).seq
        self.seqs[name] = seq
        return seq

    def frame(self, octets: bytes) -> None:
        folder = self.journal.directory / "frames"
        folder.mkdir(exist_ok=True)
        (folder / f"{sha256(octets)}.dcm").write_bytes(octets)


async def _case(journal: Journal, clock: ManualClock, root: Path) -> tuple[str, dict[str, int]]:
    record = await journal.switch("procedure", "a case")
    digest = identities.keep(Disk(), root, record, Identity(name=NAME, id="4711", birth_date="1961-04-12"))
    w = Writer(journal, clock)
    await w.say(e.ProcedureStarted(procedure="Interlaminar ESI L4/5", origin="staff", identity_sha256=digest))
    await w.say(
        e.DeviceState(state="connected", reason="identified", driver="ge_dri", identity="GE <B850>"), "monitor-1"
    )
    await w.say(e.ProcedurePhase(phase="preparation", previous=None, origin="staff", reason=None))
    await w.say(Pain(occasion="baseline", score=8, scale="NRS", actor="Dr. A"), name="pain")
    await w.say(e.ClinicalNote(text="<script>alert('x')</script> & so on", actor="Dr. Ä"), name="note")
    await w.say(e.ClinicalNote(text="of another patient's", actor="Dr. A"), name="withdrawn")
    await w.say(Correction(seq=w.seqs["withdrawn"], reason="wrong chart", withdrawn=True, actor="Dr. A"))
    await w.say(Correction(seq=w.seqs["pain"], reason="misheard", fields={"score": 6}, actor="Dr. A"), name="corrects")
    steroid = Component(drug="dexamethasone", volume_ml=2, concentration=5, concentration_unit="mg/mL")
    await w.say(DrawnUp(syringe="A", components=(steroid,), actor="N"), name="drawn")
    lidocaine = Component(drug="lidocaine", volume_ml=3, concentration=1, concentration_unit="%")
    await w.say(DrugGiven(component=lidocaine, route="skin", actor="Dr. A"), name="given")
    await w.say(vitals(98, 71, 131), "monitor-1")
    await w.say(e.ProcedurePhase(phase="guidance", previous="preparation", origin="staff", reason=None))
    picture = dicom(1)
    w.frame(picture)
    taken_ns = clock.now().wall_ns - 5_000_000_000
    image = await w.say(image_entry(picture, 1), "carm", "image", happened_wall_ns=taken_ns)
    await w.say(dose(2.5e-5, fact=image), "carm", "dose")
    await w.say(vitals(None, 74), "monitor-1", "invalid")
    await w.say(alert(e.AlertRaised, "no contrast before the injectate", image), name="alert")
    await w.say(alert(e.AlertAcknowledged, "seen", image, actor="Dr. A", reason="given before"))
    start = rfc3339(clock.now().wall_ns)
    await w.say(e.ProcedurePhase(phase="injection", previous="guidance", origin="staff", reason=None))
    first = await w.say(pump(e.PumpStarted, "infusing", 120, 0), "pump-1", "started")
    await w.say(pump(e.PumpStatus, "infusing", 120, 1.0), "pump-1")
    last = await w.say(pump(e.PumpCompleted, "stopped", 0, 2.0), "pump-1")
    gap = e.DeviceGap(from_=start, to=rfc3339(clock.now().wall_ns), reason="silent")
    await w.say(gap, "monitor-1", "gap")
    delivery = e.Delivery(
        number=1,
        origin="pump",
        device="pump-1",
        started_at=start,
        ended_at=rfc3339(clock.now().wall_ns),
        ended_by="completed",
        syringe="A",
        drugs=("dexamethasone",),
        programmed_ml=2.0,
        delivered_ml=2.0,
        mean_rate_ml_h=120.0,
        peak_rate_ml_h=120.0,
        mean_pressure_mmhg=None,
        peak_pressure_mmhg=None,
        facts=(first, last),
    )
    await w.say(delivery, name="delivery")
    await w.say(vitals(99, 70, 125), "monitor-1")
    await w.say(e.ProcedureEnded(outcome="completed", origin="staff"))
    await journal.switch("standby", "over")
    return record, w.seqs


async def build(root: Path) -> Built:
    clock = ManualClock(parse_rfc3339(BEGAN))
    async with Journal.open(root, clock, RoomIdentity(room="esi-1", timezone="Europe/Berlin")) as journal:
        record, seqs = await _case(journal, clock, root)
        taken_ns = clock.now().wall_ns - 60_000_000_000
        w = Writer(journal, clock)
        late = dicom(2)
        w.frame(late)
        seq = await w.say(image_entry(late, 2, taken_in=record), "carm", "late", happened_wall_ns=taken_ns)
        await w.say(dose(1e-5, taken_in=record, fact=seq), "carm")
        amending = Amending(journal, clock)
        for form, fields in (
            ("follow_up", {"date": "2026-04-12", "contact": "phone", "pain_score": 2, "pain_scale": "NRS"}),
            ("correction", {"seq": seqs["pain"], "reason": "it was 5", "fields": {"score": 5}}),
        ):
            clock.advance(86_400)
            await amending.amend(Amend(id=form, actor="Dr. B", client="c", record=record, form=form, fields=fields))
    return Built(root, record, root / "records" / record, seqs | {"late": w.seqs["late"]})


@pytest.fixture
def built(tmp_path: Path) -> Built:
    """A fresh one: to be broken, too."""
    return asyncio.run(build(tmp_path / "data"))


@pytest.fixture
def used(built: Built) -> Built:
    """Somebody verified the room, looked at the patient, and began a replay; somebody else used another record."""
    other = built.directory.parent / records(built.root)[0]
    clock = SystemClock()
    trail.note(built.root, "110101", "R", "verified: 3 record(s) hold", actor="Auditor B")
    trail.note(built.directory, "110110", "R", "looked at who the patient was", actor="Dr. A", reason="call back")
    trail.note(built.directory, "110111", "R", "replayed it <fast>", outcome=trail.CUT_SHORT)
    trail.note(other, "110111", "R", "replayed another")

    async def take_in() -> None:
        async with Journal.open(built.root, clock, RoomIdentity(room="esi-1")) as journal:
            await Uses(journal, clock).look()

    asyncio.run(take_in())
    trail.note(built.directory, "110111", "R", "waits: it is not in the chain yet")
    return built


@pytest.fixture
def broken(built: Built) -> Built:
    """With a byte altered in its journal: the name of a phase."""
    path = built.directory / "journal.jsonl"
    octets = path.read_bytes()
    path.write_bytes(octets.replace(b'"misheard"', b'"Misheard"', 1))
    return built
