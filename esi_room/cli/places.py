"""Where a record lies that somebody names on the command line."""

from __future__ import annotations

from pathlib import Path

import click

from esi_room.config import load
from esi_room.record.reader import JOURNAL, directory


def found(record: str, configuration: Path) -> Path:
    """The record's directory: `record` is that, or an id in the data directory of the configuration."""
    at = Path(record)
    if not (at / JOURNAL).is_file() and configuration.is_file() and at.name == record:
        at = directory(load(configuration).room.data, record)
    if not (at / JOURNAL).is_file():
        raise click.UsageError(f"{record} is no record: there is no {at / JOURNAL}")
    return at
