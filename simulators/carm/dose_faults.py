"""Dose reports as real C-arms get them wrong. Each fault takes a good report and spoils one thing.

Rules of this file:
- The dose that a spoilt report means is that of the good one: what can be read of it must come out the same.
- A spoilt report has its own SOP Instance UID from the start; `twice` alone is the same object again.
- Where they were met: wrong value types, misspelt meanings, no dose at all (OpenREM #739, #499, #769), a maker's own
  report in Enhanced SR (OpenREM #433), units written without their dots and powers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal, NamedTuple

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.tag import Tag
from pydicom.uid import EnhancedSRStorage

from simulators.carm.dose_report import Code, container, num
from simulators.carm.scu import PRIVATE_REPORT_CLASS

Fault = Literal[
    "text_for_num", "comma", "misspelt_meanings", "no_units", "misspelt_units", "other_units", "empty",
    "private_class", "private_codes", "no_event_uids", "twice",
]  # fmt: skip
_NUMERIC_VALUE = Tag("NumericValue")


class _Unit(NamedTuple):
    """How a unit is written, and how many of it are one of the template's."""

    value: str
    per_unit: float


# By the unit's code value; 1 Gy.m2 is 10^5 dGy.cm2, 10^6 cGy.cm2, 10^7 mGy.cm2.
_MISSPELT: Mapping[str, _Unit] = {
    "Gy.m2": _Unit("dGycm2", 1e5), "Gy": _Unit("mgy", 1e3), "s": _Unit("sec", 1.0), "kV": _Unit("KV", 1.0),
}  # fmt: skip
_OTHER: Mapping[str, _Unit] = {"Gy.m2": _Unit("cGy.cm2", 1e6), "Gy": _Unit("mGy", 1e3), "s": _Unit("min", 1 / 60)}


def spoil(dataset: Dataset, fault: Fault) -> None:
    """Spoil a good report, in place."""
    FAULTS[fault](dataset)


def _text_for_num(dataset: Dataset) -> None:
    """Every second number is a text: `1.5 s`."""
    for made in list(_nums(dataset))[::2]:
        measured = made.MeasuredValueSequence[0]
        unit = measured.MeasurementUnitsCodeSequence[0].CodeValue
        made.ValueType, made.TextValue = "TEXT", f"{measured.NumericValue} {unit}"
        del made.MeasuredValueSequence


def _comma(dataset: Dataset) -> None:
    """Numbers with a comma, as a German or French console shows them.

    That is no DS (PS3.5 6.2), and no library would write it.
    """
    for made in _nums(dataset):
        measured = made.MeasuredValueSequence[0]
        octets = f"{float(measured.NumericValue):.10f}".replace(".", ",").encode()
        octets += b" " * (len(octets) % 2)
        measured[_NUMERIC_VALUE] = RawDataElement(_NUMERIC_VALUE, "DS", len(octets), octets, 0, False, True)


def _misspelt_meanings(dataset: Dataset) -> None:
    """Code values are right, their meanings are not: `Dose (RP) Totl`."""
    for named in _walk(dataset):
        name = named.ConceptNameCodeSequence[0]
        name.CodeMeaning = name.CodeMeaning[:-2] + name.CodeMeaning[-1]


def _no_units(dataset: Dataset) -> None:
    """Numbers without Measurement Units Code Sequence, which is mandatory."""
    for made in _nums(dataset):
        del made.MeasuredValueSequence[0].MeasurementUnitsCodeSequence


def _misspelt_units(dataset: Dataset) -> None:
    """`dGycm2`, `mgy`, `sec`: no UCUM."""
    _in_units(dataset, _MISSPELT)


def _other_units(dataset: Dataset) -> None:
    """Real units, not the ones the templates ask for."""
    _in_units(dataset, _OTHER)


def _empty(dataset: Dataset) -> None:
    """A report of nothing: a title and no content."""
    dataset.ContentSequence = Items([])


def _private_class(dataset: Dataset) -> None:
    """The same report under a SOP class that only its maker knows."""
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = PRIVATE_REPORT_CLASS


def _private_codes(dataset: Dataset) -> None:
    """A maker's own report, as Siemens Arcadis C-arms store it: Enhanced SR with codes of its own."""
    totals = {made.ConceptNameCodeSequence[0].CodeValue: made.MeasuredValueSequence[0] for made in _nums(dataset)}
    dap, time = float(totals["113722"].NumericValue), float(totals["113730"].NumericValue)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = EnhancedSRStorage
    dataset.ConceptNameCodeSequence = Items([_own("C-10", "Radiation Summary Report").item()])
    del dataset.ContentTemplateSequence
    dataset.ContentSequence = Items(
        [
            container(
                _own("C-11", "Cumulative Dose"),
                num(_own("C-12", "Cumulative Dose Area Product"), dap * 1e4, Code("Gy.cm2", "UCUM", "Gy.cm2")),
                num(_own("C-13", "Cumulative Fluoro Time"), time, Code("s", "UCUM", "s")),
            )
        ]
    )


def _no_event_uids(dataset: Dataset) -> None:
    """Events without (113769, DCM, Irradiation Event UID), which is mandatory."""
    for event in dataset.ContentSequence:
        if event.ConceptNameCodeSequence[0].CodeValue == "113706":
            kept = [made for made in event.ContentSequence if made.ConceptNameCodeSequence[0].CodeValue != "113769"]
            event.ContentSequence = Items(kept)


def _twice(_: Dataset) -> None:
    """Nothing is wrong with it: it is sent twice."""


FAULTS: Mapping[Fault, Callable[[Dataset], None]] = {
    "text_for_num": _text_for_num,
    "comma": _comma,
    "misspelt_meanings": _misspelt_meanings,
    "no_units": _no_units,
    "misspelt_units": _misspelt_units,
    "other_units": _other_units,
    "empty": _empty,
    "private_class": _private_class,
    "private_codes": _private_codes,
    "no_event_uids": _no_event_uids,
    "twice": _twice,
}


def _in_units(dataset: Dataset, units: Mapping[str, _Unit]) -> None:
    for made in _nums(dataset):
        measured = made.MeasuredValueSequence[0]
        unit = measured.MeasurementUnitsCodeSequence[0]
        if written := units.get(unit.CodeValue):
            measured.NumericValue = f"{float(measured.NumericValue) * written.per_unit:.6g}"
            unit.CodeValue = unit.CodeMeaning = written.value


def _walk(dataset: Dataset) -> Iterator[Dataset]:
    for made in dataset.get("ContentSequence", []):
        yield made
        yield from _walk(made)


def _nums(dataset: Dataset) -> Iterator[Dataset]:
    return (made for made in _walk(dataset) if made.ValueType == "NUM")


def _own(value: str, meaning: str) -> Code:
    return Code(value, "99SMS_RADSUM", meaning)
