"""Verifying one record: its files, held to its own lines. `verify_lines.py` says what a line is,
`verify_checkpoints.py` what a signature; `verify_room.py` holds the records of a room together. These four stand
alone: they use the standard library and nothing else of this package.

What holds, if nothing is found (points 2, 3, 7 and 8 with what the room says of this record):

1. Every line of `journal.jsonl` is one JSON object, ended by a newline, of this record, `seq` 0, 1, 2 … with no gap.
2. Every line's `prev` is the SHA-256 of the octets of the line before it, newline included. The first line's is
   that of the last line of the room's record before it (64 zeros for the room's first record). Nothing is parsed
   and written again to check this: `sed -n Np journal.jsonl | sha256sum` is the `prev` of line N+1.
3. Every record but the room's last ends with `record.sealed`, which says how many lines there are.
4. Every file under `wire/` is such a chain of its own (`n` 0, 1, 2 …; the first `prev` 64 zeros), and ends where
   the sealed line says.
5. Every image that the journal names lies under `frames/` with that SHA-256.
6. What the journal names under `private/` (the patient, the C-arm's procedure steps) is there with that SHA-256.
   A file of points 4 to 6 may be gone where an entry of the room says that it was erased, by whom and why.
7. The lines of `amendments.jsonl` (what was said of a record after it was sealed) go on from the seal in the same
   way: `seq` counts on, the first `prev` is the hash of the sealed line. Every `record.amended` in a later record of
   the room names one of these lines and its SHA-256, so that those at the end were not cut off or altered either.
8. The journal, and behind its seal `amendments.jsonl`, still hold every line that a signed checkpoint names
   (`checkpoints.jsonl`; `verify_checkpoints.py` says what one is), so that neither lines at their ends were cut off nor
   the last ones altered. The seal has a checkpoint.
9. The same for every checkpoint that a witness kept.

What cannot be seen here: what was altered or cut off behind the last checkpoint of the room's newest record (a minute's
worth, as a rule), or together with it. And whoever can write the room's disk and read its private key can write all of
it anew, with signatures. Both are seen from what a witness kept elsewhere, and from nothing else.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from esi_room.record.verify_checkpoints import Found, Signing, compare, read_checkpoints, unsigned_seal
from esi_room.record.verify_lines import (
    HASH,
    JOURNAL_KEYS,
    WIRE_KEYS,
    ZEROS,
    Problem,
    Progress,
    file_digest,
    last_head,
    lines,
    linked,
    parsed,
    unfinished,
)

_DEVICE = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass
class Report:
    """What was found in one record. It verifies if `problems` is empty; `notes` break nothing."""

    record: str
    kind: str | None = None
    lines: int = 0
    sealed: bool = False
    opened: str | None = None
    closed: str | None = None
    images: int = 0
    wire_lines: int = 0
    amendments: int = 0
    room: str | None = None
    checkpoints: int = 0
    signed_lines: int = 0
    head: str = ZEROS
    erased: int = 0
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems


@dataclass(frozen=True)
class Announced:
    """What a later entry of the room (`where`) says of one line of a record's amendments."""

    seq: int
    type: str
    sha256: str
    where: str


@dataclass
class Elsewhere:
    """What entries of the room say of a record from outside of it. `gone`: files that were erased (`frames/….dcm`),
    each with the words of when, by whom and why."""

    announced: list[Announced] = field(default_factory=list)
    gone: dict[str, str] = field(default_factory=dict)


def verify_record(
    directory: Path,
    previous_head: str | None,
    *,
    elsewhere: Elsewhere | None = None,
    signing: Signing | None = None,
    may_be_open: bool = True,
    being_written: bool = False,
    progress: Progress = lambda _: None,
) -> Report:
    """One record. `previous_head`: hash of the last line of the room's record before it; None if that is not at
    hand (a record taken out of its room), then its first `prev` is taken on trust and a note says so. `elsewhere`:
    what the room's later records say of it; None if they are not at hand. `signing`: what the room says of signatures;
    None if that is not at hand."""
    report = Report(directory.name)
    signing = signing or Signing(None, False)
    signed = read_checkpoints(directory, signing.keys)
    progress(signed.read_bytes)
    wanted = {each.seq for each in (*signed.checkpoints, *signing.witnessed)}
    if previous_head is None:
        report.notes.append("the chain to the record before it was not checked")
    claims = _verify_journal(directory, previous_head, report, progress, wanted, being_written=being_written)
    if report.problems:
        return report  # what follows a broken line says nothing any more
    if not report.sealed and not may_be_open:
        report.problems.append(Problem(directory / "journal.jsonl", report.lines, "ends without record.sealed"))
    late, chained = _verify_amendments(directory, None if elsewhere is None else elsewhere.announced, report, progress)
    heads = claims.heads | dict(enumerate(late, report.lines))
    _verify_signed(directory, heads, signed, signing, report, amendments_hold=chained)
    gone = {} if elsewhere is None else elsewhere.gone
    _verify_wire(directory, claims.wire, gone, report, progress)
    _verify_frames(directory, claims.images, gone, report, progress)
    _verify_private(directory, claims.private, elsewhere, report)
    _say_gone(directory, gone, report)
    return report


@dataclass
class _Claims:
    """What the journal says of the other files."""

    images: dict[str, int] = field(default_factory=dict)  # sha256 -> line
    heads: dict[int, str] = field(default_factory=dict)  # seq -> sha256, of the lines that a checkpoint names
    wire: dict[str, Any] | None = None
    private: dict[str, tuple[str, int]] = field(default_factory=dict)


def _verify_journal(
    directory: Path,
    previous_head: str | None,
    report: Report,
    progress: Progress,
    wanted: set[int],
    *,
    being_written: bool,
) -> _Claims:
    claims = _Claims()
    path = directory / "journal.jsonl"
    if not path.is_file() or path.is_symlink():
        report.problems.append(Problem(path, None, "there is no journal"))
        return claims
    head = previous_head
    with path.open("rb") as file:
        for number, octets in enumerate(lines(file), 1):
            progress(len(octets))
            if being_written and not octets.endswith(b"\n"):
                break
            entry, problem = parsed(path, number, octets, JOURNAL_KEYS)
            problem = problem or linked(path, number, entry, "seq", number - 1, head, report.record)
            if problem is None and report.sealed:
                problem = Problem(path, number, "a line after record.sealed")
            if problem is not None:
                report.problems.append(problem)
                report.head = last_head(report.head, octets, file)
                return claims
            _note(entry, number, report, claims)
            head = hashlib.sha256(octets).hexdigest()
            report.lines, report.head = number, head
            if number - 1 in wanted:
                claims.heads[number - 1] = head
    if report.lines == 0:
        report.problems.append(Problem(path, None, "the journal is empty"))
    elif report.sealed and claims.wire is None:
        report.problems.append(Problem(path, report.lines, "record.sealed does not name the wire files"))
    return claims


def _note(entry: dict[str, Any], number: int, report: Report, claims: _Claims) -> None:
    data = entry["data"] if isinstance(entry["data"], dict) else {}
    report.closed = str(entry["time"])
    match entry["type"]:
        case "record.opened":
            report.kind, report.opened = data.get("kind"), str(entry["time"])
            report.room = data["room"] if isinstance(data.get("room"), str) else None
            if data.get("broken"):
                report.notes.append(f"says of the record before it: {data['broken']}")
        case "record.recovered" if data.get("cut_bytes"):
            report.notes.append(
                f"line {number}: {data['cut_bytes']} bytes of an unfinished write were cut at a restart"
            )
        case "record.sealed":
            report.sealed = True
            claims.wire = data.get("wire") if isinstance(data.get("wire"), dict) else None
        case "carm.image" if isinstance(data.get("sha256"), str):
            claims.images.setdefault(data["sha256"], number)
        case "procedure.started" if isinstance(data.get("identity_sha256"), str):
            claims.private["identity.json"] = (data["identity_sha256"], number)
        case "carm.mpps" if isinstance(data.get("sha256"), str) and HASH.fullmatch(data["sha256"]):
            claims.private.setdefault(f"{data['sha256']}.mpps", (data["sha256"], number))


def _verify_signed(
    directory: Path, heads: dict[int, str], signed: Found, signing: Signing, report: Report, *, amendments_hold: bool
) -> None:
    """What the checkpoints say of a journal that holds as a chain, and of its amendments as far as they do."""
    of_room, last = signed.checkpoints, len(heads) and max(heads)
    known = [each for each in of_room if amendments_hold or each.seq < report.lines]
    witnessed = [each for each in signing.witnessed if amendments_hold or each.seq < report.lines]
    problem = signed.problem or compare(directory, report, heads, known)
    if problem is None and report.sealed:
        problem = unsigned_seal(directory, report.lines, of_room, signed_after=signing.signed_after)
    if problem is None:
        ends = [min(each.seq + 1, report.lines) for each in of_room]
        report.checkpoints, report.signed_lines = len(of_room), ends[-1] if ends else 0
        if signing.keys and not of_room:
            report.notes.append("nothing of it is signed, though the room has a key: its end is not held by anything")
        elif signing.keys and report.amendments and of_room[-1].seq < last:
            report.notes.append(f"its amendments are not signed from seq {max(of_room[-1].seq + 1, report.lines)} on")
    report.notes += signed.notes
    problems = (problem, compare(directory, report, heads, witnessed))
    report.problems += [each for each in problems if each is not None]


def _verify_wire(
    directory: Path, heads: dict[str, Any] | None, gone: dict[str, str], report: Report, progress: Progress
) -> None:
    for path in sorted((directory / "wire").glob("*.jsonl")):
        problem = _verify_wire_file(path, (heads or {}).get(path.stem), report, progress)
        if problem is not None:
            report.problems.append(problem)
    for device in heads or {}:
        path = directory / "wire" / f"{device}.jsonl"
        if _DEVICE.fullmatch(device) is None or not (path.is_file() or f"wire/{path.name}" in gone):
            report.problems.append(Problem(path, None, "the wire file that record.sealed names is missing"))


def _verify_wire_file(path: Path, sealed: Any, report: Report, progress: Progress) -> Problem | None:
    head, count = ZEROS, 0
    with path.open("rb") as file:
        for octets in lines(file):
            progress(len(octets))
            if not octets.endswith(b"\n") and not report.sealed:
                report.notes.append(
                    f"wire/{path.name}: its last line is not finished (raw bytes above the commit point)"
                )
                break
            entry, problem = parsed(path, count + 1, octets, WIRE_KEYS)
            problem = problem or linked(path, count + 1, entry, "n", count, head, report.record)
            if problem is not None:
                return problem
            head, count = hashlib.sha256(octets).hexdigest(), count + 1
    report.wire_lines += count
    if not report.sealed:
        return None
    if not isinstance(sealed, dict):
        return Problem(path, None, "record.sealed does not name this file")
    if count != sealed.get("lines") or head != sealed.get("sha256"):
        expected = f"{sealed.get('lines')} lines, last {sealed.get('sha256')}"
        return Problem(path, count, "ends elsewhere than record.sealed says", expected, f"{count} lines, last {head}")
    return None


def _verify_frames(
    directory: Path, images: dict[str, int], gone: dict[str, str], report: Report, progress: Progress
) -> None:
    journal = directory / "journal.jsonl"
    for digest, line in images.items():
        if HASH.fullmatch(digest) is None:
            report.problems.append(Problem(journal, line, "the image's sha256 is not a SHA-256"))
            continue
        path = directory / "frames" / f"{digest}.dcm"
        if not path.is_file() or path.is_symlink():
            if f"frames/{path.name}" not in gone:
                report.problems.append(Problem(path, None, f"the image of journal line {line} is missing"))
            continue
        found = file_digest(path, progress)
        if found != digest:
            what = f"the image of journal line {line} was altered"
            report.problems.append(Problem(path, None, what, digest, found))
        report.images += 1
    stray = {p.stem for p in (directory / "frames").glob("*.dcm")} - set(images)
    if stray:
        report.notes.append(f"{len(stray)} image(s) under frames/ that no entry names (received, never acknowledged)")


def _verify_private(
    directory: Path, claims: dict[str, tuple[str, int]], elsewhere: Elsewhere | None, report: Report
) -> None:
    """Files that identify the patient: they may be erased, which an entry must say, and not be changed."""
    for name, (digest, line) in claims.items():
        path = directory / "private" / name
        what = "identity" if name == "identity.json" else "procedure step"
        if path.is_file() and not path.is_symlink():
            if file_digest(path) != digest:
                report.problems.append(Problem(path, None, f"is not the {what} that journal line {line} names"))
        elif elsewhere is None:
            report.notes.append(f"private/{name} is not here; whether an entry says that it was erased was not checked")
        elif f"private/{name}" not in elsewhere.gone:
            missing = f"the {what} that journal line {line} names is missing, and no entry says that it was erased"
            report.problems.append(Problem(path, None, missing))


def _say_gone(directory: Path, gone: dict[str, str], report: Report) -> None:
    """What was erased, and when, by whom and why: a note for each time."""
    report.erased, by_words = len(gone), dict[str, list[str]]()
    for name, words in gone.items():
        by_words.setdefault(words, []).append(name)
        if (directory / name).exists():
            report.notes.append(f"{name} is there, although it was {words}")
    for words, names in by_words.items():
        identity = ["the patient's identity"] if "private/identity.json" in names else []
        folders = sorted({name.partition("/")[0] + "/" for name in names})
        files = f"{len(names)} file{'s' * (len(names) > 1)} of {', '.join(folders)}"
        report.notes.append(f"{', '.join([*identity, files])}: {words}")


def _verify_amendments(
    directory: Path, announced: list[Announced] | None, report: Report, progress: Progress
) -> tuple[list[str], bool]:
    """The hash of each of their lines as far as they are a chain, and whether they are one to their end."""
    path = directory / "amendments.jsonl"
    if path.is_symlink() or (path.exists() and not (path.is_file() and report.sealed)):
        report.problems.append(Problem(path, None, "there is no seal that amendments could follow, or this is no file"))
        return [], False
    hashes, problem = _amendment_hashes(path, report, progress) if path.exists() else ([], None)
    if problem is not None:
        report.problems.append(problem)
        return hashes, False
    for each in announced or []:
        number = each.seq - report.lines + 1
        found = hashes[number - 1] if 1 <= number <= len(hashes) else None
        if found != each.sha256:
            what = f"the amendment that {each.where} names ({each.type}, seq {each.seq}) "
            what += "is missing: it was cut off" if found is None else "was altered"
            report.problems.append(Problem(path, number if number > 0 else None, what, each.sha256, str(found)))
    if announced is None and hashes:
        report.notes.append("whether amendments were altered or cut off at their end was not checked")
    elif len(hashes) > max((each.seq - report.lines + 1 for each in announced or []), default=0):
        report.notes.append("amendments.jsonl ends with lines that no later entry names: not acknowledged")
    return hashes, True


def _amendment_hashes(path: Path, report: Report, progress: Progress) -> tuple[list[str], Problem | None]:
    """The hash of every line, and the first thing wrong with them as a chain."""
    head, hashes = report.head, list[str]()
    with path.open("rb") as file:
        for number, octets in enumerate(lines(file), 1):
            progress(len(octets))
            if unfinished(octets):
                report.notes.append("amendments.jsonl: its last line is not finished (above the commit point)")
                break
            entry, problem = parsed(path, number, octets, JOURNAL_KEYS)
            problem = problem or linked(path, number, entry, "seq", report.lines + number - 1, head, report.record)
            if problem is not None:
                return hashes, problem
            head = hashlib.sha256(octets).hexdigest()
            hashes.append(head)
            report.amendments += entry["type"] not in ("operator.command", "record.recovered")
    return hashes, None
