"""`bundle`: the record itself in one zip, `<record>.zip`, with the page and a README that says how to verify it.

Rules:
- What is copied is copied octet for octet: the chain holds in the bundle as in the room.
- DICOM objects, wire bytes and `private/` may say who the patient is: they are in it only where identity was asked for.
  Objects are not cleaned: their hash stands in the journal, and a cleaned one could not be verified. Without identity
  the journal's chain can be verified, and the README says what cannot.
- Only what the journal names goes in: no stray object of a C-arm that was never acknowledged, and no symbolic link.
- The README's commands are run by the tests.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from esi_room.audit.export import page
from esi_room.audit.export.case import Case
from esi_room.audit.export.files import named, written
from esi_room.events import CarmImage
from esi_room.record.amendments import AMENDMENTS
from esi_room.record.reader import JOURNAL
from esi_room.record.verify_checkpoints import CHECKPOINTS

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say: the same record gives the same octets
_MODE = 0o600 << 16
_CHUNK_BYTES = 1 << 20
_BESIDE = re.compile(rf"{re.escape(AMENDMENTS)}|{re.escape(CHECKPOINTS)}|torn-[a-z0-9-]+")
_WIRE = re.compile(r"[A-Za-z0-9_-]{1,64}\.jsonl")
_KEY = re.compile(r"[0-9a-f]{16}\.pem")  # public keys: the private one has another name
_PRIVATE = re.compile(r"identity\.json|[0-9a-f]{64}\.mpps")

WITHOUT = """
Left out: the DICOM objects (frames/), the raw bytes of the serial devices (wire/) and private/. They may say who the
patient is. What can be verified without them is the journal; the images that it names are not here."""
WITH = """frames/            each DICOM object as it was received, named by its SHA-256
late/              the objects of late.jsonl
wire/              the raw bytes of each serial device, both ways, each file a chain of its own
private/           who the patient is: treat it so. It may have been erased"""
CHECKS = """
    # Every object that the journal names is there, and is the one: silent.
    grep -o '"type":"carm.image".*' journal.jsonl | grep -oE '"sha256":"[0-9a-f]{64}"' | cut -d'"' -f4 | sort -u |
      while read -r h; do
        [ "$(cat "frames/$h.dcm" 2>/dev/null | sha256sum | cut -d' ' -f1)" = "$h" ] || echo "BROKEN object: $h"
      done

    # Every wire file is a chain, and ends as the seal says: silent.
    for f in wire/*.jsonl; do
      [ -f "$f" ] || continue
      last=$(chain < "$f"); echo "$last" | grep BROKEN
      tail -n 1 journal.jsonl | grep -q "${last#last }" || echo "BROKEN wire: $f"
    done
"""
OPEN = "\nThe record was still open when this was made: it has no seal yet, and the check for it says so."


def export(case: Case, to: Path) -> list[Path]:
    """The zip."""
    path = named(case, to, "zip")
    with written(path) as file, ZipFile(file, "w") as archive:
        zipped = _Zipped(archive, path.name.removesuffix(".zip"))
        zipped.add(JOURNAL, _Joined(case.lines()))
        for name, source in _files(case):
            with source.open("rb") as octets:
                zipped.add(name, octets)
        if case.late_lines:
            zipped.add("late.jsonl", _Joined(iter(case.late_lines)))
        zipped.add(f"{case.record}.html", io.BytesIO(page.page(case).encode()))
        zipped.add("README.txt", io.BytesIO(readme(case).encode()))
        zipped.add("SHA256SUMS", io.BytesIO("".join(zipped.sums).encode()))
    return [path]


class _Zipped:
    """Files on their way into the archive, below one directory; `sums` as sha256sum writes them."""

    def __init__(self, archive: ZipFile, directory: str) -> None:
        self._archive, self._directory, self.sums = archive, directory, list[str]()

    def add(self, name: str, source: BinaryIO | io.RawIOBase) -> None:
        info = ZipInfo(f"{self._directory}/{name}", _EPOCH)
        info.external_attr = _MODE
        info.compress_type = ZIP_STORED if name.endswith(".dcm") else ZIP_DEFLATED  # pixels gain little, and take long
        digest = hashlib.sha256()
        with self._archive.open(info, "w", force_zip64=True) as file:
            while chunk := source.read(_CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
        self.sums.append(f"{digest.hexdigest()}  {name}\n")


class _Joined(io.RawIOBase):
    """Lines as a file to be read."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines

    def read(self, size: int = -1) -> bytes:
        return next(self._lines, b"")


def _files(case: Case) -> Iterator[tuple[str, Path]]:
    """What is copied as it is: names in the bundle, and where they lie."""
    yield from _found(case.directory, _BESIDE, "")
    yield from _found(case.directory.parent.parent / "keys", _KEY, "keys/")
    if not case.with_identity:
        return
    objects = {
        f"{'late' if said.place == 'late' else 'frames'}/{path.name}": path
        for said in case.events
        if isinstance(said.data, CarmImage) and (path := case.object_of(said)) is not None
    }
    yield from sorted(objects.items())
    yield from _found(case.directory / "wire", _WIRE, "wire/")
    yield from _found(case.directory / "private", _PRIVATE, "private/")


def _found(folder: Path, names: re.Pattern[str], prefix: str) -> Iterator[tuple[str, Path]]:
    """Regular files of these names; no link is followed, nor a folder that is one."""
    if folder.is_dir() and not folder.is_symlink():
        for path in sorted(folder.iterdir()):
            if names.fullmatch(path.name) and path.is_file() and not path.is_symlink():
                yield f"{prefix}{path.name}", path


def readme(case: Case) -> str:
    """How to verify it, without this software."""
    broken = case.broken is not None
    verdict = f"BROKEN: this record did not verify when it was exported: {case.broken}" if broken else _verdict(case)
    title = f"{'BROKEN: ' if broken else ''}Procedure record {case.record}"
    words = {
        "@TITLE@": f"{title}\n{'=' * len(title)}",
        "@VERDICT@": verdict,
        "@MORE@": WITH if case.with_identity else WITHOUT,
        "@LAST@": _last(case),
        "@CHECKS@": CHECKS if case.with_identity else "",
        "@SEAL@": "" if case.report.sealed or broken else OPEN,
    }
    text = (resources.files(__package__) / "README.txt").read_text("utf-8")
    for token, word in words.items():
        text = text.replace(token, word)
    return text.rstrip() + "\n"


def _verdict(case: Case) -> str:
    report = case.report
    verdict = f"It verified when it was exported: {report.lines} entries, {report.amendments} amendments."
    if not report.erased:
        return verdict
    erased = "\n".join(f"- {note}" for note in report.notes if "erased" in note)
    return f"{verdict}\nErased since, so that the checks below find no such file:\n{erased}"


def _last(case: Case) -> str:
    """SHA-256 of the last whole line of the journal, or of its amendments, as the shell's loop finds it."""
    last = b""
    for octets in _chained(case):
        last = octets if octets.endswith(b"\n") else last
    return hashlib.sha256(last).hexdigest()


def _chained(case: Case) -> Iterator[bytes]:
    yield from case.lines()
    for _, path in _found(case.directory, re.compile(re.escape(AMENDMENTS)), ""):
        yield from path.read_bytes().splitlines(keepends=True)
