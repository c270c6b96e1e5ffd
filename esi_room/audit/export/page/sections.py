"""The head of the page, and the tables below the drawing."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Any

from esi_room.audit.export.case import Case, Said
from esi_room.audit.export.page.corrected import Corrected, corrections
from esi_room.audit.export.page.markup import Html, element, joined, moment, table
from esi_room.audit.export.page.pictures import Thumbnail
from esi_room.audit.export.page.series import Curves
from esi_room.audit.export.page.words import actor, counts_now, fields, form_name, words
from esi_room.clock import parse_rfc3339
from esi_room.events import AlertRaised, CarmDose, CarmImage, Clinical, DeviceGap


def verdict(case: Case) -> Html:
    """Whether it verifies: the first thing on the page."""
    report = case.report
    notes = [element("li", note) for note in report.notes]
    if case.unreadable:
        notes.append(element("li", f"{case.unreadable} lines of the journal cannot be read and are not here"))
    if case.broken is not None:
        what = "BROKEN: this record does not verify. What follows may have been altered."
        where = [element("li", each) for each in case.broken.split("; ")]
        return element("div", element("b", what), element("ul", *where, *notes), class_="verdict broken")
    what = f"{report.lines} entries, {report.images} DICOM objects and {report.amendments} amendments"
    erased = ", but for what was erased" if report.erased else ""
    if report.sealed:
        word, what = "Verified: ", f"{what}, sealed; nothing was altered, removed or inserted{erased}."
    else:
        word = "The record is still open. Verified so far: "
        what += f"; up to here nothing was altered, removed or inserted{erased}. It has no seal yet."
    head_hash = element("div", f"SHA-256 of its last line: {report.head}", class_="hash")
    return element("div", element("b", word), what, element("ul", *notes) if notes else "", head_hash, class_="verdict")


def head(case: Case) -> Html:
    """What this is."""
    facts, who = case.facts, case.identity
    patient = "not on this page" if who is None else ", ".join(filter(None, (who.name, who.id, who.birth_date)))
    began = "" if case.report.opened is None else moment(case.report.opened, case.zone, day=True)
    ended = moment(facts.ended.time_ns, case.zone, day=True) if facts.ended is not None else "not ended"
    plan = facts.plan
    planned = " ".join(filter(None, (plan.approach, plan.side, ", ".join(plan.levels))))
    pairs: list[tuple[str, object]] = [
        ("Record", case.record),
        ("Room", "" if case.opened is None else case.opened.room),
        ("Patient", patient),
        ("Began", began),
        ("Ended", ended),
        ("Outcome", "none yet" if facts.ended is None else facts.ended.data.outcome),
        ("Planned", planned or "not said"),
        ("Clock", f"of the room, {case.zone.key}"),
    ]
    said = [element("div", element("dt", key), element("dd", value)) for key, value in pairs]
    return joined([element("h1", facts.procedure or "Record with no procedure"), element("dl", *said)])


def sections(case: Case, curves: Curves, pictures: dict[str, Thumbnail]) -> Iterator[Html]:
    """In the order in which one asks."""
    parts: list[tuple[str, Html]] = [
        ("Corrections: as it was said, and what counts", _corrections(case)),
        ("After the seal: amendments", _amendments(case)),
        ("Alerts", _alerts(case)),
        ("Gaps: nothing is known, nothing was filled in", _gaps(case)),
        ("Images", _gallery(case, pictures)),
        ("Dose", _dose(case)),
        ("Deliveries", _deliveries(case)),
        ("Vitals", _vitals(curves)),
        ("Phases", _phases(case)),
        ("What the record lacks", _lacks(case)),
        ("Said by the staff", _forms(case)),
        ("Who used this record", _uses(case)),
    ]
    for title, body in parts:
        yield element("section", element("h2", title), body)


def _uses(case: Case) -> Html:
    """As the room's records say, until the page was made."""
    rows = (
        (
            moment(used.time, case.zone, day=True),
            used.said.actor,
            used.said.user,
            used.said.what,
            used.said.reason or "",
            used.where,
        )
        for used in case.uses
    )
    return table(("Time", "By", "From", "What", "Why", "Entry"), rows)


def _corrections(case: Case) -> Html:
    return table(
        ("Time", "Entry", "By", "Was", "Is now", "Why"), (_correction(case, each) for each in corrections(case))
    )


def _correction(case: Case, each: Corrected) -> tuple[object, ...]:
    """A row."""
    after_seal = each.by.place == "amendment"
    late = element("span", " (after the seal)", class_="why") if after_seal else ""
    time = joined([moment(each.by.entry.time, case.zone, day=after_seal), late])
    was, now = element("del", each.was), element("ins", each.now)
    return time, each.name, each.correction.actor, was, now, each.correction.reason


def _amendments(case: Case) -> Html:
    made = [said for said in case.events if said.place == "amendment" and isinstance(said.data, Clinical)]
    rows = (
        (
            moment(each.entry.time, case.zone, day=True),
            f"#{each.entry.seq}",
            form_name(each),
            actor(each),
            _says(case, each),
        )
        for each in made
    )
    return table(("Time", "Entry", "Form", "By", "Says"), rows)


def _alerts(case: Case) -> Html:
    rows = []
    for said in case.events:
        if isinstance(said.data, AlertRaised):
            what = said.data.TYPE.removeprefix("alert.") + (", overridden" if said.data.overridden else "")
            level = element("span", said.data.severity, class_=said.data.severity)
            why = " ".join(filter(None, (said.data.actor, said.data.reason)))
            entries = ", ".join(f"#{seq}" for seq in said.data.facts)
            rows.append((moment(said.entry.time, case.zone), said.data.rule, what, level, said.data.text, entries, why))
    return table(("Time", "Rule", "", "Severity", "Text", "Because of", "By, why"), rows)


def _gaps(case: Case) -> Html:
    gaps = [(said.entry.source, said.data) for said in case.events if isinstance(said.data, DeviceGap)]
    return table(
        ("From", "To", "Seconds", "Device", "Why"),
        (
            (moment(gap.from_, case.zone), moment(gap.to, case.zone), _length(gap), source, gap.reason)
            for source, gap in gaps
        ),
    )


def _length(gap: DeviceGap) -> str:
    return f"{(parse_rfc3339(gap.to) - parse_rfc3339(gap.from_)) / 1e9:.1f}"


def _gallery(case: Case, pictures: dict[str, Thumbnail]) -> Html:
    cards = [_card(case, n, said, pictures) for n, said in enumerate(case.images(), 1)]
    return element("div", *cards, class_="gallery") if cards else element("p", "None.", class_="none")


def _card(case: Case, number: int, said: Said, pictures: dict[str, Thumbnail]) -> Html:
    image = said.data
    if not isinstance(image, CarmImage):
        return Html("")
    picture = pictures.get(image.sha256, Thumbnail(None, None))
    if picture.source is not None:
        shown = element("img", src=picture.source, alt=f"image {number}", loading="lazy")
    else:
        shown = element("div", picture.reason or "no picture", class_="absent")
    frames = f", {image.frames} frames" if image.frames else ""
    late = element("div", f"came late, into {said.entry.record}", class_="late") if said.place == "late" else ""
    angles = (image.primary_angle_deg, image.secondary_angle_deg)
    angle = "" if None in angles else f", {angles[0]:g}° / {angles[1]:g}°"
    what = f"{image.modality or ''} {image.columns} × {image.rows}{frames}{angle}"
    title = joined([element("b", f"{number}  "), moment(said.entry.time, case.zone), f"  entry #{said.entry.seq}"])
    digest = element("div", image.sha256, class_="hash")
    return element("article", shown, element("div", title), late, element("div", what), digest, id=f"image-{number}")


def _dose(case: Case) -> Html:
    rows: list[tuple[object, ...]] = []
    if case.facts.dose is not None:
        total = case.facts.dose.data.total
        rows.append(("total of the record", *_doses(total), total.irradiation_events, words(total.provenance)))
    for said in case.late:
        if isinstance(said.data, CarmDose):
            where = f"late, into {said.entry.record} #{said.entry.seq}"
            rows.append((where, *_doses(said.data), len(said.data.irradiation_events), said.data.provenance))
    return table(("", "DAP, Gy·m²", "Air kerma, Gy", "Fluoroscopy, s", "Events", "From"), rows)


def _doses(dose: Any) -> tuple[str, ...]:
    values = (dose.dap_gy_m2, dose.air_kerma_rp_gy, dose.fluoro_time_s)
    return tuple("not said" if value is None else f"{value:.6g}" for value in values)


def _deliveries(case: Case) -> Html:
    rows = []
    for fact in case.facts.deliveries:
        each = fact.data
        numbers = (each.programmed_ml, each.delivered_ml, each.mean_rate_ml_h, each.peak_pressure_mmhg)
        rows.append(
            (
                moment(each.started_at, case.zone),
                moment(each.ended_at, case.zone),
                f"{each.origin} {each.device or ''}",
                " + ".join(each.drugs) or "not said",
                *("not said" if value is None else f"{value:.4g}" for value in numbers),
                ", ".join((each.ended_by, *each.remarks)),
            )
        )
    numbers_of = ("Programmed, mL", "Delivered, mL", "Mean rate, mL/h", "Peak, mmHg")
    return table(("From", "To", "By", "Drugs", *numbers_of, "Ended by"), rows)


def _vitals(curves: Curves) -> Html:
    rows = []
    for (name, source), points in curves.items():
        good = [point.value for point in points if point.value is not None]
        numbers = (min(good), median(good), max(good)) if good else ()
        shown = [f"{value:.4g}" for value in numbers] or ["", "", ""]
        rows.append((name, source, len(good), len(points) - len(good), *shown))
    return table(("Name", "Device", "Good", "Bad", "Lowest", "Median", "Highest"), rows)


def _phases(case: Case) -> Html:
    rows = (
        (moment(fact.time_ns, case.zone), f"#{fact.seq}", fact.data.phase, fact.data.origin, fact.data.reason)
        for fact in case.facts.phases
    )
    return table(("Time", "Entry", "Phase", "By", "Why"), rows)


def _lacks(case: Case) -> Html:
    complete = case.facts.completeness
    if complete is None:
        return element("p", "The record does not say.", class_="none")
    rows: list[tuple[object, ...]] = [(lack.phase, lack.text, lack.item) for lack in complete.data.lacks]
    rows += [("rule", f"{rule} could not be judged: {why}", rule) for rule, why in complete.data.not_assessable.items()]
    rows += [("syringe", each.text, each.syringe) for each in complete.data.syringes if each.text]
    return table(("Phase", "What", "Item"), rows)


def _forms(case: Case) -> Html:
    """Each form and correction, in the order of the entries."""
    forms = [said for said in case.events if isinstance(said.data, Clinical) and said.place == "journal"]
    rows = [
        element(
            "tr",
            *(
                element("td", each)
                for each in (moment(said.entry.time, case.zone), f"#{said.entry.seq}", form_name(said))
            ),
            *(element("td", each) for each in (actor(said), _says(case, said))),
            id=f"entry-{said.entry.seq}",
        )
        for said in forms
    ]
    if not rows:
        return element("p", "None.", class_="none")
    heading = element("tr", *(element("th", each, scope="col") for each in ("Time", "Entry", "Form", "By", "Says")))
    return element("table", element("thead", heading), element("tbody", *rows))


def _says(case: Case, said: Said) -> Html:
    """What a form says; if it was corrected, struck out, and what counts."""
    was, now = words(fields(said.data)), counts_now(case, said)
    if now is None:
        return joined([was])
    by = ", ".join(f"#{each.entry.seq}" for each in case.corrections[said.entry.seq])
    return joined([element("del", was), " ", element("ins", now), element("span", f" corrected by {by}", class_="why")])
