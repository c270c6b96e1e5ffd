"""`esi-room export`: take a record away, as files that other programs read."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from esi_room.audit.export import FORMATS, Export, exporter
from esi_room.audit.export.case import Case, load
from esi_room.cli import CALLED_WRONG
from esi_room.cli.bar import Bar, octets_below, octets_of
from esi_room.cli.places import must_be_there
from esi_room.cli.uses import used
from esi_room.events.audit import EXPORT

EXAMPLE = """\b
Examples:
  esi-room export data/records/20261123T093000Z-1f2e --format csv
  esi-room export data/records/20261123T093000Z-1f2e --format csv --to /media/usb --even-if-broken
"""
LONG_JOURNAL_BYTES = 4 << 20  # read in less than a second: no bar
_EXTRA = {"pyarrow", "reportlab"}
"""What the extra `export` installs."""


@click.command(epilog=f"{EXAMPLE}\n\b\nFormats:\n" + "\n".join(f"  {k:8} {v.text}" for k, v in FORMATS.items()))
@click.argument("record", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--format", "name", type=click.Choice(list(FORMATS)), required=True, help="What to make of it.")
@click.option(
    "--to", default=".", type=click.Path(file_okay=False, path_type=Path), help="Directory to put it in.  [default: .]"
)
@click.option("--even-if-broken", is_flag=True, help="Export a record that does not verify; every file says so.")
@click.option("--identity", is_flag=True, help="With who the patient is, where the format has a place for that.")
def command(record: Path, *, name: str, to: Path, even_if_broken: bool, identity: bool) -> None:
    """Export a record, its amendments and its late images; names each file that it made.

    The record is verified first. Who the patient is stays out unless asked for. Exit status 1: the record does not
    verify (with --even-if-broken, the files are there all the same).
    """
    must_be_there(record)
    export = _exporter(name)
    what = f"exported as {name}{', with who the patient was' if identity else ''}"
    with used(record, EXPORT, "R", what):
        case, made = _made(record, name, export, to, even_if_broken=even_if_broken, identity=identity)
    for path in made:
        click.echo(path)
    if case.broken is not None:
        click.echo(f"BROKEN: {case.broken}", err=True)
        sys.exit(1)


def _made(
    record: Path, name: str, export: Export, to: Path, *, even_if_broken: bool, identity: bool
) -> tuple[Case, list[Path]]:
    """The case, and the files made of it."""
    journal_bytes = octets_of(record / "journal.jsonl")
    verified_bytes = octets_below(record)
    total_bytes = verified_bytes + journal_bytes * (1 + FORMATS[name].passes)
    with Bar(f"exporting {name}", total_bytes, always=journal_bytes >= LONG_JOURNAL_BYTES) as bar:
        case = load(record, even_if_broken=even_if_broken, identity=identity, progress=bar.on)
        try:
            to.mkdir(parents=True, exist_ok=True)
            return case, export(case, to)
        except OSError as error:
            raise click.ClickException(f"cannot write: {error}") from error


def _exporter(name: str) -> Export:
    """What is missing is said before a long record is read."""
    try:
        return exporter(name)
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        if package not in _EXTRA:
            raise
        raise _NotInstalled(
            f"the format {name} needs {package}, which is not installed: pip install 'esi-room[export]'"
        ) from missing


class _NotInstalled(click.ClickException):
    exit_code = CALLED_WRONG
