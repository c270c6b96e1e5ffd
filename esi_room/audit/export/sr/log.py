"""The log's entries, of what devices and the room say: phases, images, dose, deliveries, alerts, gaps.

What staff say is `forms`, what monitors measure `vitals`. Not in the log: states of lines, commands, orders and
associations; they are in the record.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydicom.dataset import Dataset
from pydicom.uid import RE_VALID_UID

from esi_room.audit.export.case import Case, Said
from esi_room.audit.export.sr import codes as c
from esi_room.audit.export.sr import items as i
from esi_room.audit.export.sr.entry import Logged, logged, qualifiers, when
from esi_room.audit.export.sr.forms import forms
from esi_room.audit.export.sr.vitals import vitals
from esi_room.clock import parse_rfc3339
from esi_room.events import (
    AlertRaised,
    CarmDose,
    CarmImage,
    ClockStep,
    Delivery,
    DeviceAlarm,
    DeviceGap,
    DeviceState,
    DoseTotal,
    ProcedureCompleteness,
    ProcedureEnded,
    ProcedurePhase,
    ProcedureStarted,
    PumpAlarm,
    RecordRecovered,
)

MOST_LETTERS = 64  # value representation UI
_PROCEDURE = c.own("procedure")
_DOSES = {"dap_gy_m2": (c.DAP, "Gy.m2"), "air_kerma_rp_gy": (c.KERMA, "Gy"), "fluoro_time_s": (c.FLUORO_TIME, "s")}


def entries(case: Case) -> list[Dataset]:
    """In the order of their moments, as the standard wants them."""
    found = [*_devices(case), *_phases(case), *_images(case), *_dose(case), *forms(case), *vitals(case)]
    return [each.item for each in sorted(found, key=lambda each: each.wall_ns)]


def usable(image: CarmImage) -> bool:
    """Its UIDs can be referred to."""
    uids = (image.sop_class_uid, image.sop_instance_uid, image.study_uid, image.series_uid)
    return all(each is not None and len(each) <= MOST_LETTERS and re.fullmatch(RE_VALID_UID, each) for each in uids)


def _devices(case: Case) -> Iterator[Logged]:
    for said in case.events:
        match said.data:
            case DeviceState(state="connected"):
                yield _told(case, said, said.entry.source, c.READY)
            case DeviceState(state="lost" | "stale" as state, reason=reason):
                yield _told(case, said, f"{said.entry.source}: {state}, {reason}")
            case DeviceGap() as gap:
                words = f"{said.entry.source}: nothing was recorded until {gap.to}, {gap.reason}"
                item = i.text(i.CONTAINS, c.TECH_NOTE, words, *qualifiers(case, said))
                yield logged(parse_rfc3339(gap.from_), item)
            case DeviceAlarm() | PumpAlarm() as alarm:
                what = "alarm" if alarm.active else "alarm ended"
                yield _told(case, said, f"{said.entry.source}: {what}, {alarm.text} ({alarm.code})")
            case ClockStep(step_s=step_s):
                yield _told(case, said, f"the room's wall clock stepped by {step_s:g} s")
            case RecordRecovered(reason=reason):
                yield _told(case, said, f"the record was recovered: {reason}")
            case AlertRaised() as alert:
                yield _alert(case, said, alert)
            case Delivery() as delivery:
                yield from _delivery(case, said, delivery)
            case ProcedureCompleteness(lacks=lacks):
                for lack in lacks:
                    yield _told(case, said, f"not in the record: {lack.text}", c.NOTE)


def _told(case: Case, said: Said, words: str, name: c.Code = c.TECH_NOTE) -> Logged:
    return logged(when(said), i.text(i.CONTAINS, name, words, *qualifiers(case, said)))


def _alert(case: Case, said: Said, alert: AlertRaised) -> Logged:
    what = f"alert {alert.TYPE.rpartition('.')[2]}{', overridden' if alert.overridden else ''}"
    because = f" (entries {', '.join(map(str, alert.facts))})" if alert.facts else ""
    why = f": {alert.reason}" if alert.reason else ""
    return _told(case, said, f"{what}, {alert.severity}, {alert.rule}: {alert.text}{because}{why}", c.NOTE)


def _delivery(case: Case, said: Said, delivery: Delivery) -> Iterator[Logged]:
    """TID 3106, its start and its end; TID 3100 for what interrupted it."""
    by_pump, action = delivery.device is not None, f"delivery-{delivery.number}"
    begin, end = (c.INFUSATE_START, c.INFUSATE_END) if by_pump else (c.DRUG_START, c.DRUG_END)
    drugs = delivery.drugs
    what = c.drug(drugs[0]) if len(drugs) == 1 else c.own("mixture") if drugs else c.own("drug_not_said")
    material = i.text(i.HAS, c.MATERIAL, " + ".join(drugs) or "drug not said")
    first_ns, last_ns = parse_rfc3339(delivery.started_at), parse_rfc3339(delivery.ended_at)
    words = f"delivery {delivery.number} by {delivery.device or delivery.origin}"
    told = qualifiers(case, said, words, action)
    yield logged(first_ns, i.code(i.CONTAINS, begin, what, material, *told))
    for each in delivery.interruptions:
        for name, at in ((c.SUSPEND, each.from_), (c.RESUME, each.to)):
            told = qualifiers(case, said, each.reason, action)
            yield logged(parse_rfc3339(at), i.code(i.CONTAINS, name, c.own("delivery"), *told))
    words = ", ".join((f"{words}, ended by {delivery.ended_by}", *delivery.remarks))
    amounts = _amounts(delivery)
    told = qualifiers(case, said, words, action)
    yield logged(last_ns, i.code(i.CONTAINS, end, what, material, *amounts, *told))


def _amounts(delivery: Delivery) -> list[Dataset]:
    """A volume that is not known has a qualifier in its place; what was not measured is not there."""
    found = [i.num(i.HAS, c.VOLUME, delivery.delivered_ml, "mL")]
    for name, value, unit in (
        (c.RATE, delivery.mean_rate_ml_h, "mL/h"),
        (c.own("peak_pressure", "Peak injection pressure"), delivery.peak_pressure_mmhg, "mm[Hg]"),
    ):
        found += [] if value is None else [i.num(i.HAS, name, value, unit)]
    return found


def _phases(case: Case) -> Iterator[Logged]:
    """TID 3100: the procedure and each of its phases, begun and ended."""
    open_phase: tuple[c.Code, str] | None = None
    for number, said in enumerate(case.events):
        match said.data:
            case ProcedureStarted() as started:
                words = f"{started.procedure or 'no procedure said'}, by {started.origin}"
                yield _action(case, said, c.START, _PROCEDURE, words, "procedure")
            case ProcedurePhase() as phase:
                yield from _end(case, said, open_phase)
                open_phase = (c.own(phase.phase), f"phase-{number}")
                words = ", ".join(filter(None, (f"by {phase.origin}", phase.reason)))
                yield _action(case, said, c.START, open_phase[0], words, open_phase[1])
            case ProcedureEnded() as ended:
                yield from _end(case, said, open_phase)
                open_phase = None
                words = ", ".join(filter(None, (ended.outcome, f"by {ended.origin}", ended.reason)))
                yield _action(case, said, c.END, _PROCEDURE, words, "procedure")


def _end(case: Case, said: Said, phase: tuple[c.Code, str] | None) -> Iterator[Logged]:
    if phase is not None:
        yield _action(case, said, c.END, phase[0], "", phase[1])


def _action(case: Case, said: Said, name: c.Code, value: c.Code, words: str, action: str) -> Logged:
    children = [i.text(i.HAS, c.ACTION_ID, action), *qualifiers(case, said, words)]
    return logged(when(said), i.code(i.CONTAINS, name, value, *children))


def _images(case: Case) -> Iterator[Logged]:
    """TID 3101."""
    for number, said in enumerate(case.images(), 1):
        image = said.data
        if not isinstance(image, CarmImage):
            continue
        late = f", came late, into {said.entry.record}" if said.place == "late" else ""
        words = f"image {number}, SHA-256 {image.sha256}{late}"
        if not usable(image) or image.series_uid is None:
            yield _told(case, said, f"{words}; its UIDs are no such, it cannot be referred to")
            continue
        kind = image.modality or "OT"
        children = [
            i.uidref(i.ACQ, c.SERIES, image.series_uid),
            i.code(i.ACQ, c.MODALITY, c.dcm(kind, c.MODALITIES.get(kind, kind))),
        ]
        children += [i.num(i.HAS, c.FRAMES, image.frames, "1")] if image.frames else []
        for name, value in ((c.PRIMARY, image.primary_angle_deg), (c.SECONDARY, image.secondary_angle_deg)):
            children += [] if value is None else [i.num(i.ACQ, name, value, "deg")]
        children += qualifiers(case, said, words)
        reference = (image.sop_class_uid, image.sop_instance_uid)
        yield logged(when(said), i.image(i.CONTAINS, c.IMAGE, *reference, *children))


def _dose(case: Case) -> Iterator[Logged]:
    """The record's total at its end; and what reports that came too late say, each of its own."""
    totals = [said for said in case.events if isinstance(said.data, CarmDose) and said.data.taken_in is None]
    for said in totals[-1:]:
        if isinstance(said.data, CarmDose):
            yield from _dose_of(case, said, said.data.total, "total of the record")
    for said in case.late:
        if isinstance(said.data, CarmDose):
            yield from _dose_of(case, said, said.data, f"late, scope {said.data.scope}; not in the total")


def _dose_of(case: Case, said: Said, dose: DoseTotal | CarmDose, words: str) -> Iterator[Logged]:
    for field, (name, unit) in _DOSES.items():
        value = getattr(dose, field)
        if value is not None:
            yield logged(when(said), i.num(i.CONTAINS, name, value, unit, *qualifiers(case, said, words)))
