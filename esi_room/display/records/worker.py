"""What takes long of the records' pages, in a process of its own: `python -m esi_room.display.records.worker …`

    verify DATA                    every record of the room: a line of JSON each, as it is known
    verify DATA RECORD             one
    page DATA RECORD [identity]    a line of JSON (`Made`), then the page

Rules:
- It ends when it is killed, and leaves nothing behind: it writes to its standard output alone.
- At low priority: the daemon and the displays are on this machine as well. Nobody waits for the room to be verified,
  somebody waits for a page.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from esi_room.audit.export import page
from esi_room.audit.export.case import Case, load
from esi_room.audit.export.page.pictures import allowed
from esi_room.display.records.told import Made, Verified
from esi_room.events import CarmImage
from esi_room.record import held
from esi_room.record.reader import directory
from esi_room.record.verify import Report
from esi_room.record.verify_room import verify_room

_NICE = {"page": 5, "verify": 19}


def main() -> None:
    """As above."""
    what, data, *more = sys.argv[1:]
    os.nice(_NICE[what])
    if what == "verify":
        _verify(Path(data), more[0] if more else None)
    else:
        _page(directory(Path(data), more[0]), identity="identity" in more)


def _verify(data: Path, record: str | None) -> None:
    being_written = held.being_written(data)
    reports = (
        verify_room(data, being_written=being_written) if record is None else [held.report(directory(data, record))]
    )
    for report in reports:
        _say(msgspec.json.encode(_verified(report)) + b"\n")


def _verified(report: Report) -> Verified:
    first = None if report.ok else str(report.problems[0])
    return Verified(report.record, report.ok, first)


def _page(record: Path, *, identity: bool) -> None:
    try:
        case = load(record, even_if_broken=True, identity=identity)
        html = page.served(case, case.record).encode()
    except OSError as error:
        _say(msgspec.json.encode(Made(error=f"the record cannot be read: {error.strerror}")) + b"\n")
        return
    made = Made(css=page.style(case), broken=case.broken, pictures=_pictures(case))
    _say(msgspec.json.encode(made) + b"\n")
    _say(html)


def _pictures(case: Case) -> dict[str, tuple[str, int]]:
    found = {}
    for said in case.images():
        rule, path = allowed(case, said), case.object_of(said)
        if rule.side_px is not None and path is not None and isinstance(said.data, CarmImage):
            found[said.data.sha256] = (str(path), rule.side_px)
    return found


def _say(octets: bytes) -> None:
    sys.stdout.buffer.write(octets)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
