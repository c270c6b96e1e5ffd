"""Whether two that name a patient mean the same one: an image's header, a worklist order, an MPPS, the staff.

    PatientID         without spaces, hyphens, dots, slashes, leading zeros and case, in which systems differ
    PatientName       as a set of words, see `_spellings`; who writes less contradicts nobody
    PatientBirthDate  as eight digits

An attribute that one of the two leaves empty says nothing. One that differs is a mismatch, whatever the others say: a
person has to look. A match takes the ID, or name and birth date together: two identifiers, or one that is unique (Joint
Commission NPSG.01.01.01). Anything less is unknown; a name alone is shared by many.

Pure functions. What they are given is the identity itself; what they return names attributes, never values.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from esi_room.carm.shapes import Patient
from esi_room.commands import Identity
from esi_room.events import IdentityVerdict, Severity

ID, NAME, BIRTH_DATE = "PatientID", "PatientName", "PatientBirthDate"

# PS3.5 6.2: components of a person name are family, given, middle, prefix, suffix. The last two are titles.
_NAMING_COMPONENTS = 3
# Letters that Unicode does not take apart, and what keyboards without them write.
_WRITTEN_OUT = str.maketrans({"æ": "ae", "œ": "oe", "ø": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"})
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa"})
_BETWEEN_WORDS = re.compile(r"[\s,;.'’`_-]+")
_NOT_IN_IDS = re.compile(r"[\s./_-]+")


class Verdict(NamedTuple):
    """`differs`: keywords of the attributes in which the two differ."""

    verdict: IdentityVerdict = "unknown"
    differs: tuple[str, ...] = ()


def severity(differs: tuple[str, ...]) -> Severity:
    """Another ID, or another name with another birth date, is another patient; else it may be a misspelling."""
    return "critical" if ID in differs or len(differs) > 1 else "high"


def compared(said: Patient, expected: Patient) -> Verdict:
    """What `said` is against `expected`."""
    same = {
        ID: _same(_id(said.id), _id(expected.id)),
        NAME: same_name(said.name or "", expected.name or ""),
        BIRTH_DATE: _same(_date(said.birth_date), _date(expected.birth_date)),
    }
    differs = tuple(keyword for keyword, answer in same.items() if answer is False)
    if differs:
        return Verdict("mismatch", differs)
    return Verdict("match" if same[ID] or (same[NAME] and same[BIRTH_DATE]) else "unknown")


def against_all(said: Patient, expected: Iterable[Patient]) -> Verdict:
    """Against several that should all be the same: every attribute in which `said` differs from any of them."""
    verdicts = [compared(said, each) for each in expected]
    differs = {keyword for verdict in verdicts for keyword in verdict.differs}
    if differs:
        return Verdict("mismatch", tuple(keyword for keyword in (ID, NAME, BIRTH_DATE) if keyword in differs))
    return Verdict("match" if any(verdict.verdict == "match" for verdict in verdicts) else "unknown")


def patient_of(identity: Identity) -> Patient:
    """What the staff or an order say, in the shape that a device says it."""
    return Patient(name=identity.name, id=identity.id, birth_date=identity.birth_date)


def identity_of(patient: Patient) -> Identity | None:
    """What a device says, in the shape that the room keeps; None where it names nobody."""
    if not patient.name and not patient.id:
        return None
    date = _date(patient.birth_date)
    return Identity(
        name=(patient.name or str(patient.id))[:200],
        id=patient.id or None,
        birth_date=f"{date[:4]}-{date[4:6]}-{date[6:]}" if date else None,
    )


def differences(said: Identity, expected: Identity) -> tuple[str, ...]:
    """Keywords in which two identities differ."""
    return compared(patient_of(said), patient_of(expected)).differs


def names_somebody(patient: Patient) -> bool:
    """Whether there is anything to compare."""
    return bool(_id(patient.id) or _spellings(patient.name or "") or _date(patient.birth_date))


def _same(one: str, other: str) -> bool | None:
    return one == other if one and other else None


def _id(raw: str | None) -> str:
    folded = _NOT_IN_IDS.sub("", unicodedata.normalize("NFKC", raw or "")).casefold()
    return folded.lstrip("0") or folded[:1]


def _date(raw: str | None) -> str:
    digits = re.sub(r"[-./\s]", "", raw or "")
    return digits if re.fullmatch(r"[0-9]{8}", digits) else ""


# --- names ------------------------------------------------------------------------------------------------


def same_name(one: str, other: str) -> bool | None:
    """Whether two person names can be one person's; None where they cannot be compared.

    Compared are the component groups (PS3.5 6.2.1: alphabetic, ideographic, phonetic) that are in the same script.
    """
    here, there = _spellings(one), _spellings(other)
    answers = [_words_agree(here[script], there[script]) for script in here.keys() & there.keys()]
    return next((answer for answer in (True, False) if answer in answers), None)


def _spellings(name: str) -> dict[str, list[str]]:
    """The words of each component group, by script: `Müller^Jörg^^Dr.` is {LATIN: [müller, jörg]}. Order, case,
    carets, hyphens and titles do not count."""
    found: dict[str, list[str]] = {}
    for group in unicodedata.normalize("NFKC", name).casefold().split("="):
        words = _BETWEEN_WORDS.split(" ".join(group.split("^")[:_NAMING_COMPONENTS]))
        words = [word for word in words if any(character.isalnum() for character in word)]
        if words:
            found.setdefault(_script(words[0]), words)
    return found


def _script(word: str) -> str:
    letter = next((character for character in word if character.isalpha()), "0")
    return unicodedata.name(letter, "?").split()[0]


def _words_agree(one: list[str], other: list[str]) -> bool | None:
    """Whether every word of the shorter name is one of the longer. A single word is too little to agree on, unless
    both have no more; it is enough to differ in."""
    fewer, more = sorted((one, other), key=len)
    left = sorted(more, key=len, reverse=True)  # whole words find each other before initials do
    for word in sorted(fewer, key=len, reverse=True):
        match = next((each for each in left if _word_agrees(word, each)), None)
        if match is None:
            return "".join(map(_plain, one)) == "".join(map(_plain, other))  # `van den Berg`, `VandenBerg`
        left.remove(match)
    return True if len(fewer) > 1 or not left else None


def _word_agrees(one: str, other: str) -> bool:
    if len(one) == 1 or len(other) == 1:  # an initial
        return _plain(one)[:1] == _plain(other)[:1]
    return bool({_plain(one), _written_out(one)} & {_plain(other), _written_out(other)})


def _plain(word: str) -> str:
    """Without accents: `müller` is `muller`."""
    decomposed = unicodedata.normalize("NFKD", word.translate(_WRITTEN_OUT))
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _written_out(word: str) -> str:
    """As German and Scandinavian systems without umlauts write it: `mueller`."""
    return _plain(word.translate(_UMLAUTS))
