"""One record's account of dose: what each source said, and the total that follows from all of it.

Sources, each with what it is worth:

    dose report   the C-arm's own account: totals of a study or a step, or so far, and single irradiation events
    mpps          totals of a step, kept up from message to message
    image header  the product of one image, with the fluoroscopy before it; fluoroscopy that no image followed is in
                  none, so their sum is a lower bound (PS3.3 table C.8-27, note)

Rules of this file:
- Each quantity by itself, each study by itself; studies add up.
- What is told twice counts once: events by Irradiation Event UID (else by their start and kind), totals by the study
  or step that they are of, images by irradiation event or else SOP instance. Numbers of one such thing only grow, so
  the greatest of them is the latest, and neither order nor repetition matters: a cumulative report takes the place of
  the one before it, a continued one adds its events.
- Of a dose report, its totals, which the C-arm's display shows as well; the sum of its events where that is more, by
  more than rounding: continued reports with one scope, whose totals begin again. (Reports may leave events out, so a
  smaller sum says nothing.)
- A dose report of the study goes before everything. One of a step goes before that step's MPPS; steps without one
  count by MPPS. A report of single events, or so far, may be overtaken: then the greater of it and of MPPS counts.
  Headers count where there is neither report nor MPPS, or where those of single events say less.
- Nothing of an object that came too late for its own record counts in this one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

import msgspec

from esi_room.carm.dose import headers
from esi_room.carm.dose.account import QUANTITIES, Quantity, Study
from esi_room.carm.dose.units import times
from esi_room.carm.shapes import DoseReport
from esi_room.events import CarmDose, CarmImage, DoseTotal, Entry, IrradiationEvent

Provenance = Literal["dose report", "mpps", "image header"]


class Origin(NamedTuple):
    """Where a report comes from. `sop_instance_uid`: of the object or step; `fact`: `seq` of its entry; `taken_in`: the
    record whose dose it is, where that is not the one that it came in."""

    sop_instance_uid: str
    study_uid: str | None
    fact: int | None
    taken_in: str | None = None


class Ledger:
    """Of one record. `add` takes what a source says, and gives the entry to be written where that is something new."""

    def __init__(self) -> None:
        self._studies: dict[str | None, Study] = {}
        self._reports: dict[str, DoseReport] = {}

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Ledger:
        """As it was after these `carm.image` and `carm.dose` entries of a record, in whatever order.

        The images as well: one whose `carm.dose` was lost in a crash still counts."""
        ledger = cls()
        for entry in entries:
            data = _payload(entry)
            if isinstance(data, CarmImage):
                ledger.add_image(data, entry.seq)
            elif isinstance(data, CarmDose):
                origin = Origin(data.sop_instance_uid or "", data.study_uid, data.fact, data.taken_in)
                ledger._take(_report(data), data.provenance, origin)
        return ledger

    def add_image(self, image: CarmImage, seq: int) -> CarmDose | None:
        """An object was received: what its header says. As `add`."""
        report = headers.report(image)
        if image.duplicate_of is not None or report is None:
            return None
        return self.add(report, "image header", Origin(image.sop_instance_uid, image.study_uid, seq, image.taken_in))

    def add(self, report: DoseReport, provenance: Provenance, origin: Origin) -> CarmDose | None:
        """A source says `report`. The entry; None where nothing in it is new."""
        if not self._take(report, provenance, origin):
            return None
        return CarmDose(
            dap_gy_m2=report.dap_gy_m2,
            air_kerma_rp_gy=report.air_kerma_rp_gy,
            fluoro_time_s=report.fluoro_time_s,
            irradiation_events=report.events,
            scope=report.scope,
            provenance=provenance,
            unreadable=report.unreadable,
            total=self.total(),
            fact=origin.fact,
            sop_instance_uid=origin.sop_instance_uid,
            study_uid=origin.study_uid,
            scope_uid=report.scope_uid,
            taken_in=origin.taken_in,
        )

    def total(self) -> DoseTotal:
        """What is known of the record's dose now."""
        values, provenance = dict.fromkeys(QUANTITIES, None), dict[str, str]()
        for name in QUANTITIES:
            best = [known for study in self._studies.values() if (known := study[name].best()) is not None]
            if best:
                values[name] = times(sum(known.value for known in best), 1.0)
                provenance[name] = " + ".join(sorted({known.source for known in best}))
        events = sum(study.irradiation_events for study in self._studies.values())
        return DoseTotal(**values, irradiation_events=events or None, provenance=provenance)

    # --- one source -----------------------------------------------------------------------------------------

    def _take(self, report: DoseReport, provenance: Provenance, origin: Origin) -> bool:
        """Whether `report` says something new. A source that says the same again does not."""
        if self._reports.get(origin.sop_instance_uid) == report:
            return False
        self._reports[origin.sop_instance_uid] = report
        if origin.taken_in is not None:
            return True
        study = self._studies.setdefault(origin.study_uid, Study())
        if provenance == "image header":
            return self._take_header(study, report, origin) or bool(report.unreadable)
        if provenance == "mpps":
            new = [study[name].mpps.put(origin.sop_instance_uid, getattr(report, name)) for name in QUANTITIES]
            return any(new) or bool(report.unreadable)
        self._take_report(study, report)
        return True

    def _take_header(self, study: Study, report: DoseReport, origin: Origin) -> bool:
        uid = next((event.uid for event in report.events), None)
        if uid is not None:
            study.images.add(uid)
        product = study["dap_gy_m2"].images.put(uid or origin.sop_instance_uid, report.dap_gy_m2)
        return study["fluoro_time_s"].images.put("so far", report.fluoro_time_s) or product

    def _take_report(self, study: Study, report: DoseReport) -> None:
        for event in _events(report):
            key = study.events.key(event)
            if key is None:
                continue
            study["dap_gy_m2"].events.put(key, event.dap_gy_m2)
            study["air_kerma_rp_gy"].events.put(key, event.air_kerma_rp_gy)
            if event.kind == "fluoroscopy":
                study["fluoro_time_s"].events.put(key, event.duration_s)
        for name in QUANTITIES:
            self._take_total(study[name], report, getattr(report, name))

    def _take_total(self, quantity: Quantity, report: DoseReport, value: float | None) -> None:
        if value is None or report.scope == "event":
            return
        if report.scope not in ("step", "cumulative"):
            quantity.study.put("", value)
        elif report.scope_uid is None:  # it may be any step: never added to one
            (quantity.study if report.scope == "step" else quantity.so_far).put("", value)
        else:
            quantity.steps.put(report.scope_uid, value)
            if report.scope == "step":
                quantity.final.add(report.scope_uid)


def _events(report: DoseReport) -> tuple[IrradiationEvent, ...]:
    """Its events; a report of one event that gives totals alone is that event."""
    if report.events or report.scope != "event":
        return report.events
    fluoroscopy = report.fluoro_time_s is not None
    event = IrradiationEvent(
        uid=report.scope_uid,
        kind="fluoroscopy" if fluoroscopy else None,
        dap_gy_m2=report.dap_gy_m2,
        air_kerma_rp_gy=report.air_kerma_rp_gy,
        duration_s=report.fluoro_time_s,
    )
    return (event,)


def _payload(entry: Entry) -> CarmImage | CarmDose | None:
    """None for another entry, or one of a shape that is not known."""
    kind = {CarmImage.TYPE: CarmImage, CarmDose.TYPE: CarmDose}.get(entry.type)
    try:
        return None if kind is None else msgspec.json.decode(entry.data, type=kind)
    except msgspec.MsgspecError:
        return None


def _report(dose: CarmDose) -> DoseReport:
    """What the source of an entry said."""
    return DoseReport(
        dap_gy_m2=dose.dap_gy_m2,
        air_kerma_rp_gy=dose.air_kerma_rp_gy,
        fluoro_time_s=dose.fluoro_time_s,
        events=dose.irradiation_events,
        scope=dose.scope,
        scope_uid=dose.scope_uid,
        unreadable=dose.unreadable,
    )
