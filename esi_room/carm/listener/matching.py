"""Whether a worklist item answers a C-FIND's keys, and what is answered (PS3.4 C.2.2.2, K.2.2, K.6.1.2).

    universal    an empty key, or "*": matches everything, known or not
    single value every other key; text without regard to padding, names (PN) without regard to case and accents, as
                 C.2.2.2.1 allows, in any of their groups (PS3.5 6.2.1)
    list of UID  any of them
    wild card    * and ? in text (AE, CS, LO, LT, PN, SH, ST, UC, UR, UT)
    range        a-b, a-, -b for DA and TM; where start date and start time are both ranges, they are one range from the
                 first date at the first time to the last date at the last time (K.6.1.2.2)
    sequence     any item in which all the key's keys match; those items are answered

Rules of this file:
- A query is read whole (`read`) before anything is matched: what cannot be understood is refused with words, and
  matching itself has nothing left to fail on.
- An attribute that the item does not have fails to match any key but a universal one (K.2.2.1.1.1).
- Outside Table K.6-1 nothing is matched: an answer to such a key says so (FF01), and holds what the item has.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from copy import copy
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from esi_room.carm.worklist.items import MAX_DEPTH
from esi_room.carm.worklist.keys import FURTHER, ORDER, STEP, WITHIN

_KEYWORDS = f"{STEP} {ORDER} {FURTHER} {WITHIN}".split()
TABLE = frozenset(tag for keyword in _KEYWORDS if (tag := tag_for_keyword(keyword)) is not None)
"""What is supported for matching and as return keys, by tag."""

_WILD = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_UNMATCHABLE = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN", "AT"})
_CHARACTER_SET, _QUERY_LEVEL = 0x00080005, 0x00080052
_START_DATE, _START_TIME = 0x00400002, 0x00400003
_DATE = re.compile(r"\d{8}")
_TIME = re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?")
# Accents as Unicode decomposes them; the marks of Japanese and Hangul syllables are none.
_ACCENTS = re.compile("[\u0300-\u036f]")
_FIRST_DATE, _LAST_DATE, _FIRST_TIME, _LAST_TIME = "00010101", "99991231", "000000.000000", "235959.999999"

# Longer than any value that may be matched (a UID list of 60); a pattern of megabytes would cost minutes.
MAX_KEY_LETTERS = 4096

IDENTIFIER_DOES_NOT_MATCH = 0xA900
UNABLE_TO_PROCESS = 0xC000


class BadQuery(Exception):
    """The identifier is no worklist query. `status`: what the C-FIND is answered."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Key(NamedTuple):
    """One attribute of a query. `values`: empty for universal matching; `low`, `high`: of a range."""

    tag: int
    vr: str
    values: tuple[str, ...] = ()
    low: str | None = None
    high: str | None = None
    items: tuple[Key, ...] = ()
    """Of a sequence: the keys of its one item."""

    @property
    def universal(self) -> bool:
        """Whether everything matches."""
        return not self.values and not self.ranged and all(key.universal for key in self.items)

    @property
    def ranged(self) -> bool:
        """Whether it is a range."""
        return self.low is not None

    @property
    def example(self) -> str | None:
        """A value that matches it, where it gives one."""
        if self.ranged:
            return None if self.low in (_FIRST_DATE, _FIRST_TIME) else self.low
        return self.values[0] if self.values and not is_wild(self.values[0]) else None

    @property
    def known(self) -> bool:
        """Whether it is of Table K.6-1."""
        return self.tag in TABLE


# --- reading a query --------------------------------------------------------------------------------------


def read(identifier: Dataset) -> tuple[Key, ...]:
    """The keys of a query. BadQuery, in words that hold no value, where it is none."""
    if _QUERY_LEVEL in identifier:
        raise BadQuery(IDENTIFIER_DOES_NOT_MATCH, "a Query/Retrieve Level: this is no worklist query")
    try:
        keys = tuple(_keys(identifier, 0))
    except BadQuery:
        raise
    except Exception as error:
        raise BadQuery(UNABLE_TO_PROCESS, f"the identifier cannot be read ({type(error).__name__})") from error
    if not keys:
        raise BadQuery(IDENTIFIER_DOES_NOT_MATCH, "the identifier has no keys")
    return keys


def _keys(dataset: Dataset, depth: int) -> Iterator[Key]:
    if depth > MAX_DEPTH:
        raise BadQuery(IDENTIFIER_DOES_NOT_MATCH, "sequences nested too deeply")
    for tag in sorted(dataset.keys()):
        if tag.element == 0 or tag == _CHARACTER_SET:
            continue
        element = dataset[tag]
        if element.VR == "SQ":
            yield _sequence(element, depth)
        else:
            yield _key(int(tag), str(element.VR), _texts(element.value))


def _sequence(element: Any, depth: int) -> Key:
    items = element.value or ()
    if len(items) > 1:
        raise BadQuery(IDENTIFIER_DOES_NOT_MATCH, f"{_name(element.tag)} has more than one item (C.2.2.2.6)")
    return Key(int(element.tag), "SQ", items=tuple(_keys(items[0], depth + 1)) if items else ())


def _key(tag: int, vr: str, values: tuple[str, ...]) -> Key:
    if not values or vr in _UNMATCHABLE or values == ("*",):
        return Key(tag, vr)
    if vr == "DA":
        return _period(tag, vr, values, _DATE, (_FIRST_DATE, _LAST_DATE), ".")
    if vr == "TM":
        return _period(tag, vr, values, _TIME, (_FIRST_TIME, _LAST_TIME), ":")
    if sum(map(len, values)) > MAX_KEY_LETTERS:
        raise BadQuery(IDENTIFIER_DOES_NOT_MATCH, f"{_name(tag)} is longer than {MAX_KEY_LETTERS} characters")
    return Key(tag, vr, tuple(_folded(value, vr) for value in values))


def _period(tag: int, vr: str, values: tuple[str, ...], form: re.Pattern[str], ends: tuple[str, str], old: str) -> Key:
    """A date or time, or a range of them; `old`: the separator of the standard's forerunner, which lives on."""
    first, dash, last = (part.strip() for part in values[0].replace(old, "").partition("-"))
    fits = all(part == "" or form.fullmatch(part) for part in (first, last))
    if len(values) > 1 or not fits or not (first or last):
        raise BadQuery(IDENTIFIER_DOES_NOT_MATCH, f"{_name(tag)} is neither one value nor a range")
    low = _filled(first, ends[0]) if first else ends[0]
    if not dash:
        return Key(tag, vr, (low,))
    return Key(tag, vr, low=low, high=_filled(last, ends[1]) if last else ends[1])


def _filled(text: str, end: str) -> str:
    """A time of less precision, at its first or its last instant."""
    return text + end[len(text) :]


def _name(tag: int) -> str:
    return keyword_for_tag(tag) or f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


# --- matching ---------------------------------------------------------------------------------------------


def answer(keys: tuple[Key, ...], item: Dataset) -> Dataset | None:
    """The item's answer to the query: each attribute that was asked for, empty where the item has none; None where
    the item does not match."""
    out = Dataset()
    period = _period_of(keys)
    if period and not _between(item, *period):
        return None
    for key in keys:
        if key.vr == "SQ":
            matching = _matching_items(key, item)
            if matching is None:
                return None
            out.add_new(key.tag, "SQ", Sequence(matching))
        elif key not in period and not _matches(key, item):
            return None
        elif key.tag in item:
            out.add(copy(item[key.tag]))
        else:
            out.add_new(key.tag, key.vr, None)
    return out


def _period_of(keys: tuple[Key, ...]) -> tuple[Key, ...]:
    """Start date and start time where both are ranges; else nothing."""
    ranges = {key.tag: key for key in keys if key.ranged}
    both = _START_DATE in ranges and _START_TIME in ranges
    return (ranges[_START_DATE], ranges[_START_TIME]) if both else ()


def unsupported(keys: tuple[Key, ...], item: Dataset) -> bool:
    """Whether a key is not supported for existence or for matching (FF01, Table K.4-1)."""
    for key in keys:
        if not key.known and (key.tag not in item or not key.universal):
            return True
        if key.items and any(unsupported(key.items, each) for each in _items(key.tag, item) or [Dataset()]):
            return True
    return False


def _matching_items(key: Key, item: Dataset) -> list[Dataset] | None:
    """The items to answer; None where the key matches none of them. An empty key asks for them whole (C.2.2.2.6)."""
    items = _items(key.tag, item)
    if not key.items:
        return items
    answers = [found for each in items if (found := answer(key.items, each)) is not None]
    return answers if answers or key.universal or not key.known else None


def _items(tag: int, item: Dataset) -> list[Dataset]:
    element = item.get(tag)
    return list(element.value) if element is not None and element.VR == "SQ" and element.value else []


def _matches(key: Key, item: Dataset) -> bool:
    if key.universal or not key.known:
        return True
    element = item.get(key.tag)
    values = _texts(element.value) if element is not None else ()
    if key.vr == "DA":
        return any(_within(key, value.replace(".", "")) for value in values)
    if key.vr == "TM":
        return any(_within(key, _filled(value.replace(":", ""), _FIRST_TIME)) for value in values)
    folded = [_folded(value, key.vr) for value in values]
    return any(_fits(asked, value, key.vr) for asked in key.values for value in folded)


def _within(key: Key, value: str) -> bool:
    if key.low is None or key.high is None:
        return value in key.values
    return key.low <= value <= key.high


def _between(step: Dataset, date: Key, time: Key) -> bool:
    """Whether the step starts in the period that both ranges make together."""
    day, hour = (_texts(step[tag].value) if tag in step else () for tag in (_START_DATE, _START_TIME))
    if not day or not hour:
        return False
    moment = day[0].replace(".", "") + _filled(hour[0].replace(":", ""), _FIRST_TIME)
    return f"{date.low}{time.low}" <= moment <= f"{date.high}{time.high}"


def _fits(asked: str, value: str, vr: str) -> bool:
    if vr == "PN":
        return _name_fits(asked.split("="), value.split("="))
    return _text_fits(asked, value, vr)


def _name_fits(asked: list[str], groups: list[str]) -> bool:
    """One group asked for: any of the name's three. Several: each in its place, an empty one as it may be."""
    if len(asked) == 1:
        return any(_text_fits(asked[0], group, "PN") for group in groups if group)
    padded = groups + [""] * (len(asked) - len(groups))
    return all(not one or _text_fits(one, group, "PN") for one, group in zip(asked, padded, strict=False))


def _text_fits(asked: str, value: str, vr: str) -> bool:
    if vr not in _WILD or not is_wild(asked):
        return asked == value
    return fnmatchcase(value, asked.replace("[", "[[]"))  # brackets are letters here


def is_wild(text: str) -> bool:
    """Whether it has a wild card."""
    return "*" in text or "?" in text


def _folded(text: str, vr: str) -> str:
    """`text` as it is compared: names without case, accents, width and empty components at their ends."""
    if vr != "PN":
        return text
    plain = unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFKD", text))).casefold()
    return "=".join("^".join(part.strip() for part in group.split("^")).rstrip("^") for group in plain.split("="))


def _texts(value: Any) -> tuple[str, ...]:
    """The values as text without padding, empty ones left out."""
    several = isinstance(value, list | tuple) or type(value).__name__ == "MultiValue"
    texts = (str(each).strip(" \0") for each in (value if several else (value,)) if each is not None)
    return tuple(text for text in texts if text)
