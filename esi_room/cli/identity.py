"""`esi-room identity`: who the patient of a record was; and how that is lawfully taken away."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import click
import msgspec

from esi_room.audit import trail
from esi_room.audit.entries import entries
from esi_room.audit.erasing import carriers, is_open
from esi_room.cli.places import found
from esi_room.cli.uses import say
from esi_room.errors import CommandRefused, RecordError
from esi_room.events import ProcedureStarted
from esi_room.events.audit import MOST_ERASED, PATIENT_RECORD
from esi_room.outputs import store
from esi_room.procedure import identity as identities
from esi_room.procedure.discretion import giving_away
from esi_room.record import erasing, held
from esi_room.record.disk import Disk
from esi_room.record.verify_lines import file_digest
from esi_room.record.verify_room import elsewhere_of

EXAMPLE = """\b
Examples:
  esi-room identity show data/records/20261123T093000Z-1f2e
  esi-room identity erase data/records/20261123T093000Z-1f2e --reason "request of 2026-12-01, no. 17"
"""

_RECORD = click.argument("record", metavar="RECORD")
_CONFIG = click.option(
    "--config", "-c", "path", type=click.Path(path_type=Path), default=Path("room.toml"), show_default=True,
    help="The room's configuration: where RECORD is an id, its data directory.",
)  # fmt: skip


@click.group(epilog=EXAMPLE)
def command() -> None:
    """Show, or lawfully erase, who the patient of a record was.

    The journal holds no more than a salted digest of it. Both are themselves recorded: who, when and why.
    """


@command.command(epilog="\b\nExample:\n  esi-room identity show data/records/20261123T093000Z-1f2e")
@_RECORD
@_CONFIG
@click.option("--json", "as_json", is_flag=True, help="As one JSON object, for programs.")
@click.option("--actor", help="Who looks.  [default: the user logged in]")
def show(record: str, *, path: Path, as_json: bool, actor: str | None) -> None:
    """Print who the patient of RECORD was. That you looked is recorded in the room's open record.

    Exit status 1: nobody is named there, or no more, or not as the journal says.
    """
    at = found(record, path).resolve()
    file = at / erasing.IDENTITY
    there = file.is_file() and not file.is_symlink()
    who = identities.read_file(file) if there else None
    what = "looked at who the patient was" if who else "asked who the patient was, which is not there"
    say(trail.note(at, PATIENT_RECORD, "R", what, actor=actor))
    if who is None:
        click.echo(_nobody(at, there=there), err=True)
        sys.exit(1)
    said = {key: None if value is None else _printable(value) for key, value in msgspec.to_builtins(who).items()}
    if as_json:
        click.echo(json.dumps({"record": at.name, **said}))
    else:
        for label, key in (("name", "name"), ("number", "id"), ("born", "birth_date")):
            click.echo(f"{label:7} {said.get(key) or 'not said'}")
    if file_digest(file) != _named(at):
        click.echo(f"NOT as the journal says: {file} was altered, or is another record's", err=True)
        sys.exit(1)


@command.command(epilog="\b\nExample:\n  esi-room identity erase data/records/20261123T093000Z-1f2e --reason …")
@_RECORD
@_CONFIG
@click.option("--reason", required=True, help="Why: it stands in the record. Name no patient in it.")
@click.option("--actor", help="Who erases.  [default: the user logged in]")
@click.option("--with-objects", is_flag=True, help="Also the DICOM objects and the raw bytes of the devices.")
def erase(record: str, *, path: Path, reason: str, actor: str | None, with_objects: bool) -> None:
    """Erase who the patient of RECORD was. It cannot be undone; the chain stays whole.

    What goes: the identity and the C-arm's procedure steps (private/). With --with-objects also frames/ and wire/:
    DICOM headers name the patient, and some monitors send a name. `verify` says then what was erased, when, by whom
    and why, from the entry that this leaves in the room's open record.

    Exit status 1: it was refused, or could not be finished.
    """
    if not reason.strip():
        raise click.BadParameter("say why: it stands in the record", param_hint="--reason")
    at = found(record, path).resolve()
    root, _ = trail.place(at)
    if root is None:
        raise CommandRefused(f"{at} does not lie in a room's data directory: erase it there, where that is recorded")
    if is_open(root, at.name):
        raise CommandRefused(f"record {at.name} is open: who is on the table is needed until the procedure has ended")
    who = identities.read_file(at / erasing.IDENTITY)
    if who is not None and giving_away(who, {"reason": reason}):
        raise CommandRefused("--reason names the patient, and it stays in the record for ever: say it otherwise")
    carried = carriers(root, at.name)
    names = _left(root, (*carried.identity, *carried.objects) if with_objects else carried.identity)
    if names:
        _erase(at, root, names, reason, actor)
    else:
        click.echo(f"nothing to erase: {_nobody(at, there=False)}")
    if carried.identity:
        _forget(root)
    _say_what_stays(root, carried.objects)


def _erase(at: Path, root: Path, names: list[str], reason: str, actor: str | None) -> None:
    gone = sum(not (root / "records" / name).exists() for name in names)
    what = f"erased who the patient was: {_counted(names)}" + (f", {gone} gone before" if gone else "")
    for begin in range(0, len(names), MOST_ERASED):
        part = tuple(names[begin : begin + MOST_ERASED])
        problem = trail.note(at, PATIENT_RECORD, "D", what, actor=actor, reason=reason, erased=part)
        if problem is not None:
            raise RecordError(f"nothing was erased: {problem}")
    try:  # what was said is finished by the daemon, or by this command when it is called again
        erasing.erase(Disk(), root, names)
    except OSError as error:
        raise RecordError(f"not everything was erased: {error.filename}: {error.strerror}; call it again") from error
    click.echo(f"{at.name}: {what}")


def _forget(root: Path) -> None:
    """What the embedded broker's files still hold of what it retained."""
    if not store.keeps_messages(root):
        return
    try:
        if held.being_written(root):
            store.forget_at_next_start(root, Disk())
            click.echo("the files of the embedded broker may hold some of it until the daemon is started again")
        else:
            store.forget(root, Disk())
    except OSError as error:
        raise RecordError(f"the embedded broker's files are still there: {error.strerror}; call it again") from error


def _left(root: Path, names: Iterable[str]) -> list[str]:
    """Those that are there, or gone without a word of it."""
    by_record: dict[str, list[str]] = {}
    for name in names:
        by_record.setdefault(name.partition("/")[0], []).append(name)
    left: list[str] = []
    for record, of_it in by_record.items():
        elsewhere = elsewhere_of(root / "records" / record)
        gone = {} if elsewhere is None else elsewhere.gone
        left += [n for n in of_it if (root / "records" / n).exists() or n.partition("/")[2] not in gone]
    return left


def _say_what_stays(root: Path, objects: Iterable[str]) -> None:
    stay = [name for name in objects if (root / "records" / name).exists()]
    if stay:
        click.echo(f"still there, and may say who it was: {_counted(stay)} (--with-objects erases them)")
    if (root / "private" / "worklist.json").exists():
        click.echo("private/worklist.json of the room keeps an order, with its patient, for 7 days after the procedure")
    click.echo("not in reach: a broker elsewhere, archives that got the images, exports, backups; what the staff wrote")


def _counted(names: Iterable[str]) -> str:
    """`2 of private/, 14 of frames/`."""
    counts = Counter(name.split("/")[1] for name in names)
    return ", ".join(f"{count} file{'s' * (count > 1)} of {folder}/" for folder, count in counts.items())


def _nobody(at: Path, *, there: bool) -> str:
    """Why there is no name."""
    if there:
        return f"{at / erasing.IDENTITY} is not what the room wrote: it cannot be read"
    elsewhere = elsewhere_of(at)
    words = None if elsewhere is None else elsewhere.gone.get(erasing.IDENTITY)
    if words is not None:
        return f"{at.name}: who the patient was, was {words}"
    missing = f"{erasing.IDENTITY} is missing, and nothing says that it was erased"
    return f"the record {at.name} names no patient" if _named(at) is None else f"{at.name}: {missing}"


def _named(at: Path) -> str | None:
    """The digest of the identity that counts, as the journal has it."""
    named = None
    for _, entry in entries(at):
        if entry.type == ProcedureStarted.TYPE:
            named = msgspec.json.decode(entry.data, type=ProcedureStarted).identity_sha256
    return named


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)
