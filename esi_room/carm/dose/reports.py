"""Radiation dose reports, read for what the room counts: the totals, and each irradiation event.

    X-Ray Radiation Dose SR (TID 10001): events in containers 113706 (TID 10003), totals in 113702 (TID 10002, 10004,
        10007), a container a plane
    Enhanced X-Ray Radiation Dose SR (TID 10040): events in 130501 (TID 10042), totals in 130500 (TID 10041)
    any other structured report that carries those containers or codes; Siemens mobile C-arms (Arcadis) write Enhanced
        SR with codes of their own, of which the two that the room counts are known (`codes.OF_DEVICES`)

    113722 Dose Area Product Total   113725 Dose (RP) Total   113730 Total Fluoro Time      (of which 113726, 113728
    113727, 113729 are the parts: fluoroscopy and acquisition)
    122130 Dose Area Product         113738 Dose (RP)         113742 Irradiation Duration
    113769 Irradiation Event UID     111526 DateTime Started  113721 Irradiation Event Type
    113705 Scope of Accumulation: 113014 study, 113016 step, 113970 step to this point, 113852 event; its UID below it

Rules of this file:
- Each item on its own: one that cannot be read is named in `unreadable` by its code, and costs itself alone.
- Where an item lies does not matter, only in which event or total container: devices nest as they like.
- A total that is missing is the sum of its two parts, where both are there; no other number is derived.
- Bounded, and no recursion of ours: REPORT_BYTES, MAX_ITEMS, MAX_DEPTH, MAX_S.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydicom import config as pydicom_config
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from esi_room.carm.dose import codes, item
from esi_room.carm.dose.homes import STRUCTURED_REPORTS
from esi_room.carm.dose.units import times
from esi_room.carm.shapes import DoseReport
from esi_room.clock import NS, Clock
from esi_room.events import IrradiationEvent

DOSE_REPORTS = (STRUCTURED_REPORTS + "67", STRUCTURED_REPORTS + "76")
# An event is 5 to 10 KB; a C-arm's longest case has some hundred. pydicom takes 3 s for 4 MiB, and the listener's other
# threads have half the processor meanwhile.
REPORT_BYTES = 4 << 20
# An event has up to 100 items.
MAX_ITEMS = 100_000
# TID 10003 and what it includes reach 6.
MAX_DEPTH = 32
# A C-arm waits for its answer, and gives up after 30 s at the earliest. Totals stand before the events (TID 10001).
MAX_S = 10.0
# In words, each of some 50 characters: an entry is read by people.
MAX_UNREADABLE = 50
MAX_EVENTS = 1000

pydicom_config.settings.reading_validation_mode = pydicom_config.IGNORE  # what a device wrote is not ours to judge


def read(path: Path, meta_bytes: int, transfer_syntax_uid: str, clock: Clock) -> DoseReport | None:
    """The dose report in the Part 10 file at `path`, whose data set begins at `meta_bytes`; None where it is a report
    of something else. Never raises for its content."""
    try:
        dataset = _parse(path, meta_bytes, UID(transfer_syntax_uid))
    except Exception as error:  # noqa: BLE001 - pydicom raises whatever it stumbles over; the object is kept
        return DoseReport(unreadable=(f"the report does not parse: {type(error).__name__}",))
    if dataset is None:
        return DoseReport(unreadable=(f"the report is larger than {REPORT_BYTES >> 20} MiB: not read",))
    return report(dataset, clock)


def _parse(path: Path, meta_bytes: int, syntax: UID) -> Dataset | None:
    with path.open("rb") as file:
        file.seek(meta_bytes)
        octets = file.read(REPORT_BYTES + 1)
    if syntax == DeflatedExplicitVRLittleEndian:
        octets = zlib.decompressobj(-zlib.MAX_WBITS).decompress(octets, REPORT_BYTES + 1)
    if len(octets) > REPORT_BYTES:
        return None
    implicit, little = (False, True) if syntax.is_private else (syntax.is_implicit_VR, syntax.is_little_endian)
    return read_dataset(io.BytesIO(octets), implicit, little)


def report(dataset: Dataset, clock: Clock) -> DoseReport | None:
    """What `dataset` says of dose; None where it is a report of something else."""
    reading = _Reading()
    deadline_ns = clock.now().mono_ns + round(MAX_S * NS)
    for count, found in enumerate(_walk(dataset, reading)):
        if count >= MAX_ITEMS or clock.now().mono_ns > deadline_ns:
            reading.cannot("the report is too long: read in part")
            break
        reading.take(found)
    root = item.code(dataset, "ConceptNameCodeSequence")
    declared = (root is not None and root.is_dcm(codes.ROOT)) or item.text(dataset, "SOPClassUID") in DOSE_REPORTS
    return reading.report(declared)


class _Found(NamedTuple):
    """An item, and the container of an event or of totals that it lies in."""

    dataset: Dataset
    concept: item.Code
    container: _Container | None


class _Container:
    """What was read in one container. `plane`: of totals, which radiation source."""

    def __init__(self, fields: dict[str, codes.Field]) -> None:
        self.fields, self.values = fields, dict[str, Any]()
        self.plane = ""


def _walk(dataset: Dataset, reading: _Reading) -> Iterator[_Found]:
    """Every content item that has a concept name, in the order of the document."""
    waiting: list[tuple[Dataset, _Container | None, int]] = [(dataset, None, 0)]
    while waiting:
        node, container, depth = waiting.pop()
        concept = item.code(node, "ConceptNameCodeSequence")
        if concept is not None:
            container = reading.container(concept, container)
            yield _Found(node, concept, container)
        if depth == MAX_DEPTH:
            reading.cannot("items are nested too deeply: not read below")
            continue
        below = items_below(node)
        waiting.extend((child, container, depth + 1) for child in reversed(below))


def items_below(node: Dataset) -> list[Dataset]:
    """The content items directly below `node`."""
    return item.items(node, "ContentSequence")


class _Reading:
    """What a walk has read so far."""

    def __init__(self) -> None:
        self.foreign = False
        """Somewhere is a dose whose meaning only its maker knows."""
        self._events: list[_Container] = []
        self._totals: list[_Container] = []
        self._loose = _Container(codes.OF_TOTALS)
        self._scope: tuple[str, str | None] | None = None
        self._unreadable: dict[str, None] = {}

    def cannot(self, words: str) -> None:
        """Something is there and cannot be read."""
        self._unreadable[words if len(self._unreadable) < MAX_UNREADABLE else "and more"] = None

    def container(self, concept: item.Code, within: _Container | None) -> _Container | None:
        """The container that `concept` begins, else the one it lies in."""
        for begins, fields, known in (
            (codes.EVENTS, codes.OF_EVENTS, self._events),
            (codes.TOTALS, codes.OF_TOTALS, self._totals),
        ):
            if any(concept.is_dcm(code) for code in begins):
                if len(known) == MAX_EVENTS:
                    self.cannot(f"more than {MAX_EVENTS} events: the others are not read")
                    return _Container({})
                known.append(_Container(fields))
                return known[-1]
        return within

    def take(self, found: _Found) -> None:
        """Read one item."""
        if found.concept.scheme not in ("", item.DCM):
            self._take_foreign(found)
            return
        if found.concept.value == codes.SCOPE:
            self._take_scope(found.dataset)
            return
        container = found.container or self._loose
        field = container.fields.get(found.concept.value)
        if field is not None:
            self._take_number(found, container, field)
        elif container.fields is codes.OF_EVENTS:
            self._take_of_event(found, container.values)
        elif found.concept.value in (codes.PLANE, codes.SOURCE):
            plane = item.code(found.dataset, "ConceptCodeSequence")
            container.plane = plane.value if plane else item.text(found.dataset, "TextValue")

    def _take_number(self, found: _Found, container: _Container, field: codes.Field) -> None:
        value, problem = item.measured(found.dataset, field.dimension)
        if value is not None:
            container.values.setdefault(field.field, value)
        else:
            self.cannot(f"{field.name} ({found.concept.value}): {problem}")

    def _take_foreign(self, found: _Found) -> None:
        """An item under a code of somebody else's: one that is known, or at least a dose that is not."""
        field = codes.OF_DEVICES.get((found.concept.scheme, found.concept.value))
        if field is not None:
            self._take_number(found, self._loose, field)
        elif found.concept.scheme.startswith(codes.PRIVATE) and item.is_dose(found.dataset):
            self.foreign = True
            self.cannot("dose under a code of the device's own: not read")

    def _take_of_event(self, found: _Found, values: dict[str, Any]) -> None:
        concept, dataset = found.concept.value, found.dataset
        if concept in codes.EVENT_UIDS:
            self._take_text(values, "uid", item.uid(dataset), f"Irradiation Event UID ({concept}): no UID")
        elif concept == codes.EVENT_STARTED:
            self._take_text(values, "at", item.moment(dataset), f"DateTime Started ({concept}): no date and time")
        elif concept == codes.EVENT_TYPE:
            kind = item.code(dataset, "ConceptCodeSequence")
            words = None if kind is None else codes.KINDS.get(kind.value) or item.own_code(kind)
            self._take_text(values, "kind", words, f"Irradiation Event Type ({concept}): no code")

    def _take_text(self, values: dict[str, Any], field: str, value: str | None, problem: str) -> None:
        if value is None:
            self.cannot(problem)
        else:
            values.setdefault(field, value)

    def _take_scope(self, dataset: Dataset) -> None:
        scope = item.code(dataset, "ConceptCodeSequence")
        name = codes.SCOPES.get(scope.value) if scope is not None else None
        if name is None:
            self.cannot(f"Scope of Accumulation ({codes.SCOPE}): {'no code' if scope is None else 'not known'}")
        elif self._scope is None:
            below = (item.uid(child) for child in items_below(dataset))
            self._scope = name, next(filter(None, below), None)

    def report(self, declared: bool) -> DoseReport | None:
        """What was read. `declared`: it calls itself a dose report, and is one even where it says nothing."""
        told = [each.values for each in self._events if each.values]
        events = tuple(dict.fromkeys(IrradiationEvent(**{"uid": None} | values) for values in told))
        totals = _added([*self._totals, self._loose])
        if not (declared or totals or events or self.foreign):
            return None
        if not (totals or events or self.foreign):
            self.cannot("the report names no dose")
        scope, scope_uid = self._scope or ("study", None)
        return DoseReport(
            dap_gy_m2=totals.get("dap"),
            air_kerma_rp_gy=totals.get("kerma"),
            fluoro_time_s=totals.get("fluoro_time"),
            events=events,
            scope=scope,
            scope_uid=scope_uid,
            unreadable=tuple(self._unreadable),
        )


def _added(containers: list[_Container]) -> dict[str, float]:
    """The totals of all planes: products and times added up, of air kerma the greatest, since two planes have two
    reference points (TID 10041). One plane told twice counts once."""
    planes: dict[str, dict[str, float]] = {}
    for container in containers:
        of_plane = planes.setdefault(container.plane, {})
        for field, value in _with_sums(container.values).items():
            of_plane[field] = max(value, of_plane.get(field, 0.0))
    totals: dict[str, float] = {}
    for of_plane in planes.values():
        for field, value in of_plane.items():
            before = totals.get(field, 0.0)
            totals[field] = max(before, value) if field.startswith("kerma") else times(before + value, 1.0)
    return totals


def _with_sums(values: dict[str, float]) -> dict[str, float]:
    """With the totals that only their two parts were given for."""
    sums = {
        total: times(values[f"{total}_fluoro"] + values[f"{total}_acquisition"], 1.0)
        for total in ("dap", "kerma")
        if {f"{total}_fluoro", f"{total}_acquisition"} <= values.keys()
    }
    return sums | values
