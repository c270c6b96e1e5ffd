"""One record's account of dose: what each source said, and the total that follows from all of it.

Sources, each with what it is worth:

    dose report   the C-arm's own account: totals of a study or a step, or so far, and single irradiation events
    mpps          totals of a step, kept up from message to message
    image header  the product of one image, with the fluoroscopy before it; fluoroscopy that no image followed is in
                  none, so their sum is a lower bound (PS3.3 table C.8-27, note)

Rules of this file:
- Each quantity by itself, each study by itself; studies add up.
- What is told twice counts once: events by Irradiation Event UID, totals by the study or step that they are of,
  images by irradiation event or else SOP instance. Numbers of one such thing only grow, so the greatest of them is
  the latest, and neither order nor repetition matters: a cumulative report takes the place of the one before it,
  a continued one adds its events.
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
from esi_room.carm.dose.units import times
from esi_room.carm.shapes import DoseReport
from esi_room.events import CarmDose, CarmImage, DoseTotal, Entry, IrradiationEvent

# By how much a sum of rounded numbers may exceed a total without being more dose.
ROUNDING = 1.01
Provenance = Literal["dose report", "mpps", "image header"]
_QUANTITIES = ("dap_gy_m2", "air_kerma_rp_gy", "fluoro_time_s")
_EVENTS, _TOTALS, _MPPS, _HEADERS = "dose report, events", "dose report, totals", "mpps", "image headers"


class Origin(NamedTuple):
    """Where a report comes from. `sop_instance_uid`: of the object or step; `fact`: `seq` of its entry; `taken_in`: the
    record whose dose it is, where that is not the one that it came in."""

    sop_instance_uid: str
    study_uid: str | None
    fact: int | None
    taken_in: str | None = None


class _Known(NamedTuple):
    value: float
    source: str


class _Greatest:
    """The greatest number that was said of each thing, and their sum."""

    def __init__(self) -> None:
        self.by_key: dict[str, float] = {}
        self._sum = 0.0

    def put(self, key: str, value: float | None) -> bool:
        """Whether it is more than was known."""
        before = self.by_key.get(key)
        if value is None or (before is not None and before >= value):
            return False
        self.by_key[key] = value
        self._sum += value - (before or 0.0)
        return True

    def known(self, source: str) -> _Known | None:
        """The sum."""
        return _Known(self._sum, source) if self.by_key else None


class _Quantity:
    """One quantity of one study."""

    def __init__(self) -> None:
        self.study = _Greatest()
        self.steps = _Greatest()
        self.so_far = _Greatest()
        """Of a report of a step so far that does not say which step."""
        self.events = _Greatest()
        self.mpps = _Greatest()
        self.images = _Greatest()
        self.final: set[str] = set()
        """Steps of which a report says that it is of the whole step."""

    def best(self) -> _Known | None:
        """The best that is known."""
        reported, otherwise = self._reported(), self._otherwise()
        if reported is None:
            return otherwise
        if self.study.by_key:
            return reported
        if not self.final:
            return reported if otherwise is None or otherwise.value <= reported.value * ROUNDING else otherwise
        rest = [value for step, value in self.mpps.by_key.items() if step not in self.final]
        # Where the report's step is none that MPPS tells of, nobody knows whether they are the same: not added.
        if not rest or not self.final <= self.mpps.by_key.keys():
            return reported
        return _Known(reported.value + sum(rest), f"{reported.source} + {_MPPS}")

    def _reported(self) -> _Known | None:
        totals = (known for known in (part.known(_TOTALS) for part in (self.study, self.steps, self.so_far)) if known)
        total, events = max(totals, default=None), self.events.known(_EVENTS)
        if total is None or (events is not None and events.value > total.value * ROUNDING):
            return events or total
        return total

    def _otherwise(self) -> _Known | None:
        """Without a report. A step that began with no dose yet says 0: that hides no image."""
        mpps, images = self.mpps.known(_MPPS), self.images.known(_HEADERS)
        return images if mpps is None or (images is not None and mpps.value == 0) else mpps


class Ledger:
    """Of one record. `add` takes what a source says, and gives the entry to be written where that is something new."""

    def __init__(self) -> None:
        self._studies: dict[str | None, dict[str, _Quantity]] = {}
        self._events: set[str] = set()
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
        values, provenance = dict.fromkeys(_QUANTITIES, None), dict[str, str]()
        for name in _QUANTITIES:
            best = [known for study in self._studies.values() if (known := study[name].best()) is not None]
            if best:
                values[name] = times(sum(known.value for known in best), 1.0)
                provenance[name] = " + ".join(sorted({known.source for known in best}))
        return DoseTotal(**values, irradiation_events=len(self._events) or None, provenance=provenance)

    # --- one source -----------------------------------------------------------------------------------------

    def _take(self, report: DoseReport, provenance: Provenance, origin: Origin) -> bool:
        """Whether `report` says something new. A source that says the same again does not."""
        if self._reports.get(origin.sop_instance_uid) == report:
            return False
        self._reports[origin.sop_instance_uid] = report
        if origin.taken_in is not None:
            return True
        study = self._studies.setdefault(origin.study_uid, {name: _Quantity() for name in _QUANTITIES})
        if provenance == "image header":
            return self._take_header(study, report, origin) or bool(report.unreadable)
        if provenance == "mpps":
            new = [study[name].mpps.put(origin.sop_instance_uid, getattr(report, name)) for name in _QUANTITIES]
            return any(new) or bool(report.unreadable)
        self._take_report(study, report)
        return True

    def _take_header(self, study: dict[str, _Quantity], report: DoseReport, origin: Origin) -> bool:
        uid = next((event.uid for event in report.events), None)
        if uid is not None:
            self._events.add(uid)
        product = study["dap_gy_m2"].images.put(uid or origin.sop_instance_uid, report.dap_gy_m2)
        return study["fluoro_time_s"].images.put("so far", report.fluoro_time_s) or product

    def _take_report(self, study: dict[str, _Quantity], report: DoseReport) -> None:
        for event in _events(report):
            key = event.uid or (event.at and f"{event.at} {event.kind or ''}")
            if not key:  # an event that nothing tells from another: the totals have to do
                continue
            self._events.add(key)
            study["dap_gy_m2"].events.put(key, event.dap_gy_m2)
            study["air_kerma_rp_gy"].events.put(key, event.air_kerma_rp_gy)
            if event.kind == "fluoroscopy":
                study["fluoro_time_s"].events.put(key, event.duration_s)
        for name in _QUANTITIES:
            self._take_total(study[name], report, getattr(report, name))

    def _take_total(self, quantity: _Quantity, report: DoseReport, value: float | None) -> None:
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
