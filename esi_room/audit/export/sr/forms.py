"""The log's entries, of what staff say.

Rules:
- Every form is an entry: coded where the log has a code for what it says, with all of it in words as a comment; else a
  note in words.
- Old and new: a form that was corrected stays as it was said, a correction is an entry of its own at its own time with
  what counts from then on. A concept modifier says of both which they are: nobody adds up what was said twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydicom.dataset import Dataset

from esi_room.audit.export.case import Case, Said
from esi_room.audit.export.page.words import fields, form_name, words
from esi_room.audit.export.sr import codes as c
from esi_room.audit.export.sr import items as i
from esi_room.audit.export.sr.entry import Logged, logged, qualifiers, when
from esi_room.events import Clinical
from esi_room.events import clinical as f
from esi_room.events.clinical.anytime import WHEREABOUTS_DCM
from esi_room.procedure.corrections import corrected

STANDING = c.own("standing", "Standing of the entry")
CORRECTED = c.own("corrected", "Was corrected: does not count")
WITHDRAWN = c.own("withdrawn", "Was withdrawn: does not count")
CORRECTION = c.own("correction", "Correction: counts in place of an earlier entry")


def forms(case: Case) -> Iterator[Logged]:
    """All of them, amendments too, and what each correction makes of its form."""
    now = dict[int, Clinical]()
    for said in case.events:
        if not isinstance(said.data, Clinical) or said.place == "late":
            continue
        if isinstance(said.data, f.Correction):
            yield from _correction(case, said, said.data, now)
            continue
        now[said.entry.seq] = said.data
        late = "after the seal: " if said.place == "amendment" else ""
        comment = f"{late}{form_name(said)}: {words(fields(said.data))}"
        yield from _form(case, said, said.data, comment, _standing(case, said))


def _standing(case: Case, said: Said) -> list[Dataset]:
    if said.entry.seq not in case.corrections:
        return []
    kind = WITHDRAWN if case.facts.form(said.entry.seq) is None else CORRECTED
    by = ", ".join(f"#{each.entry.seq}" for each in case.corrections[said.entry.seq])
    return [i.code(i.MOD, STANDING, kind), i.text(i.HAS, c.own("corrected_by", "Corrected by entries"), by)]


def _correction(case: Case, said: Said, correction: f.Correction, now: dict[int, Clinical]) -> Iterator[Logged]:
    was = now.get(correction.seq)
    old = "an entry that is not there" if was is None else words(fields(was))
    why = f"correction of #{correction.seq}, {correction.reason}: was {old}"
    if was is None or correction.withdrawn:
        yield _note(case, said, f"{why}; withdrawn: it should not have been said", [])
        return
    merged = corrected(was, correction.fields)
    if isinstance(merged, str):
        yield _note(case, said, f"{why}; is now {words(correction.fields)}, which does not fit: {merged}", [])
        return
    now[correction.seq] = merged
    comment = f"{why}; is now {words(fields(merged))}"
    yield from _form(case, said, merged, comment, [i.code(i.MOD, STANDING, CORRECTION)])


def _form(case: Case, said: Said, form: Clinical, comment: str, standing: list[Dataset]) -> Iterator[Logged]:
    """One entry, or one a drug."""
    for name, value, *children in _coded(form):
        item = i.code(i.CONTAINS, name, value, *standing, *children, *qualifiers(case, said, comment))
        yield logged(when(said), item)
        return
    given = list(_drugs(form))
    for name, value, *children in given:
        item = i.code(i.CONTAINS, name, value, *standing, *children, *qualifiers(case, said, comment))
        yield logged(when(said), item)
    if not given:
        yield _note(case, said, comment, standing)


def _note(case: Case, said: Said, comment: str, standing: list[Dataset]) -> Logged:
    return logged(when(said), i.text(i.CONTAINS, c.NOTE, comment, *standing, *qualifiers(case, said)))


_Coded = tuple[Any, ...]  # name, value, children


def _coded(form: Clinical) -> Iterator[_Coded]:
    """What is one coded entry: CID 3402, TID 3107, TID 3114, a complication."""
    event = _event(form)
    if event is not None:
        yield c.STATUS, c.event(event)
    match form:
        case f.Complication(kind=kind):
            yield c.COMPLICATION, c.own(kind)
        case f.Pain(score=score, scale=scale):
            yield c.STATUS, c.ASSESSED, _score(score, scale)
        case f.FollowUp(pain_score=float() as score, pain_scale=scale):
            yield c.STATUS, c.ASSESSED, _score(score, scale)
        case f.Needle(action="removed"):
            yield c.WITHDRAWN, c.NEEDLE
        case f.Needle() as needle:
            yield c.USED, c.NEEDLE, *_needle(needle)


def _event(form: Clinical) -> int | None:
    """Of CID 3402: what it says has happened."""
    match form:
        case f.Patient(state=state):
            return WHEREABOUTS_DCM[state]
        case f.Consent(given=happened) | f.Positioning(draped=happened) | f.Closure(haemostasis=happened):
            return _EVENTS[type(form)] if happened else None
        case f.Assessment(nil_by_mouth_h=None):
            return None
    return _EVENTS.get(type(form))


_EVENTS: dict[type[Clinical], int] = {
    f.Consent: 122004,
    f.Assessment: 122006,
    f.Positioning: 122008,
    f.Monitoring: 122009,
    f.Closure: 122033,
    f.Instructions: 122036,
    f.Discharge: 122037,
}


def _score(score: float, scale: str | None) -> Dataset:
    name = c.PAIN if scale == "NRS" else c.own(f"pain_{scale or 'score'}", f"Pain score, {scale}")
    return i.num(i.HAS, name, score, "{score}")


def _needle(needle: f.Needle) -> Iterator[Dataset]:
    if needle.kind:
        yield i.text(i.HAS, c.MATERIAL, needle.kind)
    if needle.gauge_g is not None:
        yield i.num(i.HAS, c.GAUGE, needle.gauge_g, "{gauge}")
    if needle.length_mm is not None:
        yield i.num(i.HAS, c.LENGTH, needle.length_mm, "mm")


def _drugs(form: Clinical) -> Iterator[_Coded]:
    """TID 3104 and 3106: one a drug. Of a hand injection its two marks make a delivery, which the log has."""
    match form:
        case f.DrugGiven(component=component, route=route, actor=actor):
            given_by = i.pname(i.HAS, c.GIVEN_BY, actor)
            children = (*_component(component), i.code(i.HAS, c.ROUTE, c.route(route)), given_by)
            yield c.DRUG, c.drug(component.drug, component.name), *children
        case f.Contrast(component=f.Component() as component, actor=actor):
            children = (*_component(component), i.pname(i.HAS, c.GIVEN_BY, actor))
            yield c.CONTRAST, c.drug(component.drug, component.name), *children
        case f.DrawnUp(components=components):
            for component in components:
                yield c.TAKEN, c.drug(component.drug, component.name), *_material(component)
        case f.DrugDiscarded(syringe=syringe, volume_ml=volume_ml):
            left = i.num(i.HAS, c.DISCARDED, volume_ml, "mL")
            yield c.DISPOSED, c.own("syringe"), i.text(i.HAS, c.MATERIAL, f"syringe {syringe}"), left


def _material(component: f.Component) -> Iterator[Dataset]:
    yield i.text(i.HAS, c.MATERIAL, component.name or component.drug)
    if component.lot:
        yield i.text(i.HAS, c.LOT, component.lot)


def _component(component: f.Component) -> Iterator[Dataset]:
    yield from _material(component)
    yield i.num(i.HAS, c.VOLUME, component.volume_ml, "mL")
    if component.concentration is not None and component.concentration_unit is not None:
        yield i.num(i.HAS, c.CONCENTRATION, component.concentration, component.concentration_unit)
    if component.dose_mg is not None:
        yield i.num(i.HAS, c.DOSE, component.dose_mg, "mg")
