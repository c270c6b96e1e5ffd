"""Worklist, performed procedure step, storage commitment and dose report of the C-arm, against a scripted hospital."""

from __future__ import annotations

import asyncio
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, build_role, evt
from pynetdicom.sop_class import (
    ModalityPerformedProcedureStep,
    ModalityWorklistInformationFind,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from simulators.carm import commitment, worklist
from simulators.carm.carm import CArm
from simulators.carm.case import Identity
from simulators.carm.dose_faults import FAULTS
from simulators.carm.encoders import TRANSFER_SYNTAXES
from simulators.clock import ScenarioClock
from simulators.truth import TruthLog

TYPED = Identity("TYPED^IN", "SIM-1", "19610412", "F", 78.0)
SERVICES = (ModalityWorklistInformationFind, ModalityPerformedProcedureStep, StorageCommitmentPushModel)
Make = Callable[..., CArm]


def order(step_id: str, name: str = "SCHEDULED^SOMEBODY", patient_id: str = "SIM-2") -> Dataset:
    """A line of the worklist, in Latin-1 as older systems answer."""
    line, step = Dataset(), Dataset()
    line.SpecificCharacterSet = "ISO_IR 100"
    line.PatientName, line.PatientID, line.PatientBirthDate, line.PatientSex = name, patient_id, "19500203", "M"
    line.AccessionNumber, line.StudyInstanceUID = f"A-{step_id}", f"1.2.3.{step_id}"
    line.RequestedProcedureID, line.RequestedProcedureDescription = f"RP-{step_id}", "Epidural injection"
    step.ScheduledProcedureStepID, step.ScheduledProcedureStepDescription = step_id, "L4/5 interlaminar"
    line.ScheduledProcedureStepSequence = [step]
    return line


class Hospital:
    """Everything a C-arm asks for. `doubtful`: how often it says that it does not have the first instance."""

    def __init__(self, *, services: tuple[str, ...] = SERVICES, doubtful: int = 0, reports: bool = True) -> None:
        self.lines = [order("7"), order("8", "MÜLLER^JÖRG", "SIM-8")]
        self.services, self.doubtful, self.reports = services, doubtful, reports
        self.commitment_port = 0
        self.queries: list[Dataset] = []
        self.steps: dict[str, Dataset] = {}
        self.told: list[tuple[str, str]] = []
        self.stored: list[Dataset] = []
        self.asked: list[Dataset] = []
        self.threads: list[threading.Thread] = []
        self.answers: list[int] = []
        self.creating, self.answering = threading.Event(), threading.Event()
        self.answering.set()

    def find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        self.queries.append(event.identifier)
        for line in self.lines:
            yield 0xFF00, line
        yield 0x0000, None

    def create(self, event: Any) -> tuple[int, Dataset | None]:
        uid = str(event.request.AffectedSOPInstanceUID)
        self.creating.set()
        self.answering.wait(20)
        if uid in self.steps:
            return 0x0111, None
        self.steps[uid] = event.attribute_list
        self.told.append(("create", uid))
        return 0x0000, event.attribute_list

    def change(self, event: Any) -> tuple[int, Dataset | None]:
        uid = str(event.request.RequestedSOPInstanceUID)
        if uid not in self.steps:
            return 0x0112, None
        if self.steps[uid].PerformedProcedureStepStatus != "IN PROGRESS":
            return 0x0110, None
        self.steps[uid].update(event.modification_list)
        self.told.append(("set", uid))
        return 0x0000, self.steps[uid]

    def store(self, event: Any) -> int:
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        self.stored.append(dataset)
        return 0x0000

    def commit(self, event: Any) -> tuple[int, None]:
        self.asked.append(event.action_information)
        if self.reports:
            self.threads.append(threading.Thread(target=self.report, args=(event.action_information,)))
            self.threads[-1].start()
        return 0x0000, None

    def report(self, asked: Dataset) -> None:
        """On an association of our own, on which we stay the SCP."""
        instances = list(asked.ReferencedSOPSequence)
        failed = instances[:1] if self.doubtful else []
        self.doubtful -= bool(failed)
        told = Dataset()
        told.TransactionUID = asked.TransactionUID
        told.ReferencedSOPSequence = instances[len(failed) :]
        for item in failed:
            item.FailureReason = 0x0112
        if failed:
            told.FailedSOPSequence = failed
        entity = AE("ESI_ROOM")
        entity.add_requested_context(StorageCommitmentPushModel)
        role = build_role(StorageCommitmentPushModel, scp_role=True)
        association = entity.associate("127.0.0.1", self.commitment_port, ext_neg=[role])
        assert association.is_established
        try:
            instance = StorageCommitmentPushModelInstance
            for _ in range(3):  # until it is taken
                arguments = told, 2 if failed else 1, StorageCommitmentPushModel, instance
                status, _ = association.send_n_event_report(*arguments)
                self.answers.append(status.Status)
                if status.Status == 0x0000:
                    break
        finally:
            association.release()

    @contextmanager
    def open(self, port: int) -> Iterator[Hospital]:
        entity = AE("ESI_ROOM")
        for context in AllStoragePresentationContexts:
            entity.add_supported_context(context.abstract_syntax, list(TRANSFER_SYNTAXES.values()))
        for service in self.services:
            entity.add_supported_context(service)
        handlers = [
            (evt.EVT_C_FIND, self.find),
            (evt.EVT_N_CREATE, self.create),
            (evt.EVT_N_SET, self.change),
            (evt.EVT_N_ACTION, self.commit),
            (evt.EVT_C_STORE, self.store),
        ]
        server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
        try:
            yield self
        finally:
            for thread in self.threads:
                thread.join(10)
            server.shutdown()

    @property
    def images(self) -> list[Dataset]:
        return [dataset for dataset in self.stored if "PixelData" in dataset]

    @property
    def dose_reports(self) -> list[Dataset]:
        return [dataset for dataset in self.stored if dataset.Modality == "SR"]


@pytest.fixture
def port(free_port: Callable[[], int]) -> int:
    return free_port()


@pytest.fixture
def make(port: int) -> Make:
    def build(**settings: Any) -> CArm:
        settings = {"seed": 1, "matrix": 64, "retry_s": 0.05, **settings}
        return CArm(("127.0.0.1", port), TYPED, ScenarioClock(100.0), TruthLog(), **settings)

    return build


@asynccontextmanager
async def running(carm: CArm) -> AsyncIterator[CArm]:
    task = asyncio.create_task(carm.run())
    try:
        yield carm
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def content(dataset: Dataset, code: str) -> list[Dataset]:
    """The content items with that concept name, in their order, wherever they are."""
    found = []
    for item in dataset.get("ContentSequence", []):
        if item.ConceptNameCodeSequence[0].CodeValue == code:
            found.append(item)
        found += content(item, code)
    return found


def numbers(dataset: Dataset, code: str) -> list[float]:
    return [float(item.MeasuredValueSequence[0].NumericValue) for item in content(dataset, code)]


async def test_the_chosen_order_is_in_everything_that_is_made(make: Make, port: int) -> None:
    with Hospital().open(port) as hospital:
        async with running(make(mpps=True, dose_report="end")) as carm:
            await carm.do("worklist", order="8")
            await carm.do("shot")
            await carm.do("end_case")
            assert await carm.drain(10)
    (step,) = hospital.steps.values()
    for made in (*hospital.stored, step):
        assert (str(made.PatientName), made.PatientID, made.PatientBirthDate) == ("MÜLLER^JÖRG", "SIM-8", "19500203")
    for made in hospital.stored:
        assert (made.StudyInstanceUID, made.AccessionNumber) == ("1.2.3.8", "A-8")
        (request,) = made.RequestAttributesSequence
        assert (request.RequestedProcedureID, request.ScheduledProcedureStepID) == ("RP-8", "8")
        (reference,) = made.ReferencedPerformedProcedureStepSequence
        assert reference.ReferencedSOPInstanceUID in hospital.steps
    (scheduled,) = step.ScheduledStepAttributesSequence
    assert (scheduled.StudyInstanceUID, scheduled.ScheduledProcedureStepID) == ("1.2.3.8", "8")
    assert (scheduled.AccessionNumber, scheduled.RequestedProcedureID) == ("A-8", "RP-8")
    assert carm.truth.of("carm", "c_find")[0]["step_ids"] == ["7", "8"]


async def test_the_first_line_where_none_is_named(make: Make, port: int) -> None:
    with Hospital().open(port) as hospital:
        async with running(make()) as carm:
            await carm.do("worklist")
            await carm.do("shot", fluoro_s=0)
            assert await carm.drain(10)
    assert hospital.images[0].PatientID == "SIM-2"
    assert hospital.queries[0].ScheduledProcedureStepSequence[0].ScheduledStationAETitle in ("", None)


async def test_only_what_is_scheduled_here_today_by_its_own_clock(make: Make, port: int) -> None:
    with Hospital().open(port) as hospital:
        await make(clock_offset_s=3 * 86_400.0).do("worklist", mine=True)
    (step,) = hospital.queries[0].ScheduledProcedureStepSequence
    assert step.ScheduledStationAETitle == "OEC_9900"
    days = {(datetime.now(UTC) + timedelta(days=3, minutes=m)).strftime("%Y%m%d") for m in (-1, 0)}
    assert step.ScheduledProcedureStepStartDate in days


async def test_a_line_that_comes_later_is_found(make: Make, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worklist, "RETRY_S", 0.05)
    hospital = Hospital()
    carm = make()
    looking = asyncio.create_task(carm.do("worklist", order="9"))
    await asyncio.sleep(0.1)
    with hospital.open(port):
        async with asyncio.timeout(10):
            while not hospital.queries:
                await asyncio.sleep(0.02)
            hospital.lines.append(order("9"))
            await looking
    looks = carm.truth.of("carm", "c_find")
    assert not looks[0]["ok"] and looks[0]["reason"] == "no answer"
    assert looks[-1]["chosen"] == "9" and looks[-2]["chosen"] is None


async def test_what_is_not_on_the_worklist_is_named(make: Make, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worklist, "REFRESH_S", 0.0)
    monkeypatch.setattr(worklist, "RETRY_S", 0.0)
    with Hospital().open(port), pytest.raises(ValueError, match="the worklist has no 99"):
        await make().do("worklist", order="99")


async def test_a_room_that_only_stores(make: Make, port: int) -> None:
    """What it does not have is told, and nothing else suffers."""
    with Hospital(services=()).open(port) as hospital:
        async with running(make(mpps=True, commitment_port=0)) as carm:
            await carm.do("worklist")
            await carm.do("shot", fluoro_s=0)
            await carm.do("end_case")
            assert await carm.drain(10)
    assert [image.PatientID for image in hospital.images] == ["SIM-1"]
    for what in ("c_find", "n_create", "n_set", "commitment"):
        (line,) = carm.truth.of("carm", what)
        assert not line["ok"] and line["reason"] == "no presentation context accepted"


async def test_a_dcmtk_worklist(make: Make, port: int, peers: ModuleType, tmp_path: Path) -> None:
    wlmscpfs, dump2dcm = peers.need("wlmscpfs"), peers.need("dump2dcm")
    folder = tmp_path / "ESI_ROOM"
    folder.mkdir()
    (folder / "lockfile").touch()
    dump = tmp_path / "order.dump"
    dump.write_text(WORKLIST_FILE)
    subprocess.run([dump2dcm, str(dump), str(folder / "order.wl")], check=True, capture_output=True)
    with subprocess.Popen([wlmscpfs, "-s", "-dfp", str(tmp_path), str(port)], stderr=subprocess.DEVNULL) as process:
        try:
            carm = make()
            await carm.do("worklist", order="SPD3445")
        finally:
            process.terminate()
    assert carm.truth.of("carm", "c_find")[-1]["chosen"] == "SPD3445"
    with Hospital().open(port) as hospital:
        async with running(carm):
            await carm.do("shot", fluoro_s=0)
            assert await carm.drain(10)
    (image,) = hospital.images
    assert (image.PatientID, image.AccessionNumber) == ("AV35674", "00000")
    assert image.StudyInstanceUID == "1.2.276.0.7230010.3.2.101"


WORKLIST_FILE = """\
(0008,0050) SH [00000]
(0010,0010) PN [VIVALDI^ANTONIO]
(0010,0020) LO [AV35674]
(0010,0030) DA [16780304]
(0010,0040) CS [M]
(0020,000d) UI [1.2.276.0.7230010.3.2.101]
(0032,1032) PN [NEWTON^ISAAC]
(0032,1060) LO [EXAM6]
(0040,0100) SQ
(fffe,e000) -
(0008,0060) CS [RF]
(0040,0001) AE [OEC_9900]
(0040,0002) DA [20261123]
(0040,0003) TM [160700]
(0040,0006) PN [JOHNSON^M]
(0040,0007) LO [EXAM74]
(0040,0009) SH [SPD3445]
(0040,0010) SH [STN456]
(0040,0011) SH [B34F56]
(fffe,e00d) -
(fffe,e0dd) -
(0040,1001) SH [RP454G234]
(0040,1003) SH [LOW]
"""


async def test_the_step_names_series_images_report_and_dose(make: Make, port: int) -> None:
    with Hospital().open(port) as hospital:
        async with running(make(mpps=True, dose_report="end")) as carm:
            await carm.do("shot", fluoro_s=2.0)
            await carm.do("run", frames=4, fps=8)
            await carm.do("fluoro", fluoro_s=1.0)
            await carm.do("end_case")
            assert await carm.drain(10)
    ((uid, step),) = hospital.steps.items()
    assert hospital.told == [("create", uid), ("set", uid)]
    assert step.PerformedProcedureStepStatus == "COMPLETED" and step.PerformedProcedureStepEndTime
    named = [
        item.ReferencedSOPInstanceUID
        for series in step.PerformedSeriesSequence
        for item in (*series.ReferencedImageSequence, *series.ReferencedNonImageCompositeSOPInstanceSequence)
    ]
    assert sorted(named) == sorted(made.SOPInstanceUID for made in hospital.stored)
    (report,) = hospital.dose_reports
    (dap_gy_m2,), (kerma_gy,) = numbers(report, "113722"), numbers(report, "113725")
    assert step.ImageAndFluoroscopyAreaDoseProduct == pytest.approx(dap_gy_m2 * 1e5, rel=1e-4)
    assert step.EntranceDoseInmGy == pytest.approx(kerma_gy * 1e3, rel=1e-4)
    assert step.TotalTimeOfFluoroscopy == 3 and len(step.ExposureDoseSequence) == 3


@pytest.mark.parametrize(
    ("params", "told", "status"),
    [
        ({"outcome": "discontinued"}, ["create", "set"], "DISCONTINUED"),
        ({"mpps": "never"}, ["create"], "IN PROGRESS"),
        ({"mpps": "twice"}, ["create", "set"], "COMPLETED"),
    ],
)
async def test_the_end_of_the_step(make: Make, port: int, params: dict[str, str], told: list[str], status: str) -> None:
    with Hospital().open(port) as hospital:
        async with running(make(mpps=True)) as carm:
            await carm.do("begin_case")
            await carm.do("shot", fluoro_s=0)
            await carm.do("end_case", **params)
            assert await carm.drain(10)
    assert [what for what, _ in hospital.told] == told
    assert [step.PerformedProcedureStepStatus for step in hospital.steps.values()] == [status]
    refused = [line["reason"] for line in carm.truth.of("carm", "n_set") if not line["ok"]]
    assert refused == (["status 0x0110"] if params.get("mpps") == "twice" else [])


async def test_a_step_waits_for_the_room_and_begins_before_it_ends(make: Make, port: int) -> None:
    async with running(make(mpps=True)) as carm:
        await carm.do("shot", fluoro_s=0)
        await carm.do("end_case")
        assert not await carm.drain(0.3)
        with Hospital().open(port) as hospital:
            assert await carm.drain(20)
    (uid,) = hospital.steps
    assert hospital.told == [("create", uid), ("set", uid)]
    assert [line["ok"] for line in carm.truth.of("carm", "n_create")][-1] is True


async def test_a_step_whose_answer_was_lost_is_not_begun_twice(make: Make, port: int) -> None:
    class Forgetful(Hospital):
        def create(self, event: Any) -> tuple[int, Dataset | None]:
            answer = super().create(event)
            if answer[0] == 0x0000:
                event.assoc.abort()
            return answer

    with Forgetful().open(port) as hospital:
        async with running(make(mpps=True)) as carm:
            await carm.do("begin_case")
            await carm.do("end_case")
            assert await carm.drain(10)
    assert [what for what, _ in hospital.told] == ["create", "set"]
    assert [line["ok"] for line in carm.truth.of("carm", "n_create")] == [False, True]


def test_it_can_be_switched_off_while_the_room_thinks(make: Make, port: int) -> None:
    async def begin() -> None:
        async with running(make(mpps=True)) as carm:
            await carm.do("begin_case")
            await asyncio.to_thread(hospital.creating.wait, 10)

    with Hospital().open(port) as hospital:
        hospital.answering.clear()
        began_s = time.monotonic()
        asyncio.run(begin())
        took_s = time.monotonic() - began_s
        hospital.answering.set()
    assert took_s < 5, "a thread waited for the answer"


async def test_the_next_case_is_another_study(make: Make, port: int) -> None:
    with Hospital().open(port) as hospital:
        async with running(make(mpps=True)) as carm:
            for _ in range(2):
                await carm.do("shot", fluoro_s=1.0)
                await carm.do("end_case")
            assert await carm.drain(10)
    assert len(hospital.steps) == len({image.StudyInstanceUID for image in hospital.images}) == 2
    assert [image.TotalTimeOfFluoroscopy for image in hospital.images] == [1, 1]


@pytest.mark.parametrize("doubtful", [0, 2])
async def test_commitment_until_the_room_stands_for_everything(make: Make, port: int, doubtful: int) -> None:
    with Hospital(doubtful=doubtful).open(port) as hospital:
        carm = make(commitment_port=0)
        hospital.commitment_port = carm.commitment_port
        async with running(carm):
            await carm.do("shot", fluoro_s=0)
            await carm.do("shot", fluoro_s=0)
            await carm.do("end_case")
            assert await carm.drain(15)
    assert [len(asked.ReferencedSOPSequence) for asked in hospital.asked] == [2, 1, 1][: doubtful + 1]
    assert len({asked.TransactionUID for asked in hospital.asked}) == doubtful + 1
    first = hospital.stored[0].SOPInstanceUID
    assert [image.SOPInstanceUID for image in hospital.stored].count(first) == doubtful + 1
    (end,) = carm.truth.of("carm", "commitment")
    assert end["committed"] is True and end["rounds"] == doubtful + 1
    assert [line["failed"] for line in carm.truth.of("carm", "n_event_report")] == [{first: 0x0112}] * doubtful + [{}]


async def test_a_report_that_is_refused_comes_again(make: Make, port: int) -> None:
    with Hospital().open(port) as hospital:
        carm = make(commitment_port=0)
        hospital.commitment_port = carm.commitment_port
        async with running(carm):
            await carm.do("refuse_reports", reports=2)
            await carm.do("shot", fluoro_s=0)
            await carm.do("end_case")
            assert await carm.drain(15)
    assert hospital.answers == [0x0110, 0x0110, 0x0000]
    assert [line["refused"] for line in carm.truth.of("carm", "n_event_report")] == [True, True, False]
    assert carm.truth.of("carm", "commitment")[0]["committed"] is True


async def test_a_room_that_never_stands_for_one(make: Make, port: int) -> None:
    with Hospital(doubtful=99).open(port) as hospital:
        carm = make(commitment_port=0)
        hospital.commitment_port = carm.commitment_port
        async with running(carm):
            await carm.do("shot", fluoro_s=0)
            await carm.do("end_case")
            assert await carm.drain(15)
    (end,) = carm.truth.of("carm", "commitment")
    assert end["committed"] is False and end["sop_instance_uids"] == [hospital.stored[0].SOPInstanceUID]
    assert len(hospital.asked) == commitment.ROUNDS


async def test_a_report_that_does_not_come(make: Make, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commitment.Commitment.__init__, "__kwdefaults__", {"report_limit_s": 0.1})
    with Hospital(reports=False).open(port):
        async with running(make(commitment_port=0)) as carm:
            await carm.do("shot", fluoro_s=0)
            await carm.do("end_case")
            assert await carm.drain(10)
    (end,) = carm.truth.of("carm", "commitment")
    assert end["committed"] is False and "no report within 0.1 s" in end["reason"]


async def test_the_report_agrees_with_the_images(make: Make, port: int) -> None:
    with Hospital().open(port) as hospital:
        async with running(make(dose_report="end")) as carm:
            await carm.do("fluoro", fluoro_s=3.0)
            await carm.do("shot", view="lateral", fluoro_s=2.0, kv=88.0)
            await carm.do("run", frames=8, fps=8)
            await carm.do("end_case")
            assert await carm.drain(10)
    (report,) = hospital.dose_reports
    images = hospital.images
    assert report.SOPClassUID.name == "X-Ray Radiation Dose SR Storage"
    daps = numbers(report, "122130")
    assert sum(daps) == pytest.approx(numbers(report, "113722")[0], rel=1e-4)
    assert sum(float(i.ImageAndFluoroscopyAreaDoseProduct) for i in images) == pytest.approx(sum(daps) * 1e5, rel=1e-3)
    assert sum(float(i.EntranceDoseInmGy) for i in images) == pytest.approx(
        sum(numbers(report, "113738")) * 1e3, rel=1e-3
    )
    assert numbers(report, "113730") == [5.0] and numbers(report, "113855") == [1.0]
    events = [item.UID for item in content(report, "113769")]
    assert events == [*images[0].IrradiationEventUID, images[1].IrradiationEventUID]
    kinds = [item.ConceptCodeSequence[0].CodeValue for item in content(report, "113721")]
    assert kinds == ["P5-06000", "P5-06000", "113611"]
    taken = [item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in content(report, "113795")]
    assert taken == [image.SOPInstanceUID for image in images]
    assert numbers(report, "112011") == [0.0, 90.0, 0.0]


async def test_dcmtk_reads_the_report(make: Make, port: int, peers: ModuleType, tmp_path: Path) -> None:
    with Hospital().open(port) as hospital:
        async with running(make(dose_report="end")) as carm:
            await carm.do("shot", fluoro_s=2.0)
            await carm.do("end_case")
            assert await carm.drain(10)
    path = tmp_path / "report.dcm"
    hospital.dose_reports[0].save_as(path, enforce_file_format=True)
    # It warns of whatever breaks a rule of the IOD, and that it checks no values in this character set.
    dump = subprocess.run([peers.need("dsrdump"), str(path)], capture_output=True, text=True, check=True)
    assert 'NUM:(,,"Total Fluoro Time")="2" (s,UCUM,"s")' in dump.stdout
    assert [line for line in dump.stderr.splitlines() if line and "Character Set" not in line] == []


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_spoilt_report_is_spoilt_in_that_way(make: Make, port: int, fault: str) -> None:
    with Hospital().open(port) as hospital:
        async with running(make(dose_report="end")) as carm:
            await carm.do("shot", fluoro_s=2.0)
            await carm.do("dose_report", fault=fault)
            await carm.do("end_case")
            assert await carm.drain(10)
    good = hospital.dose_reports[-1]
    if fault == "private_class":
        (line,) = [line for line in carm.truth.of("carm", "c_store") if not line["stored"]]
        assert line["set_aside"] and "does not take" in line["reason"]
        assert len(hospital.dose_reports) == 1, "the good one came all the same"
        return
    bad = hospital.dose_reports[0]
    if fault == "twice":
        assert [report.SOPInstanceUID for report in hospital.dose_reports].count(bad.SOPInstanceUID) == 2
        return
    assert bad.SOPInstanceUID != good.SOPInstanceUID
    assert SPOILT[fault](bad, good)


def _value(report: Dataset, code: str) -> Dataset:
    return content(report, code)[0].MeasuredValueSequence[0]


def _raw(report: Dataset, code: str) -> bytes:
    value: bytes = _value(report, code).get_item("NumericValue").value
    return value


def _unit(report: Dataset, code: str) -> str:
    return str(_value(report, code).MeasurementUnitsCodeSequence[0].CodeValue)


SPOILT: dict[str, Callable[[Dataset, Dataset], bool]] = {
    "text_for_num": lambda bad, _: {item.ValueType for item in content(bad, "113722")} == {"TEXT"},
    "comma": lambda bad, good: (
        float(_raw(bad, "113722").replace(b",", b".")) == pytest.approx(numbers(good, "113722")[0], rel=1e-4)
    ),
    "misspelt_meanings": lambda bad, _: (
        content(bad, "113722")[0].ConceptNameCodeSequence[0].CodeMeaning == "Dose Area Product Totl"
    ),
    "no_units": lambda bad, _: "MeasurementUnitsCodeSequence" not in _value(bad, "113722"),
    "misspelt_units": lambda bad, good: (
        (_unit(bad, "113722"), _unit(bad, "113730")) == ("dGycm2", "sec")
        and numbers(bad, "113722")[0] == pytest.approx(numbers(good, "113722")[0] * 1e5, rel=1e-4)
    ),
    "other_units": lambda bad, good: (
        _unit(bad, "113722") == "cGy.cm2"
        and numbers(bad, "113722")[0] == pytest.approx(numbers(good, "113722")[0] * 1e6, rel=1e-4)
        and numbers(bad, "113730")[0] == pytest.approx(numbers(good, "113730")[0] / 60, rel=1e-4)
    ),
    "empty": lambda bad, _: len(bad.ContentSequence) == 0,
    "private_codes": lambda bad, _: (
        bad.SOPClassUID.name == "Enhanced SR Storage"
        and bad.ConceptNameCodeSequence[0].CodingSchemeDesignator == "99SMS_RADSUM"
    ),
    "no_event_uids": lambda bad, good: not content(bad, "113769") and len(content(good, "113769")) == 1,
}


@pytest.mark.parametrize(("kind", "events"), [("cumulative", [2, 3, 4]), ("continued", [2, 1, 1])])
async def test_reports_that_come_during_the_case(make: Make, port: int, kind: str, events: list[int]) -> None:
    with Hospital().open(port) as hospital:
        async with running(make(dose_report=kind)) as carm:
            await carm.do("shot", fluoro_s=1.0)
            await carm.do("run", frames=2)
            await carm.do("run", frames=2)
            await carm.do("fluoro", fluoro_s=1.0)
            await carm.do("end_case")
            assert await carm.drain(10)
    reports = hospital.dose_reports
    assert [len(content(report, "113706")) for report in reports] == events
    for report in reports:
        assert numbers(report, "113722")[0] == pytest.approx(sum(numbers(report, "122130")), rel=1e-4)
    assert len({report.SOPInstanceUID for report in reports}) == 3
    assert len({report.StudyInstanceUID for report in reports}) == 1


async def test_images_that_wait_on_the_c_arm(make: Make, port: int) -> None:
    with Hospital().open(port) as hospital:
        async with running(make()) as carm:
            await carm.do("hold_images")
            for n in range(2):
                await carm.do("shot", fluoro_s=0, comment=f"held {n}")
            await asyncio.sleep(0.2)
            assert hospital.stored == []
            await carm.do("send_images")
            assert await carm.drain(10)
            await carm.do("hold_images")
            await carm.do("shot", fluoro_s=0, comment="held 2")
            await carm.do("end_case")
            assert await carm.drain(10)
    assert [image.ImageComments for image in hospital.images] == ["held 0", "held 1", "held 2"]


async def test_images_under_another_identity_for_a_while(make: Make, port: int) -> None:
    with Hospital().open(port) as hospital:
        async with running(make()) as carm:
            for n in range(4):
                if n == 1:
                    await carm.do("wrong_patient", objects=2)
                await carm.do("shot", fluoro_s=0)
            assert await carm.drain(10)
    assert [image.PatientID for image in hospital.images] == ["SIM-1", "SIM-9999", "SIM-9999", "SIM-1"]
    assert len({image.StudyInstanceUID for image in hospital.images}) == 1
    assert [line["left"] for line in carm.truth.of("carm", "wrong_patient")] == [1, 0]


@pytest.mark.parametrize("syntax", ["explicit", "jpeg_lossless"])
async def test_an_enhanced_run_tells_each_frames_moment(make: Make, port: int, syntax: str, tmp_path: Path) -> None:
    with Hospital().open(port) as hospital:
        async with running(make(transfer_syntax=syntax)) as carm:
            await carm.do("run", frames=5, fps=8, kind="enhanced_xa")
            assert await carm.drain(10)
    hospital.images[0].save_as(tmp_path / "run.dcm", enforce_file_format=True)
    run = dcmread(tmp_path / "run.dcm")
    assert run.SOPClassUID.name == "Enhanced XA Image Storage"
    assert run.NumberOfFrames == 5 and run.pixel_array.shape == (5, 64, 64)
    assert "FrameTime" not in run and "FrameTimeVector" not in run
    moments = [
        datetime.strptime(group.FrameContentSequence[0].FrameAcquisitionDateTime, "%Y%m%d%H%M%S.%f")
        for group in run.PerFrameFunctionalGroupsSequence
    ]
    steps = [(b - a).total_seconds() for a, b in pairwise(moments)]
    assert steps == pytest.approx([0.00125] * 4, abs=0.00002), "8 a second, a hundred times as fast"
    (shared,) = run.SharedFunctionalGroupsSequence
    assert shared.IrradiationEventIdentificationSequence[0].IrradiationEventUID
    assert shared.PositionerPositionSequence[0].PositionerPrimaryAngle == 0


@pytest.mark.parametrize(
    ("actions", "says"),
    [
        (["end_case"], "no case is open"),
        (["shot", "worklist"], "still open"),
        (["begin_case", "end_case", "end_case"], "no case is open"),
        (["refuse_reports"], "no commitment_port"),
    ],
)
async def test_what_makes_no_sense_is_named(make: Make, actions: list[str], says: str) -> None:
    carm = make()
    for action in actions[:-1]:
        await carm.do(action)
    with pytest.raises(ValueError, match=says):
        await carm.do(actions[-1])
