"""Where a record lies that somebody names on the command line."""

from __future__ import annotations

from pathlib import Path

import click

from esi_room.config import load
from esi_room.record.reader import JOURNAL, directory
from esi_room.record.removed import removal


def found(record: str, configuration: Path) -> Path:
    """The record's directory: `record` is that, or an id in the data directory of the configuration."""
    at = Path(record)
    if not (at / JOURNAL).is_file() and configuration.is_file() and at.name == record:
        at = directory(load(configuration).room.data, record)
    must_be_there(at)
    return at


def must_be_there(at: Path) -> None:
    """UsageError where this directory is no record, or one that the room removed."""
    if not (at / JOURNAL).is_file():
        gone = removal(at.resolve().parent.parent, at.resolve().name)
        if gone is not None:
            raise click.UsageError(f"record {gone.said.record} {gone.words}")
        raise click.UsageError(f"{at} is no record: there is no {at / JOURNAL}")
