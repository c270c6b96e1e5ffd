"""Verifying one record: its files, held to its own lines. `verify_lines.py` says what a line is,
`verify_checkpoints.py` what a signature, `verify_clocks.py` when a clock ran backwards, `verify_amendments.py`
what was said after the seal, `verify_retention.py` what is left of a record that the room removed; `verify_room.py`
holds the records of a room together. These seven stand alone: they use the standard library and nothing else of this
package.

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
9. The same for every checkpoint that a witness kept, and `checkpoints.jsonl` still has each of them.
10. The room's clocks did not run backwards, or the record itself says so (`verify_clocks.py`).
11. What a crash tore off and `record.recovered` names lies beside the journal with that SHA-256.

Notes are of what a lawful erasure or a crash leaves, too: they break nothing. Files that no entry names are such.

What cannot be seen here: what was altered or cut off behind the last checkpoint of the room's newest record (a minute's
worth, as a rule), or together with it. And whoever can write the room's disk and read its private key can write all of
it anew, with signatures. Both are seen from what a witness kept elsewhere, and from nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from esi_room.record.verify_amendments import (
    AMENDMENTS,
    Amended,
    Announced,
    kept_file,
    missing,
    read_amendments,
    unannounced,
)
from esi_room.record.verify_checkpoints import (
    CHECKPOINTS,
    Found,
    Signing,
    compare,
    read_checkpoints,
    removed,
    unsigned_seal,
)
from esi_room.record.verify_clocks import Clocks
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
    names,
    opened,
    parsed,
    unfinished,
    unreadable,
)
from esi_room.record.verify_retention import REMOVED, Removed, problems_of

JOURNAL = "journal.jsonl"
_PARTS = {JOURNAL, AMENDMENTS, CHECKPOINTS, "wire", "frames", "private"}


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
    received: tuple[str, str] = ("", "")  # of the first and the last line, by the room's clock
    erased: int = 0
    removed: str | None = None  # in words, when and why the room removed it
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems


@dataclass
class Elsewhere:
    """What entries of the room say of a record from outside of it. `gone`: files that were erased (`frames/….dcm`),
    each with the words of when, by whom and why. `removed`: the room removed it."""

    announced: list[Announced] = field(default_factory=list)
    gone: dict[str, str] = field(default_factory=dict)
    removed: Removed | None = None


def verify_record(
    directory: Path,
    previous_head: str | None,
    *,
    elsewhere: Elsewhere | None = None,
    signing: Signing | None = None,
    may_be_open: bool = True,
    being_written: bool = False,
    left_out: bool = False,
    parts: frozenset[str] = frozenset(),
    progress: Progress = lambda _: None,
) -> Report:
    """One record. `previous_head`: hash of the last line of the room's record before it; None if that is not at
    hand (a record taken out of its room), then its first `prev` is taken on trust and a note says so. `elsewhere`:
    what the room's later records say of it; None if they are not at hand. `signing`: what the room says of signatures;
    None if that is not at hand. `left_out`: it is a copy without wire/, frames/ and private/. `parts`: what lies beside
    the journal there and is no part of a record in its room."""
    report = Report(directory.name)
    signing = signing or Signing(None, False)
    if not directory.is_dir() or directory.is_symlink():
        report.problems.append(Problem(directory, None, "is no directory, and so no record"))
        return report
    signed = read_checkpoints(directory, signing.keys)
    progress(signed.read_bytes)
    if elsewhere is not None and elsewhere.removed is not None:
        return _verify_removed(directory, previous_head, elsewhere.removed, signed, signing, report)
    claims = _Claims(wanted={each.seq for each in (*signed.checkpoints, *signing.witnessed)})
    if previous_head is None:
        report.notes.append("the chain to the record before it was not checked")
    with _reading(directory / JOURNAL, report):
        _verify_journal(directory, previous_head, report, claims, progress, being_written=being_written)
    if report.problems:
        return report  # what follows a broken line says nothing any more
    if not report.sealed and not may_be_open:
        what, found = "ends without record.sealed", "nothing behind this line"
        report.problems.append(Problem(directory / JOURNAL, report.lines, what, "record.sealed", found))
    late = Amended(whole=False)
    with _reading(directory / AMENDMENTS, report):
        late = _verify_amendments(directory, elsewhere, report, claims, progress)
    heads = claims.heads | dict(enumerate(late.hashes, report.lines))
    _verify_signed(directory, heads, signed, signing, report, amendments_hold=late.whole)
    gone = {} if elsewhere is None else elsewhere.gone
    if left_out:
        report.notes.append("wire/, frames/ and private/ were left out of this copy: they could not be verified")
    else:
        _verify_wire(directory, claims.wire, gone, report, progress)
        with _reading(directory / "frames", report):
            _verify_frames(directory, claims.images, gone, report, progress)
        with _reading(directory / "private", report):
            _verify_private(directory, claims.private, elsewhere, report)
    _say_gone(directory, gone, report)
    with _reading(directory, report):
        _verify_kept(directory, claims.kept, parts, report)
    return report


def _verify_removed(
    directory: Path, previous_head: str | None, gone: Removed, signed: Found, signing: Signing, report: Report
) -> Report:
    """Nothing of it can be read any more; how it stands in the room's chain can be verified."""
    data = gone.data
    report.removed, report.sealed, report.head = gone.words, True, data["head"]
    report.kind, report.room, report.lines = data["kind"], data["room"], data["entries"]
    report.opened, report.closed, report.checkpoints = data["opened"], data["closed"], len(signed.checkpoints)
    report.problems += problems_of(directory, previous_head, gone, signed)
    taken = removed(directory, signed, signing.witnessed)
    report.problems += [taken] if taken is not None else []
    report.signed_lines = 0 if report.problems else report.lines
    report.notes += signed.notes
    with _reading(directory, report):
        if set(names(directory)) != {CHECKPOINTS, REMOVED}:
            report.notes.append("its removal is not finished: files of it are still there")
    return report


@contextmanager
def _reading(path: Path, report: Report) -> Iterator[None]:
    """What cannot be read is a problem like any other."""
    try:
        yield
    except OSError as error:
        report.problems.append(unreadable(path, error))


@dataclass
class _Claims:
    """What the lines say of the other files. `wanted`: `seq` of those that a checkpoint names, `heads`: their hash."""

    wanted: set[int]
    heads: dict[int, str] = field(default_factory=dict)
    images: dict[str, int] = field(default_factory=dict)  # sha256 -> line
    wire: dict[str, Any] | None = None
    private: dict[str, tuple[str, int]] = field(default_factory=dict)  # name -> sha256, line
    kept: dict[str, str] = field(default_factory=dict)  # name -> sha256, of what a crash tore


def _verify_journal(
    directory: Path,
    previous_head: str | None,
    report: Report,
    claims: _Claims,
    progress: Progress,
    *,
    being_written: bool,
) -> None:
    path, head, clocks = directory / JOURNAL, previous_head, Clocks()
    with opened(path) as file:
        for number, octets in enumerate(lines(file), 1):
            progress(len(octets))
            if being_written and not octets.endswith(b"\n"):
                break
            entry, problem = parsed(path, number, octets, JOURNAL_KEYS)
            problem = problem or linked(path, number, entry, "seq", number - 1, head, report.record)
            if problem is None and report.sealed:
                problem = Problem(path, number, "a line after record.sealed")
            problem = problem or clocks.take(path, number, entry)
            if problem is not None:
                report.problems.append(problem)
                report.head = last_head(report.head, octets, file)
                return
            _note(entry, number, report, claims)
            head = hashlib.sha256(octets).hexdigest()
            report.lines, report.head = number, head
            if number - 1 in claims.wanted:
                claims.heads[number - 1] = head
    report.notes += clocks.notes()
    report.received = clocks.first, clocks.last
    if report.lines == 0:
        report.problems.append(Problem(path, None, "the journal is empty"))
    elif report.sealed and claims.wire is None:
        report.problems.append(Problem(path, report.lines, "record.sealed does not name the wire files"))


def _note(entry: dict[str, Any], number: int, report: Report, claims: _Claims) -> None:
    data = entry["data"] if isinstance(entry["data"], dict) else {}
    report.closed = str(entry["time"])
    match entry["type"]:
        case "record.opened":
            report.kind, report.room = _text(data, "kind"), _text(data, "room")
            report.opened = report.closed
            if data.get("broken"):
                report.notes.append(f"says of the record before it: {data['broken']}")
        case "record.recovered" if data.get("cut_bytes"):
            report.notes.append(
                f"line {number}: {data['cut_bytes']} bytes of an unfinished write were cut at a restart"
            )
            claims.kept |= kept_file(data)
        case "record.sealed":
            report.sealed = True
            claims.wire = data.get("wire") if isinstance(data.get("wire"), dict) else None
        case "carm.image" if isinstance(data.get("sha256"), str):
            claims.images.setdefault(data["sha256"], number)
        case "procedure.started" if isinstance(data.get("identity_sha256"), str):
            claims.private["identity.json"] = (data["identity_sha256"], number)
        case "carm.mpps" if isinstance(data.get("sha256"), str) and HASH.fullmatch(data["sha256"]):
            claims.private.setdefault(f"{data['sha256']}.mpps", (data["sha256"], number))


def _text(data: dict[str, Any], key: str) -> str | None:
    return data[key] if isinstance(data.get(key), str) else None


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
    rewritten = compare(directory, report, heads, witnessed)
    lost = removed(directory, signed, signing.witnessed) if problem is None and rewritten is None else None
    report.problems += [each for each in (problem, rewritten, lost) if each is not None]


def _verify_wire(
    directory: Path, heads: dict[str, Any] | None, gone: dict[str, str], report: Report, progress: Progress
) -> None:
    folder, found = directory / "wire", list[str]()
    with _reading(folder, report):
        found = names(folder)
    _say_stray([name for name in found if not name.endswith(".jsonl")], "under wire/", report)
    for name in (name for name in found if name.endswith(".jsonl")):
        path = folder / name
        with _reading(path, report):
            problem = _verify_wire_file(path, (heads or {}).get(path.stem), report, progress)
            report.problems += [problem] if problem is not None else []
    for device in heads or {}:
        if f"{device}.jsonl" not in found and f"wire/{device}.jsonl" not in gone:
            path = folder / f"{device}.jsonl"
            report.problems.append(Problem(path, None, "the wire file that record.sealed names is missing"))


def _verify_wire_file(path: Path, sealed: Any, report: Report, progress: Progress) -> Problem | None:
    head, count, device = ZEROS, 0, path.stem
    with opened(path) as file:
        for octets in lines(file):
            progress(len(octets))
            if unfinished(octets) and not report.sealed:
                report.notes.append(
                    f"wire/{path.name}: its last line is not finished (raw bytes above the commit point)"
                )
                break
            entry, problem = parsed(path, count + 1, octets, WIRE_KEYS)
            problem = problem or linked(path, count + 1, entry, "n", count, head, report.record)
            if problem is None and entry["device"] != device:
                said = str(entry["device"])[:64]
                problem = Problem(path, count + 1, "the line belongs to another device", device, said)
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
    folder = directory / "frames"
    present = set(names(folder))
    for digest, line in images.items():
        if HASH.fullmatch(digest) is None:
            report.problems.append(Problem(directory / JOURNAL, line, "the image's sha256 is not a SHA-256"))
            continue
        path = folder / f"{digest}.dcm"
        if path.name not in present and f"frames/{path.name}" in gone:
            continue
        if path.name not in present:
            report.problems.append(Problem(path, None, f"the image of journal line {line} is missing", digest, "none"))
            continue
        with _reading(path, report):
            found = file_digest(path, progress)
            if found != digest:
                what = f"the image of journal line {line} was altered"
                report.problems.append(Problem(path, None, what, digest, found))
            report.images += 1
    stray = present - {f"{digest}.dcm" for digest in images}
    if stray:
        report.notes.append(f"{len(stray)} image(s) under frames/ that no entry names (received, never acknowledged)")


def _verify_private(
    directory: Path, claims: dict[str, tuple[str, int]], elsewhere: Elsewhere | None, report: Report
) -> None:
    """Files that identify the patient: they may be erased, which an entry must say, and not be changed."""
    folder = directory / "private"
    present = names(folder)
    for name, (digest, line) in claims.items():
        path, what = folder / name, "identity" if name == "identity.json" else "procedure step"
        if name in present:
            with _reading(path, report):
                found = file_digest(path)
                if found != digest:
                    what = f"is not the {what} that journal line {line} names"
                    report.problems.append(Problem(path, None, what, digest, found))
        elif elsewhere is None:
            report.notes.append(f"private/{name} is not here; whether an entry says that it was erased was not checked")
        elif f"private/{name}" not in elsewhere.gone:
            missing = f"the {what} that journal line {line} names is missing, and no entry says that it was erased"
            report.problems.append(Problem(path, None, missing, digest, "none"))
    _say_stray([name for name in present if name not in claims], "under private/", report)


def _say_gone(directory: Path, gone: dict[str, str], report: Report) -> None:
    """What was erased, and when, by whom and why: a note for each time."""
    report.erased, by_words = len(gone), dict[str, list[str]]()
    for name, words in gone.items():
        by_words.setdefault(words, []).append(name)
        if (directory / name).exists():
            report.notes.append(f"{name} is there, although it was {words}")
    for words, erased in by_words.items():
        identity = ["the patient's identity"] if "private/identity.json" in erased else []
        folders = ", ".join(sorted({f"{name.split('/')[0]}/" for name in erased}))
        files = f"{len(erased)} file{'s' * (len(erased) > 1)} of {folders}"
        report.notes.append(f"{', '.join([*identity, files])}: {words}")


def _say_stray(stray: list[str], where: str, report: Report) -> None:
    """What is no part of a record breaks none."""
    if stray:
        report.notes.append(f"{len(stray)} file(s) {where} that no entry names, such as {stray[0]}")


def _verify_amendments(
    directory: Path, elsewhere: Elsewhere | None, report: Report, claims: _Claims, progress: Progress
) -> Amended:
    found = read_amendments(directory, report.head if report.sealed else None, report.lines, progress)
    announced = None if elsewhere is None else elsewhere.announced
    report.amendments, claims.kept = found.count, claims.kept | found.kept
    report.notes += found.notes
    if found.whole:
        report.problems += missing(directory / AMENDMENTS, report.lines, found, announced)
        report.notes += unannounced(report.lines, found, announced)
    else:
        report.problems += found.problems
    return found


def _verify_kept(directory: Path, claims: dict[str, str], parts: frozenset[str], report: Report) -> None:
    """What a crash tore off is evidence, and kept beside the journal."""
    for name, digest in claims.items():
        path = directory / name
        with _reading(path, report):
            found = file_digest(path)
            if found != digest:
                report.problems.append(Problem(path, None, "what a crash tore off was altered", digest, found))
    stray = [name for name in names(directory) if name not in _PARTS | parts and name not in claims]
    _say_stray(stray, "beside the journal", report)
