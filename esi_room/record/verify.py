"""Verifying a record. This file and `verify_checkpoints.py` beside it stand alone: they use the standard library and
nothing else of this package.

What holds, if `verify_room` finds nothing:

1. Every line of `journal.jsonl` is one JSON object, ended by a newline, of this record, `seq` 0, 1, 2 … with no gap.
2. Every line's `prev` is the SHA-256 of the octets of the line before it, newline included. The first line's is
   that of the last line of the room's record before it (64 zeros for the room's first record). Nothing is parsed
   and written again to check this: `sed -n Np journal.jsonl | sha256sum` is the `prev` of line N+1.
3. Every record but the room's last ends with `record.sealed`, which says how many lines there are.
4. Every file under `wire/` is such a chain of its own (`n` 0, 1, 2 …; the first `prev` 64 zeros), and reaches at
   least as far as the sealed line says.
5. Every image that the journal names lies under `frames/` with that SHA-256.
6. What lies under `private/` (the patient, the C-arm's procedure steps) and was not erased has the SHA-256 that the
   journal names.
7. The lines of `amendments.jsonl` (what was said of a record after it was sealed) go on from the seal in the same
   way: `seq` counts on, the first `prev` is the hash of the sealed line. Every `record.amended` in a later record of
   the room names one of these lines and its SHA-256, so that those at the end were not cut off or altered either.

8. The journal still holds every line that a signed checkpoint names (`checkpoints.jsonl`; `verify_checkpoints.py` says
   what one is), so that neither lines at its end were cut off nor the last ones altered. A sealed record's last
   checkpoint is of its seal.
9. With `witnessed`: the same for every checkpoint that somebody else kept, of every record of the room.

What cannot be seen here: what was altered or cut off behind the last checkpoint of the room's newest record (a minute's
worth, as a rule), or together with it. And whoever can write the room's disk and read its private key can write all of
it anew, with signatures. Both are seen from what a witness kept elsewhere, and from nothing else.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from esi_room.record.verify_checkpoints import (
    CHECKPOINTS,
    Checkpoint,
    Found,
    Problem,
    Signing,
    compare,
    read_checkpoints,
    read_keys,
    unsigned_seal,
)

ZEROS = "0" * 64
MAX_LINE_BYTES = 16 << 20  # a longer "line" is no line: memory stays bounded whatever the file holds
_RECORD_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{4}")
_HASH = re.compile(r"[0-9a-f]{64}")
_DEVICE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_JOURNAL_KEYS = ("v", "record", "seq", "prev", "type", "time", "received", "mono_ns", "source", "data")
_WIRE_KEYS = ("v", "record", "device", "n", "prev", "received", "mono_ns", "dir", "b64")

Progress = Callable[[int], None]  # called with the number of bytes just read


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
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems


def verify_room(
    data: Path,
    *,
    being_written: bool = False,
    witnessed: Iterable[Checkpoint] = (),
    progress: Progress = lambda _: None,
) -> Iterator[Report]:
    """Every record of a data directory, oldest first, and the chain across them. `being_written`: a daemon works
    there now, so an unfinished last line of the newest record is no fault. `witnessed`: checkpoints of this room that
    somebody else kept."""
    head = ZEROS
    ids = record_ids(data)
    announced = _announced(data, ids)
    keys, last_signed = read_keys(data), _last_signed(data, ids)
    seen: dict[str, list[Checkpoint]] = {}
    for each in witnessed:
        seen.setdefault(each.record, []).append(each)
    for record in ids:
        newest = record == ids[-1]
        report = verify_record(
            data / "records" / record,
            head,
            announced=announced.get(record, []),
            signing=Signing(keys, record < last_signed, tuple(seen.pop(record, []))),
            may_be_open=newest,
            being_written=newest and being_written,
            progress=progress,
        )
        head = report.head
        yield report
    for record, checkpoints in sorted(seen.items()):
        first = checkpoints[0]
        what = f"the record that {first.file}:{first.line} names is missing: it was removed"
        yield Report(record, problems=[Problem(data / "records" / record, None, what)])


def _last_signed(data: Path, records: list[str]) -> str:
    """The room's last record that has a checkpoint; empty if none has."""
    folder = data / "records"
    return next((r for r in reversed(records) if (folder / r / CHECKPOINTS).is_file()), "")


def signing_of(directory: Path, witnessed: Iterable[Checkpoint] = ()) -> Signing:
    """What is at hand of the room of the record in `directory`."""
    of_it = tuple(each for each in witnessed if each.record == directory.name)
    if directory.parent.name != "records":
        return Signing(None, False, of_it)
    data = directory.parent.parent
    return Signing(read_keys(data), directory.name < _last_signed(data, record_ids(data)), of_it)


def record_ids(data: Path) -> list[str]:
    """The records of a data directory, oldest first."""
    folder = data / "records"
    if not folder.is_dir():
        return []
    return sorted(p.name for p in folder.iterdir() if _RECORD_ID.fullmatch(p.name) and p.is_dir())


def rooms(data: Path) -> set[str]:
    """The rooms that the records of a data directory say they are of: one, as a rule."""
    found = set()
    for record in record_ids(data):
        path = data / "records" / record / "journal.jsonl"
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                entry, _ = _line(path, 1, file.readline(MAX_LINE_BYTES), _JOURNAL_KEYS)
            said = entry.get("data")
            if isinstance(said, dict) and isinstance(said.get("room"), str):
                found.add(said["room"])
    return found


def head_before(directory: Path) -> str | None:
    """Hash of the last line of the record before the one in `directory`; None if it was taken out of its room."""
    if directory.parent.name != "records":
        return None
    before = [record for record in record_ids(directory.parent.parent) if record < directory.name]
    if not before:
        return ZEROS
    with (directory.parent / before[-1] / "journal.jsonl").open("rb") as file:
        return _last_head(ZEROS, file.readline(MAX_LINE_BYTES), file)


@dataclass(frozen=True)
class Announced:
    """What a later entry of the room (`where`) says of one line of a record's amendments."""

    seq: int
    type: str
    sha256: str
    where: str


def announced_after(directory: Path) -> list[Announced] | None:
    """What the room says of the amendments of the record in `directory`; None if it was taken out of its room."""
    if directory.parent.name != "records":
        return None
    data = directory.parent.parent
    later = [record for record in record_ids(data) if record > directory.name]
    return _announced(data, later).get(directory.name, [])


def _announced(data: Path, records: list[str]) -> dict[str, list[Announced]]:
    """What these records say of amendments, by the amended record. It is read ahead and believed; that the lines
    which say so were not altered is verified with their own record."""
    announced: dict[str, list[Announced]] = {}
    for record in records:
        path = data / "records" / record / "journal.jsonl"
        if not path.is_file() or path.is_symlink():
            continue
        with path.open("rb") as file:
            for number, octets in enumerate(_lines(file), 1):
                if b'"type":"record.amended"' not in octets:
                    continue
                entry, _ = _line(path, number, octets, _JOURNAL_KEYS)
                said = entry.get("data")
                if entry.get("type") == "record.amended" and isinstance(said, dict):
                    seq = said["seq"] if isinstance(said.get("seq"), int) else -1
                    where = f"line {number} of {record}"
                    one = Announced(seq, str(said.get("type")), str(said.get("sha256")), where)
                    announced.setdefault(str(said.get("record")), []).append(one)
    return announced


def verify_record(
    directory: Path,
    previous_head: str | None,
    *,
    announced: list[Announced] | None = None,
    signing: Signing | None = None,
    may_be_open: bool = True,
    being_written: bool = False,
    progress: Progress = lambda _: None,
) -> Report:
    """One record. `previous_head`: hash of the last line of the room's record before it; None if that is not at
    hand (a record taken out of its room), then its first `prev` is taken on trust and a note says so. `announced`:
    what the room's later records say of its amendments; None if they are not at hand. `signing`: what the room says of
    signatures; None: look beside the record."""
    report = Report(directory.name)
    signing = signing or signing_of(directory)
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
    _verify_signed(directory, claims.heads, signed, signing, report)
    _verify_wire(directory, claims.wire, report, progress)
    _verify_frames(directory, claims.images, report, progress)
    _verify_private(directory, claims.private, report)
    _verify_amendments(directory, announced, report, progress)
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
        for number, octets in enumerate(_lines(file), 1):
            progress(len(octets))
            if being_written and not octets.endswith(b"\n"):
                break
            entry, problem = _line(path, number, octets, _JOURNAL_KEYS)
            problem = problem or _linked(path, number, entry, "seq", number - 1, head, report)
            if problem is None and report.sealed:
                problem = Problem(path, number, "a line after record.sealed")
            if problem is not None:
                report.problems.append(problem)
                report.head = _last_head(report.head, octets, file)
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


def _lines(file: Any) -> Iterator[bytes]:
    while octets := file.readline(MAX_LINE_BYTES):
        yield octets


def _last_head(head: str, octets: bytes, file: Any) -> str:
    """Behind a broken line nothing is believed, but the next record may still follow the last line as it stands."""
    for line in itertools.chain([octets], _lines(file)):
        if line.endswith(b"\n"):
            head = hashlib.sha256(line).hexdigest()
    return head


def _line(path: Path, number: int, octets: bytes, keys: tuple[str, ...]) -> tuple[dict[str, Any], Problem | None]:
    """The line as an object, or what is wrong with it as a line."""
    if not octets.endswith(b"\n"):
        what = "the line is too long" if len(octets) == MAX_LINE_BYTES else "the last line is cut off"
        return {}, Problem(path, number, what)
    try:
        entry = json.loads(octets.decode("utf-8"), object_pairs_hook=_no_doubles)
    except (ValueError, RecursionError) as error:
        return {}, Problem(path, number, f"not one JSON object: {str(error)[:100]}")
    if not isinstance(entry, dict) or not all(key in entry for key in keys):
        missing = [k for k in keys if not isinstance(entry, dict) or k not in entry]
        return {}, Problem(path, number, f"keys are missing: {', '.join(missing)}")
    if entry["v"] != 1:
        return {}, Problem(path, number, "another format version", "1", str(entry["v"])[:20])
    return entry, None


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON allows a key twice; two readers could then read two truths."""
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key stands there twice")
    return result


def _linked(
    path: Path, number: int, entry: dict[str, Any], counter: str, count: int, head: str | None, report: Report
) -> Problem | None:
    """Is this the next line of this record, and does it name the one before it?"""
    if entry["record"] != report.record:
        return Problem(path, number, "the line belongs to another record", report.record, str(entry["record"])[:40])
    if entry[counter] != count:
        return Problem(path, number, f"wrong {counter}", str(count), str(entry[counter])[:40])
    prev = entry["prev"]
    if not isinstance(prev, str) or _HASH.fullmatch(prev) is None:
        return Problem(path, number, "prev is not a SHA-256")
    if head is not None and prev != head:
        what = f"line {number - 1} was altered, or lines were removed or inserted before this one"
        if number == 1 and counter == "seq":
            what = "does not follow the room's record before it: that record was altered, cut off or removed"
            what = what if count == 0 else "does not follow the record's seal: that was altered, or lines were removed"
        return Problem(path, number, what, f"prev {head}", prev)
    return None


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
        case "carm.mpps" if isinstance(data.get("sha256"), str) and _HASH.fullmatch(data["sha256"]):
            claims.private.setdefault(f"{data['sha256']}.mpps", (data["sha256"], number))


def _verify_signed(directory: Path, heads: dict[int, str], signed: Found, signing: Signing, report: Report) -> None:
    """What the checkpoints say of a journal that holds as a chain."""
    journal, of_room = directory / "journal.jsonl", signed.checkpoints
    problem = signed.problem or compare(journal, report.room, report.lines, heads, of_room)
    if problem is None and report.sealed:
        problem = unsigned_seal(directory, report.lines, of_room, signed_after=signing.signed_after)
    if problem is None:
        report.checkpoints, report.signed_lines = len(of_room), of_room[-1].seq + 1 if of_room else 0
        if signing.keys and not of_room:
            report.notes.append("nothing of it is signed, though the room has a key: its end is not held by anything")
    report.notes += signed.notes
    witnessed = compare(journal, report.room, report.lines, heads, signing.witnessed)
    report.problems += [each for each in (problem, witnessed) if each is not None]


def _verify_wire(directory: Path, heads: dict[str, Any] | None, report: Report, progress: Progress) -> None:
    for path in sorted((directory / "wire").glob("*.jsonl")):
        problem = _verify_wire_file(path, (heads or {}).get(path.stem), report, progress)
        if problem is not None:
            report.problems.append(problem)
    for device in heads or {}:
        path = directory / "wire" / f"{device}.jsonl"
        if _DEVICE.fullmatch(device) is None or not path.is_file():
            report.problems.append(Problem(path, None, "the wire file that record.sealed names is missing"))


def _verify_wire_file(path: Path, sealed: Any, report: Report, progress: Progress) -> Problem | None:
    head, count = ZEROS, 0
    with path.open("rb") as file:
        for octets in _lines(file):
            progress(len(octets))
            if not octets.endswith(b"\n") and not report.sealed:
                report.notes.append(
                    f"wire/{path.name}: its last line is not finished (raw bytes above the commit point)"
                )
                break
            entry, problem = _line(path, count + 1, octets, _WIRE_KEYS)
            problem = problem or _linked(path, count + 1, entry, "n", count, head, report)
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


def _verify_frames(directory: Path, images: dict[str, int], report: Report, progress: Progress) -> None:
    journal = directory / "journal.jsonl"
    for digest, line in images.items():
        if _HASH.fullmatch(digest) is None:
            report.problems.append(Problem(journal, line, "the image's sha256 is not a SHA-256"))
            continue
        path = directory / "frames" / f"{digest}.dcm"
        if not path.is_file() or path.is_symlink():
            report.problems.append(Problem(path, None, f"the image of journal line {line} is missing"))
            continue
        found = _file_digest(path, progress)
        if found != digest:
            what = f"the image of journal line {line} was altered"
            report.problems.append(Problem(path, None, what, digest, found))
        report.images += 1
    stray = {p.stem for p in (directory / "frames").glob("*.dcm")} - set(images)
    if stray:
        report.notes.append(f"{len(stray)} image(s) under frames/ that no entry names (received, never acknowledged)")


def _file_digest(path: Path, progress: Progress) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            progress(len(chunk))
            digest.update(chunk)
    return digest.hexdigest()


def _verify_private(directory: Path, claims: dict[str, tuple[str, int]], report: Report) -> None:
    """Files that identify the patient: they may be erased, and not be changed."""
    erased = 0
    for name, (digest, line) in claims.items():
        path = directory / "private" / name
        if not path.is_file() or path.is_symlink():
            erased += 1
        elif _file_digest(path, lambda _: None) != digest:
            what = "identity" if name == "identity.json" else "procedure step"
            report.problems.append(Problem(path, None, f"is not the {what} that journal line {line} names"))
    if erased:
        report.notes.append(f"the patient's identity was erased ({erased} of {len(claims)} files of private/ are gone)")


def _verify_amendments(directory: Path, announced: list[Announced] | None, report: Report, progress: Progress) -> None:
    path = directory / "amendments.jsonl"
    if path.is_symlink() or (path.exists() and not (path.is_file() and report.sealed)):
        report.problems.append(Problem(path, None, "there is no seal that amendments could follow, or this is no file"))
        return
    hashes, problem = _amendment_hashes(path, report, progress) if path.exists() else ([], None)
    if problem is not None:
        report.problems.append(problem)
        return
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


def _amendment_hashes(path: Path, report: Report, progress: Progress) -> tuple[list[str], Problem | None]:
    """The hash of every line, and the first thing wrong with them as a chain."""
    head, hashes = report.head, list[str]()
    with path.open("rb") as file:
        for number, octets in enumerate(_lines(file), 1):
            progress(len(octets))
            if not octets.endswith(b"\n") and len(octets) < MAX_LINE_BYTES:
                report.notes.append("amendments.jsonl: its last line is not finished (above the commit point)")
                break
            entry, problem = _line(path, number, octets, _JOURNAL_KEYS)
            problem = problem or _linked(path, number, entry, "seq", report.lines + number - 1, head, report)
            if problem is not None:
                return hashes, problem
            head = hashlib.sha256(octets).hexdigest()
            hashes.append(head)
            report.amendments += entry["type"] not in ("operator.command", "record.recovered")
    return hashes, None
