"""`esi-room verify`: does a record, or a whole room, hold?"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from esi_room.audit import bundled
from esi_room.cli.bar import Bar, octets_below, octets_of
from esi_room.cli.uses import used
from esi_room.errors import BrokenRecord
from esi_room.events.audit import AUDIT_LOG_USED
from esi_room.record import held
from esi_room.record.verify import Report
from esi_room.record.verify_checkpoints import Checkpoint, read_witnessed
from esi_room.record.verify_lines import plain
from esi_room.record.verify_retention import REMOVED
from esi_room.record.verify_room import record_ids, rooms, verify_room

EXAMPLE = """\b
Example:
  esi-room verify data
  esi-room verify data/records/20261123T093000Z-1f2e
  esi-room verify data --witness witness.jsonl
  esi-room verify 20261123T093000Z-1f2e.zip
"""


@click.command(epilog=EXAMPLE)
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a record, for programs.")
@click.option(
    "--witness", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What `esi-room witness` kept: hold the records to it.",
)  # fmt: skip
def command(path: Path, *, as_json: bool, witness: Path | None) -> None:
    """Verify a record, every record of a data directory and the chain across them, or an exported bundle.

    Says the first bad line and why. Exit status 0: all holds; 1: something does not; 2: there is no record.
    """
    with used(path, AUDIT_LOG_USED, "R", "verified") as use:
        witnessed = () if witness is None else _witnessed(path, witness)
        reports = _verified(path, witnessed, as_json=as_json)
        if not reports:
            raise click.UsageError(f"{path} holds no record (a data directory has a folder `records`)")
        if path.is_file() and witness is not None:
            witnessed = _of_it(path, witness, witnessed, reports)
        broken = [report for report in reports if not report.ok]
        use.what = f"verified: {_in_a_word(reports, broken)}"
    if not as_json:
        click.echo(_verdict(reports, len(broken)))
        for remark in _remarks(reports, witness, witnessed):
            click.echo(remark)
    sys.exit(1 if broken else 0)


def _verified(path: Path, witnessed: tuple[Checkpoint, ...], *, as_json: bool) -> list[Report]:
    """Each report, printed as it comes."""
    reports = []
    with Bar("verifying", _size(path), console=Console()) as bar:
        try:
            for report in _reports(path, witnessed, bar.on):
                reports.append(report)
                if not as_json:
                    bar.console.print(_line(report), highlight=False, soft_wrap=True)
                else:
                    click.echo(json.dumps(_as_dict(report)))
        except OSError as error:  # of a file it is a problem; here not even the directories can be read
            raise BrokenRecord(f"{error.filename or path} cannot be read: {error.strerror or error}") from error
    return reports


def _in_a_word(reports: list[Report], broken: list[Report]) -> str:
    """For the trail."""
    if not broken:
        return f"{len(reports)} record(s) hold"
    first = broken[0]
    return (
        f"{len(broken)} of {len(reports)} record(s) DO NOT HOLD, the first is {first.record}: {first.problems[0].what}"
    )


def _witnessed(path: Path, witness: Path) -> tuple[Checkpoint, ...]:
    """The checkpoints in the witness's file that speak of what is to be verified. BrokenRecord: there are none."""
    found = read_witnessed(witness)
    if found.problem is not None:
        raise BrokenRecord(str(found.problem))
    if path.is_file():  # which record is in a bundle is not known yet
        return tuple(found.checkpoints)
    alone = _is_record(path)
    ids, of_rooms = ({path.resolve().name}, set[str]()) if alone else (set(record_ids(path)), rooms(path))
    mine = tuple(each for each in found.checkpoints if each.record in ids or each.room in of_rooms)
    if not mine:
        raise BrokenRecord(f"{witness} holds no checkpoint of {path}: it proves nothing of it")
    return mine


def _of_it(
    path: Path, witness: Path, witnessed: tuple[Checkpoint, ...], reports: list[Report]
) -> tuple[Checkpoint, ...]:
    """What a bundle was held to."""
    mine = tuple(each for each in witnessed if each.record in {report.record for report in reports})
    if not mine:
        raise BrokenRecord(f"{witness} holds no checkpoint of {path}: it proves nothing of it")
    return mine


def _reports(path: Path, witnessed: tuple[Checkpoint, ...], progress: Callable[[int], None]) -> Iterator[Report]:
    if path.is_file() or bundled.is_unpacked(path):
        yield bundled.verify_bundle(path, witnessed=witnessed, progress=progress)
        return
    if _is_record(path):
        yield held.report(path, witnessed=witnessed, progress=progress)
        return
    yield from verify_room(path, being_written=held.being_written(path), witnessed=witnessed, progress=progress)


def _is_record(path: Path) -> bool:
    """A record's directory, or what is left of one."""
    return (path / "journal.jsonl").exists() or (path / REMOVED).exists()


def _size(path: Path) -> int:
    """For the bar; a bundle is unpacked, and then read."""
    return 2 * octets_of(path) if path.is_file() else octets_below(path)


def _line(report: Report) -> str:
    if not report.ok:
        broken = f"[bold red]BROKEN[/]  {escape(plain(report.record))}  "
        return "\n".join(broken + escape(str(problem)) for problem in report.problems)
    state = "sealed" if report.sealed else "open"
    kind = plain(report.kind or "?")[:20]
    if report.removed is not None:
        notes = "".join(f"\n        note: {escape(plain(note))}" for note in report.notes)
        return f"[yellow]removed[/] {escape(report.record)}  {escape(kind):9}  {escape(plain(report.removed))}{notes}"
    what = f"{report.lines} entries, {report.images} images, {report.wire_lines} wire lines"
    what += f", {report.amendments} amendments" if report.amendments else ""
    what += f", signed up to line {report.signed_lines}" if report.signed_lines else ""
    notes = "".join(f"\n        note: {escape(plain(note))}" for note in report.notes)
    return f"[green]holds[/]   {escape(plain(report.record))}  {escape(kind):9}  {state:6}  {what}{notes}"


def _verdict(reports: list[Report], broken: int) -> str:
    if broken:
        return f"{broken} of {len(reports)} record(s) DO NOT HOLD."
    gone = any(report.erased or report.removed for report in reports)
    erased = ", but for what was erased or removed and is said above" if gone else ""
    return f"All {len(reports)} record(s) hold: nothing was altered, removed or inserted{erased}."


def _remarks(reports: list[Report], witness: Path | None, witnessed: tuple[Checkpoint, ...]) -> Iterator[str]:
    """What the verdict rests on."""
    if not any(report.checkpoints for report in reports):
        yield "Nothing here is signed: that lines at the end were altered or cut off cannot be seen."
    if witness is not None:
        last = witnessed[-1]
        yield f"Held to {len(witnessed)} checkpoints of {witness}; the last is of {last.record}, line {last.seq + 1}."


def _as_dict(report: Report) -> dict[str, object]:
    return {
        "record": report.record,
        "ok": report.ok,
        "kind": report.kind,
        "removed": report.removed,
        "sealed": report.sealed,
        "entries": report.lines,
        "images": report.images,
        "wire_lines": report.wire_lines,
        "amendments": report.amendments,
        "checkpoints": report.checkpoints,
        "signed_lines": report.signed_lines,
        "erased": report.erased,
        "head": report.head,
        "opened": report.opened,
        "closed": report.closed,
        "problems": [
            {"file": str(p.file), "line": p.line, "what": p.what, "expected": p.expected, "found": p.found}
            for p in report.problems
        ],
        "notes": report.notes,
    }
