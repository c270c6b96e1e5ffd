"""Taking a procedure away: a record as files that other programs read.

case     what is exported: the record, verified; its amendments; images that came too late for it
files    how a file of an export comes to be: private, whole or not at all, named by the record
…        one file (or package) a format, with `export(case, to) -> paths`; FORMATS is the table of them

Rules of every format:
- The same record gives the same octets: nothing of an export says when or where it was made. Who used the record until
  then, as the room's entries say, is all that differs.
- A record that does not verify is exported only where the caller insists, and then every file says so, in its name and
  in its text.
- Nothing of `private/`, no DICOM object and no wire byte is in it unless identity was asked for: they may say who the
  patient is.
- Old and new: a correction never takes the place of what it corrects, both are there.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from esi_room.audit.export.case import Case

Export = Callable[[Case, Path], list[Path]]


class Format(NamedTuple):
    """`module`: of this package, loaded when it is asked for. `text`: what comes out. `passes`: how often it reads the
    journal, for whoever draws a bar."""

    module: str
    text: str
    passes: int = 1


FORMATS: dict[str, Format] = {
    "csv": Format("tidy", "two tables: one row a reading, one row an event or form"),
    "parquet": Format("parquet", "the same two tables, typed, for pandas, Arrow and the like"),
    "dicom-sr": Format("sr", "one DICOM structured report: Procedure Log, TID 3001"),
    "fhir": Format("fhir", "one HL7 FHIR R4 Bundle, JSON"),
    "html": Format("page", "one page to look at and to print; opens offline", 3),
    "pdf": Format("pdf", "the case report: one page of timeline, then the tables", 2),
    "bundle": Format("bundle", "one zip: the record, that page, and how to verify it without this software", 5),
}


def exporter(name: str) -> Export:
    """The function that writes format `name` (one of FORMATS): the files it made, of a case, in a directory."""
    module = importlib.import_module(f"{__name__}.{FORMATS[name].module}")
    export: Export = module.export
    return export
