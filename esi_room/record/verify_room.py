"""Verifying a room: what holds its records together, and what stands around one of them.

What holds, if `verify_room` finds nothing, beside what `verify.py` says of each record:

1. The first line of every record names the last line of the room's record before it (64 zeros for the room's first).
2. Every record but the room's last is sealed.
3. Every `record.amended` names a line of an earlier record's amendments. What is gone of a record's files was erased,
   as an `audit.event` says; those that still wait in `audit/` for the daemon count, and a note says that they wait.
4. The room signs in order: once a later record has a checkpoint, every earlier one has that of its seal.
5. With `witnessed`: every record holds what somebody else kept of it, and none of those is gone.
6. A record that is not there was removed, as a `record.removed` says (`verify_retention.py`); images that are not there
   were shed, as a `record.shed` says. The chain of point 1 leads across such a hole.

The standard library and nothing else of this package.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from esi_room.record.verify import JOURNAL, Elsewhere, Report, verify_record
from esi_room.record.verify_amendments import Announced
from esi_room.record.verify_checkpoints import CHECKPOINTS, Checkpoint, Signing, read_keys
from esi_room.record.verify_clocks import between
from esi_room.record.verify_lines import (
    HASH,
    JOURNAL_KEYS,
    MAX_LINE_BYTES,
    ZEROS,
    Problem,
    Progress,
    lines,
    names,
    opened,
    parsed,
    plain,
)
from esi_room.record.verify_retention import Removed, left, removals, removed_in

_ERASABLE = re.compile(
    r"private/(identity\.json|[0-9a-f]{64}\.mpps)(\.new)?|frames/[0-9a-f]{64}\.dcm|wire/[A-Za-z0-9_-]{1,64}\.jsonl"
)
_RECORD_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{4}")


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
    head, last = ZEROS, ""
    ids = record_ids(data)
    elsewhere = _elsewhere(data, ids, whole=True)
    keys, last_signed = read_keys(data), _last_signed(data, ids)
    seen: dict[str, list[Checkpoint]] = {}
    for each in witnessed:
        seen.setdefault(each.record, []).append(each)
    for record in ids:
        newest = record == ids[-1]
        report = verify_record(
            data / "records" / record,
            head,
            elsewhere=elsewhere.get(record, Elsewhere()),
            signing=Signing(keys, record < last_signed, tuple(seen.pop(record, []))),
            may_be_open=newest,
            being_written=newest and being_written,
            progress=progress,
        )
        report.notes += between(last, report.received[0])
        head, last = report.head, report.received[1]
        yield report
    for record, checkpoints in sorted(seen.items()):
        first = checkpoints[0]
        what = f"the record that {first.file}:{first.line} names is missing: it was removed"
        yield Report(record, problems=[Problem(data / "records" / record, None, what)])


def _last_signed(data: Path, records: list[str]) -> str:
    """The room's last record that has a checkpoint; empty if none has."""
    folder = data / "records"
    return next((record for record in reversed(records) if (folder / record / CHECKPOINTS).is_file()), "")


def signing_of(directory: Path, witnessed: Iterable[Checkpoint] = ()) -> Signing:
    """What is at hand of the room of the record in `directory`."""
    of_it = tuple(each for each in witnessed if each.record == directory.name)
    if directory.parent.name != "records":
        return Signing(None, False, of_it)
    data = directory.parent.parent
    return Signing(read_keys(data), directory.name < _last_signed(data, record_ids(data)), of_it)


def record_ids(data: Path) -> list[str]:
    """The records of a data directory, oldest first; and what has the name of one, so that it is named."""
    folder = data / "records"
    return sorted(p.name for p in folder.iterdir() if _RECORD_ID.fullmatch(p.name)) if folder.is_dir() else []


def _journal(data: Path, record: str) -> Iterator[tuple[Path, int, bytes]]:
    """The lines of a record's journal, as far as they can be read; its own verification says what is wrong with it."""
    path = data / "records" / record / JOURNAL
    with contextlib.suppress(OSError), opened(path) as file:
        for number, octets in enumerate(lines(file), 1):
            yield path, number, octets


def rooms(data: Path) -> set[str]:
    """The rooms that the records of a data directory say they are of: one, as a rule."""
    found = set()
    for record in record_ids(data):
        for path, number, octets in itertools.islice(_journal(data, record), 1):
            entry, _ = parsed(path, number, octets, JOURNAL_KEYS)
            said = entry.get("data")
            if isinstance(said, dict) and isinstance(said.get("room"), str):
                found.add(said["room"])
    return found


def head_before(directory: Path) -> str | None:
    """Hash of the last line of the record before the one in `directory`; None if it was taken out of its room."""
    if directory.parent.name != "records":
        return None
    data = directory.parent.parent
    before = [record for record in record_ids(data) if record < directory.name]
    gone = left(directory.parent / before[-1]) if before else None
    head = ZEROS if gone is None else str(gone.data["head"])
    for _, _, octets in _journal(data, before[-1]) if before else ():
        head = hashlib.sha256(octets).hexdigest() if octets.endswith(b"\n") else head
    return head


def elsewhere_of(directory: Path) -> Elsewhere | None:
    """What the room says of the record in `directory`; None if it was taken out of its room."""
    if directory.parent.name != "records":
        return None
    data = directory.parent.parent
    later = [record for record in record_ids(data) if record >= directory.name]
    return _elsewhere(data, later).get(directory.name, Elsewhere())


def _elsewhere(data: Path, records: list[str], *, whole: bool = False) -> dict[str, Elsewhere]:
    """What these records say of others, by the record that they speak of. It is read ahead and believed; that the lines
    which say so were not altered is verified with their own record. `whole`: these are all records of the room."""
    found: dict[str, Elsewhere] = defaultdict(Elsewhere)
    removed: list[Removed] = []
    for use in _waiting(data):
        _erased(found, use, "this waits in audit/ to be recorded")
    for record in records:
        for path, number, octets in _journal(data, record):
            if b'"type":"record.' not in octets and b'"erased":[' not in octets:
                continue
            entry, _ = parsed(path, number, octets, JOURNAL_KEYS)
            said, where = entry.get("data"), f"line {number} of {record}"
            if entry.get("type") == "record.amended" and isinstance(said, dict):
                seq = said["seq"] if type(said.get("seq")) is int else -1
                one = Announced(seq, str(said.get("type")), str(said.get("sha256")), where)
                found[str(said.get("record"))].announced.append(one)
            elif entry.get("type") == "audit.event" and isinstance(said, dict):
                _erased(found, {"time": entry["time"], "said": said}, where)
            elif entry.get("type") == "record.shed" and isinstance(said, dict):
                _shed(found, record, str(entry["time"]), said, where)
            elif (gone := removed_in(path, number, octets, said=True)) is not None:
                removed.append(gone)
    for record, each in removals(data, records, removed, whole=whole).items():
        found[record].removed = each
    return dict(found)


def _shed(found: dict[str, Elsewhere], record: str, time: str, said: dict[str, Any], where: str) -> None:
    """The images of an older record that the room took away."""
    shed = str(said.get("record"))
    for digest in said["images"] if isinstance(said.get("images"), list) and shed < record else ():
        if HASH.fullmatch(str(digest)):
            words = f"shed by the room {time[:19]}Z, as {where} says: {plain(str(said.get('reason'))[:200])}"
            found[shed].gone[f"frames/{digest}.dcm"] = words


def _erased(found: dict[str, Elsewhere], use: dict[str, Any], where: str) -> None:
    """The files that an audit event took away. `where` it stands."""
    said = use["said"]
    time, actor, reason = (plain(str(each)[:200]) for each in (use["time"], said.get("actor"), said.get("reason")))
    for name in said["erased"] if isinstance(said.get("erased"), list) else ():
        record, _, rest = str(name).partition("/")
        if _RECORD_ID.fullmatch(record) and _ERASABLE.fullmatch(rest):
            found[record].gone[rest] = f"erased {time[:19]}Z by {actor}: {reason} ({where})"


def _waiting(data: Path) -> Iterator[dict[str, Any]]:
    """What programs left for the daemon to record: it is as good as said, and not under the room's chain yet."""
    with contextlib.suppress(OSError):
        for name in names(data / "audit"):
            use = _use(data / "audit" / name) if name.endswith(".json") else None
            if isinstance(use, dict) and isinstance(use.get("said"), dict):
                yield {"time": use.get("time"), "said": use["said"]}


def _use(path: Path) -> Any:
    try:
        with opened(path) as file:
            return json.loads(file.read(MAX_LINE_BYTES))
    except (ValueError, RecursionError, OSError):
        return None
