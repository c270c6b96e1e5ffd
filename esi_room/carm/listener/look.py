"""Looking into a data set that a device wrote: each value on its own, whatever is wrong with the others."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, TypeVar

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

MAX_TEXT = 64

T = TypeVar("T")


# Read here where they are one value in ASCII: pydicom takes ten times as long, and a C-arm waits for it. What does not
# convert is pydicom's as well.
_PLAIN: dict[str, Callable[[str], Any]] = dict.fromkeys(("CS", "DA", "DT", "LO", "SH", "TM", "UI"), str)
_PLAIN |= {"DS": float, "IS": int}
# Several values, and the character sets that give octets below 128 another meaning (PS3.5 section 6.1.2.5: ESC; ISO_IR
# 13: the backslash and the tilde).
_SPECIAL = frozenset(b"\\\x1b~")


@cache
def _tag(keyword: str) -> BaseTag:
    """A keyword's tag: pydicom's own look-up by keyword is the slowest part of reading a header."""
    return Tag(keyword)


@cache
def _vr(keyword: str) -> str:
    """What implicit VR leaves to the dictionary."""
    return dictionary_VR(_tag(keyword))


class Look:
    """Values of one data set. `unreadable` collects the keywords of those that are there and make no sense."""

    def __init__(self, dataset: Dataset) -> None:
        self.unreadable: set[str] = set()
        self._dataset = dataset
        self.per_frame = self._items(dataset, "PerFrameFunctionalGroupsSequence")
        shared = self._items(dataset, "SharedFunctionalGroupsSequence")
        self._places = [dataset, *self.inside(shared[:1]), *self.inside(self.per_frame[:1])]

    def value(self, keyword: str, convert: Callable[[Any], T], places: list[Dataset] | None = None) -> T | None:
        """The first value of `keyword` that converts; None where nobody says."""
        for place in self._places if places is None else places:
            try:
                raw = _raw(place, keyword)
                if raw is not None and str(raw) != "":
                    return convert(raw)
            except Exception:  # noqa: BLE001 - pydicom converts here, and raises whatever a device's octets cause
                self.unreadable.add(keyword)
        return None

    def text(self, keyword: str) -> str | None:
        """As text, without its padding."""
        return self.value(keyword, lambda raw: str(raw).strip("\0 ")[:MAX_TEXT] or None)

    def whole(self, keyword: str) -> int | None:
        """As a whole number."""
        return self.value(keyword, int)

    def number(self, keyword: str) -> float | None:
        """As a finite number."""
        return self.value(keyword, finite)

    def first(self, *candidates: tuple[str, float]) -> float | None:
        """Of several keywords (with the factor to our unit) the first that the header has."""
        for keyword, factor in candidates:
            value = self.number(keyword)
            if value is not None:
                return value if factor == 1 else value * factor
        return None

    def plain(self, keyword: str) -> float | str | None:
        """A number where it is one, else text."""
        return self.value(keyword, lambda raw: str(raw)[:MAX_TEXT] if isinstance(raw, str) else finite(raw))

    def vector(self, keyword: str) -> list[float]:
        """All values of `keyword` at the top level."""
        try:
            raw = self._dataset.get(keyword)
            return [finite(each) for each in (raw if several(raw) else [] if raw is None else [raw])]
        except Exception:  # noqa: BLE001 - see `value`
            self.unreadable.add(keyword)
            return []

    def items(self, keyword: str) -> list[Dataset]:
        """The items of a sequence at the top level."""
        items = self._items(self._dataset, keyword)
        if not all(isinstance(item, Dataset) for item in items):
            self.unreadable.add(keyword)
        return [item for item in items if isinstance(item, Dataset)]

    def present(self, keyword: str) -> bool:
        """Whether `keyword` is there, at the top level, and not empty."""
        try:
            element = self._dataset.get(_tag(keyword))
        except Exception:  # noqa: BLE001 - see `value`
            self.unreadable.add(keyword)
            return True
        return element is not None and not element.is_empty

    def _items(self, dataset: Dataset, keyword: str) -> list[Dataset]:
        try:
            return list(dataset.get(keyword) or [])
        except Exception:  # noqa: BLE001 - see `value`
            self.unreadable.add(keyword)
            return []

    def inside(self, groups: list[Dataset]) -> Iterator[Dataset]:
        """The items of a functional group's macros: `group.FrameContentSequence[0]` and the like."""
        for group in groups:
            try:
                sequences = [element.value for element in group if element.VR == "SQ"]
            except Exception:  # noqa: BLE001 - see `value`
                self.unreadable.add("functional groups")
                continue
            yield from (sequence[0] for sequence in sequences if sequence)


def _raw(place: Dataset, keyword: str) -> Any:
    """The first value of an element; None where there is none."""
    tag = _tag(keyword)
    if tag not in place:
        return None
    element: Any = place.get_item(tag, keep_deferred=True)
    plain = _PLAIN.get(element.VR or _vr(keyword))
    octets = element.value
    if plain is not None and isinstance(octets, bytes) and octets.isascii() and not _SPECIAL.intersection(octets):
        with contextlib.suppress(ValueError):
            return plain(octets.decode("ascii").strip("\0 "))
    value = place[tag].value
    return value[0] if several(value) else value


def several(raw: Any) -> bool:
    """Whether pydicom read more than one value."""
    return raw is not None and not isinstance(raw, str | bytes | float | int) and hasattr(raw, "__getitem__")


def finite(raw: Any) -> float:
    """ValueError for what is no number, or not a finite one."""
    value = float(raw)
    if not math.isfinite(value):
        raise ValueError("not a finite number")
    return value
