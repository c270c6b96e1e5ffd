"""An order as DICOM has it: a worklist item (PS3.4 K.6.1.2.2). For the helper processes, which have pydicom.

    order  -> item      the listener, when the C-arm asks (`item`)
    item   -> orders    the caller, from a worklist file or the hospital's answer (`orders_of`)

Rules of this file:
- What came as DICOM is answered from there (`Order.dataset`), in its own character set; the order's plain fields fill
  what it leaves empty, and nothing else is made up.
- An item is what Table K.6-1 knows: private attributes and binary values stay behind.
- What an item gets wrong costs its field, not the order, unless nobody could tell the order or its patient.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import copy
from typing import Any

import msgspec
from pydicom.charset import convert_encodings, decode_bytes, encode_string
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.valuerep import PersonName

from esi_room.commands import Identity, Order

UTF8 = "ISO_IR 192"
# An item is 2 to 6 KiB of DICOM JSON; five hundred of them have to go through the daemon's pipe in one message.
MAX_DATASET_BYTES = 16 << 10
# An item's sequences are codes and references, two levels deep; pydicom's reader recurses.
MAX_DEPTH = 8

_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_DATE = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})")
_TIME = re.compile(r"(\d{2})(?::?(\d{2}))?(?::?(\d{2}))?")


class NoOrder(ValueError):
    """This is no worklist item, in words that hold no value of it."""


# --- order to item ----------------------------------------------------------------------------------------


def item(order: Order) -> Dataset:
    """The worklist item of `order`. Attributes that the order leaves open are absent."""
    dataset = _given(order)
    step = _first_step(dataset)
    date, _, time = (order.scheduled_at or "").partition("T")
    _fill(
        step,
        ScheduledProcedureStepID=order.id,
        ScheduledStationAETitle=order.station_ae_title,
        ScheduledProcedureStepStartDate=date.replace("-", ""),
        ScheduledProcedureStepStartTime=time.replace(":", "").ljust(6, "0") if time else None,
        Modality=order.modality,
        ScheduledPerformingPhysicianName=order.physician,
        ScheduledProcedureStepDescription=order.procedure,
    )
    _fill(
        dataset,
        AccessionNumber=order.accession,
        PatientName=order.identity.name,
        PatientID=order.identity.id,
        PatientBirthDate=(order.identity.birth_date or "").replace("-", ""),
        PatientSex=order.sex,
        StudyInstanceUID=order.study_uid,
        RequestedProcedureID=order.requested_procedure_id or order.id,
        RequestedProcedureDescription=order.procedure,
    )
    return dataset


def _given(order: Order) -> Dataset:
    """The item as it came; an empty one where none came, or what came is no data set."""
    if order.dataset is None:
        return Dataset()
    try:
        return _kept(Dataset.from_json(order.dataset))
    except Exception:  # noqa: BLE001 - a console may have sent anything; the plain fields are the order all the same
        return Dataset()


def _first_step(dataset: Dataset) -> Dataset:
    steps = dataset.get("ScheduledProcedureStepSequence")
    if not steps:
        dataset.ScheduledProcedureStepSequence = steps = Sequence([Dataset()])
    step: Dataset = steps[0]
    return step


def _fill(dataset: Dataset, **values: str | None) -> None:
    for keyword, value in values.items():
        if value and not text_of(dataset, keyword):
            setattr(dataset, keyword, value)


def fresh(dataset: Dataset) -> Dataset:
    """A copy that can be written: pydicom's names keep the octets of the first character set they were written in."""
    out = Dataset()
    for element in dataset:
        if element.VR == "SQ":
            out.add_new(element.tag, "SQ", Sequence([fresh(each) for each in element.value or ()]))
        elif element.VR == "PN":
            out.add_new(element.tag, "PN", [str(each) for each in _values(element.value)] or None)
        else:
            out.add(copy(element))
    return out


def write_in(dataset: Dataset, asked: Any) -> None:
    """Give `dataset` the Specific Character Set to write it in: its own, none for ASCII, that of who asks, or UTF-8:
    the first of these that holds every word of it (PS3.5 6.1)."""
    words = list(_words(dataset))
    own, theirs = _listed(dataset.get("SpecificCharacterSet")), _listed(asked)
    if own and _writes(own, words):
        return
    dataset.pop("SpecificCharacterSet", None)
    if not all(word.isascii() for word in words):
        dataset.SpecificCharacterSet = theirs if theirs and _writes(theirs, words) else UTF8


def _listed(value: Any) -> list[str] | None:
    if not value:
        return None
    return [value] if isinstance(value, str) else [str(each) for each in value]


def _writes(names: list[str], words: list[str]) -> bool:
    """Whether these character sets hold all `words`: pydicom would write question marks for what they do not."""
    encodings = convert_encodings(list(names))
    only_ascii = names in (["ISO_IR 6"], [""])  # pydicom writes those as Latin-1
    for word in words:
        if only_ascii and not word.isascii():
            return False
        try:
            if decode_bytes(encode_string(word, encodings), encodings, set()) != word:
                return False
        except (ValueError, LookupError):
            return False
    return True


def _words(dataset: Dataset) -> Iterator[str]:
    """Every value that a character set applies to."""
    for element in dataset:
        if element.VR == "SQ":
            for each in element.value:
                yield from _words(each)
        elif element.VR == "PN":
            yield from re.split(r"[=^\\]", "\\".join(map(str, _values(element.value))))
        elif element.VR in ("LO", "LT", "SH", "ST", "UC", "UT"):
            yield from map(str, _values(element.value))


# --- item to orders ---------------------------------------------------------------------------------------


def orders_of(dataset: Dataset) -> list[Order]:
    """The orders of a worklist item: one for each scheduled procedure step, of which it has one (K.6.1.2.2).

    The caller of this says where they come from. NoOrder where it is none.
    """
    steps = dataset.get("ScheduledProcedureStepSequence")
    if not steps:
        raise NoOrder("no worklist item: it has no Scheduled Procedure Step Sequence (0040,0100)")
    return [_order(dataset, step) for step in steps]


def _order(dataset: Dataset, step: Dataset) -> Order:
    fields = {
        "id": text_of(step, "ScheduledProcedureStepID") or text_of(dataset, "RequestedProcedureID"),
        "sex": text_of(dataset, "PatientSex"),
        "accession": text_of(dataset, "AccessionNumber"),
        "study_uid": text_of(dataset, "StudyInstanceUID"),
        "requested_procedure_id": text_of(dataset, "RequestedProcedureID"),
        "procedure": _procedure(dataset, step),
        "modality": text_of(step, "Modality"),
        "station_ae_title": text_of(step, "ScheduledStationAETitle"),
        "physician": text_of(step, "ScheduledPerformingPhysicianName"),
        "scheduled_at": _moment(step),
        "dataset": _json(dataset, step),
    }
    identity = {
        "name": text_of(dataset, "PatientName"),
        "id": text_of(dataset, "PatientID"),
        "birth_date": _date(text_of(dataset, "PatientBirthDate")),
    }
    if fields["dataset"] is None:
        raise NoOrder(f"it is larger than {MAX_DATASET_BYTES >> 10} KiB")
    # A field that does not fit is left out: the data set still has it.
    kept = {name: value for name, value in fields.items() if _holds(Order, name, value)}
    who = {name: value for name, value in identity.items() if _holds(Identity, name, value)}
    if "id" not in kept:
        raise NoOrder("it has no Scheduled Procedure Step ID (0040,0009) of at most 16 characters")
    if "name" not in who:
        raise NoOrder("it has no Patient's Name (0010,0010) of at most 200 characters")
    return msgspec.convert({**kept, "identity": who}, Order)


def _holds(kind: type[msgspec.Struct], name: str, value: str | None) -> bool:
    if value is None:
        return False
    field = next(each for each in msgspec.structs.fields(kind) if each.name == name)
    try:
        msgspec.convert(value, field.type)
    except msgspec.ValidationError:
        return False
    return True


def _procedure(dataset: Dataset, step: Dataset) -> str | None:
    """What is to be done, in words: described, or the meaning of its code."""
    for holder, keyword in ((dataset, "RequestedProcedure"), (step, "ScheduledProcedureStep")):
        if words := text_of(holder, f"{keyword}Description"):
            return words
    codes = [*(step.get("ScheduledProtocolCodeSequence") or ()), *(dataset.get("RequestedProcedureCodeSequence") or ())]
    return next((words for code in codes if (words := text_of(code, "CodeMeaning"))), None)


def _moment(step: Dataset) -> str | None:
    date = _date(text_of(step, "ScheduledProcedureStepStartDate"))
    time = _TIME.match(text_of(step, "ScheduledProcedureStepStartTime") or "")
    if date is None:
        return None
    hours, minutes, seconds = (group or "00" for group in time.groups()) if time else ("00", "00", "00")
    return f"{date}T{hours}:{minutes}:{seconds}"


def _date(text: str | None) -> str | None:
    found = _DATE.fullmatch(text or "")
    return "-".join(found.groups()) if found else None


def _json(dataset: Dataset, step: Dataset) -> str | None:
    """The item with this step alone, as DICOM JSON; None where it is too large."""
    kept = _kept(dataset)
    kept.ScheduledProcedureStepSequence = Sequence([_kept(step)])
    text = json.dumps(kept.to_json_dict(suppress_invalid_tags=True), ensure_ascii=False, separators=(",", ":"))
    return text if len(text.encode()) <= MAX_DATASET_BYTES else None


def _kept(dataset: Dataset, depth: int = 0) -> Dataset:
    """A copy of what an item may have."""
    kept = Dataset()
    for tag in list(dataset.keys()):
        if tag.is_private or tag.element == 0 or not dictionary_has_tag(tag):
            continue
        try:
            element = dataset[tag]
        except Exception:  # noqa: BLE001, S112 - pydicom raises what it likes at a value that is none
            continue
        known = element.VR in dictionary_VR(tag) and element.VR not in _BINARY
        if not known or (element.VR == "SQ" and depth >= MAX_DEPTH):
            continue
        if element.VR == "SQ":
            kept.add_new(tag, "SQ", Sequence([_kept(each, depth + 1) for each in element.value]))
        else:
            kept.add(element)
    return kept


def text_of(dataset: Dataset, attribute: str | int) -> str | None:
    """The first value of an attribute (keyword or tag) as text without padding; None where it is absent, empty or not
    to be read."""
    try:
        values = _values(dataset[attribute].value if attribute in dataset else None)
    except Exception:  # noqa: BLE001 - see `_kept`
        return None
    text = str(values[0]).strip(" \0") if values else ""
    return text or None


def _values(value: Any) -> list[Any]:
    if value is None:
        return []
    single = isinstance(value, str | PersonName) or not hasattr(value, "__iter__")
    return [value] if single else list(value)
